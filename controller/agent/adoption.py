"""What the keeper says, brought together with the slots: at the start of the agent, and while it runs.

The keeper's `runs` holds everything that matters (level, not edge): first thing every new agent hears, and again
whenever events to us had to be dropped. Each run is either a slot's own, or belongs to a slot that has none (adopted:
our record of it was lost; or nobody here asked for it, see orphans.py), or is a stray: kept aside until a slot of its
name is applied, or until everything stops.
A second live run beside a slot's own is killed at once: no slot ever has two.

A slot whose run the keeper does not know was never started or has ended unseen. At the first `runs` that is certain:
the keeper carries out what a dead agent had sent before it starts the next one. Later it is certain only for a `runs`
that answers a `list` sent after the order, so that is asked for first. What is still being prepared is not missing.

Runs that are no worker (hooks, exec probes) are handed to errands.py.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Collection, Mapping
from signal import SIGKILL, SIGTERM
from typing import Any, Optional

from . import procfs
from .errands import Errands, is_errand
from .fleet import Fleet, spawn_failure
from .orphans import Orphans
from .states import BUSY, Exited, Found, GroupEmptied, Missing, Phase, Spawned, Wish

Frame = dict[str, Any]

_HOST_AT_FAULT = frozenset({
    errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ENOSPC, errno.EDQUOT, errno.ETXTBSY, errno.EBUSY,
    errno.ESHUTDOWN, errno.EIO,
})  # fmt: skip
_log = logging.getLogger("agent")


class Adoption:
    """The keeper's frames, in order.

    `greeted` is set once the first `runs` has been worked off; `had_live`: something was alive then. `newest` holds
    the wishes that the records told of, until then. `preparing` names runs whose order has not left us yet, and
    `has_died_of_oom(slot)` says whether the kernel has killed in the slot's cgroup since its run began.
    """

    def __init__(
        self,
        fleet: Fleet,
        errands: Errands,
        orphans: Orphans,
        send: Callable[[Frame, Optional[Callable[[], None]]], None],
    ) -> None:
        self.greeted = asyncio.Event()
        self.had_live = False
        self.strays: dict[str, Frame] = {}
        self.newest: Mapping[str, Wish] = {}
        self.on_busy: Callable[[], None] = lambda: None
        self.has_died_of_oom: Callable[[str], bool] = lambda _slot: False
        self.preparing: Collection[str] = ()
        self._fleet = fleet
        self._errands = errands
        self._orphans = orphans
        self._send = send
        self._doubtful: Optional[set[str]] = None
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "runs": self._runs,
            "spawned": self._spawned,
            "spawn_failed": self._spawn_failed,
            "exited": self._exited,
            "group_empty": self._group_empty,
            "busy": lambda _frame: self.on_busy(),
        }

    def hear(self, frame: Frame) -> None:
        """One frame of the keeper. A bug of ours in one does not keep us from the next."""
        handler = self._handlers.get(str(frame.get("ev")))
        if handler is None:
            return
        try:
            handler(frame)
        except Exception as error:
            _log.exception("internal error: keeper frame %s", frame.get("ev"))
            self._fleet.tell("internal_error", f"internal error: {frame.get('ev')}: {error}")

    def offer(self, name: str) -> None:
        """A slot of this name was applied: a stray of it is its run."""
        self._orphans.forget(name)
        for run, info in list(self.strays.items()):
            if info["slot"] == name and info.get("exited") is None:
                del self.strays[run]
                self._claim(info)

    def living_strays(self) -> list[str]:
        """Runs that belong to no slot and have not ended."""
        return sorted(self.strays)

    def stop_strays(self, number: int = SIGTERM) -> None:
        """Everything stops, what belongs to nobody as well."""
        for run in self.living_strays():
            self._send({"op": "signal", "run": run, "signal": int(number), "scope": "group"}, None)

    # --- frames ---

    def _runs(self, frame: Frame) -> None:
        infos = {info["run"]: info for info in frame["runs"]}
        self.strays = {run: info for run, info in self.strays.items() if run in infos}
        # Looked up before anything is told: what a slot orders on hearing of its old run's end is not missing.
        known = self._fleet.by_run.keys() | self._fleet.by_hook.keys() | self._errands.open.keys()
        missing = known - infos.keys() - set(self.preparing)
        for info in infos.values():
            try:
                if is_errand(info):
                    self._errands.claim(info)
                else:
                    self._claim(info)
            except Exception as error:
                # One run that cannot be placed must not keep the others from their slots.
                _log.exception("internal error: run %s", info.get("run"))
                self._fleet.tell("internal_error", f"internal error: run {info.get('run')}: {error}")
        if not self.greeted.is_set():
            self.had_live = any(info.get("exited") is None for info in infos.values())
            self._report_missing(missing)
            self._orphans.drop([info["slot"] for info in infos.values() if info.get("exited") is None])
            self._fleet.sync(self.newest)
            self.newest = {}
            self._fleet.start_timers()
            self.greeted.set()
        elif self._doubtful is None:
            if missing:
                self._doubtful = missing
                self._send({"op": "list"}, None)
        else:
            doubtful, self._doubtful = self._doubtful, None
            self._report_missing(doubtful & missing)
        self._fleet.look_if_quiet()

    def _report_missing(self, runs: set[str]) -> None:
        for run in sorted(runs):
            name = self._fleet.by_run.get(run)
            if name is None:
                self._errands.lost(run, time.time())
            elif self._fleet.slots[name].phase in BUSY:
                self._fleet.feed(name, Missing())

    def _claim(self, info: Frame) -> None:
        """Find out whose a run is."""
        name, run = info["slot"], info["run"]
        slot = self._fleet.slots.get(name)
        if slot is not None and slot.run == run:
            self._tell_own(name, info)
        elif info.get("exited") is not None:
            is_alone = self._orphans.leaves_children(name) if slot is None else slot.wish.launch["stop_kill"] == "main"
            if info.get("group_empty") or is_alone:
                self._send({"op": "reap", "run": run, "force": not info.get("group_empty")}, None)
            else:
                self._end_rest(info)
        elif slot is None:
            if not info.get("spawning") and self._orphans.adopt(info, _revision(info["pid"])):
                return
            if run not in self.strays:
                _log.warning("run %s of %s belongs to no slot and is kept aside", run, name)
            self.strays[run] = info
        elif slot.phase in BUSY:
            self.strays[run] = info
            self._fleet.tell("stray_killed", f"a second process of the slot, pid {info['pid']}, was killed", slot=name)
            self._send({"op": "signal", "run": run, "signal": int(SIGKILL), "scope": "group"}, None)
        elif info.get("spawning"):
            self.strays[run] = info
        else:
            self._fleet.feed(name, Found(run, info["pid"], _revision(info["pid"]), info["spawned_at"]))

    def _end_rest(self, info: Frame) -> None:
        """Its leader has ended, and the slot does not know the run: nobody else would end what is left of it."""
        name, run = info["slot"], info["run"]
        if run not in self.strays:
            message = "what was left of an earlier run, whose leader has ended, was killed"
            self._fleet.tell("stray_killed", message, slot=name)
        self.strays[run] = info
        self._send({"op": "signal", "run": run, "signal": int(SIGKILL), "scope": "group"}, None)

    def _tell_own(self, name: str, info: Frame) -> None:
        run, ended = info["run"], info.get("exited")
        if ended is not None:
            self._fleet.feed(name, self._exit(name, run, ended))
            if info.get("group_empty"):
                self._fleet.feed(name, GroupEmptied(run))
        elif info.get("spawning"):
            return
        elif self._fleet.slots[name].phase is Phase.SPAWNING:
            self._fleet.feed(name, Spawned(run, info["pid"], info["spawned_at"]))
        else:
            self._fleet.feed(name, Found(run, info["pid"], None, info["spawned_at"]))

    def _exit(self, name: str, run: str, value: Mapping[str, Any]) -> Exited:
        oom = self.has_died_of_oom(name)
        return Exited(run, value["code"], value["signal"], value["known"], value["at"], oom)

    def _spawned(self, frame: Frame) -> None:
        if is_errand(frame):
            return  # What counts is how it ends.
        name = self._fleet.by_run.get(frame["run"])
        if name is not None:
            self._fleet.feed(name, Spawned(frame["run"], frame["pid"], frame["at"]))
        else:
            self.strays.pop(frame["run"], None)
            self._claim({**frame, "spawned_at": frame["at"], "exited": None})

    def _spawn_failed(self, frame: Frame) -> None:
        if is_errand(frame):
            self._errands.failed(frame)
            self._fleet.look_if_quiet()
            return
        self.strays.pop(frame["run"], None)
        name = self._fleet.by_run.get(frame["run"])
        if name is not None:
            # A record that cannot be written is never the worker's fault: its folder may have been removed.
            at_fault = _HOST_AT_FAULT | ({errno.ENOENT} if frame.get("stage") == "record" else set())
            self._fleet.feed(name, spawn_failure(frame, at_fault))

    def _exited(self, frame: Frame) -> None:
        if is_errand(frame):
            self._errands.exited(frame)
            return
        name = self._fleet.by_run.get(frame["run"])
        if name is not None:
            self._fleet.feed(name, self._exit(name, frame["run"], frame))
        elif frame["run"] in self.strays:
            self.strays[frame["run"]]["exited"] = frame

    def _group_empty(self, frame: Frame) -> None:
        run = frame["run"]
        name = self._fleet.by_run.get(run)
        if name is not None:
            self._fleet.feed(name, GroupEmptied(run))
        elif run in self._errands.open:
            self._errands.emptied(run)
            self._fleet.look_if_quiet()
        else:
            self.strays.pop(run, None)
            self._send({"op": "reap", "run": run}, None)
            self._fleet.look_if_quiet()


def _revision(pid: int) -> Optional[str]:
    """The revision that a process was started at, by its environment."""
    value = procfs.environ_value(pid, b"WORKER_REVISION")
    return None if value is None else value.decode("utf-8", "replace")
