"""Where an agent's things live, and that nobody else can have put them there.

STATE/agent is durable; the runtime folder (a tmpfs where there is one) holds sockets, locks and records that are void
in another boot. The runtime folder follows from the environment, which may differ between a login, cron and a unit;
so the keeper publishes the one it uses in STATE/agent/runtime, and everyone follows that while it is of this boot and
of this very folder: a copy of it says where the original's agent is, which is not ours to command.

`AgentPaths(STATE_AGENT_DIR)` only computes. `prepare()` creates what is missing, 0700, each level relative to the
descriptor of the one above and never through a symbolic link, and refuses what another user owns or could change.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import stat
from typing import TYPE_CHECKING

from . import procfs

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET_LIMIT = 100
"""Kernels take 107 bytes for a socket's path; the rest is for names beside it."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PathsError(Exception):
    """A folder cannot be used. The message names it and says why; only a person can mend it."""


class AgentPaths:
    """All places of one agent. `state` is STATE/agent, `logs` STATE/logs, `runtime` this boot's folder."""

    __slots__ = ("_chain", "logs", "runtime", "state")

    def __init__(self, state_dir: str, environ: Mapping[str, str] | None = None) -> None:
        """Raises PathsError where the socket's path would be too long."""
        above, name = os.path.split(os.path.abspath(state_dir))
        self.state = os.path.join(os.path.realpath(above), name)
        self.logs = os.path.join(os.path.dirname(self.state), "logs")
        self._chain = self._published() or _runtime_chain(self.state, os.environ if environ is None else environ)
        self.runtime = os.path.join(*self._chain)
        if len(os.fsencode(self.socket)) >= SOCKET_LIMIT:
            raise PathsError(f"Cannot use {self.runtime}: a socket's path there has {SOCKET_LIMIT} bytes or more")

    @property
    def socket(self) -> str:
        """The agent listens here."""
        return os.path.join(self.runtime, "agent.sock")

    @property
    def agent_lock(self) -> str:
        """Held by the agent."""
        return os.path.join(self.runtime, "agent.lock")

    @property
    def keeper_locks(self) -> tuple[str, str]:
        """Held by the keeper, in this order: one per state folder, whatever its runtime folder, then the runtime's."""
        return os.path.join(self.state, "keeper.lock"), os.path.join(self.runtime, "keeper.lock")

    @property
    def runs(self) -> str:
        """The keeper's records, one per run."""
        return os.path.join(self.runtime, "runs")

    @property
    def slots(self) -> str:
        """The agent's records, one per slot."""
        return os.path.join(self.runtime, "slots")

    @property
    def keeper_log(self) -> str:
        """What keeper and agent print."""
        return os.path.join(self.state, "keeper.log")

    def prepare(self) -> None:
        """Create what is missing. Raises PathsError for what is not ours alone."""
        root = os.path.dirname(self.state)
        try:
            os.makedirs(root, 0o700, exist_ok=True)
        except OSError as error:
            raise PathsError(f"Cannot create {root}: {error.strerror}") from None
        _create_below(root, (os.path.basename(self.state),))
        _create_below(root, ("logs",))
        base, names = self._chain[0], self._chain[1:]
        _create_below(base, (*names, "runs"), checks_base=False)
        _create_below(base, (*names, "slots"), checks_base=False)

    def publish(self) -> None:
        """Say which runtime folder is in use, by temporary file and rename. Only the keeper, with its locks held.

        Raises OSError. Where the file says so already nothing is written: a full disk must not matter then.
        """
        if self._published() == tuple(self._chain):
            return
        value = {"boot_id": procfs.boot_id(), "chain": list(self._chain), "folder": folder_id(self.state)}
        text = json.dumps(value)
        path = os.path.join(self.state, "runtime")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path + ".tmp", flags, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
        os.rename(path + ".tmp", path)

    def _published(self) -> tuple[str, ...] | None:
        """The runtime folder in use, where one was published in this boot and is still there and ours."""
        try:
            descriptor = os.open(os.path.join(self.state, "runtime"), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                value = json.loads(os.read(descriptor, 8192))
            finally:
                os.close(descriptor)
            chain = tuple(map(str, value["chain"]))
            if value["boot_id"] != procfs.boot_id() or not _is_private(os.path.join(*chain)):
                return None
            if value.get("folder", "") not in ("", folder_id(self.state)):
                return None
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return chain


def _runtime_chain(state: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The base folder, which exists, and the names below it that are ours to create."""
    name = sha256(os.fsencode(state))[:12]
    session = environ.get("XDG_RUNTIME_DIR", "")
    # `sudo -E` leaves root with another user's folder; whoever owns it could swap ours. Such a one is not used.
    if os.path.isabs(session) and _is_private(session):
        return session, "workerctl", name
    if os.geteuid() == 0 and os.path.isdir("/run"):
        return "/run", "workerctl", name
    return "/tmp", f"workerctl-{os.geteuid()}", name  # noqa: S108 - every level below is created and checked as ours


def folder_id(path: str) -> str:
    """What a copy of the folder does not share; the folder keeps it where it is moved within its file system."""
    found = os.lstat(path)
    return f"{found.st_dev}:{found.st_ino}"


def sha256(data: bytes) -> str:
    """In hexadecimal. Not by hashlib, where that can be helped: it loads OpenSSL, a third of the keeper's memory."""
    for module in ("_sha2", "_sha256", "hashlib"):
        with contextlib.suppress(ImportError):
            return str(importlib.import_module(module).sha256(data).hexdigest())
    raise PathsError("Cannot name the runtime folder: this Python has no SHA-256")


def _is_private(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and _fault(found) is None


def _fault(found: os.stat_result) -> str | None:
    """Why a folder is not ours alone."""
    if found.st_uid != os.geteuid():
        return f"it belongs to uid {found.st_uid}, not to uid {os.geteuid()}"
    if found.st_mode & 0o022:
        return f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _create_below(base: str, names: tuple[str, ...], *, checks_base: bool = True) -> None:
    """Create and check `names` one below the other under `base`."""
    path = base
    with contextlib.ExitStack() as opened:
        try:
            descriptor = _opened(opened, base, None)
            if checks_base:
                _check(base, descriptor)
            for name in names:
                path = os.path.join(path, name)
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=descriptor)
                descriptor = _opened(opened, name, descriptor)
                _check(path, descriptor)
        except OSError as error:
            is_link = error.errno in (errno.ELOOP, errno.ENOTDIR)
            reason = "it is a symbolic link or no folder" if is_link else os.strerror(error.errno or errno.EIO)
            raise PathsError(f"Cannot use {path}: {reason}") from None


def _opened(stack: contextlib.ExitStack, name: str, above: int | None) -> int:
    descriptor = os.open(name, _DIRECTORY, dir_fd=above)
    stack.callback(os.close, descriptor)
    return descriptor


def _check(path: str, descriptor: int) -> None:
    fault = _fault(os.fstat(descriptor))
    if fault is not None:
        raise PathsError(f"Cannot use {path}: {fault}")
