"""What goes into the store and what comes out: typed records. No SQL, no thread; anyone may build and read them.

A *batch* is what `Writer.submit` takes. An *outcome* is what became of it. The rest is what the Reader answers with.
Times are seconds since the epoch, sizes bytes. Values that are JSON in the database are plain data here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.store.chores import ROW_BYTES, Chore

Stream = Literal["stdout", "stderr"]

TOLD = "told:"
"""Begins the streams of cursors over what workers tell themselves."""


# --- batches: log lines and events ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line to store. `byte_offset`: where it starts in its file. A `gap` says in `text` what is missing and why."""

    at: float
    text: str
    byte_offset: int
    kind: str = "line"
    approximate: bool = False
    level: str | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """All that stands in bytes `from_offset` to `to_offset` of one file, in order.

    `slot` is the instance (`web/0`). The bytes are what makes storing exact: they are stored once, whatever is sent
    again. A batch that goes backwards (`to_offset` below `from_offset`) says that the writer truncated the file; it
    carries a gap. A batch over no bytes could not be told from its repetition, so there is none.
    """

    run: str
    stream: str
    slot: str
    from_offset: int
    to_offset: int
    lines: Sequence[Line]

    def __post_init__(self) -> None:
        if self.from_offset == self.to_offset or min(self.from_offset, self.to_offset) < 0:
            raise ValueError(f"a batch of {self.run} {self.stream} from {self.from_offset} to {self.to_offset}")

    @property
    def worker_id(self) -> str:
        """The worker that the slot belongs to."""
        return self.slot.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """What a worker tells of itself: kind `task` or `error`. `number`: its own, from its source; None: it gave none."""

    at: float
    kind: str
    level: str
    text: str
    data: Mapping[str, Any] | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecords:
    """Records of one run in order, from one source of it (a process, say) that numbers them upwards.

    Every record at or below the source's stored number is left out, and the number moves in the same transaction. One
    without a number cannot be told from its repetition.
    """

    run: str
    slot: str
    records: Sequence[WorkerRecord]
    source: str = ""

    @property
    def stream(self) -> str:
        """Under which the cursor stands."""
        return f"{TOLD}{self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact to store. `journal_seq` is its number in the agent's journal, None for the controller's own."""

    at: float
    type: str
    worker_id: str | None = None
    instance: str | None = None
    run: str | None = None
    actor: str = ""
    cause: str = ""
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    journal_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalCursor:
    """All events of a host's journal up to and including `seq`."""

    host: str
    journal_id: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRows:
    """Events in order. With a cursor they come from an agent's journal, which keeps them until they are stored.

    Every event at or below the stored cursor is left out, and the cursor moves to this one in the same transaction.
    `generation` is `Store.generation` when the journal was asked for its events. Those asked for on behalf of a former
    file are rejected: in the present one they would leave a hole that nobody fills. None: not checked.
    """

    events: Sequence[Event]
    cursor: JournalCursor | None = None
    generation: int | None = None


# --- batches: the last known state of things, where a newer row replaces an older one that still waits -----------


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRow:
    """One instance as last seen: the whole row. `last_exit` as the API shows it."""

    instance: str
    worker_id: str
    ordinal: int
    host: str
    status: str
    updated_at: float
    reason: str = ""
    message: str = ""
    pid: int | None = None
    run: str | None = None
    run_number: int = 0
    revision: str | None = None
    started_at: float | None = None
    restart_count: int = 0
    error_count: int | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    assigned_accounts: int | None = None
    active_tasks: int | None = None
    last_heartbeat_at: float | None = None
    last_exit: Mapping[str, Any] | None = None
    next_retry_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRows:
    """Instances that changed, and instances that are gone for good."""

    rows: Sequence[RuntimeRow] = ()
    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRow:
    """One spec as accepted: the whole row. `spec` with its defaults; `problems` as the API shows them."""

    worker_id: str
    deployment_type: str
    host: str
    replicas: int
    auto_start: bool
    desired_state: str
    auto_restart: str
    restart_delay_ms: int
    revision: str
    updated_at: float
    name: str = ""
    description: str = ""
    port: int | None = None
    max_accounts: int | None = None
    max_restart_attempts: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    source_file: str = ""
    source_line: int | None = None
    valid: bool = True
    problems: Sequence[Mapping[str, Any]] = ()
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRows:
    """Specs that changed, and workers whose spec is gone (their rows stay, marked with `at`)."""

    rows: Sequence[ConfigRow] = ()
    gone: Sequence[str] = ()
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """One operation as it stands: the whole row. `created_at` counts at the first time only."""

    operation_id: str
    worker_id: str
    action: str
    state: str
    created_at: float
    updated_at: float
    detail: str = ""
    actor: str = ""
    reason: str = ""
    number: int | None = None


Batch = LogBatch | WorkerRecords | EventRows | RuntimeRows | ConfigRows | OperationRow | Chore


# --- outcomes -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """It is in the database. `rows`: how many rows were written or deleted. `seq`: the last line's, for log lines.

    `more`: a slice ended with rows left to delete.
    """

    rows: int
    seq: int | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """All of it was there already; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Log lines that do not start where the stored ones end. Nothing was written; go on reading at `offset`."""

    offset: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """It was not written and will not be: the database refuses the data, or the writer was closed before."""

    message: str


Outcome = Stored | Replayed | Conflict | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The newest event and log line that are stored; 0 where there is none (or, after a commit, no new one)."""

    event_seq: int = 0
    log_id: int = 0


# --- answers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLine:
    """A log line as it stands in the database."""

    id: int
    worker_id: str
    instance: str
    run: str
    stream: str
    kind: str
    seq: int
    byte_offset: int
    at: float
    approximate: bool
    level: str | None
    text: str
    partial: bool
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSlice:
    """Lines that matched, oldest first.

    `edge`: the last line that was considered in the direction of the search, from where to go on. None: there is
    nothing beyond.
    """

    lines: tuple[StoredLine, ...]
    edge: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as it stands in the database."""

    seq: int
    at: float
    type: str
    worker_id: str | None
    instance: str | None
    run: str | None
    actor: str
    cause: str
    message: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTotal:
    """How many lines of a worker are stored, and what retention has removed; see tables.log_totals."""

    worker_id: str
    lines: int
    bytes: int
    removed_lines: int = 0
    removed_bytes: int = 0
    removed_to: int = 0
    removed_until: float | None = None
    removed_at: float | None = None

    @property
    def size(self) -> int:
        """What limits in bytes are held against."""
        return self.bytes + self.lines * ROW_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """How far one file is stored: bytes below `byte_offset`, as lines up to `seq`."""

    run: str
    stream: str
    slot: str
    byte_offset: int
    seq: int
    updated_at: float
