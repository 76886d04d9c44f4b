"""The state directory: who may use it, what it is called, and the small files in it.

One controller at a time (`controller.lock`, an flock: it dies with its holder; and one on the directory itself, for the
file may be deleted while it is held). `realm_id` names this state directory to the agents; it is a file and not a row,
so that a lost database changes nobody's identity. Small files are written whole: temporary file, fsync, rename, fsync
of the directory.

`realm_id` and `key` stand in a second place each, where they are looked for when the first one is lost: the realm where
the agent notes whose it is, the key beside the last good specs, whose revisions were made with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.agent import build
from controller.agent.failpoints import failpoint

_REALM = re.compile(rb"[0-9a-zA-Z_-]{16,128}\s*")
_KEY_LEAST = 16

log = logging.getLogger("workerctl.state")


class StateError(Exception):
    """The state directory cannot be used; the message says why and what to do."""


_SMALL_BYTES = 4096


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` as a whole, mode 0600: after a crash it holds the old content or the new one."""
    temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        failpoint("controller.before_state_rename")
        os.rename(temp, path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_small(path: Path) -> bytes:
    """The content of a small file of ours. No link is followed, and nothing that stands there is waited for.

    Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, _SMALL_BYTES)
    finally:
        os.close(fd)


def remove_durably(path: Path) -> None:
    """It is gone for good when this returns; gone already is fine. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and unlinks in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_leftovers(directory: Path) -> None:
    """Remove what a death within `write_durably` left behind."""
    for path in directory.iterdir():
        if re.fullmatch(r"\..+\.[0-9a-f]{8}", path.name) and path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDir:
    """An opened and locked state directory. Hold on to it: the locks go with `lock_fds`."""

    path: Path
    realm_id: str
    key: bytes
    lock_fds: tuple[int, ...]

    @property
    def agent_dir(self) -> Path:
        """The folder of the local agent."""
        return self.path / "agent"

    def close(self) -> None:
        """Give the locks back."""
        for lock_fd in self.lock_fds:
            os.close(lock_fd)


def open_state_dir(path: Path) -> StateDir:
    """Create or check the directory, lock it, read or make its identity. Raises StateError."""
    with contextlib.ExitStack() as undo:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(path)
            if complaint := build.complaint(str(path / "agent")):
                raise StateError(complaint)
            lock_fds: tuple[int, ...] = ()
            for lock in (_lock_file, _lock_directory):
                lock_fds = (*lock_fds, lock(path))
                undo.callback(os.close, lock_fds[-1])
            realm_id, key = _furnish(path)
        except OSError as error:
            raise StateError(f"cannot use state directory {path}: {error.strerror or error}") from None
        undo.pop_all()
    return StateDir(path=path, realm_id=realm_id, key=key, lock_fds=lock_fds)


def _furnish(path: Path) -> tuple[str, bytes]:
    for name in ("intents", "last_good"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
    remove_leftovers(path)
    is_used = (path / "agent").exists()
    realm = _Kept(path / "realm_id", path / "agent/realm", lambda content: bool(_REALM.fullmatch(content)))
    realm_id = realm.read() or realm.make(secrets.token_hex(16).encode())
    kept = _Kept(path / "key", path / "last_good/key", lambda content: len(content) >= _KEY_LEAST)
    key = kept.read()
    if not key:
        key = kept.make(secrets.token_bytes(32))
        if is_used:
            log.warning(
                "the key was lost and is made anew: workers with env files or secrets are restarted once, as theirs "
                "cannot be compared any more",
                extra={"fields": {"file": str(path / "key")}},
            )
    if not kept.copy.exists():
        write_durably(kept.copy, key)
    return realm_id.decode("ascii").strip(), key


@dataclass(frozen=True, slots=True)
class _Kept:
    """A small file that must not be lost, and where else its content stands."""

    path: Path
    copy: Path
    is_good: Callable[[bytes], bool]

    def read(self) -> bytes:
        """What it says, from the copy where it is lost or damaged; empty where neither is there. Raises StateError."""
        if self.is_good(first := _content(self.path)):
            return first
        if self.is_good(second := _content(self.copy)):
            fields = {"file": str(self.path), "copy": str(self.copy)}
            log.warning("a file was lost or damaged and is restored from its copy", extra={"fields": fields})
            return self.make(second)
        if first or self.path.exists():
            raise StateError(f"{self.path} is damaged; restore it from a backup of this directory")
        return b""

    def make(self, content: bytes) -> bytes:
        write_durably(self.path, content)
        return content


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _check_owner(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise StateError(f"{path} belongs to uid {found.st_uid}, not to us (uid {os.geteuid()}); use --state-dir")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise StateError(f"{path} may be written by others; run: chmod go-w {path}")


def _lock_directory(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        text = "the pid is not known, for its controller.lock was deleted; stop it, or use another --state-dir"
        raise StateError(f"another controller uses {path}: {text}") from None
    except OSError:
        os.close(fd)
        raise
    return fd


def _lock_file(path: Path) -> int:
    # Close-on-exec: the keeper that we start outlives us, and must not hold our lock.
    fd = os.open(path / "controller.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"pid {os.getpid()}, since {since}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(fd, 200, 0).decode("utf-8", "replace").strip() or "unknown"
        os.close(fd)
        raise StateError(f"another controller uses {path}: {holder}; stop it, or use another --state-dir") from None
    except OSError:
        os.close(fd)
        raise
    return fd
