"""Opening a secret's file: links are followed where nobody can turn them, and what comes out is a regular file.

Called by secret_values.py. Secrets are often links: Kubernetes mounts each as a link to `..data/NAME`, which is a link
to the newest folder; a rotation turns that one link. So links are followed. But an agent that runs as root reads for a
worker of another user, and puts what it reads into that user's environment. Whoever can place a link on the way would
choose any file of the host. For such a worker a link counts only when it belongs to root or to us and lies in a folder
that only they can change, or in a sticky one, where a link is its owner's alone. A file in somebody else's folder must
have no second name, or it could be a hard link to another's.

A worker of our own user gains nothing by a link that it could not read by itself: there the kernel's own way is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import deque

MOST_LINKS = 40
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class UntrustedError(Exception):
    """Something on the way is another user's to change. The message says what and whose."""


def open_secret(path: str, *, is_for_other: bool) -> int:
    """A descriptor of the file at an absolute path, to read from. Raises OSError and UntrustedError."""
    return _Walk(path).opened() if is_for_other else os.open(path, _OPEN)


class _Walk:
    """One way from the root to a file, by descriptors of each folder: nothing that was looked at can be exchanged."""

    def __init__(self, path: str) -> None:
        self._left = deque(path.split("/"))
        self._links = 0
        self._where = "/"

    def opened(self) -> int:
        with contextlib.ExitStack() as stack:
            folder = self._top(stack)
            while True:
                name = self._next_name()
                found = os.open(name, _LOOK, dir_fd=folder)
                stack.callback(os.close, found)
                kind = os.fstat(found)
                if stat.S_ISLNK(kind.st_mode):
                    self._check_link(name, kind, folder)
                    target = os.readlink("", dir_fd=found)
                    folder = self._top(stack) if target.startswith("/") else folder
                    self._left.extendleft(reversed(target.split("/")))
                elif stat.S_ISDIR(kind.st_mode) and self._left:
                    folder, self._where = found, os.path.normpath(os.path.join(self._where, name))
                elif self._left:
                    raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                else:
                    return self._last(name, folder)

    def _top(self, stack: contextlib.ExitStack) -> int:
        top = os.open("/", _LOOK)
        stack.callback(os.close, top)
        self._where = "/"
        return top

    def _next_name(self) -> str:
        while self._left and self._left[0] in ("", "."):
            self._left.popleft()
        name = self._left.popleft() if self._left else "."
        while self._left and self._left[-1] in ("", "."):
            self._left.pop()
        return name

    def _check_link(self, name: str, link: os.stat_result, folder: int) -> None:
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        where = os.path.join(self._where, name)
        if link.st_uid not in (0, os.geteuid()):
            raise UntrustedError(f"the link {where} belongs to uid {link.st_uid}, who could turn it to any file")
        if not _is_safe(os.fstat(folder)):
            raise UntrustedError(f"the link {where} lies in a folder that others may change")

    def _last(self, name: str, folder: int) -> int:
        descriptor = os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=folder)
        if os.fstat(descriptor).st_nlink > 1 and not _is_safe(os.fstat(folder)):
            os.close(descriptor)
            raise UntrustedError(f"{self._where} can be changed by others, and the file there has a second name")
        return descriptor


def _is_safe(folder: os.stat_result) -> bool:
    """Whether nobody but root and us can put something of another's into it, or exchange what is ours there."""
    is_ours = folder.st_uid in (0, os.geteuid())
    return is_ours and (not folder.st_mode & 0o022 or bool(folder.st_mode & stat.S_ISVTX))
