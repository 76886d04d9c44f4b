"""The state directory: who may use it, what it is called, and the small files in it.

One controller at a time (`controller.lock`, an flock: it dies with its holder). `realm_id` names this state
directory to the agents; it is a file and not a row, so that a lost database changes nobody's identity. Small files
are written whole: temporary file, fsync, rename, fsync of the directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.agent.failpoints import failpoint


class StateError(Exception):
    """The state directory cannot be used; the message says why and what to do."""


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
    """An opened and locked state directory. Hold on to it: the lock goes with `lock_fd`."""

    path: Path
    realm_id: str
    key: bytes
    lock_fd: int

    @property
    def agent_dir(self) -> Path:
        """The folder of the local agent."""
        return self.path / "agent"

    def close(self) -> None:
        """Give the lock back."""
        os.close(self.lock_fd)


def open_state_dir(path: Path) -> StateDir:
    """Create or check the directory, lock it, read or make its identity. Raises StateError."""
    with contextlib.ExitStack() as undo:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(path)
            lock_fd = _lock(path)
            undo.callback(os.close, lock_fd)
            realm_id, key = _furnish(path)
        except OSError as error:
            raise StateError(f"cannot use state directory {path}: {error.strerror or error}") from None
        undo.pop_all()
    return StateDir(path=path, realm_id=realm_id, key=key, lock_fd=lock_fd)


def _furnish(path: Path) -> tuple[str, bytes]:
    for name in ("intents", "last_good"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
    remove_leftovers(path)
    realm_id = _read_or_make(path / "realm_id", lambda: secrets.token_hex(16).encode()).decode("ascii", "replace")
    key = _read_or_make(path / "key", lambda: secrets.token_bytes(32))
    if len(key) < 16 or not re.fullmatch(r"[0-9a-zA-Z_-]{16,128}", realm_id.strip()):
        raise StateError(f"{path}: realm_id or key is damaged; restore both from a backup of this directory")
    return realm_id.strip(), key


def _check_owner(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise StateError(f"{path} belongs to uid {found.st_uid}, not to us (uid {os.geteuid()}); use --state-dir")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise StateError(f"{path} may be written by others; run: chmod go-w {path}")


def _lock(path: Path) -> int:
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


def _read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        content = make()
        write_durably(path, content)
        return content
