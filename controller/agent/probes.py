"""The probes of all slots: one task for each that is due, gone as soon as it is not.

Which are due and what is a verdict is probe_counts.py's; a single check is probe_checks.py's; what a verdict means is
the machine's. An edit of a probe begins its count anew and touches nothing else.

Time is what this process really had: waits are cut into slices, and a slice that took longer (we were stopped, the host
was short of CPU) counts as little more than a slice. So a stalled agent makes no failures. First checks are spread.

`log_line` is not asked but listened for: a line that matches within the period is a success at once. For startup and
readiness every line of the run counts, from its beginning, also what was written while no agent was there, and one is
enough for ever; for liveness each period needs a new one.

`heartbeat` is not asked either: heartbeats.py knows when the run was last heard, and from where.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from .decisions import Dice
from .heartbeats import Heartbeats
from .logs import ReadError
from .orders import Orders
from .probe_checks import LineSearch, Result, check_http, check_tcp
from .probe_counts import Probe, Tally, due_probes
from .remarks import Remarks
from .states import ProbeFailed, ProbePassed, Slot
from .views import plain_text

SLICE_S = 0.05
BEHIND_S = 0.02
LEFT_S = 600.0
FIRST_WITHIN_S = 1.0
SAID_LIMIT = 200
_log = logging.getLogger("agent")


@dataclass(frozen=True)
class Ground:
    """What probes stand on. `read` is that of the logs; `folder` is where exec probes write.

    `remarks` takes what a failing check says.
    """

    slot: Callable[[str], Optional[Slot]]
    feed: Callable[[str, Union[ProbePassed, ProbeFailed]], None]
    dice: Callable[[], Dice]
    read: Callable[[str, str, int, int], tuple[dict[str, Any], bytes]]
    folder: str
    remarks: Remarks
    heartbeats: Heartbeats


LATE_LOOK_S = 1.0
"""How often it is looked whether a run that is late with its heartbeat has been heard again."""
DOUBT_S = 0.3
"""A run that seems silent may have spoken while we were stalled: so long we listen before it is failed."""
LATE_S = 1.0
"""How long after its end a cancelled probe's process may still make its files."""


