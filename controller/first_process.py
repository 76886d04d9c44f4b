"""Being PID 1 of a container: a process beside the real one that reaps what nobody else does.

The kernel gives every orphan of a container to PID 1, and throws away signals that PID 1 has no handler for. So where
`workerctl serve` is PID 1, it goes on as a child of this process, which passes signals on to it, reaps whatever dies,
and leaves as it left. Called by `serve` before anything else is loaded, for what is loaded by then is held twice.
"""

from __future__ import annotations

import os
import signal

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def leave_first_place() -> None:
    """Return in a child where we are PID 1, else at once. The parent never returns."""
    if os.getpid() != 1:
        return
    watched = {*FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        number = signal.sigwait(watched)
        if number == signal.SIGCHLD:
            _reap(child)
        else:
            os.kill(child, number)


def _reap(child: int) -> None:
    """All that is dead; when the child is, so are we. It is reaped nowhere else, so its pid is its own till then."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
