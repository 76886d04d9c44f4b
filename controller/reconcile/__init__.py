"""The imperative shell: clock, queue, observer, loop, executor."""
