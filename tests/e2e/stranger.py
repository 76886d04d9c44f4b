"""Processes that have the pids they are told: `python3 stranger.py PID...`, standard library only, as root.

Prints `there` once all are, and waits for the end of its input. Then it prints the pids of those that anybody ended,
ends the others and leaves. The kernel gives a chosen number with clone3, where that number is free.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

CLONE3 = 435  # the same number on every architecture


def stranger(pid: int) -> None:
    """A child with this pid that waits for a signal. Raises OSError where the number is taken or may not be chosen."""
    libc = ctypes.PyDLL(None, use_errno=True)
    chosen = (ctypes.c_int * 1)(pid)
    arguments = (ctypes.c_uint64 * 10)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(chosen), 1)
    made = libc.syscall(ctypes.c_long(CLONE3), arguments, ctypes.c_size_t(ctypes.sizeof(arguments)))
    if made == 0:
        os.execv("/bin/sleep", ["sleep", "3600"])
    if made < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no process can have the pid {pid}: {os.strerror(number)}")


def main(pids: list[int]) -> None:
    """See the module."""
    for pid in pids:
        stranger(pid)
    print("there", flush=True)
    sys.stdin.read()
    print(*[pid for pid in pids if os.waitpid(pid, os.WNOHANG) != (0, 0)], flush=True)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
