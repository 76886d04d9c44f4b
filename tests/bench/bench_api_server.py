"""The controller with a sampler of its event loop inside, as bench_api.py starts it. Not a test.

Measured is each callback of the loop: its wall time, and the CPU time of the loop's thread, which another process on
the same cores does not change. A ticker beside it tells how late the loop comes to what is due. Handlers of reading
routes are timed from their call to their answer.

A line on standard input ends a phase: what it brought is one JSON object on standard output.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from array import array
from asyncio import events
from dataclasses import dataclass, field, replace
from typing import Any

from controller.api import routes
from controller.api.call import Call
from controller.cli.main import root as workerctl

TICK_S = 0.005
WORST = 5
_HANDLE: Any = events.Handle
_run = _HANDLE._run  # the one place that every callback passes


@dataclass
class Phase:
    """What was seen since the last line."""

    began: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)
    wall: array[float] = field(default_factory=lambda: array("d"))
    own: array[float] = field(default_factory=lambda: array("d"))
    lag: array[float] = field(default_factory=lambda: array("d"))
    worst: list[tuple[float, float, str]] = field(default_factory=list)
    handlers: dict[str, list[float]] = field(default_factory=dict)
    collecting: float = 0.0
    collections: list[float] = field(default_factory=list)

    def note(self, wall: float, own: float, handle: Any) -> None:
        self.wall.append(wall)
        self.own.append(own)
        if own > 0.005 and (len(self.worst) < WORST or own > self.worst[-1][0]):
            self.worst = sorted([*self.worst, (own, wall, _name(handle)[-160:])], reverse=True)[:WORST]

    def told(self) -> dict[str, Any]:
        seconds = time.perf_counter() - self.began
        return {
            "seconds": seconds,
            "busy": (time.process_time() - self.cpu) / seconds,
            "loop_busy": sum(self.own) / seconds,
            "callback_ms": _figures(self.wall),
            "callback_cpu_ms": _figures(self.own),
            "lag_ms": _figures(self.lag),
            "collections_ms": [round(took * 1000) for took in sorted(self.collections)[-WORST:]],
            "worst": [f"{own * 1000:.0f} ms CPU, {wall * 1000:.0f} ms: {name}" for own, wall, name in self.worst],
            "handlers_ms": {name: _figures(array("d", seen)) for name, seen in self.handlers.items()},
        }


phase = Phase()


def _figures(seen: array[float]) -> dict[str, float]:
    if not seen:
        return {}
    ordered = sorted(seen)
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    } | {"count": len(ordered)}


def _name(handle: Any) -> str:
    task = getattr(handle._callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return str(getattr(handle._callback, "__qualname__", handle._callback))
    names: list[str] = []
    step: Any = task.get_coro()
    while name := getattr(step, "__qualname__", ""):
        names.append(name)
        step = getattr(step, "cr_await", None)
    return f"{task.get_name()}: {' > '.join(names)}"


def _collected(stage: str, info: dict[str, int]) -> None:
    """A look of the garbage collector at everything, which keeps all threads waiting."""
    if stage == "start":
        phase.collecting = time.thread_time()
    elif info["generation"] == 2:
        phase.collections.append(time.thread_time() - phase.collecting)


def _timed(handle: Any) -> None:
    if not phase.wall and not phase.lag:
        asyncio.get_running_loop().call_soon(_tick, asyncio.get_running_loop().time(), phase)
    wall, own = time.perf_counter(), time.thread_time()
    _run(handle)
    phase.note(time.perf_counter() - wall, time.thread_time() - own, handle)


def _tick(due: float, of: Phase) -> None:
    """One ticker for each phase, gone with it."""
    loop = asyncio.get_running_loop()
    of.lag.append(max(0.0, loop.time() - due))
    if of is phase:
        loop.call_later(TICK_S, _tick, loop.time() + TICK_S, of)


def _timed_route(route: routes.Route) -> routes.Route:
    async def handler(call: Call) -> Any:
        began = time.thread_time()
        try:
            return await route.handler(call)
        finally:
            if "follow" not in call.request.query and "stream" not in route.path:
                phase.handlers.setdefault(f"{route.method} {route.path}", []).append(time.thread_time() - began)

    return replace(route, handler=handler)


def _answer() -> None:
    global phase
    for _ in sys.stdin:
        over, phase = phase, Phase()
        print(json.dumps(over.told()), flush=True)


def main() -> None:
    _HANDLE._run = _timed
    gc.callbacks.append(_collected)
    routes.TABLE = tuple(_timed_route(route) for route in routes.TABLE)
    threading.Thread(target=_answer, daemon=True).start()
    workerctl()


if __name__ == "__main__":
    main()
