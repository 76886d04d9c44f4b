"""The door to our own agent on this host: connects, starts the keeper where none runs, carries orders over.

One connection carries everything: orders, answers, and the agent's pushes. When it breaks, the view is kept but not
reachable, and nothing is acted upon until the agent has been listed again. A keeper is started only when nobody
answers on the agent's socket; the keeper's own lock settles any race.

The order of a greeting: the cursor of events is read, then the agent is watched, then listed. So no change falls
between: what is pushed while the list is on its way is newer than the list, or as new.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from controller.agent import protocol
from controller.agent.failpoints import failpoint
from controller.backends.base import Answer, Gone, Listener, LogChunk, LogFile, SlotOrder, Superseded, Unavailable
from controller.backends.beats import Beats
from controller.backends.doorstep import Doorstep, Presence, connect
from controller.backends.link import ANSWER_TIMEOUT_S, Link
from controller.backends.renewal import Replaced
from controller.backends.wire import (
    SlotFigures,
    read_chunk,
    read_event,
    read_figures,
    read_log_file,
    read_result,
    read_view,
    reading,
    slot_message,
)
from controller.core.observed import HostView, ObservedInstance, Refusal

log = logging.getLogger("workerctl.agent")

ADJOURN_WAIT_S = 3.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
FLOORS_KEPT = 5000
"""As many as an agent keeps. One that is forgotten costs one more round: the agent names it in its refusal."""

V = TypeVar("V")


class _Shared(Generic[V]):
    """A mapping that is handed out as it is, and copied before the first change after that."""

    def __init__(self) -> None:
        self._values: dict[str, V] = {}
        self._is_out = False

    def snapshot(self) -> Mapping[str, V]:
        """As it is now; never changed later."""
        self._is_out = True
        return self._values

    def edit(self) -> dict[str, V]:
        """For changes at once."""
        if self._is_out:
            self._values, self._is_out = dict(self._values), False
        return self._values

    def become(self, values: dict[str, V]) -> None:
        """Replace all."""
        self._values, self._is_out = values, False

    def get(self, name: str) -> V | None:
        """One of them."""
        return self._values.get(name)


class AgentBackend:
    """The local agent of one state directory.

    After `adjourn`: `quiet` is set when everything has stopped and the agent waits for `leave`; `gone` once it has left
    for good, when no keeper lives and no record of a run is left.
    """

    def __init__(
        self,
        *,
        host: str,
        realm_id: str,
        doorstep: Doorstep,
        now: Callable[[], float],
        heartbeat_key: str = "",
    ) -> None:
        self.host = host
        self.closing = False
        self.quiet = asyncio.Event()
        self.gone = asyncio.Event()
        self.answer_timeout_s = ANSWER_TIMEOUT_S
        self._realm_id, self._doorstep, self._now = realm_id, doorstep, now
        self._key = {"heartbeat_key": heartbeat_key} if heartbeat_key else {}
        self._instances: _Shared[ObservedInstance] = _Shared()
        self._refusals: _Shared[Refusal] = _Shared()
        self._floors: _Shared[int] = _Shared()
        self._heard: dict[str, ObservedInstance | None] | None = None
        self._problem = "not asked yet"
        self._link: Link | None = None
        self._connected = asyncio.Event()
        self._epoch: int | None = None
        self._enforceable: frozenset[str] | None = None
        self._adjourned_until = 0.0
        self._is_suspended = False
        self._beats = Beats()

    # --- what the loop asks ---

    def view(self) -> HostView:
        """What the agent last told, and whether it can be asked now."""
        return HostView(
            reachable=self._link is not None and self._link.is_open,
            instances=self._instances.snapshot(),
            refusals=self._refusals.snapshot(),
            floors=self._floors.snapshot(),
            message=self._problem,
            enforceable=self._enforceable,
            suspended=self._is_suspended,
        )

    async def apply(self, orders: Sequence[SlotOrder]) -> Sequence[Answer]:
        """One request for all orders; answered when they are durable at the agent."""
        failpoint("controller.before_apply")
        answers = await self._order_slots("apply", [slot_message(order) for order in orders])
        failpoint("controller.after_apply")
        digests = {order.instance: order.digest for order in orders}
        refusals = self._refusals.edit()
        for answer in answers:
            refusals.pop(answer.instance, None)
            if answer.error == "refused" and answer.instance in digests:
                digest = digests[answer.instance]
                refusals[answer.instance] = Refusal(digest=digest, message=answer.message, at=self._now())
        return answers

    async def remove(self, generations: Mapping[str, int]) -> Sequence[Answer]:
        """Remove slots; each is stopped first."""
        failpoint("controller.before_remove")
        slots = [{"slot": slot, "generation": generation} for slot, generation in sorted(generations.items())]
        return await self._order_slots("remove", slots)

    async def read_log(self, file: LogFile, offset: int, limit: int) -> LogChunk:
        """Up to `limit` bytes from `offset`."""
        link = self._open_link()
        frame = await link.ask("read_log", run=file.run, stream=file.stream, offset=offset, limit=limit)
        if frame.header.get("ok") is not True:
            kind = Gone if frame.header.get("error") == "not_found" else Unavailable
            raise kind(f"{file.run}.{file.stream}: {frame.header.get('message')}")
        with _unreadable("read_log"):
            return read_chunk(frame.header, frame.payload, offset)

    async def stored(self, marks: Sequence[tuple[str, str, int]]) -> None:
        """All bytes below the offsets are in the database."""
        await self._order("stored", marks=[{"run": run, "stream": s, "offset": offset} for run, s, offset in marks])

    def beat(self, instance: str, run: str) -> None:
        """See base.Backend."""
        self._beats.heard(instance, run)

    def reconnect(self) -> None:
        """Begin a new connection: events are told again from the stored cursor on."""
        if self._link is not None:
            self._link.close()

    async def adjourn(self, deadline_s: float) -> None:
        """Stop everything. An agent that dies meanwhile is called back to go on; one that has left is not.

        An agent that is just being started anew is waited for, a few seconds.
        """
        now = asyncio.get_running_loop().time()
        until, self._adjourned_until = now + ADJOURN_WAIT_S, now + deadline_s
        try:
            while True:
                await self._wait_connected(until)
                try:
                    await self._order("adjourn", deadline_s=deadline_s, awaited=True)
                except Unavailable:
                    if self.view().reachable:
                        raise
                else:
                    return
        finally:
            self.closing = True

    async def _wait_connected(self, until: float) -> None:
        if not self.view().reachable:
            self._connected.clear()
        try:
            async with asyncio.timeout_at(until):
                await self._connected.wait()
        except TimeoutError:
            raise Unavailable(self._problem) from None

    async def resume(self) -> None:
        """See base.Backend."""
        await self._order("resume")
        self._is_suspended = False

    async def kill_now(self) -> None:
        """Kill at once what still stops."""
        await self._order("kill_now")

    async def leave(self) -> None:
        """What it told is read; it need not wait for us any more."""
        await self._order("leave")

    # --- staying connected ---

    async def run(self, listener: Listener) -> None:
        """Stay connected until cancelled, or until the agent left after `adjourn`. Raises Superseded."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._session(listener)
            except (OSError, Unavailable, protocol.ProtocolError) as error:
                if self._link is not None:
                    pause = FIRST_PAUSE_S
                self._lost(f"the agent cannot be asked: {str(error) or type(error).__name__}", listener)
            finally:
                self._link = None
                self._connected.clear()
            if self.closing and self._doorstep.presence() is Presence.GONE:
                self.gone.set()
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _lost(self, problem: str, listener: Listener) -> None:
        """Say so, once for each reason."""
        known = self._link is None and self._problem == problem
        self._link, self._problem = None, problem
        if not known:
            # While closing, this is what we wait for.
            level = logging.DEBUG if self.closing else logging.INFO
            log.log(level, "agent not reachable", extra={"fields": {"host": self.host, "problem": problem}})
            listener.host_changed(self.host, None)

    async def _session(self, listener: Listener) -> None:
        """One connection to its end; raises why it ended."""
        reader, writer = await connect(self._doorstep, was_there=self._epoch is not None, closing=self.closing)
        link = Link(reader, writer, answer_timeout_s=self.answer_timeout_s)
        pump = asyncio.create_task(link.pump(lambda push: self._pushed(push, listener)))
        try:
            if not self.closing:
                await self._doorstep.meet(link, self._realm_id)
            await self._greet(link, listener)
            self._link, self._problem = link, ""
            self._connected.set()
            log.info("agent reachable", extra={"fields": {"host": self.host, "epoch": self._epoch}})
            listener.host_changed(self.host, None)
            await self._beats.along(link, pump, self._epoch)
        except Unavailable as error:
            if not pump.done() or isinstance(error, Replaced):
                raise  # The greeting was refused, or not answered; otherwise the pump knows better what happened.
        finally:
            link.close()
            pump.cancel()
            await asyncio.wait([pump])
        if pump.cancelled():
            raise Unavailable("the connection was given up")
        await pump

    async def _greet(self, link: Link, listener: Listener) -> None:
        hello = await link.expect("hello", version=protocol.VERSION, realm=self._realm_id, **self._key)
        with reading("hello"):
            epoch = int(hello["epoch"])
            self._is_suspended = bool(hello.get("adjourned")) and not self.closing
            self._enforceable = frozenset(str(name) for name in hello.get("enforceable") or ())
        if self._epoch is None or epoch < self._epoch:  # lower: its state was made anew, nobody has claimed it
            claimed = await link.expect("claim", holds=True)
            with reading("claim"):
                self._epoch = int(claimed["epoch"])
            failpoint("controller.after_claim")
        elif epoch > self._epoch:
            raise Superseded(f"another controller claimed this realm (epoch {epoch}, ours is {self._epoch})")
        cursor = await listener.event_cursor(self.host)
        after = {"journal_id": cursor[0], "seq": cursor[1]} if cursor else {}
        await link.expect("watch", **after)
        heard: dict[str, ObservedInstance | None] = {}
        self._heard = heard
        listed = await link.expect("list")
        with reading("list"):
            instances = {view.instance: view for view in map(read_view, listed["slots"])}
            floors = {str(slot): int(generation) for slot, generation in (listed.get("tombstones") or {}).items()}
            files = [read_log_file(entry) for entry in listed.get("logs") or ()]
        for slot, newer in heard.items():
            instances.pop(slot, None)
            if newer is not None:
                instances[slot] = newer
        self._heard = None
        self._instances.become(instances)
        self._beats.begin(instances.values())
        self._floors.become(floors)
        self._refusals.become({slot: one for slot, one in self._refusals.snapshot().items() if slot in instances})
        for file in files:
            listener.log_grew(self.host, file)
        if self.closing:
            # It came back in the middle of the end; whether it had heard of it is not known.
            rest = max(0.0, self._adjourned_until - asyncio.get_running_loop().time())
            await link.expect("adjourn", epoch=self._epoch, deadline_s=rest, awaited=True)

    # --- what the agent tells ---

    def _pushed(self, push: Mapping[str, Any], listener: Listener) -> None:
        match push.get("push"):
            case "event":
                listener.event_heard(self.host, read_event(push.get("event") or {}))
            case "slot":
                instance = read_view(push.get("view") or {})
                self._note(instance.instance, instance)
                self._instances.edit()[instance.instance] = instance
                self._beats.note(instance)
                listener.host_changed(self.host, [instance.instance])
            case "gone":
                slot = str(push.get("slot"))
                self._bury(slot)
                listener.host_changed(self.host, [slot])
            case "log":
                listener.log_grew(self.host, read_log_file(push))
            case "figures":
                self._sampled(read_figures(push), listener)
            case "quiet":
                self.quiet.set()
            case _:
                pass  # A newer agent may tell more than we know.

    def _note(self, slot: str, instance: ObservedInstance | None) -> None:
        if self._heard is not None:
            self._heard[slot] = instance

    def _bury(self, slot: str) -> None:
        self._note(slot, None)
        self._beats.forget(slot)
        gone = self._instances.edit().pop(slot, None)
        self._refusals.edit().pop(slot, None)
        if gone is not None:
            self._raise_floor(slot, gone.generation)

    def _raise_floor(self, slot: str, generation: int) -> None:
        floors = self._floors.edit()
        floors[slot] = max(generation, floors.pop(slot, 0))  # popped: it is the newest now
        while len(floors) > FLOORS_KEPT:
            del floors[next(iter(floors))]

    def _sampled(self, figures: Mapping[str, SlotFigures], listener: Listener) -> None:
        pairs = [(known, one.on(known)) for slot, one in figures.items() if (known := self._instances.get(slot))]
        if changed := {now.instance: now for known, now in pairs if now is not known}:
            self._instances.edit().update(changed)
        told = [now.instance for known, now in pairs if now != known]
        if told:
            listener.sampled(self.host, sorted(told))
        listener.metered(self.host, {slot: found.used for slot, found in figures.items() if found.used is not None})

    # --- orders ---

    def _open_link(self) -> Link:
        if self._link is None:
            raise Unavailable(self._problem or "not connected")
        return self._link

    async def _order(self, op: str, **fields: Any) -> dict[str, Any]:
        header = (await self._open_link().ask(op, epoch=self._epoch, **fields)).header
        if header.get("ok") is not True:
            if header.get("error") == "stale_epoch":
                raise Superseded(f"another controller claimed this realm: {header.get('message')}")
            raise Unavailable(f"{op}: {header.get('error')}: {header.get('message')}")
        return header

    async def _order_slots(self, op: str, slots: Sequence[Mapping[str, Any]]) -> list[Answer]:
        header = await self._order(op, slots=slots)
        with _unreadable(op), reading("results"):
            results = [read_result(result) for result in header["results"]]
        for answer, generation in results:
            if answer.error == "stale" and generation is not None:
                self._raise_floor(answer.instance, generation)
        return [answer for answer, _ in results]


@contextlib.contextmanager
def _unreadable(op: str) -> Iterator[None]:
    """An answer that cannot be read is none."""
    try:
        yield
    except protocol.ProtocolError as error:
        raise Unavailable(f"{op}: {error}") from None
