"""The end of a controller: stop everything it can reach, in parallel and with progress, or leave everything running."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from controller.backends.base import BackendError
from controller.core.observed import HostView, ObservedInstance, Status
from controller.core.stopping import stop_seconds
from controller.reconcile.specs import SpecFeed

PROGRESS_S = 1.0
QUIET_S = 10.0
"""The same number left is told again this often only."""
READ_S = 3.0
"""When everything has stopped, the last lines have so long to be stored."""
LAST_S = 5.0
"""After the longest grace, this much more for the kills to be seen; and after each end that is: many take long."""

log = logging.getLogger("workerctl.stop")


class Stoppable(Protocol):
    """What of a back end is needed here."""

    closing: bool
    quiet: asyncio.Event
    gone: asyncio.Event

    def view(self) -> HostView: ...  # noqa: D102

    async def adjourn(self, deadline_s: float) -> None: ...  # noqa: D102

    async def kill_now(self) -> None: ...  # noqa: D102

    async def leave(self) -> None: ...  # noqa: D102


def _alive(view: HostView) -> list[ObservedInstance]:
    resting = (Status.STOPPED, Status.ERROR, Status.CRASHED)
    return [instance for instance in view.instances.values() if instance.pid or instance.status not in resting]


def keep_all(agent: Stoppable) -> None:
    """`--on-exit keep`: the agent goes on without us."""
    agent.closing = True
    view = agent.view()
    log.info("workers keep running", extra={"fields": {"count": len(_alive(view)) if view.reachable else None}})


async def stop_all(
    agent: Stoppable,
    specs: SpecFeed,
    timeout_s: float,
    insist: asyncio.Event,
    caught_up: Callable[[], Awaitable[None]],
) -> bool:
    """Adjourn the agent and wait until it has stopped everything and left.

    The agent stays until the last lines are stored (`caught_up`), so that the end of a worker can be read afterwards.
    Every worker gets its hooks and the grace of its spec, all of them together at most `timeout_s`; `insist` (a second
    signal) kills at once. Ends a few seconds after the longest of these, or after the last end that was seen, naming
    what is left. Whether all has stopped.
    """
    alive = _alive(agent.view())
    limit = min(timeout_s, _needed(alive, specs, timeout_s))
    log.info("stopping all workers", extra={"fields": {"count": len(alive), "within_s": limit}})
    try:
        await agent.adjourn(timeout_s)
    except BackendError as error:
        log.error("the agent cannot be reached; its workers keep running", extra={"fields": {"error": str(error)}})  # noqa: TRY400
        return False
    due = asyncio.get_running_loop().time() + limit
    until = due + LAST_S
    killed, told, told_at, fewest = False, len(alive), 0.0, len(alive)
    while not agent.gone.is_set() and asyncio.get_running_loop().time() < until:
        if agent.quiet.is_set():
            await _take_leave(agent, caught_up)
            until = max(until, asyncio.get_running_loop().time() + LAST_S)
        bells = [agent.gone, agent.quiet] if killed else [agent.gone, agent.quiet, insist]
        await _any_rings(bells)
        if insist.is_set() and not killed:
            killed = True
            log.warning("killing what still stops")
            await _kill(agent)
        elif not agent.gone.is_set():
            left, now = _alive(agent.view()), asyncio.get_running_loop().time()
            if len(left) < fewest:
                fewest, until = len(left), max(until, now + LAST_S)
            if left and (len(left) != told or now - told_at >= QUIET_S):
                told, told_at = len(left), now
                _progress(left, due - now)
    if agent.gone.is_set():
        log.info("all workers have stopped")
        return True
    left = _alive(agent.view())
    names = ", ".join(instance.instance for instance in left[:10])
    log.error("not all workers are known to have stopped", extra={"fields": {"left": len(left), "names": names}})
    return False


def _needed(alive: list[ObservedInstance], specs: SpecFeed, unknown_s: float) -> float:
    """In seconds; `unknown_s` where something lives without a spec that we know."""
    workers = specs.desired.workers
    living = {instance.worker_id for instance in alive}
    if living - workers.keys():
        return unknown_s
    return stop_seconds(workers[worker_id].spec for worker_id in living)


async def _any_rings(bells: list[asyncio.Event]) -> None:
    """Wait for the first of them, a second at most."""
    waits = [asyncio.create_task(bell.wait()) for bell in bells]
    await asyncio.wait(waits, timeout=PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def _take_leave(agent: Stoppable, caught_up: Callable[[], Awaitable[None]]) -> None:
    agent.quiet.clear()  # Told again by an agent that died and came back.
    try:
        async with asyncio.timeout(READ_S):
            await caught_up()
    except TimeoutError:
        log.info("not all lines are stored yet; the rest is read from the files at the next start")
    with contextlib.suppress(BackendError):
        await agent.leave()


async def _kill(agent: Stoppable) -> None:
    try:
        await agent.kill_now()
    except BackendError as error:
        log.debug("the agent left meanwhile", extra={"fields": {"error": str(error)}})


def _progress(left: list[ObservedInstance], time_left_s: float) -> None:
    names = ", ".join(instance.instance for instance in left[:5]) + (", ..." if len(left) > 5 else "")
    fields = {"left": len(left), "names": names, "killed_within_s": round(max(0.0, time_left_s))}
    log.info("still stopping", extra={"fields": fields})
