"""What the API needs from the rest of the program, as Protocols and values. The composition root implements them.

The API writes specs and intents, and reads snapshots and the store; it never touches a worker. So the doors are few:
`Snapshots` (memory, synchronous, cheap), `Records` (the store, asynchronous, because the application runs blocking
queries in threads), `Wishes` (what a request asks for), and `Changes` (what wakes a follower).

Expected outcomes are values: a worker that does not exist is None, a wish that cannot be granted is `Refused`. The one
exception is `StoreUnavailable`, which any method of `Records` may raise; it becomes 503.

What does not belong here: HTTP (status codes live in the handlers and in dispatch.py), implementations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from controller.api.draft_ports import Drafts
from controller.api.log_query import LogCounting, LogQuery
from controller.api.past_ports import History, Past
from controller.core.authorship import SpecInvalid, SpecRefused, SpecStale, SpecUnknown, SpecWish
from controller.core.heartbeats import Beat, OwnRecord
from controller.core.plan import Plan
from controller.core.problems import Problem

Document = Mapping[str, Any]
"""Plain data, ready for JSON, in exactly the shape that API.md gives it."""

ENDED_OPERATIONS = frozenset({"succeeded", "failed", "superseded"})
"""The states in which an operation moves no more."""
ENDED_BATCHES = frozenset({"succeeded", "failed", "cancelled"})
"""The same for a batch."""


class StoreUnavailable(Exception):
    """The database cannot be read now. The message is for people; it holds no credentials."""


class NotRead(Exception):
    """The specs were not read yet: nobody can say which workers there are."""


class Topic(StrEnum):
    """What a follower may be woken for."""

    WORKERS = "workers"
    EVENTS = "events"
    LOGS = "logs"
    OPERATIONS = "operations"
    BATCHES = "batches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored record. `cursor` only grows as records become readable; `json`: where somebody has it already."""

    cursor: int
    item: Document
    json: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The answer to a query of records, oldest first.

    `cursor`: everything up to it has been considered, so it is where to go on (`after`); with no entries it is the
    newest record there is, matching or not (0 in an empty store). `more`: further matching entries can be read now.
    `start`: from there on everything has been considered, so it is where to go back from (`before`); None: from the
    oldest, or nobody asked. `is_cut`: it was stopped because it took long, not because there were enough.
    """

    entries: tuple[Entry, ...]
    cursor: int
    more: bool = False
    start: int | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """Log lines that retention has removed: how many, among those up to the cursor `to`, printed until `until`."""

    lines: int
    to: int
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events. `after`, `before`, `limit` as in LogQuery (the cursor is `seq`); empty `types`, `actors`: all."""

    limit: int
    after: int | None = None
    before: int | None = None
    worker_id: str | None = None
    types: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionWish:
    """A person's start, stop or restart. `actor` names who asks, `for_ms` asks for an intent that ends by itself.

    `number`: of the intent, given where the same wish may come twice and is to be served once (0: a new number).
    `request_id`: the request that it came with, for the commit of a write; no part of what is wished.
    """

    worker_id: str
    action: Literal["start", "stop", "restart"]
    actor: str
    graceful: bool = True
    reason: str = ""
    for_ms: int | None = None
    number: int = 0
    request_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Granted. `operation` as API.md has it: operation_id, worker_id, action, state, detail."""

    operation: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownWorker:
    """No spec and no process has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Not granted, and why; nothing was changed.

    `code` is `broken_file` (with the file's `problems`), `stale_plan` (no hold has the confirmed digest), `draining`,
    or another stable word; of a file that cannot be written those of SpecRefused. `hint` says what to do instead, or
    is empty; `retry_after_s` is set where waiting helps.
    """

    code: str
    message: str
    hint: str = ""
    problems: tuple[Problem, ...] = ()
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the controller itself is. All from memory; asking must not block.

    `ticking`: the loop made its last turn in time. `first_turn`, `agent`: the two things readiness waits for.
    `holds` and `problems` are counts; they never make the controller unready. `database_trouble`: why the database is
    away, in words that name nothing, for strangers read them.
    """

    ticking: bool
    first_turn: bool
    agent: bool
    draining: bool
    database: bool
    workers: int
    problems: int
    holds: int
    database_trouble: str = ""


class Bell(Protocol):
    """One follower's bell. It says *look*, never what to look at."""

    async def wait(self) -> None:
        """Return as soon as something changed since the last return (or since the subscription). Cancel-safe."""

    def close(self) -> None:
        """Give the bell back. Idempotent."""


class Snapshots(Protocol):
    """What is in memory. Synchronous, cheap, never blocking."""

    def workers(self) -> Sequence[Document]:
        """All list items of `GET /api/v1/workers`, sorted by worker_id. Read them before the next await."""

    async def prepare(self) -> None:
        """Make `workers` cheap: what has changed since is made in slices, between which others run."""

    def encoded(self, item: Document) -> bytes:
        """The JSON of one of `workers`."""

    def known_operations(self) -> Sequence[Document]:
        """The operations that are under way, and the newest that ended, in the order in which they began."""

    def health(self) -> Health:
        """How the controller is."""


class Records(LogCounting, Protocol):
    """What is read elsewhere (threads, the store). Every method may raise StoreUnavailable."""

    async def status(self, worker_id: str) -> Document | None:
        """The list item plus `why`, `next` and `operations`; None for an unknown worker."""

    async def plan(self) -> Plan:
        """What the loop would do now."""

    async def recent_plan(self) -> Plan:
        """The same, made once for all who ask while nothing changes: then it is the same object."""

    async def logs(self, query: LogQuery) -> Batch | None:
        """Log lines; None when no worker of this name is known now and no line of it is stored."""

    async def removed(self, workers: tuple[str, ...] | None) -> Removed | None:
        """What was removed of the log lines of these workers (None: of all); None: nothing."""

    async def log_feed(self, after: int | None, limit: int) -> Batch:
        """Lines of all workers in the order of their storing: the first beyond `after`. None: from where to go on."""

    async def events(self, query: EventQuery) -> Batch:
        """Events."""

    async def operation(self, operation_id: str) -> Document | None:
        """One operation; None when unknown."""


class Wishes(Protocol):
    """What a request may ask for. A wish is durable when its method returns."""

    async def act(self, wish: ActionWish) -> Accepted | UnknownWorker | Refused:
        """Edit the spec or record the intent."""

    async def resume(self, worker_id: str, actor: str, reason: str) -> Accepted | UnknownWorker | Refused:
        """Nobody keeps it stopped or running any more: its spec decides. The operation is the start or stop in it."""

    async def reconcile(self, confirm: str | None, actor: str) -> Accepted | Refused:
        """Look now; with `confirm`, also let the hold of this digest happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One spec as it is shown, with the etag of its file (empty where the file cannot be read)."""

    item: Document
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWritten:
    """A write that is done, or would be: `plan` is what it brings. `item` is None after a deletion."""

    item: Document | None
    etag: str
    is_changed: bool
    plan: Plan


class Configs(Protocol):
    """The specs: read as they were accepted, written as a person would."""

    def configs(self) -> Sequence[Document]:
        """All items of `GET /api/v1/worker-configs`, sorted by worker_id."""

    async def prepare(self) -> None:
        """Make `configs` cheap: what has changed since is made in slices, between which others run."""

    def encoded(self, item: Document) -> bytes:
        """The JSON of one of `configs`."""

    def config(self, worker_id: str) -> Config | None:
        """One of them."""

    def summary(self) -> Document:
        """Counts over all specs."""

    async def write(self, wish: SpecWish) -> ConfigWritten | SpecUnknown | SpecStale | SpecInvalid | SpecRefused:
        """Create, replace, patch or delete a spec. Durable when it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Whose heartbeat it is, by proof: an instance and its run, which lives."""

    instance: str
    run: str


class Turned(StrEnum):
    """Why a token for heartbeats does not count."""

    FORGED = "forged"
    FOREIGN = "foreign"
    NOT_LIVE = "not_live"


class Heartbeats(Protocol):
    """The workers' own door. From memory, but for `record`."""

    def admit(self, worker_id: str, token: str) -> Sender | Turned:
        """Whose token this is. `NOT_LIVE`: its run is over, or not heard of yet."""

    def keep(self, sender: Sender, beat: Beat) -> float:
        """Keep what it tells. 0, or the seconds to wait where it tells too much; then nothing is kept."""

    async def record(self, sender: Sender, source: str, records: Sequence[OwnRecord]) -> None:
        """Store records of its own in its log; they are stored when this returns. May raise StoreUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWish:
    """One wish for many workers, so many (`parallel`) at a time. `selector`: what chose them, for people."""

    action: Literal["start", "stop", "restart"]
    actor: str
    worker_ids: tuple[str, ...]
    graceful: bool = True
    parallel: int = 1
    stop_on_failure: bool = False
    reason: str = ""
    selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAccepted:
    """Granted: the batch with all its results."""

    batch: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownBatch:
    """There is none of this id, or not any more."""


class Batches(Protocol):
    """Wishes for many workers at once. What is asked for is durable when its method returns."""

    def batches(self) -> Sequence[Document]:
        """All that are known, with their results, the newest first. What has not changed is the same object."""

    def batch(self, batch_id: str) -> Document | None:
        """One of them."""

    async def create(self, wish: BatchWish) -> BatchAccepted | Refused:
        """Begin one."""

    async def cancel(self, batch_id: str, actor: str) -> BatchAccepted | UnknownBatch | Refused:
        """Leave out what has not begun."""

    async def retry(self, batch_id: str, actor: str, reason: str) -> BatchAccepted | UnknownBatch | Refused:
        """Begin a new one, of those that failed."""


class Figures(Protocol):
    """What the program measures of itself."""

    async def exposition(self, items: Sequence[Document]) -> bytes:
        """The answer to a scrape, in OpenMetrics: of `items`, the workers, and of the controller."""


class Server(Protocol):
    """What this controller is."""

    def about(self) -> Document:
        """Version, place, settings that people look for. No secrets."""


class Changes(Protocol):
    """What wakes followers."""

    def subscribe(self, topic: Topic, worker_id: str | None = None) -> Bell:
        """A bell for one topic; for one worker of it when given. Called in the event loop's thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything at once: what an ApiServer is given."""

    snapshots: Snapshots
    records: Records
    wishes: Wishes
    configs: Configs
    changes: Changes
    heartbeats: Heartbeats
    batches: Batches
    figures: Figures
    history: History
    server: Server
    past: Past
    drafts: Drafts
