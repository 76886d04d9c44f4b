"""The figures of a scrape: gathers what the loop, the store, log ingest, the API and the kernel say at this moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import psutil

from controller.api.ports import Document, Health
from controller.desk.parts import Parts
from controller.outlets.forward import Forwarder
from controller.outlets.metrics import Facts, Meter, Sheet
from controller.outlets.tally_file import TallyFile
from controller.reconcile.ingest import LogIngest
from controller.reconcile.loop import Turn

SLICE = 100
"""So many workers are written while others wait: some milliseconds of work."""
_VERSION = version("workerctl")


@dataclass
class FigureDesk:
    """Implements ports.Figures. `guests`: how many streams and connections the API has open.

    `memory`: where the totals of restarts are kept for the next controller.
    """

    parts: Parts
    ingest: LogIngest
    health: Callable[[], Health]
    guests: Callable[[], tuple[int, int]] = lambda: (0, 0)
    forwarders: Sequence[Forwarder] = ()
    meter: Meter = field(default_factory=Meter)
    memory: TallyFile | None = None
    _keeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    _process: psutil.Process = field(default_factory=psutil.Process)

    def __post_init__(self) -> None:
        """Go on from what the controller before has counted."""
        if self.memory is not None:
            self.memory.restore(self.meter.tally)

    def turned(self, turn: Turn) -> None:
        """Count a turn of the loop."""
        self.meter.turned(turn.took_s, [(outcome.action.kind.value, outcome.error) for outcome in turn.outcomes])

    async def exposition(self, items: Sequence[Document]) -> bytes:
        """See ports.Figures. Items are not changed once they are made, so others may run meanwhile."""
        if self.health().first_turn:  # Before that, not all workers need be among the items.
            self.meter.tally.forget_others({item["worker_id"] for item in items})
        sheet = Sheet(self.meter)
        await asyncio.sleep(0)
        for start in range(0, len(items), SLICE):
            sheet.add(items[start : start + SLICE])
            await asyncio.sleep(0)
        if self.memory is not None:
            async with self._keeping:
                await asyncio.to_thread(self.memory.keep, self.meter.tally.kept())
        return sheet.text(self._facts()).encode("utf-8", "backslashreplace")

    def _facts(self) -> Facts:
        health, loop, writer = self.health(), self.parts.loop, self.parts.store.writer
        streams, connections = self.guests()
        memory = files = None
        with contextlib.suppress(psutil.Error, OSError):
            memory, files = self._process.memory_info().rss, self._process.num_fds()
        used = self._process.cpu_times()
        return Facts(
            version=_VERSION,
            ready=health.first_turn and health.agent and health.database and not health.draining,
            database=health.database,
            agents={host: view.reachable for host, view in loop.observed().hosts.items()},
            problems=health.problems,
            holds=health.holds,
            turns=loop.turns,
            last_turn_at=loop.last_turn_at,
            backlog_rows=writer.backlog,
            rejected_rows=writer.rejected,
            log_lines=self.ingest.stored_lines,
            log_gaps=self.ingest.stored_gaps,
            streams=streams,
            connections=connections,
            started_at=self._process.create_time(),
            cpu_s=used.user + used.system,
            memory_bytes=memory,
            open_files=files,
            forwards={str(one.target): one.progress for one in self.forwarders},
        )
