"""What runs say of themselves over NOTIFY_SOCKET (the protocol of sd_notify): one datagram socket per slot.

A message counts only when its sender belongs to the slot's run, by the pid that the kernel attests: it is the leader,
or in its session, or was started with the run's token, or descends from the leader. Everything else is dropped, and
counted in one event a minute. Descriptors that come with a message are closed once it has been read (the barrier of
sd_notify). Of READY, STATUS, STOPPING, WATCHDOG=trigger and WATCHDOG_USEC the machine is told, at most twenty times a
second per slot; of WATCHDOG=1 whoever counts heartbeats; MAINPID and the rest are left alone.

A socket stands in our runtime folder. Where another user cannot come to that (root's own session folder is closed to
all others), that user's stands below /run instead, in folders that only root can change and everybody can pass.

A next agent binds the same path anew. Nothing is waited for: a worker's message that comes in between is lost, as it
would be without a listener.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import hashlib
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

from . import procfs
from .states import ALIVE, Notified, Slot
from .views import plain_text

QUIET_S = 0.05
REFUSED_EVERY_S = 60.0
STATUS_LIMIT = 200
_AT_ONCE = 64
_MESSAGE_LIMIT = 8192
_FDS = 16
_CREDENTIALS = struct.Struct("3i")
_TOKEN = b"WORKER_RUN"
_DEPTH = 64
_DIGITS = 20
_FOR_EVER_MS = 10 * 365 * 86_400_000
_PASSABLE = 0o011
_COMMONS = "/run"


class Word(NamedTuple):
    """What one message says."""

    ready: bool
    status: Optional[str]
    stopping: bool
    beats: bool = False
    fails: bool = False
    watchdog_ms: Optional[int] = None


@dataclass
class _Ear:
    """One slot's socket. `refused` messages of strangers since `refused_at` (loop time)."""

    listening: socket.socket
    path: str
    refused: int = 0
    refused_pid: int = 0
    refused_at: float = 0.0
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)


