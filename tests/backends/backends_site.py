"""What the tests of the back ends share: a listener that notes what it hears, orders, and places to connect to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from controller.agent.start import start_keeper
from controller.backends.agent import AgentBackend
from controller.backends.base import HostEvent, LogFile, SlotOrder
from controller.backends.doorstep import LocalDoorstep, Presence
from controller.backends.link import Link
from controller.core.desired import DesiredWorker
from controller.core.spec import explicit_fields
from tests.agent.agent_site import Client, Site
from tests.core.core_builders import worker
from tests.fakes.agent_server import FakeAgent

PATIENCE_S = 15.0
T = TypeVar("T")


async def until(look: Callable[[], T], what: str = "it") -> T:
    """What `look` returns once it is true."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not (found := look()):
        assert asyncio.get_running_loop().time() < deadline, f"{what} never came about"
        await asyncio.sleep(0.005)
    return found


@dataclass
class Hearer:
    """A listener. `stored` is what `event_cursor` answers; kept up with what is heard while `keeps`."""

    changes: list[Sequence[str] | None] = field(default_factory=list)
    samples: list[Sequence[str]] = field(default_factory=list)
    used: dict[str, tuple[str, float]] = field(default_factory=dict)
    events: list[HostEvent] = field(default_factory=list)
    files: list[LogFile] = field(default_factory=list)
    stored: tuple[str, int] | None = None
    keeps: bool = True
    on_cursor: Callable[[], None] = lambda: None

    def host_changed(self, host: str, instances: Sequence[str] | None) -> None:
        self.changes.append(instances)

    def sampled(self, host: str, instances: Sequence[str]) -> None:
        self.samples.append(instances)

    def metered(self, host: str, used: Mapping[str, tuple[str, float]]) -> None:
        self.used.update(used)

    def event_heard(self, host: str, event: HostEvent) -> None:
        self.events.append(event)
        if self.keeps:
            self.stored = (event.journal_id, event.seq)

    def log_grew(self, host: str, file: LogFile) -> None:
        self.files.append(file)

    async def event_cursor(self, host: str) -> tuple[str, int] | None:
        found = self.stored
        self.on_cursor()
        await asyncio.sleep(0)
        return found


def runner(*command: str, **fields: Any) -> DesiredWorker:
    """A worker that runs anywhere."""
    return worker("web", command=list(command or ("/bin/sleep", "60")), working_dir="/tmp", **fields)


def order(of: DesiredWorker, generation: int = 1, *, ordinal: int = 0, **fields: Any) -> SlotOrder:
    instance = of.instances[ordinal]
    values: dict[str, Any] = {
        "instance": f"{of.worker_id}/{ordinal}",
        "generation": generation,
        "revision": instance.revision,
        "digest": instance.digest,
        "run_request": 0,
        "wanted": "running",
        "launch": instance.launch,
        "fields": explicit_fields(of.spec),
    }
    return SlotOrder(**values | fields)


class Connected:
    """A back end that runs, its listener, and how it ended (`failure`)."""

    def __init__(self, backend: AgentBackend, hearer: Hearer | None = None) -> None:
        self.backend, self.hearer = backend, hearer or Hearer()
        self.task = asyncio.create_task(backend.run(self.hearer))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def reachable(self) -> Connected:
        await until(lambda: self.backend.view().reachable or self.task.done(), "the connection")
        if self.task.done():
            self.task.result()
        return self

    def status(self, slot: str = "web/0") -> str | None:
        found = self.backend.view().instances.get(slot)
        return None if found is None else found.status.value


class FakePlace:
    """The agent in memory."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="wb-", dir="/tmp")
        self.agent = FakeAgent(Path(self.folder) / "agent.sock")
        self.starts = 0

    def backend(self, realm: str = "r1") -> AgentBackend:
        return AgentBackend(host="localhost", realm_id=realm, doorstep=self, now=lambda: 6000.0)

    @property
    def socket_path(self) -> Path:
        return self.agent.path

    def presence(self) -> Presence:
        return Presence.ALIVE if self.agent.is_there else Presence.GONE

    async def start(self) -> None:
        self.starts += 1
        await self.agent.start()

    async def meet(self, link: Link, realm_id: str) -> None:
        pass

    async def kill_agent(self) -> None:
        await self.agent.stop()

    async def close(self) -> None:
        await self.agent.stop()
        shutil.rmtree(self.folder)


class RealPlace:
    """A real keeper with its real agent."""

    def __init__(self) -> None:
        self.site = Site()

    def backend(self, realm: str = "r1") -> AgentBackend:
        return AgentBackend(host="localhost", realm_id=realm, doorstep=self, now=lambda: 6000.0)

    @property
    def socket_path(self) -> Path:
        return LocalDoorstep(self.site.paths).socket_path

    def presence(self) -> Presence:
        return LocalDoorstep(self.site.paths).presence()

    async def start(self) -> None:
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = self.site.run
        try:
            await asyncio.to_thread(start_keeper, self.site.paths)
        finally:
            os.environ.pop("XDG_RUNTIME_DIR")
            if before is not None:
                os.environ["XDG_RUNTIME_DIR"] = before

    async def meet(self, link: Link, realm_id: str) -> None:
        await LocalDoorstep(self.site.paths).meet(link, realm_id)

    async def kill_agent(self) -> None:
        client = await asyncio.to_thread(Client, self.site.paths.socket)
        self.site.kill(client.hello["agent_pid"])
        client.close()

    async def close(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            client = await asyncio.to_thread(Client, self.site.paths.socket)
            for name in ("agent_pid", "keeper_pid"):
                self.site._remember(client.hello[name])
            client.close()
        await asyncio.to_thread(self.site.close)


Place = FakePlace | RealPlace
