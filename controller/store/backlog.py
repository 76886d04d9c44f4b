"""What waits for the writer: bounded, in order where order matters, newest only where it does not. No thread, no SQL.

Only Writer calls this, under its lock. Three kinds of room:

- the queue: log lines and events, in the order in which they were offered. Lines (and what workers tell of themselves)
  are bounded by number and by size;
  a batch that does not fit is refused, and its bytes stay in their file. Events are bounded apart from lines. An
  agent's events that do not fit are refused too (its journal keeps them); the controller's own have no other copy,
  so what does not fit is counted in a marker, which becomes one `events_dropped` event at that place in the order.
- the states: one entry per instance, spec or operation. A newer row takes the place of one that still waits, so an
  hour without a database costs no more than the fleet is large.
- the chores: retention's slices and the figures' samples, one per transaction, so that they never hold up lines for
  long. What does not fit is left out: an hour without a database is an hour without figures, and nothing else.

What is taken stays counted until it is settled: a group that is retried for an hour is still backlog.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from controller.store.chores import Chore
from controller.store.records import (
    Batch,
    ConfigRow,
    ConfigRows,
    EventRows,
    LogBatch,
    OperationRow,
    Outcome,
    RuntimeRow,
    RuntimeRows,
    WorkerRecords,
)

Done = Callable[[Outcome], None]

# What a line costs in memory beside its text, roughly: the objects, and the tuple made of it.
_LINE_OVERHEAD = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait, and how many rows one transaction takes. `line_bytes` counts text and what objects cost."""

    lines: int = 50_000
    line_bytes: int = 64 * 1024 * 1024
    events: int = 20_000
    states: int = 20_000
    chores: int = 16
    group_rows: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeGone:
    """An instance whose row goes."""

    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigGone:
    """A worker whose spec is gone; its row stays, marked."""

    worker_id: str
    at: float


@dataclass(slots=True, kw_only=True)
class Dropped:
    """The controller's own events that did not fit at this place in the order."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Writes nothing; it is done when all that was offered before it is."""


