"""What the agent remembers of its slots, in two halves, and how they are read back together.

STATE/agent/slots/<hash>.json is the durable half: the newest wish, what a finished slot came to, or the tombstone of a
removed one. Written through the Flusher (DESIGN section 6: fsync in groups, off the restart path).
RUNTIME/slots/<hash>.json is the runtime half: where the slot's life stands, *and the wish that was last stepped with*.
It is written, without fsync, before any effect is performed, and is void in another boot. That of a slot that is gone
stays until the tombstone is durable: between the two nobody must take the old wish for the newest.

Why the wish stands in both: the durable half lags by the length of an fsync, so after a kill of ours the runtime half
may know the newer wish; and an agent that was killed between the two finds, by the difference, the wish that it has
not yet acted upon, and acts once. The higher generation wins.

Each runtime half bears the incarnation of the state folder that it was written with. One of another incarnation (the
state folder was removed while the runtime folder stayed) whose slot has no durable half says nothing about what is
wanted: it is handed over as a leftover (orphans.py), for its run may live, and nothing is ever started because of it.
Where the slot has its durable half it counts, whatever it bears: an older copy of the state folder was put in place,
or its journal was lost, and how the slot lives in this boot is known from here alone.

A file that does not read is moved to `bad/` and told of; the others load.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Optional

from .flusher import Flusher, replace_file
from .protocol import CAUSE_REBOOT
from .shapes import exit_from, exit_value, field_of, object_of, slot_from, slot_name, state_value, wish_from, wish_value
from .states import BUSY, Exit, Phase, Slot, Wish
from .untold import Note, note_from

TOMBSTONES_KEPT = 5000
TOMBSTONE_AGE_S = 30 * 86400.0
_MAX_RECORD = 16 * 1024 * 1024


@dataclass(frozen=True)
class Tombstone:
    """A slot that is gone: what its last generation was, and when (wall) it went."""

    generation: int
    at: float


@dataclass(frozen=True)
class Remembered:
    """One slot as it was left; `newest` is the wish to bring it in line with (its own one may be older)."""

    slot: Slot
    newest: Wish


@dataclass
class Loaded:
    """All records. `quarantined` names the files that did not read, with the reason.

    `leftovers` are runtime halves of slots that nobody of this state folder has asked for. `notes`: untold.py.
    """

    slots: dict[str, Remembered] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    leftovers: dict[str, Slot] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True)
class _Durable:
    wish: Wish
    outcome: Mapping[str, Any]


class Stamp(NamedTuple):
    """What a runtime half must bear to be ours: this boot, and the incarnation of the state folder."""

    boot_id: str
    incarnation: str


def file_name(slot: str) -> str:
    """The name of a slot's record: a hash, because `web/0` is no file name."""
    return hashlib.sha256(slot.encode()).hexdigest()[:24] + ".json"


