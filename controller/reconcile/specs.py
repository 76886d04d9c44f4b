"""The spec feed: hints and time in, a newer Desired out.

Scans run in a thread, one at a time. A hint only says *look*; so does a scan that wants to be repeated (`again_at`),
and every `RESCAN_S` the directory is looked at in any case. What changed is told to the loop as worker ids, and to
people as one line per change: accepted, rejected with each problem, solved, gone.

A scan that fails, or has not come back after `ANSWER_S`, holds the source: what was accepted goes on, nothing is
removed, and people are told. One that hangs is waited for, for as long as it takes; no other one is begun beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from controller.core.config_views import shown_fields
from controller.core.desired import Desired, DesiredWorker
from controller.core.problems import Problem
from controller.reconcile.archive import Archive
from controller.reconcile.clock import Clock
from controller.reconcile.threads import in_thread
from controller.sources.writer import etag_of
from controller.store.records import Event

RESCAN_S = 30.0
ANSWER_S = 30.0
DEBOUNCE_S = 0.05
"""Hints of one burst (an editor's save, a checkout) give one scan."""
TOLD = 50
"""Of so many workers news are told at a time: some milliseconds, between which requests are answered."""

MOST_TOLD = 16_384
"""Characters of a spec that its history keeps; of a longer one it keeps that there was one."""

log = logging.getLogger("workerctl.specs")


class Scanned(Protocol):
    """What a scan found: see sources.directory.ScanResult."""

    @property
    def desired(self) -> Desired:
        """The snapshot."""

    @property
    def again_at(self) -> float | None:
        """When to scan again even without a hint."""

    @property
    def warning(self) -> str:
        """What keeps the source from remembering, or empty."""


class Source(Protocol):
    """Where specs come from."""

    @property
    def root(self) -> str:
        """The specs directory, absolute."""

    def scan(self, now: float) -> Scanned:
        """Look at everything. Blocking."""

    def content(self, path: str) -> bytes | None:
        """What the file held when it last counted."""

    def confirm(self, digest: str) -> None:
        """Let the hold with this digest pass."""

    def forget(self, worker_id: str) -> None:
        """The processes of a removed worker are gone."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a newer Desired brings, by worker id."""

    accepted: frozenset[str]
    gone: frozenset[str]
    touched: frozenset[str]


def difference(before: Desired, after: Desired) -> Difference:
    """What the loop must look at. Values are compared, so a rescan that finds nothing new touches nobody."""
    accepted = frozenset(
        worker_id
        for worker_id, worker in after.workers.items()
        if (was := before.workers.get(worker_id)) is not worker and was != worker  # most are the same object
    )
    gone = frozenset(before.workers.keys() - after.workers.keys())
    removed = {w for w in after.removed.keys() | before.removed.keys() if before.removed.get(w) != after.removed.get(w)}
    broken = {w for w in after.broken.keys() | before.broken.keys() if before.broken.get(w) != after.broken.get(w)}
    return Difference(accepted, gone, accepted | gone | removed | broken)


class SpecFeed:
    """Scans the source and hands on what it finds. `accept(desired, changed)`: None means everything."""

    def __init__(
        self,
        source: Source,
        *,
        clock: Clock,
        archive: Archive,
        accept: Callable[[Desired, frozenset[str] | None], None],
    ) -> None:
        self.source = source
        self.debounce_s = DEBOUNCE_S
        self.desired = Desired()
        self.scans = 0
        self._begun = self._over = self.settled = 0
        self._clock, self._archive, self._accept = clock, archive, accept
        self._wake, self._asked = asyncio.Event(), asyncio.Event()
        self._scanned = asyncio.Condition()
        self._warning = ""
        self._scan_over: Callable[[], None] = lambda: None
        self._cannot_read: Callable[[str], None] = lambda _why: None

    def tell_scans(self, scan_over: Callable[[], None]) -> None:
        """Whom to tell that a scan is over, after what it found was accepted."""
        self._scan_over = scan_over

    def tell_trouble(self, cannot_read: Callable[[str], None]) -> None:
        """Whom to tell why the source cannot be read, and with nothing that it can. Before a first scan that is all."""
        self._cannot_read = cannot_read

    def hint(self) -> None:
        """Scan soon: there may be something new, and more of it a moment later."""
        self._wake.set()

    def look(self) -> None:
        """Scan now: who asks is not kept waiting for a burst to end."""
        self._asked.set()
        self._wake.set()

    def ticket(self) -> int:
        """The number of the first scan that begins after now; `settled` reaches it once no file is still too young."""
        return self._begun + 1

    async def over(self, ticket: int) -> None:
        """Wait until the scan of this number, or a later one, has been handed on."""
        async with self._scanned:
            await self._scanned.wait_for(lambda: self._over >= ticket)

    async def consistent(self) -> Desired:
        """The newest snapshot, once there is one that is not held."""
        async with self._scanned:
            await self._scanned.wait_for(lambda: self.scans > 0 and not self.desired.hold_reason)
        return self.desired

    async def follow(self, hints: AsyncIterator[None]) -> None:
        """Turn a watcher's hints into looks, until cancelled."""
        async for _ in hints:
            self.hint()

    async def run(self) -> None:
        """Scan until cancelled."""
        while True:
            self._begun += 1
            again_at = await self._scan()
            async with self._scanned:
                self._over = self._begun
                self._scanned.notify_all()
            rest = RESCAN_S if again_at is None else max(DEBOUNCE_S, min(RESCAN_S, again_at - self._clock.now()))
            if await self._clock.wait(self._wake, rest):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.debounce_s):
                        await self._asked.wait()
                self._asked.clear()
                self._wake.clear()

    async def _scan(self) -> float | None:
        """One scan, handed on; when the next one should be."""
        try:
            found = await self._found()
        except Exception as error:  # one scan: what was accepted before goes on, and the next scan looks anew
            log.exception("internal error: a scan of the specs failed")
            told = f"internal error while reading the specs ({type(error).__name__}, see the log of `workerctl serve`)"
            await self._hold(told)
            return None
        self._warn(found.warning)
        await self._hand_on(found.desired, first=self.scans == 0)
        self._cannot_read("")
        self.scans += 1
        if found.again_at is None:
            self.settled = self._begun
        self._scan_over()
        return found.again_at

    async def _found(self) -> Scanned:
        """What the source finds. Says so when that takes too long, and waits on."""
        scanning = asyncio.ensure_future(in_thread(partial(self.source.scan, self._clock.now()), "specs"))
        over = asyncio.Event()
        scanning.add_done_callback(lambda _: over.set())
        try:
            if not await self._clock.wait(over, ANSWER_S):
                what = f"the specs directory {self.source.root} has not answered for {ANSWER_S:g} s"
                await self._hold(f"{what}: a network file system may hang")
            return await scanning
        finally:
            scanning.cancel()

    async def _hold(self, reason: str) -> None:
        """Nothing newer can be known now: the last good specs go on."""
        self._cannot_read(reason)
        if self.scans:
            await self._hand_on(
                replace(self.desired, hold_reason=f"{reason}; the last good specs go on", hold_digest="")
            )
        else:
            log.warning("the specs cannot be read: %s", reason)

    def _warn(self, warning: str) -> None:
        if warning and warning != self._warning:
            log.warning("%s", warning)
        self._warning = warning

    async def _hand_on(self, desired: Desired, *, first: bool = False) -> None:
        """Tell people what is new, in slices where it is much, then the loop; until then what was before counts."""
        before = self.desired
        found = difference(before, desired)
        self._tell_problems(before.problems, desired.problems)
        if desired.hold_reason and desired.hold_reason != before.hold_reason:
            fields = {"confirm": desired.hold_digest or None}
            log.warning("specs are held: %s", desired.hold_reason, extra={"fields": fields})
        elif before.hold_reason and not desired.hold_reason:
            log.info("specs are no longer held")
        for count, worker_id in enumerate(sorted(found.accepted), 1):
            self._tell_accepted(before.workers.get(worker_id), desired.workers[worker_id], desired)
            if count % TOLD == 0:
                await asyncio.sleep(0)
        for count, worker_id in enumerate(sorted(found.gone), 1):
            self._tell_gone(worker_id, desired)
            if count % TOLD == 0:
                await asyncio.sleep(0)
        self.desired = desired
        if first:
            counts = {"workers": len(desired.workers), "problems": len(desired.problems)}
            log.info("specs read", extra={"fields": counts})
        held = (before.hold_reason, before.hold_digest) != (desired.hold_reason, desired.hold_digest)
        # Also where nothing is to be done: what waits for a confirmation, and the problems, are read from it.
        self._accept(desired, None if first or held else found.touched)

    def _tell_gone(self, worker_id: str, desired: Desired) -> None:
        self._archive.drop_spec(worker_id)
        removal = desired.removed.get(worker_id)
        if removal is not None:
            log.info("spec removed", extra={"fields": {"worker": worker_id, "proof": removal.proof}})
            self._event("spec_removed", worker_id, removal.proof)

    def _tell_accepted(self, before: DesiredWorker | None, worker: DesiredWorker, desired: Desired) -> None:
        if worker.absent:
            return  # It is about to be gone.
        self._archive.keep_spec(worker)
        if before is not None and before.spec == worker.spec and before.revision == worker.revision:
            return  # Only its place or its problems changed.
        if before is None and not self._archive.is_news(worker):
            return  # Accepted before this start.
        fields = {"worker": worker.worker_id, "file": str(worker.source), "revision": worker.revision}
        log.info("spec accepted", extra={"fields": fields})
        source = worker.source
        data = {"file": source.file, "line": source.line, "commit": desired.commits.get(source.file)}
        told = f"{source} at revision {worker.revision}"
        self._event("spec_accepted", worker.worker_id, told, {**data, **self._told(worker)})

    def _told(self, worker: DesiredWorker) -> dict[str, object]:
        """What history tells of an accepted spec: itself, where it is not too long, and which file it was read from."""
        spec, content = shown_fields(worker.spec), self.source.content(worker.source.file)
        return {
            "revision": worker.revision,
            "etag": None if content is None else etag_of(content),
            "spec": spec if len(repr(spec)) <= MOST_TOLD else None,
        }

    def _tell_problems(self, before: tuple[Problem, ...], after: tuple[Problem, ...]) -> None:
        known = set(before)
        for problem in after:
            if problem not in known:
                log.warning("%s", problem)
                self._event("spec_rejected", problem.worker_id, str(problem))
        for file in sorted({problem.file for problem in before} - {problem.file for problem in after}):
            log.info("problems solved", extra={"fields": {"file": file}})

    def _event(
        self, kind: str, worker_id: str | None, message: str, data: Mapping[str, object] | None = None
    ) -> None:  # fmt: skip
        self._archive.keep_own(
            Event(at=self._clock.now(), type=kind, worker_id=worker_id, actor="specs", message=message, data=data or {})
        )
