"""Files that change whole: a reader sees the old one or the new one, and so does whoever comes after a power cut.

Called by the writer of specs. Each function names what it expects to find; where something else is there, by another
writer or an editor, it raises Conflict and has changed nothing. Writers of ours exclude each other by a lock on the
folder. Links are followed and stay links; a file keeps its mode, and its owner where we may give files away.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from controller.agent.failpoints import failpoint

TEMPORARY_SUFFIX = ".workerctl"
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class Conflict(Exception):
    """The file is not what the caller read. Nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file's content, before and after; None for no file."""

    path: str
    before: bytes | None
    after: bytes | None

    @property
    def opposite(self) -> FileChange:
        """Back again."""
        return FileChange(path=self.path, before=self.after, after=self.before)

    def apply(self) -> None:
        """Makes the change, durably. Raises Conflict, or OSError when it cannot be made."""
        if self.after is not None:
            write_atomically(self.path, self.after, self.before)
        elif self.before is not None:
            delete_atomically(self.path, self.before)


def write_atomically(path: str, content: bytes, expected: bytes | None) -> None:
    """Replaces the file at `path`, which must hold `expected`, by `content`; with None, there must be no file.

    Raises Conflict, or OSError when it cannot be written.
    """
    target = os.path.realpath(path)
    with _locked(target) as (folder, temporary):
        failpoint("sources.before_write")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _fill(descriptor, target, content, is_new=expected is None)
            failpoint("sources.after_fsync")
            if expected is None:
                _put(temporary, target)
            else:
                _check_unchanged(target, expected)
                _swap(temporary, target, expected)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        failpoint("sources.after_rename")
        os.fsync(folder)


def delete_atomically(path: str, expected: bytes) -> None:
    """Deletes the file at `path`, which must hold `expected`. A link goes, not what it leads to. Raises as above."""
    folder, name = os.path.split(path)
    target = os.path.join(os.path.realpath(folder), name)
    with _locked(target) as (descriptor, temporary):
        _check_unchanged(target, expected)
        failpoint("sources.before_delete")
        os.rename(target, temporary)
        try:
            if _read(temporary) != expected:  # Somebody wrote in between: it is put back, where nobody wrote again.
                with suppress(FileExistsError):
                    os.link(temporary, target, follow_symlinks=False)
                raise Conflict(f"{target} was changed since it was read")
        finally:
            os.unlink(temporary)
        failpoint("sources.after_delete")
        os.fsync(descriptor)


@contextmanager
def _locked(target: str) -> Iterator[tuple[int, str]]:
    """The folder's descriptor while it is ours, and the name of the temporary file: a killed writer's is used again."""
    folder, name = os.path.split(target)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{folder} is being written to by another process") from None
        yield descriptor, os.path.join(folder, f".{name}{TEMPORARY_SUFFIX}")
    finally:
        os.close(descriptor)


def _fill(descriptor: int, target: str, content: bytes, *, is_new: bool) -> None:
    try:
        status = os.stat(target)
    except FileNotFoundError:
        if not is_new:
            raise Conflict(f"{target} is gone") from None
        folder = os.stat(os.path.dirname(target))
        owner, mode = (folder.st_uid, folder.st_gid), 0o666 & folder.st_mode
    else:
        if is_new:
            raise Conflict(f"{target} is there already")
        owner, mode = (status.st_uid, status.st_gid), stat.S_IMODE(status.st_mode)
    with suppress(PermissionError):
        os.fchown(descriptor, *owner)
    os.fchmod(descriptor, mode)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    failpoint("sources.after_temp")
    os.fsync(descriptor)


def _put(temporary: str, target: str) -> None:
    """In place of nothing. A second name, then the first one goes: a rename would replace what just came."""
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        raise Conflict(f"{target} is there already") from None
    os.unlink(temporary)


def _swap(temporary: str, target: str, expected: bytes) -> None:
    """In place of `expected`: exchanged, so that what came in between is seen and put back, not lost."""
    if not _exchange(temporary, target):
        os.rename(temporary, target)
        return
    if _read(temporary) != expected:
        _exchange(temporary, target)
        raise Conflict(f"{target} was changed since it was read")
    os.unlink(temporary)


def _exchange(one: str, other: str) -> bool:
    """Whether the two names were exchanged; False where the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
        return False
    if number == errno.ENOENT:
        raise Conflict(f"{other} is gone")
    raise OSError(number, os.strerror(number), other)


def _check_unchanged(target: str, expected: bytes) -> None:
    if _read(target) != expected:
        raise Conflict(f"{target} was changed since it was read")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise Conflict(f"{path} is gone") from None