class Records:
    """Reads and writes both halves. One per agent, in the event loop's thread."""

    def __init__(self, durable: str, runtime: str, stamp: Stamp, flusher: Flusher) -> None:
        self._durable = durable
        self._runtime = runtime
        self._stamp = stamp
        self._flusher = flusher
        self._wish_texts: dict[str, tuple[Wish, str]] = {}
        for folder in (durable, runtime):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    # --- writing ---

    def save(self, slot: Slot) -> None:
        """The durable half: the wish, and the outcome where the slot has come to one."""
        value = {"slot": slot.name, "wish": wish_value(slot.wish), "outcome": self._outcome(slot)}
        self._flusher.replace(self._path(self._durable, slot.name), _encode(value))

    def save_runtime(self, slot: Slot, note: Optional[Note] = None) -> None:
        """The runtime half, in place when this returns, with the events that are to be told next. Raises OSError."""
        known = self._wish_texts.get(slot.name)
        if known is None or known[0] is not slot.wish:
            known = (slot.wish, json.dumps(wish_value(slot.wish)))
            self._wish_texts[slot.name] = known
        # What nobody has asked for is no more ours for the agent after us.
        stamp = self._stamp._replace(incarnation="") if slot.wish.unclaimed else self._stamp
        noted = {} if note is None else {"untold": note._asdict()}
        head = json.dumps({**stamp._asdict(), "slot": slot.name, **noted, "state": state_value(slot)}, default=str)
        text = f'{head[:-1]}, "wish": {known[1]}}}'
        try:
            replace_file(self._path(self._runtime, slot.name), text.encode(), sync=False)
        except FileNotFoundError:
            self._flusher.on_lost()
            raise

    def bury(self, name: str, tombstone: Tombstone) -> None:
        """The slot is gone: only its generation is kept."""
        value = {"slot": name, "removed": True, "generation": tombstone.generation, "at": tombstone.at}
        self._flusher.replace(self._path(self._durable, name), _encode(value))
        self._wish_texts.pop(name, None)

    def clear(self, name: str) -> None:
        """Remove the runtime half of a slot that is gone. Only when its tombstone is durable."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(self._runtime, name))

    def write_again(self, slots: Mapping[str, Slot], tombstones: Mapping[str, Tombstone]) -> None:
        """Both halves of everything, after a folder was lost. Raises OSError."""
        for name, tombstone in tombstones.items():
            self.bury(name, tombstone)
        for slot in slots.values():
            if not slot.wish.unclaimed:
                self.save(slot)
            self.save_runtime(slot)

    def forget(self, name: str) -> None:
        """Drop a tombstone that is too old or one too many."""
        self._flusher.remove(self._path(self._durable, name))

    async def durable(self) -> None:
        """Return when all that was saved or buried is durable. Raises OSError."""
        await self._flusher.flushed()

    # --- reading ---

    def load(self) -> Loaded:
        """All slots as they were left. After a reboot the runtime halves are void."""
        loaded = Loaded()
        durable: dict[str, _Durable] = {}

        def read_durable(value: Mapping[str, Any]) -> None:
            name = slot_name(value)
            if value.get("removed") is True:
                at = field_of(value, "at", (int, float))
                loaded.tombstones[name] = Tombstone(field_of(value, "generation", int), at)
                return
            outcome = value.get("outcome")
            durable[name] = _Durable(wish_from(field_of(value, "wish", dict)), outcome or {})
            exit_from(durable[name].outcome.get("last_exit"))

        runtime: dict[str, Slot] = {}
        former: dict[str, Slot] = {}

        def read_runtime(value: Mapping[str, Any]) -> None:
            name = slot_name(value)
            slot = slot_from(name, wish_from(field_of(value, "wish", dict)), value.get("state"))
            half = former if value.get("boot_id") != self._stamp.boot_id else loaded.leftovers
            (runtime if self._is_ours(value, has_other=name in durable) else half)[name] = slot
            note = note_from(value.get("untold"))
            if note is not None:
                loaded.notes.append(note)

        loaded.quarantined += _read_all(self._durable, read_durable)
        loaded.quarantined += _read_all(self._runtime, read_runtime)
        for name in [name for name, slot in runtime.items() if slot.phase is Phase.GONE]:
            self._finish_burial(runtime.pop(name), durable, loaded)
        for name in sorted(durable.keys() | runtime.keys()):
            remembered = self._join(durable.get(name), runtime.get(name), loaded.tombstones.get(name))
            if remembered is None:
                remembered = self._after_boot(name, durable[name], former.get(name)) if name in durable else None
            if remembered is not None:
                loaded.slots[name] = remembered
                loaded.tombstones.pop(name, None)
        return loaded

    def _is_ours(self, value: Mapping[str, Any], *, has_other: bool) -> bool:
        """Whether a runtime half counts: by its stamp, or because the slot has its other half."""
        is_of_us = has_other or value.get("incarnation", "") == self._stamp.incarnation
        return is_of_us and value.get("boot_id") == self._stamp.boot_id

    def _finish_burial(self, slot: Slot, durable: dict[str, _Durable], loaded: Loaded) -> None:
        """The slot was gone, and we died before its tombstone was written."""
        newest = durable.get(slot.name)
        if newest is not None and newest.wish.generation > slot.wish.generation:
            return
        durable.pop(slot.name, None)
        tombstone = Tombstone(slot.wish.generation, slot.since)
        if slot.name not in loaded.tombstones or loaded.tombstones[slot.name].generation < tombstone.generation:
            loaded.tombstones[slot.name] = tombstone
            self.bury(slot.name, tombstone)

    def _join(
        self, durable: Optional[_Durable], slot: Optional[Slot], tombstone: Optional[Tombstone]
    ) -> Optional[Remembered]:
        """Both halves of the same boot. None where the runtime half is not there or is older than the tombstone."""
        if slot is None or (tombstone is not None and tombstone.generation >= slot.wish.generation):
            return None
        if durable is None or slot.wish.generation > durable.wish.generation:
            self.save(slot)
            return Remembered(slot, slot.wish)
        return Remembered(slot, durable.wish)

    def _outcome(self, slot: Slot) -> Optional[dict[str, Any]]:
        if slot.phase not in (Phase.COMPLETED, Phase.FAILED):
            return None
        return {
            "phase": slot.phase.value,
            "reason": slot.reason,
            "message": slot.message,
            "since": slot.since,
            "last_exit": exit_value(slot.last_exit),
            "revision": slot.ran_revision,
            "restart_count": slot.restart_count,
            "run_number": slot.run_number,
            "boot_id": self._stamp.boot_id,
        }

    def _after_boot(self, name: str, durable: _Durable, former: Optional[Slot]) -> Remembered:
        """A slot without a runtime half: the host was rebooted, or the folder is gone.

        What had completed stays so; so does what gave up in this very boot, for nothing has changed since.
        """
        slot, outcome = _begun_anew(name, durable, former), durable.outcome
        stays = [Phase.COMPLETED.value]
        if outcome.get("boot_id") == self._stamp.boot_id:
            stays.append(Phase.FAILED.value)
        if outcome.get("phase") in stays:
            slot = replace(
                slot,
                phase=Phase(outcome["phase"]),
                reason=str(outcome.get("reason", "")),
                message=str(outcome.get("message", "")),
                since=outcome.get("since", 0.0),
            )
        return Remembered(slot, durable.wish)

    @staticmethod
    def _path(folder: str, name: str) -> str:
        return f"{folder}/{file_name(name)}"


def expired(tombstones: Mapping[str, Tombstone], now: float) -> Iterator[str]:
    """Names of the tombstones that need not be kept any longer."""
    newest_first = sorted(tombstones, key=lambda name: tombstones[name].at, reverse=True)
    for index, name in enumerate(newest_first):
        if index >= TOMBSTONES_KEPT or now - tombstones[name].at > TOMBSTONE_AGE_S:
            yield name


def _begun_anew(name: str, durable: _Durable, former: Optional[Slot]) -> Slot:
    """The slot with its counts, but without a life. `former`: its runtime half of another boot."""
    outcome = durable.outcome
    slot = Slot(name=name, wish=durable.wish)
    if former is not None:
        ended = former.last_exit
        if former.phase in BUSY and former.run is not None:
            ended = Exit(CAUSE_REBOOT, None, None, former.since, former.run)
        slot = replace(slot, run_number=former.run_number, restart_count=former.restart_count, last_exit=ended)
    if outcome:
        slot = replace(
            slot,
            run_number=outcome.get("run_number", 0),
            restart_count=outcome.get("restart_count", 0),
            last_exit=exit_from(outcome.get("last_exit")),
            ran_revision=outcome.get("revision"),
        )
    return slot


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _read_all(folder: str, read: Callable[[Mapping[str, Any]], None]) -> list[tuple[str, str]]:
    """Read every record of a folder; move those that do not read to `bad/`. Returns (file, reason) of these."""
    bad: list[tuple[str, str]] = []
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        if name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                os.unlink(path)
        elif name.endswith(".json"):
            try:
                read(_parse(name, _read(path)))
            except (OSError, ValueError, TypeError, RecursionError) as error:
                bad.append((name, str(error)))
                os.makedirs(f"{folder}/bad", mode=0o700, exist_ok=True)
                with contextlib.suppress(OSError):
                    os.replace(path, f"{folder}/bad/{name}")
    return bad


def _parse(name: str, data: bytes) -> dict[str, Any]:
    value = object_of(json.loads(data), "record")
    if file_name(slot_name(value)) != name:
        raise ValueError(f"the record of {value['slot']} under another's name")
    return value


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MAX_RECORD)
