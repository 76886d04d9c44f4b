"""A real agent inside the test's own event loop, over a fake keeper, and a controller's asynchronous end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

from controller.agent.paths import AgentPaths
from controller.agent.protocol import LENGTHS_SIZE, VERSION, decode, encode, lengths
from controller.agent.supervisor import Agent
from tests.fakes.keeper import FakeKeeper

T = TypeVar("T")
PATIENCE_S = 10.0


class Watcher:
    """A connection. `pushes` holds what came unasked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.pushes: list[dict[str, Any]] = []
        self.payload = b""
        self.epoch = 0
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._task = asyncio.ensure_future(self._listen())

    async def call(self, op: str, *, patience_s: float = PATIENCE_S, **fields: Any) -> dict[str, Any]:
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        self.writer.write(encode({"id": self._number, "op": op, **fields}))
        return await asyncio.wait_for(answer, patience_s)

    async def claim(self, *, holds: bool = False) -> int:
        self.epoch = (await self.call("claim", holds=holds))["epoch"]
        return self.epoch

    async def apply(self, *slots: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.call("apply", epoch=self.epoch, slots=list(slots))
        results: list[dict[str, Any]] = answer["results"]
        return results

    async def view(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {view["slot"]: view for view in (await self.call("list"))["slots"]}[name]
        return found

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        found = [push["event"] for push in self.pushes if push["push"] == "event"]
        return [event for event in found if kind in ("", event["type"])]

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
        await self._task

    async def _listen(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header, payload = lengths(await self.reader.readexactly(LENGTHS_SIZE))
                found = decode(await self.reader.readexactly(header)).header
                data = await self.reader.readexactly(payload)
                if "push" in found:
                    self.pushes.append(found)
                else:
                    self.payload = data
                    self._answers.pop(found["id"]).set_result(found)


class Inside:
    """Folders, one fake keeper and, between `begin` and `end`, one agent."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="wi-", dir="/tmp")
        # Where it belongs: on a tmpfs, if there is one.
        self.run = tempfile.mkdtemp(prefix="wi-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
        self.paths = AgentPaths(f"{self.root}/state/agent", {"XDG_RUNTIME_DIR": self.run})
        self.paths.prepare()
        self.keeper = FakeKeeper()
        self.keeper.folder = self.paths.runs
        self.agent: Agent | None = None
        self.lost: list[bool] = []
        self._running: asyncio.Task[None] | None = None
        self._watchers: list[Watcher] = []

    async def begin(self) -> Watcher:
        """Start an agent and connect, claimed and watching."""
        await self.restart()
        return await self.connect()

    async def restart(self) -> None:
        """Start an agent that no controller speaks to."""
        self.agent = Agent(self.paths, await self.keeper.start(), lambda: self.lost.append(True))
        self._running = asyncio.ensure_future(self.agent.run())
        await until(lambda: os.path.exists(self.paths.socket))

    async def connect(self, realm: str = "r1", *, holds: bool = False) -> Watcher:
        await until(lambda: os.path.exists(self.paths.socket))
        reader, writer = await asyncio.open_unix_connection(self.paths.socket)
        watcher = Watcher(reader, writer)
        self._watchers.append(watcher)
        await watcher.call("hello", version=VERSION, realm=realm)
        await watcher.claim(holds=holds)
        await watcher.call("watch")
        return watcher

    async def end(self) -> None:
        """The agent goes as it would at its end; what is in its files stays."""
        for watcher in self._watchers:
            await watcher.close()
        self._watchers.clear()
        if self.agent is not None and self._running is not None:
            self.agent.ended.set()
            await self._running
            await self.agent.close()
            self.agent = None
        await self.keeper.stop()

    async def close(self) -> None:
        if self.agent is not None:
            await self.end()
        shutil.rmtree(self.root)
        shutil.rmtree(self.run)


async def until(look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """What `look` returns once it is true."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        found = look()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, "it never came about"
        await asyncio.sleep(0.005)
