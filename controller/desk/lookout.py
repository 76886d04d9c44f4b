"""The lookout: told that something changed, it finds out what, has it judged, and rings the bells.

Whatever changed within `GATHER_S` is looked at together, once, however many are there to see it; a look at many workers
goes in slices, between which requests are answered. Nobody who asks depends on it: what is read is brought up to date
by the reading. Used from the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from controller.api.changes import BellTower
from controller.api.ports import Document, Topic
from controller.core.desired import Desired
from controller.core.keeps import with_keeps
from controller.core.picture import Picture, picture_of
from controller.core.views import Beside
from controller.desk.parts import Parts
from controller.desk.roster import Facts, Roster

GATHER_S = 0.05
"""Changes of one burst are looked at together."""

log = logging.getLogger("workerctl.loop")


class Lookout:
    """See the header. `judge(worker_ids)` is called for what changed, None where it may be anything."""

    def __init__(self, parts: Parts, tower: BellTower, judge: Callable[[Iterable[str] | None], None]) -> None:
        self._loop, self._specs, self._wishes = parts.loop, parts.specs, parts.wishes
        self._heartbeats, self._clock = parts.heartbeats, parts.clock
        self._tower, self._judge = tower, judge
        self.roster = Roster()
        self.looks = 0
        self._changed: set[str] | None = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_looking = False

    # --- what changes ---

    def changed(self, worker_ids: Iterable[str] | None) -> None:
        """Something about these workers (None: any) is new."""
        if worker_ids is None:
            self._changed = None
        elif self._changed is not None:
            self._changed.update(worker_ids)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._begin)

    def _begin(self) -> None:
        """One look at a time: what changes during a long one is the next one's."""
        self._timer = None
        if self._is_looking:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._begin)
            return
        slices = self.roster.refreshed(self.facts(), self._clock.now())
        self._is_looking = True
        changed, self._changed = self._changed, set()
        self.looks += 1
        self._look(slices, changed)

    def _look(self, slices: Iterator[None], changed: set[str] | None) -> None:
        """One slice. No task: a loop that ends in the middle of a look has nothing to wait for."""
        try:
            for _ in slices:
                asyncio.get_running_loop().call_soon(self._look, slices, changed)
                return
            self._judge(changed)
        except Exception:  # one look: the next one looks anew
            log.exception("internal error: a look at the workers failed")
        self._is_looking = False
        for worker_id in (None,) if changed is None else self.roster.news() | changed:
            self._tower.ring(Topic.WORKERS, worker_id)

    # --- what is read ---

    def workers(self) -> Sequence[Document]:
        """All list items as they are now."""
        return self.roster.items(self.facts(), self._clock.now())

    async def prepare(self) -> None:
        """Make `workers` cheap, in slices."""
        for _ in self.roster.made(self.facts(), self._clock.now()):
            await asyncio.sleep(0)

    def one(self, worker_id: str) -> tuple[Picture, Beside] | None:
        """One worker as it is now, with what stands beside it; None where nothing is left to tell of it."""
        return self.roster.one(worker_id, self.facts(), self._clock.now())

    def facts(self) -> Facts:
        """Everything that is shown."""
        return Facts(
            desired=self.desired(),
            observed=self._loop.observed(),
            holds=self._loop.held(),
            told=self._heartbeats.news(),
            reported=self._heartbeats.reported_of,
        )

    def picture(self, worker_id: str) -> Picture:
        """One worker as it is, known or not."""
        return picture_of(worker_id, self.desired(), self._loop.observed())

    def desired(self) -> Desired:
        """What is desired now, with what people keep otherwise for a while."""
        return with_keeps(self._specs.desired, self._wishes.intents, self._clock.now())
