"""What a back end is: a door to one kind of supervisor. The protocol, its values, its errors.

A back end keeps itself connected, tells its listener what it hears, and carries orders over. It decides nothing and
retries nothing: an order that could not be carried over raises `Unavailable`, and the loop plans anew. All methods
run in the event loop's thread; the listener is called there too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from controller.core.desired import Launch
from controller.core.observed import HostView


class BackendError(Exception):
    """The root of what a back end raises."""


class Unavailable(BackendError):
    """The supervisor cannot be reached now. Whether the order arrived is unknown; it may be sent again."""


class Gone(BackendError):
    """What was asked for is not there any more, and will not come back."""


class Superseded(BackendError):
    """Another controller claimed the realm. Final: this controller must not give orders any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOrder:
    """What a slot should be: the content of one `apply`. `at_once`: what it ends is killed without being asked."""

    instance: str
    generation: int
    revision: str
    digest: str
    run_request: int
    wanted: str
    launch: Launch
    fields: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one order. `error` is empty, `refused` (preflight; `message` says why), `stale` or `invalid`."""

    instance: str
    error: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEvent:
    """One event of a supervisor's journal. `seq` is contiguous within `journal_id`; `at` seconds since the epoch."""

    journal_id: str
    seq: int
    at: float
    type: str
    instance: str | None
    run: str | None
    cause: str
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """One file of output. `size` is its physical end now; `ended`: it will not grow any more.

    `stored`: so many bytes the host knows to be stored; 0 where it was not said.
    """

    run: str
    instance: str
    stream: str
    size: int
    ended: bool
    stored: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Bytes of a log file from `offset` on. `gap` is (from, to, reason) of bytes that cannot be had any more.

    `times` holds (offset, seconds since the epoch) points, ascending: bytes from that offset on were there by then.
    """

    offset: int
    data: bytes
    size: int
    ended: bool
    times: tuple[tuple[int, float], ...] = ()
    gap: tuple[int, int, str] | None = None


class Listener(Protocol):
    """Who a back end tells. Calls only note and wake; they never block."""

    def host_changed(self, host: str, instances: Sequence[str] | None) -> None:
        """These instances of the host's view changed (None: any may have, also its reachability)."""

    def sampled(self, host: str, instances: Sequence[str]) -> None:
        """These instances have other figures than before. Nothing follows from that but what is shown."""

    def metered(self, host: str, used: Mapping[str, tuple[str, float]]) -> None:
        """Of each of these instances the run, and the CPU seconds that it has used since its start."""

    def event_heard(self, host: str, event: HostEvent) -> None:
        """One event, in order, each at least once."""

    def log_grew(self, host: str, file: LogFile) -> None:
        """A file has bytes, perhaps new ones."""

    async def event_cursor(self, host: str) -> tuple[str, int] | None:
        """The last event of this host that is safely stored: (journal_id, seq)."""


class Backend(Protocol):
    """The door to one host."""

    host: str

    def view(self) -> HostView:
        """What the host last told, and whether it can be asked now: a snapshot, cheap while nothing changes."""

    async def run(self, listener: Listener) -> None:
        """Stay connected until cancelled. Raises Superseded."""

    async def apply(self, orders: Sequence[SlotOrder]) -> Sequence[Answer]:
        """Carry orders over; answered when they are durable there. Raises Unavailable, Superseded."""

    async def remove(self, generations: Mapping[str, int]) -> Sequence[Answer]:
        """Remove slots; each is stopped first."""

    async def read_log(self, file: LogFile, offset: int, limit: int) -> LogChunk:
        """Up to `limit` bytes from `offset`. Raises Unavailable; Gone when there is no such file."""

    async def stored(self, marks: Sequence[tuple[str, str, int]]) -> None:
        """All bytes of (run, stream) below the offset are stored; the host may reclaim them."""

    def beat(self, instance: str, run: str) -> None:
        """A run has told of itself. The host learns it within a second or so, where liveness depends on it."""

    async def adjourn(self, deadline_s: float) -> None:
        """Stop everything within `deadline_s`; start nothing until the next claim."""

    async def resume(self) -> None:
        """Where all was stopped: let it start, as it was applied by now."""

    async def kill_now(self) -> None:
        """After `adjourn`: kill at once what still stops."""