class Notifications:
    """One per agent. `slot(name)` is the slot as it is now, `tell(kind, message, slot, data)` writes an event.

    `beat(run)` is called when a run has said WATCHDOG=1.
    """

    def __init__(
        self,
        runtime: str,
        slot: Callable[[str], Optional[Slot]],
        feed: Callable[[str, Notified], None],
        tell: Callable[[str, str, str, dict[str, Any]], None],
        commons: str = _COMMONS,
    ) -> None:
        self.beat: Callable[[str], None] = lambda _run: None
        self._runtime = runtime
        self._folder = f"{runtime}/notify"
        self._common = f"{commons}/workerctl/{os.path.basename(runtime)}/notify"
        self._failures: dict[str, str] = {}
        self._slot = slot
        self._feed = feed
        self._tell = tell
        self._ears: dict[str, _Ear] = {}
        self._loop = asyncio.get_running_loop()
        os.makedirs(self._folder, mode=0o700, exist_ok=True)

    # --- the life of a socket ---

    def open(self, name: str, uid: Optional[int]) -> str:
        """Listen for a slot whose run is about to start as `uid` (None: ours). The path; empty where it fails."""
        uid = os.geteuid() if uid is None else uid
        try:
            folder = self._folder_for(uid)
            path = self._path(name, folder)
            if name in self._ears and self._ears[name].path != path:
                self._close(name)
            if name not in self._ears:
                self._ears[name] = self._bind(path)
                self._loop.add_reader(self._ears[name].listening, self._hear, name)
            if os.lstat(path).st_uid != uid:
                os.chown(path, uid, -1, follow_symlinks=False)
        except OSError as error:
            self._failures[name] = f"no NOTIFY_SOCKET for {name}: {error.strerror or error}"
            self._tell("notify_failed", self._failures[name], name, {})
            self._close(name)
            return ""
        self._failures.pop(name, None)
        return path

    @property
    def failure(self) -> str:
        """For whom there is none, and why; one of them. Empty where all have one."""
        return next(iter(self._failures.values()), "")

    def resume(self, slots: Iterable[Slot]) -> None:
        """After a start of ours: listen again where runs live; forget what else is there."""
        paths = {slot.name: [self._path(slot.name, folder) for folder in self._folders()]
                 for slot in slots if slot.run is not None}  # fmt: skip
        owners = {path: _owner(path) for both in paths.values() for path in both}
        for folder in self._folders():
            for file in os.listdir(folder):
                if owners.get(f"{folder}/{file}") is None:
                    with contextlib.suppress(OSError):
                        os.unlink(f"{folder}/{file}")
        for name, both in paths.items():
            self.open(name, next((owners[path] for path in both if owners[path] is not None), None))
        self._leave_commons()

    def follow(self, name: str, slot: Optional[Slot]) -> None:
        """The slot has changed: without a run nobody may say anything."""
        if slot is None or slot.run is None:
            self._failures.pop(name, None)
            self._close(name)

    def close(self) -> None:
        """Listen no longer. The paths stay: the next agent binds them anew."""
        for name in list(self._ears):
            self._close(name, unlinks=False)

    @staticmethod
    def _path(name: str, folder: str) -> str:
        return f"{folder}/{hashlib.sha256(name.encode()).hexdigest()[:10]}"

    def _folders(self) -> list[str]:
        return [folder for folder in dict.fromkeys((self._folder, self._common)) if os.path.isdir(folder)]

    def _folder_for(self, uid: int) -> str:
        """A folder that this user can come to. Only root runs workers of others, and only root may use /run."""
        if uid == os.geteuid():
            return self._folder
        if all(os.stat(folder).st_mode & 0o001 for folder in _above(os.path.dirname(self._runtime))):
            own = self._folder
        else:
            own = self._common
        for folder in (os.path.dirname(os.path.dirname(own)), os.path.dirname(own), own):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            _let_pass(folder)
        return own

    def _leave_commons(self) -> None:
        """Remove what nobody needs there, as far as it is empty."""
        folder = self._common
        if folder == self._folder:
            return
        with contextlib.suppress(OSError):
            for _ in range(3):
                os.rmdir(folder)
                folder = os.path.dirname(folder)

    @staticmethod
    def _bind(path: str) -> _Ear:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            listening.bind(path)
            os.chmod(path, 0o600)
        except OSError:
            listening.close()
            raise
        return _Ear(listening, path)

    def _close(self, name: str, *, unlinks: bool = True) -> None:
        ear = self._ears.pop(name, None)
        if ear is None:
            return
        self._loop.remove_reader(ear.listening)
        ear.listening.close()
        for timer in ear.timers.values():
            timer.cancel()
        if unlinks:
            with contextlib.suppress(OSError):
                os.unlink(ear.path)
            if os.path.dirname(ear.path) == self._common:
                self._leave_commons()

    # --- messages ---

    def _hear(self, name: str) -> None:
        """Read what is there, tell of it once, and be deaf for a moment: a flood costs twenty looks a second."""
        ear = self._ears[name]
        slot = self._slot(name)
        words = []
        for _ in range(_AT_ONCE):
            try:
                word = self._receive(ear, slot)
            except BlockingIOError:
                break
            except OSError:
                continue
            if word is not None:
                words.append(word)
        self._loop.remove_reader(ear.listening)
        ear.timers["listen"] = self._loop.call_later(QUIET_S, self._listen, name, ear)
        if words and slot is not None and slot.run is not None:
            if any(word.beats for word in words):
                self.beat(slot.run)
            told = together(slot.run, words)
            if told != Notified(slot.run):
                self._feed(name, told)
        if ear.refused and "refused" not in ear.timers:
            self._tell_refused(name, ear)

    def _listen(self, name: str, ear: _Ear) -> None:
        if self._ears.get(name) is ear:
            self._loop.add_reader(ear.listening, self._hear, name)

    def _receive(self, ear: _Ear, slot: Optional[Slot]) -> Optional[Word]:
        """One message; None for what does not count. Raises BlockingIOError where there is none."""
        space = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_FDS * array.array("i").itemsize)
        data, ancillary, _flags, _address = ear.listening.recvmsg(_MESSAGE_LIMIT, space)
        descriptors = array.array("i")
        pid = 0
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid = _CREDENTIALS.unpack(content[: _CREDENTIALS.size])[0]
        try:
            if slot is None or slot.phase not in ALIVE or not belongs(pid, slot.pid, slot.run):
                ear.refused += 1
                ear.refused_pid = pid
                return None
            return parse(data)
        finally:
            # Only now: who waits at the barrier stays there to be looked at.
            for descriptor in descriptors:
                os.close(descriptor)

    def _tell_refused(self, name: str, ear: _Ear) -> None:
        text = f"{ear.refused} messages to NOTIFY_SOCKET were dropped: process {ear.refused_pid} is none of the run's"
        self._tell("notify_refused", text, name, {"count": ear.refused, "pid": ear.refused_pid})
        ear.refused = 0

        def look() -> None:
            del ear.timers["refused"]
            if ear.refused:
                self._tell_refused(name, ear)

        ear.timers["refused"] = self._loop.call_later(REFUSED_EVERY_S, look)


