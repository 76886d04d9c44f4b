"""What the tests of the shell share: a host in memory, waiting, and records of what was told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from controller.backends.base import Answer, Gone, HostEvent, Listener, LogChunk, LogFile, SlotOrder, Unavailable
from controller.core.observed import HostView, ObservedInstance, Refusal, Status
from controller.reconcile.specs import SpecFeed

PATIENCE_S = 10.0
HOST = "localhost"
T = TypeVar("T")


async def until(look: Callable[[], T], what: str = "it") -> T:
    """What `look` returns once it is true."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not (found := look()):
        assert asyncio.get_running_loop().time() < deadline, f"{what} never came about"
        await asyncio.sleep(0.002)
    return found


async def read_anew(feed: SpecFeed) -> None:
    """A scan that began after this call has been handed on, or has failed."""
    wanted = feed.ticket()
    feed.look()
    await until(lambda: feed._over >= wanted, "a scan")


@asynccontextmanager
async def running(work: Awaitable[Any]) -> Any:
    """`work` goes on within; it is an error if it ends by itself."""
    task = asyncio.ensure_future(work)
    try:
        yield task
        assert not task.done() or task.cancelled() or task.exception() is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def rounds(count: int = 20) -> None:
    """Let everybody who can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass
class Output:
    """One log file of the host in memory."""

    run: str = "r1"
    instance: str = "web/0"
    stream: str = "stdout"
    data: bytes = b""
    base: int = 0
    ended: bool = False
    at: float | None = 5000.0

    @property
    def size(self) -> int:
        return self.base + len(self.data)

    @property
    def file(self) -> LogFile:
        return LogFile(run=self.run, instance=self.instance, stream=self.stream, size=self.size, ended=self.ended)

    def read(self, offset: int, limit: int) -> LogChunk:
        start = max(offset, self.base)
        data = self.data[start - self.base : start - self.base + limit]
        gap = (offset, start, "truncated by the writer") if start > offset else None
        times = () if self.at is None else ((start, self.at),)
        return LogChunk(offset=start, data=data, size=self.size, ended=self.ended, times=times, gap=gap)


@dataclass
class MemoryHost:
    """A back end whose host obeys at once. `errors` are raised by the next calls of a name, one each."""

    host: str = HOST
    reachable: bool = True
    slots: dict[str, ObservedInstance] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    outputs: dict[tuple[str, str], Output] = field(default_factory=dict)
    marks: dict[tuple[str, str], int] = field(default_factory=dict)
    limits: Iterable[int] = field(default_factory=lambda: itertools.repeat(1 << 20))
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)
    reads: list[tuple[str, int]] = field(default_factory=list)
    beats: list[tuple[str, str]] = field(default_factory=list)
    on_order: Callable[[], Awaitable[None]] | None = None
    suspended: bool = False
    now: Callable[[], float] = lambda: 1_000_000.0

    def view(self) -> HostView:
        return HostView(
            reachable=self.reachable,
            instances=dict(self.slots),
            refusals=dict(self.refusals),
            floors=dict(self.floors),
            suspended=self.suspended,
        )

    async def run(self, listener: Listener) -> None:
        await asyncio.Event().wait()

    async def apply(self, orders: Sequence[SlotOrder]) -> Sequence[Answer]:
        await self._called("apply")
        return [self._apply(order) for order in orders]

    async def remove(self, generations: Mapping[str, int]) -> Sequence[Answer]:
        await self._called("remove")
        for name, generation in generations.items():
            self.orders.append(f"remove {name}")
            self.slots.pop(name, None)
            self.floors[name] = generation
        return [Answer(instance=name) for name in generations]

    async def read_log(self, file: LogFile, offset: int, limit: int) -> LogChunk:
        await self._called("read_log")
        self.reads.append((file.run, offset))
        output = self.outputs.get((file.run, file.stream))
        if output is None:
            raise Gone(f"there is no {file.stream} of run {file.run}")
        return output.read(offset, min(limit, next(iter(self.limits))))

    async def stored(self, marks: Sequence[tuple[str, str, int]]) -> None:
        await self._called("stored")
        self.marks.update({(run, stream): offset for run, stream, offset in marks})

    def beat(self, instance: str, run: str) -> None:
        self.beats.append((instance, run))

    async def adjourn(self, deadline_s: float) -> None:
        await self._called("adjourn")

    async def resume(self) -> None:
        await self._called("resume")
        self.orders.append("resume")
        self.suspended = False

    async def kill_now(self) -> None:
        await self._called("kill_now")

    async def _called(self, name: str) -> None:
        await asyncio.sleep(0)
        if self.errors.get(name):
            raise self.errors[name].pop(0)
        if not self.reachable:
            raise Unavailable("not connected")
        if name in ("apply", "remove") and self.on_order is not None:
            await self.on_order()

    def _apply(self, order: SlotOrder) -> Answer:
        self.orders.append(f"apply {order.instance} {order.wanted}{' at once' if order.at_once else ''}")
        if error := self.answers.get(order.instance):
            if error == "refused":
                refusal = Refusal(digest=order.digest, message="no such command", at=self.now())
                self.refusals[order.instance] = refusal
            return Answer(instance=order.instance, error=error, message=f"{error} by the host")
        worker_id, _, ordinal = order.instance.rpartition("/")
        runs = order.wanted == "running"
        self.slots[order.instance] = ObservedInstance(
            worker_id=worker_id, ordinal=int(ordinal), generation=order.generation, revision=order.revision,
            digest=order.digest, run_request=order.run_request, wanted="running" if runs else "stopped",
            status=Status.RUNNING if runs else Status.STOPPED, fields=order.fields, since=5000.0,
            running_revision=order.revision if runs else None,
        )  # fmt: skip
        return Answer(instance=order.instance)


def event(seq: int, kind: str = "started", *, journal_id: str = "j1", **fields: Any) -> HostEvent:
    values: dict[str, Any] = {
        "at": 5000.0 + seq, "instance": "web/0", "run": "r1", "cause": "", "message": f"event {seq}", **fields,
    }  # fmt: skip
    return HostEvent(journal_id=journal_id, seq=seq, type=kind, **values)
