"""What a controller may ask: one method per operation of the protocol. Called by server.py, one request at a time.

Every mutating request carries the epoch of the last claim; an older one is refused, also in the middle of its batch.
Nothing here decides for a slot: wishes go to the fleet, and the answer says what became of each.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import build, preflight, protocol
from .adoption import Adoption
from .failpoints import failpoint
from .fleet import Fleet
from .flusher import Flusher
from .heartbeats import Heartbeats
from .journal import Journal
from .launches import secrets_of
from .logs import Logs, ReadError
from .machine import must_replace
from .marks import Marks
from .orders import Orders
from .run_tokens import RunTokens
from .shapes import field_of, launch_from, slot_name, wish_from
from .states import Now, Wish

BATCH = 32
"""So many slots are applied before others get their turn."""

Request = Mapping[str, Any]
Answer = tuple[dict[str, Any], bytes]


class RequestError(Exception):
    """A request that is refused as a whole; `code` is for machines, the text for people."""

    def __init__(self, code: str, message: str, **fields: object) -> None:
        super().__init__(message)
        self.code = code
        self.fields = fields


@dataclass
class Session:
    """What one connection has said about itself."""

    is_greeted: bool = False


@dataclass(frozen=True)
class Rooms:
    """The parts of the agent that commands reach."""

    fleet: Fleet
    adoption: Adoption
    journal: Journal
    logs: Logs
    marks: Marks
    flusher: Flusher
    orders: Orders
    tokens: RunTokens
    heartbeats: Heartbeats
    clock: Callable[[], Now]
    adjourn: Callable[[float, bool], None]
    leave: Callable[[], None]
    await_resume: Callable[[], None]
    kill_now: Callable[[], None]
    renew: Callable[[list[str]], None]
    degraded: Callable[[], list[str]]
    enforceable: Callable[[], list[str]]
    is_ending: Callable[[], bool]


class Commands:
    """All operations but `watch`, which is the connection's own."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._build = build.fingerprint()
        self._operations: dict[str, Callable[[Request], Awaitable[Answer]]] = {
            "claim": self._claim,
            "resume": self._resume,
            "list": self._list,
            "apply": self._apply,
            "remove": self._remove,
            "preflight": self._preflight,
            "read_log": self._read_log,
            "stored": self._stored,
            "beat": self._beat,
            "adjourn": self._adjourn,
            "kill_now": self._kill_now,
            "leave": self._leave,
        }

    async def run(self, session: Session, request: Request) -> Answer:
        """Carry out one request. Raises RequestError, ValueError (a malformed field) or OSError (not durable)."""
        operation = request.get("op")
        if operation == "hello":
            answer = await self._hello(request)
            session.is_greeted = True
            return answer
        if operation == "about":
            return self._about()
        if operation == "renew":
            return await self._renew(request)
        if not session.is_greeted:
            raise RequestError("hello_first", "the first request must be hello")
        known = self._operations.get(str(operation))
        if known is None:
            raise RequestError("unknown_op", f"there is no operation {operation!r}")
        return await known(request)

    # --- whose, and who ---

    async def _hello(self, request: Request) -> Answer:
        rooms = self._rooms
        if request.get("version") != protocol.VERSION:
            text = f"the agent speaks version {protocol.VERSION}, the controller {request.get('version')!r}"
            raise RequestError("wrong_version", text, version=protocol.VERSION)
        realm = field_of(request, "realm", str)
        if not realm:
            raise RequestError("invalid", "realm: is empty")
        if not rooms.marks.may_join(realm):
            text = f"this agent belongs to realm {rooms.marks.realm}, the controller to realm {realm}"
            raise RequestError("wrong_realm", text)
        if rooms.marks.realm != realm:
            rooms.marks.set_realm(realm)
            await rooms.flusher.flushed()
        if "heartbeat_key" in request:
            rooms.tokens.bring(field_of(request, "heartbeat_key", str))
        return {
            "version": protocol.VERSION,
            "journal_id": rooms.journal.journal_id,
            "agent_pid": os.getpid(),
            "keeper_pid": os.getppid(),
            "boot_id": rooms.marks.boot_id,
            "epoch": rooms.marks.epoch,
            "host": socket.gethostname(),
            "adjourned": rooms.marks.is_adjourned,
            "degraded": rooms.degraded(),
            "enforceable": rooms.enforceable(),
        }, b""

    def _about(self) -> Answer:
        return {
            "version": protocol.VERSION,
            "form": build.FORM,
            "build": self._build,
            "keeper_build": os.environ.get(build.KEEPER_VARIABLE, ""),
            "folder": build.FOLDER,
            "agent_pid": os.getpid(),
            "keeper_pid": os.getppid(),
        }, b""

    async def _renew(self, request: Request) -> Answer:
        rooms, program = self._rooms, field_of(request, "program", list)
        if not program or not all(isinstance(word, str) for word in program) or not os.path.isabs(program[0]):
            raise RequestError("invalid", "program: not a command line with a whole path")
        if not rooms.marks.may_join(field_of(request, "realm", str)):
            raise RequestError("wrong_realm", "only the controller of this agent's realm may renew it")
        if rooms.is_ending():
            raise RequestError("ending", "everything has stopped and the agent is about to end; connect again")
        await rooms.flusher.flushed()
        rooms.renew(program)
        return {}, b""

    async def _claim(self, request: Request) -> Answer:
        rooms = self._rooms
        if rooms.is_ending():
            raise RequestError("ending", "everything has stopped and the agent is about to end; connect again")
        epoch = rooms.marks.next_epoch()
        if rooms.marks.is_adjourned and request.get("holds") is True:
            rooms.await_resume()
        else:
            rooms.marks.resume()
        await rooms.flusher.flushed()
        failpoint("agent.after_claim")
        if epoch == rooms.marks.epoch and not rooms.marks.is_adjourned:
            rooms.fleet.resume()
        return {"epoch": epoch}, b""

    async def _resume(self, request: Request) -> Answer:
        self._check_epoch(request)
        rooms = self._rooms
        if rooms.is_ending():
            raise RequestError("ending", "everything has stopped and the agent is about to end; connect again")
        rooms.marks.resume()
        await rooms.flusher.flushed()
        if not rooms.marks.is_adjourned:
            rooms.fleet.resume()
        return {}, b""

    def _check_epoch(self, request: Request) -> None:
        epoch = field_of(request, "epoch", int)
        if epoch != self._rooms.marks.epoch:
            text = f"epoch {epoch} is over: the agent was claimed again, as epoch {self._rooms.marks.epoch}"
            raise RequestError("stale_epoch", text, epoch=self._rooms.marks.epoch)

    # --- slots ---

    async def _list(self, _request: Request) -> Answer:
        fleet = self._rooms.fleet
        return {
            "slots": [fleet.view(name) for name in sorted(fleet.slots)],
            "tombstones": {name: found.generation for name, found in sorted(fleet.tombstones.items())},
            "logs": self._rooms.logs.listing(),
        }, b""

    async def _apply(self, request: Request) -> Answer:
        return await self._each(request, self._apply_one)

    async def _remove(self, request: Request) -> Answer:
        return await self._each(request, self._remove_one)

    async def _each(self, request: Request, work: Callable[[Request], Awaitable[dict[str, Any]]]) -> Answer:
        """Work on each slot; answered when all of it is durable."""
        results: list[dict[str, Any]] = []
        for index, item in enumerate(field_of(request, "slots", list)):
            self._check_epoch(request)
            value = item if isinstance(item, dict) else {}
            try:
                results.append({"slot": value.get("slot"), **await work(value)})
            except ValueError as error:
                results.append({"slot": value.get("slot"), "ok": False, "error": "invalid", "message": str(error)})
            if index % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        self._check_epoch(request)
        await self._rooms.flusher.flushed()
        failpoint("agent.before_ack")
        return {"results": results}, b""

    async def _apply_one(self, value: Request) -> dict[str, Any]:
        fleet, name, wish = self._rooms.fleet, slot_name(value), wish_from(value)
        secrets = secrets_of(value)
        slot = fleet.slots.get(name)
        if not fleet.verdict(name, wish) and slot is not None and must_replace(slot, wish):
            message = await self._in_thread(preflight.check, wish.launch, self._rooms.orders.base)
            if message:
                return {"ok": False, "error": "refused", "message": message}
        verdict = fleet.verdict(name, wish)
        if verdict == "stale":
            return self._stale(name, wish)
        if secrets is not None:
            # Before the wish: what it starts needs them.
            self._rooms.orders.secrets.bring(name, secrets)
        if not verdict:
            fleet.apply(name, wish)
        elif secrets is not None:
            fleet.look_again(name)
        return {"ok": True}

    async def _remove_one(self, value: Request) -> dict[str, Any]:
        name, generation = slot_name(value), field_of(value, "generation", int)
        if self._rooms.fleet.remove(name, generation) == "stale":
            known = self._rooms.fleet.generation(name)
            message = f"generation {generation} is not newer than {known}"
            return {"ok": False, "error": "stale", "message": message, "generation": known}
        return {"ok": True}

    def _stale(self, name: str, wish: Wish) -> dict[str, Any]:
        known = self._rooms.fleet.generation(name)
        message = f"generation {wish.generation} is not newer than {known}, or says something else"
        return {"ok": False, "error": "stale", "message": message, "generation": known}

    async def _preflight(self, request: Request) -> Answer:
        launch = launch_from(request.get("launch"))
        return {"message": await self._in_thread(preflight.check, launch, self._rooms.orders.base)}, b""

    @staticmethod
    async def _in_thread(work: Callable[..., str], *arguments: object) -> str:
        return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)

    # --- logs ---

    async def _read_log(self, request: Request) -> Answer:
        run, stream = field_of(request, "run", str), field_of(request, "stream", str)
        offset, limit = field_of(request, "offset", int), field_of(request, "limit", int)
        if offset < 0 or limit < 0:
            raise RequestError("invalid", "offset or limit: is below 0")
        logs = self._rooms.logs
        try:
            if logs.is_archived(run, stream):
                return await asyncio.get_running_loop().run_in_executor(None, logs.read, run, stream, offset, limit)
            return logs.read(run, stream, offset, limit)
        except ReadError as error:
            raise RequestError("unavailable" if error.may_pass else "not_found", str(error)) from None

    async def _stored(self, request: Request) -> Answer:
        self._check_epoch(request)
        for mark in field_of(request, "marks", list):
            if not isinstance(mark, dict):
                raise RequestError("invalid", "marks: not a list of objects")
            run, stream = field_of(mark, "run", str), field_of(mark, "stream", str)
            self._rooms.logs.stored(run, stream, field_of(mark, "offset", int))
        return {}, b""

    # --- heartbeats ---

    async def _beat(self, request: Request) -> Answer:
        self._check_epoch(request)
        at, beats = field_of(request, "at", (int, float)), field_of(request, "beats", dict)
        if not all(type(heard) in (int, float) and math.isfinite(heard) for heard in (at, *beats.values())):
            raise RequestError("invalid", "at or beats: not a time")
        now = asyncio.get_running_loop().time()
        self._rooms.heartbeats.told(field_of(request, "epoch", int), at, beats, now)
        return {}, b""

    # --- the end ---

    async def _adjourn(self, request: Request) -> Answer:
        self._check_epoch(request)
        rooms = self._rooms
        seconds = float(field_of(request, "deadline_s", (int, float)))
        awaited = field_of(request, "awaited", bool) if "awaited" in request else False
        deadline = rooms.clock().mono + max(0.0, seconds)
        rooms.marks.adjourn(deadline)
        await rooms.flusher.flushed()
        failpoint("agent.after_adjourn_durable")
        self._check_epoch(request)
        rooms.adjourn(deadline, awaited)
        return {}, b""

    async def _kill_now(self, request: Request) -> Answer:
        self._check_epoch(request)
        self._rooms.kill_now()
        return {}, b""

    async def _leave(self, request: Request) -> Answer:
        self._check_epoch(request)
        self._rooms.leave()
        return {}, b""