def parse(data: bytes) -> Word:
    """What a message says: lines `NAME=VALUE`."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            found[name] = value
    status = found.get("STATUS")
    return Word(
        ready=found.get("READY") == "1",
        status=None if status is None else plain_text(status, STATUS_LIMIT),
        stopping=found.get("STOPPING") == "1",
        beats=found.get("WATCHDOG") == "1",
        fails=found.get("WATCHDOG") == "trigger",
        watchdog_ms=_watchdog_ms(found.get("WATCHDOG_USEC", "")),
    )


def together(run: str, words: Iterable[Word]) -> Notified:
    """What several messages say, the last word where they differ."""
    told = Notified(run)
    for word in words:
        told = Notified(
            run,
            ready=told.ready or word.ready,
            status=told.status if word.status is None else word.status,
            stopping=told.stopping or word.stopping,
            watchdog_ms=told.watchdog_ms if word.watchdog_ms is None else word.watchdog_ms,
            fails=told.fails or word.fails,
        )
    return told


def _watchdog_ms(text: str) -> Optional[int]:
    """Of microseconds, at least 1 ms. 0, and what the protocol calls for ever, is 0; None for what is no number."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        return None
    found = -(-int(text) // 1000)
    return found if found < _FOR_EVER_MS else 0


def belongs(pid: int, leader: Optional[int], run: Optional[str]) -> bool:
    """Whether a living process is one of a run's: of its session, with its token, or below its leader."""
    if leader is None or run is None or pid <= 0:
        return False
    if pid == leader or procfs.session(pid) == leader:
        return True
    if procfs.environ_value(pid, _TOKEN) == run.encode():
        return True
    at = pid
    for _ in range(_DEPTH):
        found = procfs.read_stat(at)
        if found is None or found.ppid <= 1:
            return False
        if found.ppid == leader:
            return True
        at = found.ppid
    return False


def _above(path: str) -> Iterator[str]:
    """All folders above a path."""
    while path != "/":
        path = os.path.dirname(path)
        yield path


def _let_pass(folder: str) -> None:
    """Everybody may come to what they know the name of. Raises OSError for a folder that is not ours alone."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(errno.EPERM, f"{folder} is not a folder of ours alone")
    if not found.st_mode & 0o001:
        os.chmod(folder, stat.S_IMODE(found.st_mode) | _PASSABLE)


def _owner(path: str) -> Optional[int]:
    """Whose socket a path was."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_uid if stat.S_ISSOCK(found.st_mode) else None
