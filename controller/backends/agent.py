"""The door to our own agent on this host: connects, starts the keeper where none runs, carries orders over.

One connection carries everything: orders, answers, and the agent's pushes. When it breaks, the view is kept but not
reachable, and nothing is acted upon until the agent has been listed again. A keeper is started only when nobody
answers on the agent's socket; the keeper's own lock settles any race.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.agent import protocol
from controller.agent.failpoints import failpoint
from controller.backends.base import Answer, Listener, LogChunk, LogFile, SlotOrder, Superseded, Unavailable
from controller.backends.wire import read_chunk, read_event, read_log_file, read_view, slot_message
from controller.core.observed import HostView, ObservedInstance, Refusal

log = logging.getLogger("workerctl.agent")

ANSWER_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0


class AgentBackend:
    """The local agent of one state directory.

    `start` makes the keeper run (it returns when the keeper was launched, and does nothing while one lives);
    `socket_path` is where the agent then listens.
    """

    def __init__(
        self,
        *,
        host: str,
        realm_id: str,
        socket_path: Path,
        start: Callable[[], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self.host = host
        self._realm_id, self._socket_path, self._start, self._now = realm_id, socket_path, start, now
        self._instances: dict[str, ObservedInstance] = {}
        self._refusals: dict[str, Refusal] = {}
        self._floors: dict[str, int] = {}
        self._problem = "not asked yet"
        self._link: _Link | None = None
        self._epoch: int | None = None
        self.closing = False
        self.gone = asyncio.Event()

    # --- what the loop asks ---

    def view(self) -> HostView:
        """What the agent last told, and whether it can be asked now."""
        return HostView(
            reachable=self._link is not None,
            instances=dict(self._instances),
            refusals=dict(self._refusals),
            floors=dict(self._floors),
            message=self._problem,
        )

    async def apply(self, orders: Sequence[SlotOrder]) -> Sequence[Answer]:
        """One request for all orders; answered when they are durable at the agent."""
        failpoint("controller.before_apply")
        header = await self._order("apply", slots=[slot_message(order) for order in orders])
        failpoint("controller.after_apply")
        answers = [self._answer(result) for result in header["results"]]
        digests = {order.instance: order.digest for order in orders}
        for answer in answers:
            self._refusals.pop(answer.instance, None)
            if answer.error == "refused":
                refusal = Refusal(digest=digests[answer.instance], message=answer.message, at=self._now())
                self._refusals[answer.instance] = refusal
        return answers

    async def remove(self, generations: Mapping[str, int]) -> Sequence[Answer]:
        """Remove slots; each is stopped first."""
        failpoint("controller.before_remove")
        slots = [{"slot": slot, "generation": generation} for slot, generation in sorted(generations.items())]
        header = await self._order("remove", slots=slots)
        return [self._answer(result) for result in header["results"]]

    async def read_log(self, file: LogFile, offset: int, limit: int) -> LogChunk:
        """Up to `limit` bytes from `offset`."""
        link = self._connected()
        frame = await link.ask("read_log", run=file.run, stream=file.stream, offset=offset, limit=limit)
        if not frame.header["ok"]:
            raise LookupError(f"{file.run}.{file.stream}: {frame.header.get('message')}")
        return read_chunk(frame.header, frame.payload)

    async def stored(self, marks: Sequence[tuple[str, str, int]]) -> None:
        """All bytes below the offsets are in the database."""
        await self._order("stored", marks=[{"run": run, "stream": s, "offset": offset} for run, s, offset in marks])

    def reconnect(self) -> None:
        """Begin a new connection: events are told again from the stored cursor on."""
        if self._link is not None:
            self._link.close()

    async def adjourn(self, deadline_s: float) -> None:
        """Stop everything; from now on a lost connection is the expected end, not a reason to start a keeper."""
        self.closing = True
        await self._order("adjourn", deadline_s=deadline_s)

    async def kill_now(self) -> None:
        """Kill at once what still stops."""
        await self._order("kill_now")

    # --- staying connected ---

    async def run(self, listener: Listener) -> None:
        """Stay connected until cancelled, or until the agent left after `adjourn`. Raises Superseded."""
        pause = 0.05
        while True:
            try:
                await self._session(listener)
                pause = 0.05
            except (OSError, Unavailable, protocol.ProtocolError, TimeoutError) as error:
                self._problem = f"the agent cannot be asked: {str(error) or type(error).__name__}"
                log.debug("agent not reachable", extra={"fields": {"error": str(error)}})
            finally:
                self._link = None
                listener.host_changed(self.host, None)
            if self.closing:
                self.gone.set()
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _session(self, listener: Listener) -> None:
        reader, writer = await self._connect()
        link = _Link(reader, writer)
        pump = asyncio.create_task(link.pump(lambda frame: self._pushed(frame, listener)))
        try:
            await self._greet(link, listener)
            self._link, self._problem = link, ""
            listener.host_changed(self.host, None)
            await pump
        finally:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await pump
            link.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(str(self._socket_path), limit=1 << 20)
        except OSError:
            if self.closing:
                raise
        await self._start()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            while True:
                with contextlib.suppress(OSError):
                    return await asyncio.open_unix_connection(str(self._socket_path), limit=1 << 20)
                await asyncio.sleep(0.02)

    async def _greet(self, link: _Link, listener: Listener) -> None:
        hello = await link.expect("hello", version=protocol.VERSION, realm=self._realm_id)
        if self._epoch is None:
            self._epoch = int((await link.expect("claim"))["epoch"])
            failpoint("controller.after_claim")
        elif int(hello["epoch"]) > self._epoch:
            raise Superseded(f"another controller claimed this realm (epoch {hello['epoch']}, ours is {self._epoch})")
        listed = await link.expect("list")
        self._instances = {view["slot"]: read_view(view) for view in listed["slots"]}
        self._floors = {slot: int(generation) for slot, generation in listed.get("tombstones", {}).items()}
        cursor = await listener.event_cursor(self.host)
        after = {"journal_id": cursor[0], "seq": cursor[1]} if cursor else {}
        await link.expect("watch", **after)
        for entry in listed.get("logs", ()):
            listener.log_grew(self.host, read_log_file(entry))

    def _pushed(self, frame: protocol.Frame, listener: Listener) -> None:
        push = frame.header
        match push["push"]:
            case "event":
                listener.event_heard(self.host, read_event(push["event"]))
            case "slot":
                instance = read_view(push["view"])
                self._instances[instance.instance] = instance
                listener.host_changed(self.host, [instance.instance])
            case "gone":
                gone = self._instances.pop(push["slot"], None)
                if gone is not None:
                    self._floors[push["slot"]] = max(gone.generation, self._floors.get(push["slot"], 0))
                self._refusals.pop(push["slot"], None)
                listener.host_changed(self.host, [push["slot"]])
            case "log":
                listener.log_grew(self.host, read_log_file(push))
            case "figures":
                self._sampled(push["figures"], listener)
            case _:
                pass  # A newer agent may tell more than we know.

    def _sampled(self, figures: Mapping[str, tuple[float | None, int | None]], listener: Listener) -> None:
        known = {slot: pair for slot, pair in figures.items() if slot in self._instances}
        for slot, (cpu, memory) in known.items():
            self._instances[slot] = replace(self._instances[slot], cpu_percent=cpu, memory_bytes=memory)
        listener.host_changed(self.host, sorted(known))

    # --- orders ---

    def _connected(self) -> _Link:
        if self._link is None:
            raise Unavailable(self._problem or "not connected")
        return self._link

    async def _order(self, op: str, **fields: Any) -> dict[str, Any]:
        header = (await self._connected().ask(op, epoch=self._epoch, **fields)).header
        if not header["ok"]:
            if header.get("error") == "stale_epoch":
                raise Superseded(str(header.get("message")))
            raise Unavailable(f"{op}: {header.get('error')}: {header.get('message')}")
        return header

    def _answer(self, result: Mapping[str, Any]) -> Answer:
        slot, error = str(result["slot"]), "" if result.get("ok") else str(result.get("error") or "failed")
        if error == "stale" and "generation" in result:
            self._floors[slot] = max(int(result["generation"]), self._floors.get(slot, 0))
        return Answer(instance=slot, error=error, message=str(result.get("message") or ""))


class _Link:
    """One connection: numbered requests, their answers, and pushes in between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[protocol.Frame]] = {}

    async def ask(self, op: str, **fields: Any) -> protocol.Frame:
        """One request and its answer. Raises Unavailable when the connection breaks or no answer comes."""
        number = next(self._ids)
        answer: asyncio.Future[protocol.Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(protocol.encode({"id": number, "op": op, **fields}))
            await self._writer.drain()
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await answer
        except TimeoutError:
            raise Unavailable(f"{op}: no answer within {ANSWER_TIMEOUT_S:.0f} s") from None
        except OSError as error:
            raise Unavailable(f"{op}: {error}") from None
        finally:
            self._waiting.pop(number, None)

    async def expect(self, op: str, **fields: Any) -> dict[str, Any]:
        """A request of the greeting: anything but a yes is an error of the connection."""
        header = (await self.ask(op, **fields)).header
        if not header["ok"]:
            raise Unavailable(f"{op}: {header.get('message') or header.get('error')}")
        return header

    async def pump(self, pushed: Callable[[protocol.Frame], None]) -> None:
        """Read frames until the other side closes. Answers wake their askers, pushes are handed on."""
        try:
            while True:
                frame = await self._read()
                if "push" in frame.header:
                    pushed(frame)
                elif (waiter := self._waiting.get(frame.header.get("id", 0))) and not waiter.done():
                    waiter.set_result(frame)
        except asyncio.IncompleteReadError:
            raise Unavailable("the agent closed the connection") from None
        finally:
            for waiter in self._waiting.values():
                if not waiter.done():
                    waiter.set_exception(Unavailable("the connection to the agent broke"))

    async def _read(self) -> protocol.Frame:
        header_size, payload_size = protocol.lengths(await self._reader.readexactly(protocol.LENGTHS_SIZE))
        header = await self._reader.readexactly(header_size)
        payload = await self._reader.readexactly(payload_size) if payload_size else b""
        return protocol.decode(header, payload)

    def close(self) -> None:
        """Close without waiting."""
        self._writer.close()
