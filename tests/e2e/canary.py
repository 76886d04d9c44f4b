"""A worker that tells on its supervisor. Run as `python3 canary.py DIR [OPTION...]`; standard library only.

It holds an exclusive lock on DIR/<slot>.lock from its first breath to its last, so a second copy of one slot betrays
itself: that one writes `double` and leaves with 97. What happens to it goes, one line each, into DIR/<slot>.journal:

    AT start PID START_TIME MARK RUN    executing, with the lock
    AT signal NUMBER PID                received, whatever it does about it
    AT exit CODE PID                    leaving by itself
    AT double PID                       somebody else holds the lock
    AT child PID START_TIME             a process that it forked
    AT wrote NUMBER PID                 all its lines up to this number were written

AT is CLOCK_MONOTONIC in seconds, the same for all processes.

Options: `--mark=TEXT` (told apart in the journal), `--ignore-term`, `--slow-stop=MS` (takes so long to obey),
`--child` and `--child-setsid` (a grandchild that ignores TERM, the latter in a session of its own; it keeps the lock),
`--daemon` (another that was forked twice, so that it is nobody's child), `--burst=N` (so many numbered lines at each
USR1),
`--exit=CODE` with `--after=MS`, `--lines=N` with `--every=MS` (numbered lines with a checksum), `--odd` (output that no
text file should have).
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import time
import zlib

EVERYTHING = {n for n in signal.valid_signals() if n not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)}
LONG = 300_000


def options(arguments: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (argument.removeprefix("--").partition("=") for argument in arguments)}


def start_time(pid: int) -> str:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[19].decode()


def numbered(number: int) -> bytes:
    """A line that shows whether it is whole."""
    body = f"line {number:08d}"
    return f"{body} {zlib.crc32(body.encode()):08x}\n".encode()


def write_all(data: bytes) -> None:
    """Whole, also where the disk is full for a while."""
    while data:
        try:
            data = data[os.write(1, data) :]
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            time.sleep(0.05)  # noqa: TID251 - a worker may


class Canary:
    def __init__(self, folder: str, chosen: dict[str, str]) -> None:
        self.chosen = chosen
        self.number = 0
        slot = os.environ.get("WORKER_INSTANCE", "nobody/0").replace("/", "-")
        self.journal = os.open(f"{folder}/{slot}.journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.lock = os.open(f"{folder}/{slot}.lock", os.O_RDWR | os.O_CREAT, 0o600)

    def note(self, text: str) -> None:
        os.write(self.journal, f"{time.monotonic():.6f} {text}\n".encode())

    def leave(self, code: int) -> None:
        if self.number:
            self.note(f"wrote {self.number} {os.getpid()}")
        self.note(f"exit {code} {os.getpid()}")
        os._exit(code)

    def run(self) -> None:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.note(f"double {os.getpid()}")
            os._exit(97)
        mark, run = self.chosen.get("mark", "-"), os.environ.get("WORKER_RUN", "-")
        self.note(f"start {os.getpid()} {start_time(os.getpid())} {mark} {run}")
        if "child" in self.chosen or "child-setsid" in self.chosen:
            self.fork()
        if "daemon" in self.chosen:
            self.daemonise()
        if "odd" in self.chosen:
            write_all(b"plain\n" + b"x" * LONG + b"\nbad \xff\xfe utf\nnul \x00 here\nesc \x1b[31mred\nno end")
        self.live()

    def fork(self) -> None:
        pid = os.fork()
        if pid == 0:
            if "child-setsid" in self.chosen:
                os.setsid()
            while True:
                signal.sigtimedwait(EVERYTHING, 3600)
        self.note(f"child {pid} {start_time(pid)}")

    def daemonise(self) -> None:
        """Leave a process behind as daemons do: its parent is gone before we go on."""
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork() == 0:
                self.note(f"child {os.getpid()} {start_time(os.getpid())}")
                while True:
                    signal.sigtimedwait(EVERYTHING, 3600)
            os._exit(0)
        os.waitpid(pid, 0)

    def live(self) -> None:
        ends_at = time.monotonic() + float(self.chosen.get("after", "0")) / 1000 if "exit" in self.chosen else None
        left = int(self.chosen.get("lines", "0"))
        pause = float(self.chosen.get("every", "10")) / 1000
        while True:
            now = time.monotonic()
            if ends_at is not None and now >= ends_at:
                self.leave(int(self.chosen["exit"]))
            if self.number < left:
                self.write(1)
            rest = 3600.0 if ends_at is None else max(0.0, ends_at - now)
            heard = signal.sigtimedwait(EVERYTHING, min(rest, pause) if self.number < left else rest)
            if heard is not None:
                self.hear(heard.si_signo)

    def write(self, count: int) -> None:
        """The next so many lines."""
        for _ in range(count):
            self.number += 1
            write_all(numbered(self.number))

    def hear(self, number: int) -> None:
        self.note(f"signal {number} {os.getpid()}")
        if number == signal.SIGUSR1 and "burst" in self.chosen:
            self.write(int(self.chosen["burst"]))
            self.note(f"wrote {self.number} {os.getpid()}")
        if number in (signal.SIGTERM, signal.SIGINT) and "ignore-term" not in self.chosen:
            time.sleep(float(self.chosen.get("slow-stop", "0")) / 1000)  # noqa: TID251 - a worker may
            self.leave(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, EVERYTHING)
    Canary(sys.argv[1], options(sys.argv[2:])).run()
