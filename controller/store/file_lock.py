"""The right to write to one SQLite file: an flock on a file beside it, `NAME-lock`, that the kernel ends with us.

Taken by presence before anything is written, migrations included. Not SQLite's own lock: that is free between two
transactions, and both controllers would write in turns. The file stays when the lock is given back, because removing
it would let two others each lock a file of that name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from controller.store.errors import StoreTakenError, explained

SUFFIX = "-lock"


class FileLock:
    """Used by one thread at a time."""

    def __init__(self, path: str, name: str) -> None:
        """`path` of the database, `name` as messages call it."""
        self._path, self._name = path + SUFFIX, name
        self._fd: int | None = None

    def take(self) -> None:
        """Hold it, anew where the file was deleted under us. Raises StoreTakenError, or StoreUnavailable."""
        if self._fd is not None and self._is_in_place(self._fd):
            return
        self.release()
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise explained(error, "lock", self._name) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 100, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise StoreTakenError(
                f"Cannot write to {self._name}: another controller writes to it ({holder or 'pid unknown'}); stop that "
                "one, or give this one another database",
                "another controller writes to it",
            ) from None
        self._fd = fd
        # For people only. A full disk is no reason to go without the lock.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"pid {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give it back; nothing where it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _is_in_place(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.lstat(self._path), os.fstat(fd))
        except OSError:
            return False