State = RuntimeRow | RuntimeGone | ConfigRow | ConfigGone | OperationRow
Item = LogBatch | WorkerRecords | EventRows | Dropped | Barrier | State | Chore


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item on its way, with whom to tell, and what it weighs."""

    item: Item
    done: tuple[Done, ...] = ()
    lines: int = 0
    line_bytes: int = 0
    events: int = 0

    @property
    def rows(self) -> int:
        """How many rows it is, at least 1 for what costs a statement of its own."""
        return max(self.lines + self.events, 1)

    @property
    def is_rest(self) -> bool:
        """Whether it is a state or a chore."""
        return not self.lines and not self.events and not isinstance(self.item, Barrier)


@dataclass(slots=True)
class Backlog:
    """The entries, and how much of each kind is waiting or under way."""

    limits: Limits
    _queue: deque[Entry] = field(default_factory=deque)
    _states: dict[tuple[str, str], Entry] = field(default_factory=dict)
    _chores: deque[Entry] = field(default_factory=deque)
    _dropped: Dropped | None = None
    _lines: int = 0
    _line_bytes: int = 0
    _events: int = 0
    _rest: int = 0

    def offer(self, batch: Batch, done: Done | None = None) -> bool:
        """Take `batch` in, to be told of its outcome through `done`. False: there is no room, nothing was taken.

        A batch of several states may have been taken in part; offering it again is harmless.
        """
        told = () if done is None else (done,)
        match batch:
            case LogBatch():
                return self._offer_lines(batch, len(batch.lines), sum(len(line.text) for line in batch.lines), told)
            case WorkerRecords():
                size = sum(len(one.text) + len(str(one.data)) for one in batch.records)
                return self._offer_lines(batch, len(batch.records), size, told)
            case EventRows():
                return self._offer_events(batch, told)
            case RuntimeRows() | ConfigRows() | OperationRow():
                return self._offer_states(batch, told)
            case _:
                if len(self._chores) >= self.limits.chores:
                    return False
                self._chores.append(Entry(item=batch, done=told))
                self._rest += 1
                return True

    def _offer_lines(
        self, batch: LogBatch | WorkerRecords, count: int, characters: int, done: tuple[Done, ...]
    ) -> bool:  # fmt: skip
        size = characters + _LINE_OVERHEAD * count
        too_many = self._lines + count > self.limits.lines
        too_large = self._line_bytes + size > self.limits.line_bytes
        # A batch that is larger than all the room there is would never get in; alone it may.
        if self._lines and (too_many or too_large):
            return False
        self._append(Entry(item=batch, done=done, lines=count, line_bytes=size))
        return True

    def _offer_events(self, batch: EventRows, done: tuple[Done, ...]) -> bool:
        count = len(batch.events)
        if self._events and self._events + count > self.limits.events:
            if batch.cursor is None:
                self._drop(count)
            return False
        self._append(Entry(item=batch, done=done, events=count))
        return True

    def _drop(self, count: int) -> None:
        if self._dropped is None:
            dropped = Dropped(count=0)
            self._append(Entry(item=dropped, events=1))
            self._dropped = dropped
        self._dropped.count += count

    def _append(self, entry: Entry) -> None:
        self._queue.append(entry)
        self._lines += entry.lines
        self._line_bytes += entry.line_bytes
        self._events += entry.events
        self._rest += entry.is_rest
        if entry.events:
            # Later drops belong behind these events, not into a marker that stands before them.
            self._dropped = None

    def _offer_states(self, batch: RuntimeRows | ConfigRows | OperationRow, done: tuple[Done, ...]) -> bool:
        states = list(_states(batch))
        taken = True
        for number, (key, state) in enumerate(states, start=1):
            waiting = self._states.get(key)
            if waiting is None and len(self._states) >= self.limits.states:
                taken = False
                continue
            # Told with the last state of the batch; who waited for a row that is replaced is told with the newer one.
            told = (waiting.done if waiting else ()) + (done if number == len(states) else ())
            self._states[key] = Entry(item=state, done=told)
            self._rest += waiting is None
        if done and not states:
            self.barrier(done[0])
        return taken

    def barrier(self, done: Done) -> None:
        """`done` is told when all that was offered before, chores aside, is settled. States go with the next group."""
        self._append(Entry(item=Barrier(), done=(done,)))

    def take(self) -> list[Entry]:
        """The next group, oldest first, at least one entry when anything waits: all states, some queue, one chore."""
        group = list(self._states.values())
        self._states = {}
        rows = len(group)
        while self._queue and (not group or rows + self._queue[0].rows <= self.limits.group_rows):
            entry = self._queue.popleft()
            if entry.item is self._dropped:
                self._dropped = None
            group.append(entry)
            rows += entry.rows
        if self._chores:
            group.append(self._chores.popleft())
        return group

    def settle(self, group: list[Entry]) -> None:
        """A group that was taken is stored or rejected; its room is free."""
        for entry in group:
            self._lines -= entry.lines
            self._line_bytes -= entry.line_bytes
            self._events -= entry.events
            self._rest -= entry.is_rest

    @property
    def waiting(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._queue or self._states or self._chores)

    @property
    def has_room(self) -> bool:
        """Whether lines and events are welcome: at most half of the room is taken, so that readers do not flutter."""
        limits = self.limits
        taken = ((self._lines, limits.lines), (self._line_bytes, limits.line_bytes), (self._events, limits.events))
        return all(used <= room // 2 for used, room in taken)

    @property
    def rows(self) -> int:
        """How many lines, events and states are waiting or under way."""
        return self._lines + self._events + self._rest


def _states(batch: RuntimeRows | ConfigRows | OperationRow) -> Iterator[tuple[tuple[str, str], State]]:
    match batch:
        case RuntimeRows():
            for runtime in batch.rows:
                yield ("runtime", runtime.instance), runtime
            for instance in batch.gone:
                yield ("runtime", instance), RuntimeGone(instance=instance)
        case ConfigRows():
            for config in batch.rows:
                yield ("config", config.worker_id), config
            for worker_id in batch.gone:
                yield ("config", worker_id), ConfigGone(worker_id=worker_id, at=batch.at)
        case OperationRow():
            yield ("operation", batch.operation_id), batch
        case _:  # pragma: no cover
            assert_never(batch)