class Probes:
    """One per agent."""

    def __init__(self, ground: Ground, orders: Orders) -> None:
        self._ground = ground
        self._orders = orders
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, list[asyncio.Event]] = {}
        os.makedirs(ground.folder, mode=0o700, exist_ok=True)
        for name in os.listdir(ground.folder):
            with contextlib.suppress(OSError):
                os.unlink(f"{ground.folder}/{name}")

    def follow(self, name: str, slot: Optional[Slot]) -> None:
        """The slot has changed: make the probes that are due now, and no others."""
        due = due_probes(slot)
        running = self._tasks.get(name)
        if not due and running is None:
            return
        wanted = {f"{slot.run} {sorted(probe.items())}": probe for probe in due} if slot is not None else {}
        tasks = self._tasks.setdefault(name, {})
        for key in [key for key in tasks if key not in wanted]:
            self._end(tasks.pop(key))
        for key, probe in wanted.items():
            if key not in tasks and slot is not None and slot.run is not None:
                tasks[key] = asyncio.ensure_future(self._run(name, slot.run, probe))
        if not tasks:
            del self._tasks[name]

    async def close(self) -> None:
        """End all of them."""
        for name in list(self._tasks):
            self.follow(name, None)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.cancel()

    def new_output(self, run: str) -> None:
        """A run has written something."""
        if run in self._listeners:
            for event in self._listeners[run]:
                event.set()

    def tidy(self) -> None:
        """Remove what killed probes have left."""
        for name in os.listdir(self._ground.folder):
            path = f"{self._ground.folder}/{name}"
            with contextlib.suppress(OSError):
                if time.time() - os.stat(path).st_mtime > LEFT_S:
                    os.unlink(path)

    async def _run(self, name: str, run: str, probe: Probe) -> None:
        remarks = self._ground.remarks
        try:
            while True:
                try:
                    await self._probe(name, run, probe)
                except Exception:
                    # One probe's bug is one probe's, and says nothing about the run.
                    _log.exception("internal error: %s: %s probe", name, probe["kind"])
                    await asyncio.sleep(probe["period_ms"] / 1000.0)
                else:
                    return
        finally:
            remarks.fine(name, probe["kind"])

    async def _probe(self, name: str, run: str, probe: Probe) -> None:
        if probe["check"] == "heartbeat":
            await self._attend(name, run, probe)
            return
        period = probe["period_ms"] / 1000.0
        tally = Tally()
        slot = self._ground.slot(name)
        if probe["check"] == "log_line":
            if probe["kind"] == "readiness" and slot is not None and slot.ready:
                return  # Found by an agent before us: what was written stays written.
            check = self._listening(run, probe)
        else:
            check = self._asking(name, probe)
            spread = period if slot is not None and slot.ready else min(period, FIRST_WITHIN_S)
            await asyncio.sleep(self._ground.dice().fraction * spread)
        while True:
            result, spent = await check()
            if result.ok is None:
                self._remark(name, probe, Tally(), result)
            else:
                tally = tally.counted(ok=result.ok)
                self._remark(name, probe, tally, result)
                verdict = tally.verdict(probe)
                if verdict is True:
                    self._ground.feed(name, ProbePassed(run, probe["kind"]))
                elif verdict is False:
                    times = "" if tally.failures == 1 else f" ({tally.failures} times in a row)"
                    self._ground.feed(name, ProbeFailed(run, probe["kind"], result.message + times))
            if result.ok and probe["check"] == "log_line" and probe["kind"] != "liveness" and verdict:
                return  # What was written stays written.
            await asyncio.sleep(max(0.0, period - spent))

    def _remark(self, name: str, probe: Probe, tally: Tally, result: Result) -> None:
        if result.ok:
            self._ground.remarks.fine(name, probe["kind"])
        elif result.message:
            self._ground.remarks.failing(name, probe, tally, result.message)

    # --- what must come by itself ---

    async def _attend(self, name: str, run: str, probe: Probe) -> None:
        """Until cancelled: say it where the run has been silent for half of its time, and fail it after all of it."""
        loop, heartbeats = asyncio.get_running_loop(), self._ground.heartbeats
        limit = probe["timeout_ms"] / 1000.0
        voice = heartbeats.begin(run, loop.time())
        try:
            while True:
                silence = heartbeats.silence(run, loop.time())
                words = "" if silence is None else f"no heartbeat for {silence:.{0 if limit >= 10 else 1}f} s"
                if silence is None or silence < limit / 2:
                    self._ground.remarks.fine(name, probe["kind"])
                    pause = limit / 2 - (silence or 0.0)
                elif silence < limit or not await self._is_still_silent(run, limit):
                    text = f"{words}; without one it is ended after {limit:g} s"
                    self._ground.remarks.failing(name, probe, Tally(), text)
                    pause = min(limit - silence, LATE_LOOK_S)
                else:
                    self._ground.feed(name, ProbeFailed(run, probe["kind"], f"{words}, asked for every {limit:g} s"))
                    pause = limit
                await asyncio.sleep(max(pause, SLICE_S))
        finally:
            heartbeats.end(voice)

    async def _is_still_silent(self, run: str, limit: float) -> bool:
        """After a moment that was really ours: where we were stalled, what it said may lie unread."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(DOUBT_S)
            if loop.time() - before < 2 * DOUBT_S:
                silence = self._ground.heartbeats.silence(run, loop.time())
                return silence is not None and silence >= limit

    # --- what is asked ---

    def _asking(self, name: str, probe: Probe) -> Callable[[], Coroutine[Any, Any, tuple[Result, float]]]:
        async def check() -> tuple[Result, float]:
            work = {"http": check_http, "tcp": check_tcp}.get(probe["check"])
            seconds = probe["timeout_ms"] / 1000.0
            found, spent = await own_time(work(probe) if work is not None else self._execute(name, probe), seconds)
            return (Result(False, f"no answer within {seconds:.1f} s") if found is None else found), spent

        return check

    async def _execute(self, name: str, probe: Mapping[str, Any]) -> Result:
        slot = self._ground.slot(name)
        if slot is None:
            return Result(None)
        run = f"{self._ground.dice().run}-probe"
        outputs = (f"{self._ground.folder}/{run}.stdout", f"{self._ground.folder}/{run}.stderr")
        try:
            outcome = await self._orders.probe(slot, run, list(probe["argv"]), outputs)
            said = "" if outcome.ok else _last_line(outputs)
        except asyncio.CancelledError:
            # It is being killed, perhaps before it has opened them.
            asyncio.get_running_loop().call_later(LATE_S, _remove, outputs)
            raise
        finally:
            _remove(outputs)
        message = f"{probe['argv'][0]} {outcome.message}"
        return Result(outcome.ok if outcome.is_known else None, f"{message}: {said}" if said else message)

    # --- what is listened for ---

    def _listening(self, run: str, probe: Probe) -> Callable[[], Coroutine[Any, Any, tuple[Result, float]]]:
        search = LineSearch(run, probe["pattern"], self._ground.read)
        period = probe["period_ms"] / 1000.0
        if probe["kind"] == "liveness":
            with contextlib.suppress(ReadError):
                search.skip_to_end()

        async def heard() -> Result:
            fresh = asyncio.Event()
            self._listeners.setdefault(run, []).append(fresh)
            try:
                while True:
                    fresh.clear()
                    with contextlib.suppress(ReadError):
                        if search.look():
                            return Result(True)
                    if search.is_behind:
                        await asyncio.sleep(BEHIND_S)
                    else:
                        await fresh.wait()
            finally:
                self._listeners[run].remove(fresh)
                if not self._listeners[run]:
                    del self._listeners[run]

        async def check() -> tuple[Result, float]:
            found, spent = await own_time(heard(), period)
            if found is not None:
                # The next success needs a new line; one that comes at once is not waited for a whole period.
                return found, spent if probe["kind"] == "liveness" else period
            text = f"no line matches {plain_text(probe['pattern'], 100)!r} within {period:.1f} s"
            return Result(False, text), period

        return check


async def own_time(work: Coroutine[Any, Any, Result], seconds: float) -> tuple[Optional[Result], float]:
    """What `work` returns, and the seconds of our own that it took; None where they were not enough."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    piece, spent = max(SLICE_S, seconds / 8), 0.0
    try:
        while spent < seconds:
            before = loop.time()
            done, _ = await asyncio.wait({task}, timeout=min(piece, seconds - spent))
            spent += min(loop.time() - before, 2 * piece)
            if done:
                return task.result(), spent
        return None, spent
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _last_line(paths: tuple[str, str]) -> str:
    """What an exec probe said last, error output first; bounded, and safe to show."""
    for path in reversed(paths):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read(4096).decode("utf-8", "replace").strip().splitlines()
            if lines:
                return plain_text(lines[-1], SAID_LIMIT)
    return ""
