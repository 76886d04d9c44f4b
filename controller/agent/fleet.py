"""All slots of this agent: feeds each event to the pure machine, keeps what follows, and carries out what it asks for.

The heart of the imperative shell. The order within one event is what makes a kill at any line harmless:
step -> runtime half written -> events journalled -> other effects, in order -> view pushed -> timer set -> followers
told. A slot that was persisted and whose order was not sent is found out at the next start, because the keeper does not
know its run; events that were not journalled, because the runtime half notes them (untold.py).

Rules: no decision is taken here (machine.py decides). Events of one slot are fed one after the other, also those that
effects cause. A bug in one slot's step is told of and hurts no other. The cost of an event does not grow with the
number of slots.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from . import views
from .alarms import Alarms
from .decisions import Dice
from .failpoints import failpoint
from .journal import Journal
from .machine import accepts, next_deadline, overruns, step
from .protocol import CAUSE_SPAWN
from .records import Loaded, Records, Tombstone, expired
from .sequence import Sequence
from .states import (
    BUSY,
    Adjourned,
    Applied,
    Effect,
    Emit,
    Heard,
    Now,
    Phase,
    Removed,
    Slot,
    SpawnFailed,
    Ticked,
    Wish,
)
from .untold import Note, event_value, note_of, still_untold

_SETTLED = (Phase.COMPLETED, Phase.FAILED)
_log = logging.getLogger("agent")


@dataclass(frozen=True)
class Outside:
    """Everything that the fleet acts through, but for orders. `push` tells all watching controllers.

    `close_logs(slot, run)` says that nothing more will come of a run; `drop_logs(slot)` that the slot is gone.
    """

    clock: Callable[[], Now]
    dice: Callable[[], Dice]
    push: Callable[[dict[str, Any]], None]
    close_logs: Callable[[str, str], None]
    drop_logs: Callable[[str], None]


def _unwired(*_arguments: object) -> None:
    raise AssertionError("the fleet is not wired yet")


class Fleet:
    """The slots. `busy` names those that have or may have a process or a hook; `by_run` and `by_hook` whose a run is.

    `on_quiet` is called when everything was to stop and nothing is busy any more. `perform` carries out an effect.
    `on_new` is called for a slot that was not known before its first wish is acted upon: a run of it may be about.
    `followers` are told of each change of a slot, with None when it is gone. `remark(name)` is what is said beside it.
    """

    def __init__(self, outside: Outside, records: Records, journal: Journal) -> None:
        self.slots: dict[str, Slot] = {}
        self.tombstones: dict[str, Tombstone] = {}
        self.figures: dict[str, views.Figures] = {}
        self.by_run: dict[str, str] = {}
        self.by_hook: dict[str, str] = {}
        self.busy: set[str] = set()
        self.adjourned_until: Optional[float] = None
        self.failure = ""
        self.perform: Callable[[Slot, Effect], None] = _unwired
        self.on_quiet: Callable[[], None] = _unwired
        self.on_new: Callable[[str], None] = lambda _name: None
        self.followers: list[Callable[[str, Optional[Slot]], None]] = []
        self.remark: Callable[[str], str] = lambda _name: ""
        self._outside = outside
        self._records = records
        self._journal = journal
        self._inbox: deque[tuple[str, Heard]] = deque()
        self._is_feeding = False
        self._unwritten: set[str] = set()
        self._graves: set[str] = set()
        self._dirty: dict[str, None] = {}
        self._alarms = Alarms(lambda: outside.clock().mono, lambda name: self.feed(name, Ticked()))
        self._loop = asyncio.get_running_loop()
        self._sequence = Sequence(self.slots, self.busy, self.feed)

    # --- commands ---

    def load(self, loaded: Loaded, *, adjourned_until: Optional[float]) -> None:
        """Take over what the records say. Nothing is decided before the keeper has told which runs there are."""
        self.adjourned_until = adjourned_until
        self.tombstones = dict(loaded.tombstones)
        for name, remembered in loaded.slots.items():
            slot = replace(remembered.slot, suspended=adjourned_until is not None)
            self.slots[name] = slot
            self._index(None, slot)
        for event in list(still_untold(self._journal, loaded.notes)):
            self._journal.append(event, mono=self._outside.clock().mono)

    def sync(self, newest: Mapping[str, Wish]) -> None:
        """Bring slots in line with the newest wishes that were recorded; those they have may be older."""
        if self.adjourned_until is None:
            self._sequence.hold(newest)
        for name, wish in sorted(newest.items()):
            if wish.removed:
                self.feed(name, Removed(wish.generation))
            # What everything-stops has to say to a slot comes in the order of stopping.
            if self.adjourned_until is None or wish != self.slots[name].wish:
                self.feed(name, Applied(wish))

    def verdict(self, name: str, wish: Wish) -> str:
        """Whether a wish may be applied: empty, `same` or `stale`."""
        tombstone = self.tombstones.get(name)
        if tombstone is not None:
            return "" if wish.generation > tombstone.generation else "stale"
        return accepts(self.slots.get(name), wish)

    def apply(self, name: str, wish: Wish) -> None:
        """Take a new wish, accepted by `verdict`. It is durable once the flusher has flushed."""
        if name not in self.slots:
            now = self._outside.clock()
            suspended = self.adjourned_until is not None
            self.slots[name] = Slot(name=name, wish=wish, suspended=suspended, since=now.wall)
            self.tombstones.pop(name, None)
            self._dirty_view(name)
            self.on_new(name)
        failpoint("agent.before_apply_durable")
        self.feed(name, Applied(wish))
        self._sequence.release(name)
        if name in self.slots:
            self._records.save(self.slots[name])
        failpoint("agent.after_apply_durable")

    def look_again(self, name: str) -> None:
        """What the slot waited for may be there now."""
        if name in self.slots:
            self.feed(name, Applied(self.slots[name].wish))

    def remove(self, name: str, generation: int) -> str:
        """Remove a slot. Returns empty or `stale`."""
        slot, tombstone = self.slots.get(name), self.tombstones.get(name)
        if slot is None:
            if tombstone is not None and generation < tombstone.generation:
                return "stale"
            if tombstone is None or generation > tombstone.generation:
                self._bury(name, generation)
            return ""
        if slot.wish.removed and generation == slot.wish.generation:
            return ""
        if generation <= slot.wish.generation:
            return "stale"
        self.feed(name, Removed(generation))
        if name in self.slots:
            self._records.save(self.slots[name])
        return ""

    def generation(self, name: str) -> int:
        """The newest generation that is known of a slot; 0 for none."""
        if name in self.slots:
            return self.slots[name].wish.generation
        return self.tombstones[name].generation if name in self.tombstones else 0

    def adjourn(self, deadline: float) -> None:
        """Stop everything, at the latest at `deadline` (mono); start nothing until `resume`."""
        self.adjourned_until = deadline
        self._sequence.stop_all(deadline, self._outside.clock().mono)
        self.look_if_quiet()

    def kill_now(self) -> None:
        """After `adjourn`: the grace is over for all."""
        if self.adjourned_until is None:
            return
        self.adjourned_until = self._outside.clock().mono
        self._sequence.hurry()
        for name in sorted(self.busy):
            self.feed(name, Adjourned(self.adjourned_until))
            self.feed(name, Ticked())

    def resume(self) -> None:
        """What was adjourned may start again."""
        self.adjourned_until = None
        self._sequence.start_all()

    def look_if_quiet(self) -> None:
        """Tell when everything was to stop and has."""
        if self.adjourned_until is not None and not self.busy:
            self.on_quiet()

    def hook_owner(self, run: str) -> Optional[Slot]:
        """The slot whose hook a run is."""
        return self.slots.get(self.by_hook.get(run, ""))

    def view(self, name: str) -> dict[str, Any]:
        """The slot as the protocol shows it."""
        figures = self.figures.get(name, views.NO_FIGURES)
        return views.view(self.slots[name], self._outside.clock(), figures, self.remark(name))

    def show(self, name: str) -> None:
        """Push the slot's view anew: something that is shown beside it has changed."""
        if name in self.slots:
            self._dirty_view(name)

    def tell(
        self, kind: str, message: str, *, slot: Optional[str] = None, data: Optional[dict[str, Any]] = None
    ) -> None:
        """One event that comes from no machine."""
        _log.info("%s%s: %s", kind, f" {slot}" if slot else "", message)
        now = self._outside.clock()
        self._journal.append(event_value(slot, Emit(kind, message, None, "", data or {}), now), mono=now.mono)

    async def tidy(self) -> None:
        """Now and then: what could not be written before, and what is left of slots that are gone."""
        graves, self._graves = self._graves, set()
        if graves:
            await self._records.durable()
            for name in graves - self.slots.keys():
                self._records.clear(name)
        for name in sorted(self._unwritten):
            if name in self.slots:
                self._write(self.slots[name])
        for name in list(expired(self.tombstones, self._outside.clock().wall)):
            del self.tombstones[name]
            self._records.forget(name)

    # --- one event ---

    def feed(self, name: str, event: Heard) -> None:
        """One event of one slot, after those that are on their way."""
        self._inbox.append((name, event))
        if self._is_feeding:
            return
        self._is_feeding = True
        try:
            while self._inbox:
                self._take(*self._inbox.popleft())
        finally:
            self._is_feeding = False
        self.look_if_quiet()

    def _take(self, name: str, event: Heard) -> None:
        before = self.slots.get(name)
        if before is None:
            return
        try:
            after, effects = self._step(before, event)
            now = self._outside.clock()
            events = [event_value(name, effect, now) for effect in effects if isinstance(effect, Emit)]
            if after != before:
                self._keep(before, after, note_of(self._journal, events))
            for value in events:
                self._journal.append(value, mono=now.mono)
            for effect in effects:
                if not isinstance(effect, Emit):
                    self.perform(after, effect)
        except Exception as error:
            # One slot's bug is one slot's: it stays as it was, and its timer rests until its next event.
            _log.exception("internal error: %s: %s", name, type(event).__name__)
            self._alarms.set(name, None)
            self.tell("internal_error", f"internal error: {type(event).__name__}: {error}", slot=name)
            return
        if after.phase is Phase.GONE:
            self._bury(name, after.wish.generation)
        elif after != before:
            self._dirty_view(name)
            self._shorten(after)
            self._tell_followers(name, after)
        self._rearm(name)

    def _tell_followers(self, name: str, slot: Optional[Slot]) -> None:
        self._sequence.changed()
        for follow in self.followers:
            try:
                follow(name, slot)
            except Exception:
                # Who follows must not keep the slot from its life.
                _log.exception("internal error: %s: follower", name)

    def _step(self, slot: Slot, event: Heard) -> tuple[Slot, tuple[Effect, ...]]:
        result = step(slot, event, self._outside.clock(), self._outside.dice())
        return result.slot, result.effects

    def _keep(self, before: Slot, after: Slot, note: Optional[Note]) -> None:
        self.slots[after.name] = after
        self._index(before, after)
        failpoint("agent.before_persist")
        self._write(after, note)
        failpoint("agent.after_persist")
        if before.phase is not after.phase and (before.phase in _SETTLED or after.phase in _SETTLED):
            self._records.save(after)

    def _write(self, slot: Slot, note: Optional[Note] = None) -> None:
        """The runtime half. Supervision goes on without it: a start of ours would then adopt by the keeper's word."""
        try:
            self._records.save_runtime(slot, note)
        except OSError as error:
            self._unwritten.add(slot.name)
            self.failure = f"cannot write the runtime record of {slot.name}: {error}"
            _log.warning("%s", self.failure)
        else:
            if self._unwritten:
                self._unwritten.discard(slot.name)
                self.failure = self.failure if self._unwritten else ""

    def _index(self, before: Optional[Slot], after: Slot) -> None:
        if before is not None and before.run is not None and before.run != after.run:
            self.by_run.pop(before.run, None)
            self.figures.pop(after.name, None)
            self._outside.close_logs(after.name, before.run)
        if after.run is not None:
            self.by_run[after.run] = after.name
        if before is None or before.hook is not after.hook or before.aside is not after.aside:
            self._index_hooks(before, after)
        if after.phase in BUSY:
            self.busy.add(after.name)
        else:
            self.busy.discard(after.name)
            self.figures.pop(after.name, None)

    def _index_hooks(self, before: Optional[Slot], after: Slot) -> None:
        for hook in (before.hook, before.aside) if before is not None else ():
            if hook is not None:
                self.by_hook.pop(hook.run, None)
        for hook in (after.hook, after.aside):
            if hook is not None:
                self.by_hook[hook.run] = after.name

    def _bury(self, name: str, generation: int) -> None:
        tombstone = Tombstone(generation, self._outside.clock().wall)
        slot = self.slots.pop(name, None)
        self.tombstones[name] = tombstone
        self._records.bury(name, tombstone)
        failpoint("agent.after_remove")
        if slot is not None:
            self.busy.discard(name)
            self._graves.add(name)
            self._outside.drop_logs(name)
            self._dirty_view(name)
            self._tell_followers(name, None)

    def _shorten(self, slot: Slot) -> None:
        """While everything stops, a grace that began later (a start that was on its way) is cut short as well."""
        until = self.adjourned_until
        if until is not None and overruns(slot, until):
            self._inbox.append((slot.name, Adjourned(until)))

    # --- views and time ---

    def _dirty_view(self, name: str) -> None:
        """One push per slot and turn of the loop, however many events it had."""
        if not self._dirty:
            self._loop.call_soon(self._push_views)
        self._dirty[name] = None

    def _push_views(self) -> None:
        names, self._dirty = self._dirty, {}
        for name in names:
            if name in self.slots:
                self._outside.push({"push": "slot", "view": self.view(name)})
            else:
                self._outside.push({"push": "gone", "slot": name})

    def _rearm(self, name: str) -> None:
        slot = self.slots.get(name)
        self._alarms.set(name, None if slot is None else next_deadline(slot))

    def start_timers(self) -> None:
        """After loading and adoption: every slot's deadline, and all that follows slots."""
        for name, slot in list(self.slots.items()):
            self._rearm(name)
            self._tell_followers(name, slot)

    def stop(self) -> None:
        """No timer fires any more."""
        self._alarms.stop()


def spawn_failure(frame: dict[str, Any], transient: frozenset[int]) -> SpawnFailed:
    """The keeper's `spawn_failed` in the machine's words."""
    message = str(frame.get("message") or CAUSE_SPAWN)
    return SpawnFailed(frame["run"], message, frame.get("errno") in transient, frame["at"])
