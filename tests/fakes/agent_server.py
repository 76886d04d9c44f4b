"""An agent in memory that speaks the protocol over a unix socket: what AgentBackend sees of a real one.

Its processes start and end at once. It keeps the protocol's promises (realm, epoch, generations, tombstones, cursors,
gaps), and does what a real one does only by accident: a connection that breaks at a chosen request, an answer that
does not come, a push in the middle of something.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.agent.protocol import LENGTHS_SIZE, VERSION, decode, encode, lengths

Json = dict[str, Any]


@dataclass
class FakeLog:
    slot: str
    data: bytes = b""
    base: int = 0
    ended: bool = False
    stored: int = 0

    @property
    def size(self) -> int:
        return self.base + len(self.data)


@dataclass(eq=False)
class _Client:
    writer: asyncio.StreamWriter
    is_greeted: bool = False
    is_watching: bool = False


@dataclass
class FakeAgent:
    """`commands` that are not there: argv[0] in `missing`. `on_request(op)` is called before each request is read."""

    path: Path
    realm: str = "r1"
    epoch: int = 0
    journal_id: str = "j1"
    slots: dict[str, Json] = field(default_factory=dict)
    launches: dict[str, Json] = field(default_factory=dict)
    tombstones: dict[str, int] = field(default_factory=dict)
    journal: list[Json] = field(default_factory=list)
    logs: dict[tuple[str, str], FakeLog] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    cuts: set[str] = field(default_factory=set)
    answers: dict[str, Callable[[Json], Json]] = field(default_factory=dict)
    on_request: Callable[[str], None] = lambda _op: None
    is_adjourned: bool = False
    _runs: int = 0
    _server: asyncio.Server | None = None
    _clients: list[_Client] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    # --- its life ---

    async def start(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    @property
    def is_there(self) -> bool:
        """Whether it listens, as far as anybody outside can tell."""
        return self._server is not None

    async def stop(self) -> None:
        """As when it is killed: nobody answers on the socket any more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def cut(self) -> None:
        """All connections break."""
        for client in self._clients:
            client.writer.transport.abort()

    # --- what happens on its host ---

    def emit(self, kind: str, slot: str | None = None, **fields: Any) -> None:
        event = {
            "seq": len(self.journal) + 1, "journal_id": self.journal_id, "boot_id": "b", "run": None, "cause": "",
            "at": 5000.0 + len(self.journal), "type": kind, "slot": slot, "message": "", "data": {}, **fields,
        }  # fmt: skip
        self.journal.append(event)
        self.push({"push": "event", "event": event})

    def change(self, slot: str, **fields: Any) -> None:
        """A slot changes by itself."""
        self.slots[slot].update(fields)
        self.push({"push": "slot", "view": self.slots[slot]})

    def write(self, run: str, data: bytes, *, slot: str = "web/0", stream: str = "stdout", ended: bool = False) -> None:
        """A worker writes; `ended`: for the last time."""
        log = self.logs.setdefault((run, stream), FakeLog(slot))
        log.data += data
        log.ended = ended
        self.push({"push": "log", "run": run, "stream": stream, "slot": log.slot, "size": log.size})

    def truncate(self, run: str, stream: str = "stdout") -> None:
        log = self.logs[run, stream]
        log.base, log.data = log.size, b""

    def sample(
        self, figures: dict[str, list[float | int | None]], used: dict[str, tuple[str, float]] | None = None
    ) -> None:
        """`used` is what agents from before it do not tell."""
        self.push({"push": "figures", "figures": figures} | ({} if used is None else {"cpu_seconds": used}))

    def push(self, header: Json) -> None:
        for client in self._clients:
            if client.is_watching and not client.writer.is_closing():
                client.writer.write(encode(header))

    # --- the protocol ---

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = _Client(writer)
        self._clients.append(client)
        try:
            while True:
                header, payload = lengths(await reader.readexactly(LENGTHS_SIZE))
                request = decode(await reader.readexactly(header), await reader.readexactly(payload)).header
                op = request["op"]
                self.seen.append(op)
                self.on_request(op)
                answer, data = self._answer(client, request)
                if op in self.cuts:
                    self.cuts.discard(op)
                    return
                if op not in self.silent:
                    writer.write(encode({"id": request["id"], **answer}, data))
                    if op == "watch":
                        self._watch(client, request)
                    if op == "adjourn" and answer["ok"]:
                        asyncio.get_running_loop().call_soon(self._leave)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._clients.remove(client)
            self._tasks.discard(task)
            writer.transport.abort()

    def _leave(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self.path.unlink()
        for client in self._clients:
            client.writer.close()

    def _watch(self, client: _Client, request: Json) -> None:
        if request.get("journal_id") in (None, self.journal_id):
            after = request.get("seq", 0) if request.get("journal_id") else 0
        else:
            after = 0
            gap = {"seq": 0, "journal_id": self.journal_id, "at": 0.0, "type": "gap", "data": {"from": 1, "to": 0}}
            client.writer.write(encode({"push": "event", "event": gap}))
        for event in self.journal[after:]:
            client.writer.write(encode({"push": "event", "event": event}))
        client.is_watching = True

    def _answer(self, client: _Client, request: Json) -> tuple[Json, bytes]:
        op = request["op"]
        if op in self.answers:
            return self.answers[op](request), b""
        if op == "hello":
            return self._hello(client, request), b""
        if not client.is_greeted:
            return _no("hello_first", "the first request must be hello"), b""
        if op in ("apply", "remove", "stored", "adjourn", "kill_now") and request.get("epoch") != self.epoch:
            return _no("stale_epoch", f"epoch {request.get('epoch')} is over"), b""
        if op == "read_log":
            return self._read_log(request)
        return self._plain_answer(op, request), b""

    def _plain_answer(self, op: str, request: Json) -> Json:
        match op:
            case "claim":
                self.epoch, self.is_adjourned = self.epoch + 1, False
                return _yes(epoch=self.epoch)
            case "list":
                return self._list()
            case "apply":
                return _yes(results=[{"slot": slot["slot"], **self._apply(slot)} for slot in request["slots"]])
            case "remove":
                return _yes(results=[{"slot": one["slot"], **self._remove(one)} for one in request["slots"]])
            case "stored":
                self._stored(request["marks"])
            case "adjourn" | "kill_now":
                self.is_adjourned = True
                for slot in self.slots:
                    self.change(slot, status="stopped", pid=None, run=None)
        return _yes()

    def _stored(self, marks: list[Json]) -> None:
        for mark in marks:
            if (log := self.logs.get((mark["run"], mark["stream"]))) is not None:
                log.stored = max(log.stored, mark["offset"])

    def _hello(self, client: _Client, request: Json) -> Json:
        if request.get("version") != VERSION:
            return _no("wrong_version", "another version")
        if request.get("realm") != self.realm:
            return _no("wrong_realm", f"this agent belongs to realm {self.realm}")
        client.is_greeted = True
        return _yes(version=VERSION, journal_id=self.journal_id, epoch=self.epoch, adjourned=self.is_adjourned)

    def _list(self) -> Json:
        logs = [
            {"run": run, "slot": log.slot, "stream": stream, "size": log.size, "ended": log.ended, "stored": log.stored}
            for (run, stream), log in self.logs.items()
        ]
        return _yes(slots=list(self.slots.values()), tombstones=self.tombstones, logs=logs)

    def _apply(self, order: Json) -> Json:
        name, known = order["slot"], self.slots.get(order["slot"])
        floor = self.tombstones.get(name, 0) if known is None else known["generation"]
        same = known is not None and order == self.launches.get(name)
        if same:
            return {"ok": True}
        if order["generation"] <= floor:
            return {"ok": False, "error": "stale", "message": "not newer", "generation": floor}
        argv = order["launch"]["argv"]
        replaces = known is not None and known["status"] == "running" and known["running_revision"] != order["revision"]
        if replaces and argv[0] in self.missing:
            return {"ok": False, "error": "refused", "message": f"no such command: {argv[0]}"}
        self.launches[name] = order
        self.tombstones.pop(name, None)
        runs = order["wanted"] == "running" and not self.is_adjourned
        keeps = known is not None and known["status"] == "running" and runs and not replaces
        if runs and not keeps:
            self._runs += 1
        run = known["run"] if keeps and known else f"run{self._runs}" if runs else None
        told = ("slot", "generation", "revision", "digest", "run_request", "wanted", "fields")
        limits = [probe["timeout_ms"] for probe in order["launch"]["probes"] if probe["check"] == "heartbeat"]
        self.slots[name] = {
            **{key: order[key] for key in told},
            "status": "running" if runs else "stopped", "reason": "", "message": "", "since": 5000.0, "run": run,
            "run_number": self._runs, "running_revision": order["revision"] if runs else None,
            "pid": 1000 + self._runs if runs else None, "started_at": 5000.0 if runs else None, "restart_count": 0,
            "last_exit": None, "next_retry_at": None, "removing": False, "cpu_percent": None, "memory_bytes": None,
            "heartbeat_ms": min(limits, default=None),
        }  # fmt: skip
        self.emit("started" if runs and not keeps else "updated", name, run=run)
        self.change(name)
        if runs and not keeps and argv[:1] == ["/bin/echo"]:
            self.write(str(run), b" ".join(word.encode() for word in argv[1:]) + b"\n", slot=name, ended=True)
            self.change(name, status="stopped", reason="Completed", pid=None, run=None)
        return {"ok": True}

    def _remove(self, order: Json) -> Json:
        name, known = order["slot"], self.slots.get(order["slot"])
        floor = self.tombstones.get(name, 0) if known is None else known["generation"]
        if order["generation"] < floor or (known is not None and order["generation"] == floor):
            return {"ok": False, "error": "stale", "message": "not newer", "generation": floor}
        if known is not None:
            self.change(name, generation=order["generation"], removing=True, status="stopping")
            del self.slots[name], self.launches[name]
            self.tombstones[name] = order["generation"]
            self.emit("removed", name)
            self.push({"push": "gone", "slot": name})
        return {"ok": True}

    def _read_log(self, request: Json) -> tuple[Json, bytes]:
        log = self.logs.get((request["run"], request["stream"]))
        if log is None:
            return _no("not_found", f"there is no {request['stream']} of run {request['run']}"), b""
        start = max(request["offset"], log.base)
        data = log.data[start - log.base : start - log.base + request["limit"]]
        answer = _yes(offset=start, size=log.size, ended=log.ended, times=[[start, 5000.0]] if data else [])
        if start > request["offset"]:
            answer["gap"] = {"from": request["offset"], "to": start, "reason": "truncated by the writer"}
        return answer, data


def _yes(**fields: Any) -> Json:
    return {"ok": True, **fields}


def _no(code: str, message: str) -> Json:
    return {"ok": False, "error": code, "message": message}
