"""The agent's events, durable and bounded, readable after any cursor. A cursor is (journal_id, seq).

Lines of JSON in segments under STATE/agent/journal, one file per some thousand events, named by the first seq. An
event is appended at once (it survives our death), fsynced in a group (it survives the host's), and only then
published: so no reader ever holds a cursor that a power cut makes unknown to us. The oldest segments go when there
are too many; who asks for what is gone gets an event of type `gap` instead, never silence.

A slot that emits more than FOLD_OVER events within FOLD_WINDOW_S is folded: further ones are counted by type, and one
`repeated` event tells the counts when the window is over. A crash loop must not push out everybody else's history.

A journal that was set back (an older copy of its folder was put in place) must not give numbers a second time that were
told before: it gets another id, and what it held is told no more, for that was told by the former one. It is found
out by the folder, which is another one, or by a reader whose cursor is ahead of us. `id` therefore holds: the id,
device and inode of the folder, and below which number nothing is told. Who comes with a cursor of another id gets a
gap, then all that this one has.

While the disk takes nothing, events wait in memory, untold (bounded; what does not fit is a gap): a number that was
told must not be given to another event by the agent that follows a killed one. They are told once they are written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from .flusher import Flusher, replace_file

SEGMENT_EVENTS = 2000
SEGMENT_BYTES = 4 * 1024 * 1024
EVENTS_KEPT = 20_000
WAITING_KEPT = 5000
FOLD_OVER = 60
FOLD_WINDOW_S = 60.0
MESSAGE_LIMIT = 4096

Event = dict[str, Any]
_HEAD = b'{"seq":'


@dataclass
class _Window:
    """The events of one slot in the current minute."""

    started: float
    count: int = 0
    folded: dict[str, int] = field(default_factory=dict)


@dataclass
class _Segment:
    path: str
    first: int
    count: int = 0
    size: int = 0


class Journal:
    """One per agent, in the event loop's thread. `publish` gets events once they are durable, in order."""

    def __init__(self, folder: str, boot_id: str, flusher: Flusher, publish: Callable[[Event], None]) -> None:
        self._folder = folder
        self._boot_id = boot_id
        self._flusher = flusher
        self._publish = publish
        self._windows: dict[str, _Window] = {}
        self._unpublished: deque[Event] = deque()
        self._waiting: deque[bytes] = deque(maxlen=WAITING_KEPT)
        self.failure = ""
        self._descriptor: Optional[int] = None
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.journal_id, is_set_back, self._floor = self._identify()
        self._segments = self._find_segments()
        self.last_seq = self._segments[-1].first + self._segments[-1].count - 1 if self._segments else 0
        self.published_seq = self._begun_at = self.last_seq
        if is_set_back:
            self._become_another()

    # --- writing ---

    def append(self, event: Mapping[str, Any], *, mono: float) -> None:
        """Add an event: `at type slot run cause message data`. Folded when its slot floods."""
        slot = event.get("slot")
        if isinstance(slot, str) and self._is_folded(slot, str(event["type"]), mono):
            return
        self._append(event)

    def unfold(self, *, mono: float, wall: float) -> None:
        """Tell of what was folded in the minutes that are over. Called now and then."""
        for slot, window in list(self._windows.items()):
            if mono - window.started < FOLD_WINDOW_S:
                continue
            del self._windows[slot]
            if window.folded:
                counts = dict(sorted(window.folded.items()))
                text = ", ".join(f"{count} x {kind}" for kind, count in counts.items())
                self._append({
                    "at": wall,
                    "type": "repeated",
                    "slot": slot,
                    "run": None,
                    "cause": "",
                    "message": f"more within {FOLD_WINDOW_S:.0f} s: {text}",
                    "data": {"counts": counts},
                })  # fmt: skip

    def retry(self) -> None:
        """Write what waits because the disk took nothing. Called now and then."""
        if self._waiting:
            self._settle()

    def write_again(self) -> None:
        """The folder was lost: what is not told yet is in the new one; older events are gone."""
        self.close()
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        self._segments.clear()
        self._floor = self.last_seq - len(self._waiting) + 1
        self._write_id()

    @property
    def written_seq(self) -> int:
        """The number of the last event that does not wait in memory."""
        return self.last_seq - len(self._waiting)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    # --- reading ---

    def read(self, journal_id: Optional[str], seq: int, limit: int = 500) -> list[Event]:
        """Up to `limit` published events after a cursor, oldest first; a `gap` event where some are missing.

        Without a journal_id: from the oldest that is kept. Empty: there are no more.
        """
        if journal_id == self.journal_id and seq > self.last_seq:
            self._become_another()
        if journal_id is None:
            expected = self._first()
        elif journal_id != self.journal_id:
            first = self._first()
            return [self._gap(first - 1, {"from": seq + 1, "to": first - 1, "journal_id": journal_id})]
        else:
            expected = seq + 1
        events: list[Event] = []
        for event in self._events_from(max(expected, self._floor)):
            event["journal_id"] = self.journal_id  # written by it when it had another
            if event["seq"] > self.published_seq or len(events) >= limit:
                break
            if event["seq"] > expected:
                events.append(self._gap(event["seq"] - 1, {"from": expected, "to": event["seq"] - 1}))
            events.append(event)
            expected = event["seq"] + 1
        else:
            if expected <= self.published_seq:
                # The newest never reached the disk.
                events.append(self._gap(self.published_seq, {"from": expected, "to": self.published_seq}))
        return events

    def _first(self) -> int:
        return max(self._floor, self._segments[0].first) if self._segments else self.last_seq + 1

    def _become_another(self) -> None:
        """Numbers above ours were told before: another id. Only what came since our start is certainly news."""
        self.journal_id = secrets.token_hex(8)
        self._floor = self._begun_at + 1
        self._write_id()

    def _gap(self, seq: int, data: dict[str, Any]) -> Event:
        message = "events are missing here: they are no longer kept"
        return {
            "seq": seq, "journal_id": self.journal_id, "at": 0.0, "type": "gap", "slot": None, "run": None,
            "cause": "", "message": message, "data": data,
        }  # fmt: skip

    def _events_from(self, seq: int) -> Iterator[Event]:
        for segment in list(self._segments):
            if segment.first + segment.count > seq:
                yield from _read_segment(segment.path, seq)

    # --- inside ---

    def _is_folded(self, slot: str, kind: str, mono: float) -> bool:
        window = self._windows.get(slot)
        if window is None:
            window = self._windows[slot] = _Window(mono)
        window.count += 1
        if mono - window.started >= FOLD_WINDOW_S and not window.folded:
            window.started, window.count = mono, 1
        if window.count <= FOLD_OVER:
            return False
        window.folded[kind] = window.folded.get(kind, 0) + 1
        return True

    def _append(self, event: Mapping[str, Any]) -> None:
        self.last_seq += 1
        whole: Event = {"seq": self.last_seq, "journal_id": self.journal_id, "boot_id": self._boot_id, **event}
        if len(whole.get("message", "")) > MESSAGE_LIMIT:
            whole["message"] = whole["message"][:MESSAGE_LIMIT] + " ..."
        self._waiting.append(json.dumps(whole, separators=(",", ":"), default=str).encode() + b"\n")
        self._unpublished.append(whole)
        self._settle()

    def _settle(self) -> None:
        path, seq = self._write_waiting(), self.last_seq
        if path is not None:
            self._flusher.sync(path, lambda: self._publish_to(seq))
            return
        while len(self._unpublished) > 2 * WAITING_KEPT:
            self._unpublished.popleft()

    def _publish_to(self, seq: int) -> None:
        while self._unpublished and self._unpublished[0]["seq"] <= seq:
            event = self._unpublished.popleft()
            self.published_seq = event["seq"]
            self._publish(event)

    def _write_waiting(self) -> Optional[str]:
        """Append what waits. Returns the file, or None where the disk takes nothing now."""
        try:
            while self._waiting:
                line = self._waiting[0]
                segment = self._segment_for(line)
                assert self._descriptor is not None
                if os.write(self._descriptor, line) != len(line):
                    os.ftruncate(self._descriptor, segment.size)
                    self._blame(os.strerror(errno.ENOSPC))
                    return None
                segment.count += 1
                segment.size += len(line)
                self._waiting.popleft()
        except OSError as error:
            self._blame(str(error))
            return None
        self.failure = ""
        return self._segments[-1].path

    def _blame(self, reason: str) -> None:
        self.failure = f"cannot write the journal, {len(self._waiting)} events wait: {reason}"

    def _segment_for(self, line: bytes) -> _Segment:
        last = self._segments[-1] if self._segments else None
        seq = self.last_seq - len(self._waiting) + 1
        full = last is None or last.count >= SEGMENT_EVENTS or last.size + len(line) > SEGMENT_BYTES
        skipped = last is not None and last.first + last.count != seq
        if last is None or full or skipped:
            self.close()
            last = _Segment(f"{self._folder}/{seq:016d}.jsonl", seq)
            self._descriptor = os.open(last.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            self._segments.append(last)
            self._drop_oldest()
        elif self._descriptor is None:
            self._descriptor = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        return last

    def _drop_oldest(self) -> None:
        while len(self._segments) > 1 and sum(segment.count for segment in self._segments[1:]) >= EVENTS_KEPT:
            with contextlib.suppress(OSError):
                os.unlink(self._segments.pop(0).path)

    def _identify(self) -> tuple[str, bool, int]:
        """The id; whether the folder is another one than that which got it; below which number nothing is told."""
        with contextlib.suppress(OSError, ValueError):
            with open(f"{self._folder}/id", encoding="ascii") as file:
                found, *more = file.read(256).split()
            if len(found) == 16 and int(found, 16) >= 0:
                if more:
                    return found, more[0] != self._place(), int(more[1])
                self.journal_id, self._floor = found, 0  # of a version that wrote no more
                self._write_id()
                return found, False, 0
        # Without its id the old content cannot be told from another's: it goes.
        for name in os.listdir(self._folder):
            if name.endswith(".jsonl"):
                os.unlink(f"{self._folder}/{name}")
        self.journal_id, self._floor = secrets.token_hex(8), 0
        self._write_id()
        return self.journal_id, False, 0

    def _write_id(self) -> None:
        # Where the disk takes nothing now the next agent finds out anew.
        with contextlib.suppress(OSError):
            text = f"{self.journal_id} {self._place()} {self._floor}"
            replace_file(f"{self._folder}/id", text.encode(), sync=True)

    def _place(self) -> str:
        found = os.stat(self._folder)
        return f"{found.st_dev}:{found.st_ino}"

    def _find_segments(self) -> list[_Segment]:
        """What is on the disk. A torn last line is cut off: nobody was told of it."""
        segments: list[_Segment] = []
        names = sorted(name for name in os.listdir(self._folder) if name.endswith(".jsonl") and name[:-6].isdigit())
        for name in names:
            segment = _Segment(f"{self._folder}/{name}", int(name[:-6]))
            _cut_torn_line(segment.path)
            events = list(_read_segment(segment.path))
            segment.size = os.path.getsize(segment.path)
            if events:
                segment.count = events[-1]["seq"] - segment.first + 1
                segments.append(segment)
            else:
                os.unlink(segment.path)
        return segments


def _cut_torn_line(path: str) -> None:
    with open(path, "r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _read_segment(path: str, seq: int = 0) -> Iterator[Event]:
    """The events of one file from `seq` on; lines that do not read are left out, and so become a gap."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        for line in file:
            with contextlib.suppress(ValueError):
                # Each line begins with its number, as `_append` writes it: what is too old is not parsed.
                if int(line[len(_HEAD) : line.index(b",")]) < seq:
                    continue
                event = json.loads(line)
                if isinstance(event, dict) and isinstance(event.get("seq"), int):
                    yield event
