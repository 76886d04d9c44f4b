"""What the machine asks for, as orders for the keeper. The only place where an environment is put together.

Orders leave in the order of the effects. Only where something may block (secret files, the user database of a network)
is an order prepared in a thread first; it is sent when it is ready and still due, and counts as on its way until then:
`preparing` names those runs, so that nobody takes them for lost.

Called by the fleet with each effect, and by probes.py for exec probes. Feeds back what never became an order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

from . import views
from .errands import Errands, Outcome
from .failpoints import failpoint
from .hosting import Host, HostError, Place
from .secret_values import BroughtSecrets
from .states import (
    Effect,
    Heard,
    HookEnded,
    HookRun,
    Now,
    Phase,
    Reap,
    RunHook,
    Signal,
    Slot,
    Spawn,
    SpawnFailed,
    StopSent,
    Withheld,
)

PREPARE_S = 20.0
_log = logging.getLogger("agent")

Order = dict[str, Any]


@dataclass(frozen=True)
class Tools:
    """What orders are made with.

    `send` calls its second argument when the order has left us; `slot(name)` is the slot as it is now;
    `open_logs(slot, run)` makes room for output and returns two paths; `notify(slot, uid)` opens the slot's socket for
    notifications and returns its path; `token(slot, run)` is what the run proves itself with, or empty.
    """

    clock: Callable[[], Now]
    send: Callable[[Order, Optional[Callable[[], None]]], None]
    feed: Callable[[str, Heard], None]
    slot: Callable[[str], Optional[Slot]]
    open_logs: Callable[[str, str], tuple[str, str]]
    notify: Callable[[str, Optional[int]], str]
    token: Callable[[str, str], str]


class Orders:
    """One per agent."""

    def __init__(self, tools: Tools, host: Host, secrets: BroughtSecrets, errands: Errands) -> None:
        self.base = views.base_environment()
        self.preparing: set[str] = set()
        self.secrets = secrets
        self._tools = tools
        self._host = host
        self._errands = errands
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="orders")

    def perform(self, slot: Slot, effect: Effect) -> None:
        """Carry out one effect; events are not among them."""
        if isinstance(effect, Spawn):
            self._spawn(slot, effect.run)
        elif isinstance(effect, RunHook):
            self._hook(slot, effect.hook)
        elif isinstance(effect, Signal):
            self._signal(slot.name, effect)
        elif isinstance(effect, Reap):
            failpoint("agent.before_reap")
            self._tools.send({"op": "reap", "run": effect.run, "force": effect.force}, None)

    def close(self) -> None:
        """Nothing is prepared any more."""
        for task in list(self._tasks):
            task.cancel()
        self._pool.shutdown(wait=False)
        self._host.close()

    # --- the worker itself ---

    def _spawn(self, slot: Slot, run: str) -> None:
        missing = self.secrets.missing(slot.name, slot.wish.launch)
        if missing:
            self._tools.feed(slot.name, Withheld(missing))
            return
        self._when_placed(slot, run, self._send_spawn, self._spawn_refused)

    def _send_spawn(self, slot: Slot, run: str, place: Place) -> None:
        if not _is_due(self._tools.slot(slot.name), run):
            return
        try:
            failpoint("agent.before_spawn_order")
            outputs = self._tools.open_logs(slot.name, run)
        except OSError as error:
            self._spawn_refused(slot, run, f"Cannot make room for the output: {error}", transient=True)
            return
        environ = self._environment(slot, place)
        path = self._tools.notify(slot.name, place.uid)
        if path:
            environ["NOTIFY_SOCKET"] = path
            if slot.watchdog_ms:
                environ["WATCHDOG_USEC"] = str(slot.watchdog_ms * 1000)
        token = self._tools.token(slot.name, run)
        if token:
            environ["WORKERCTL_HEARTBEAT_TOKEN"] = token
        self._tools.send({**views.spawn_order(slot, run, environ, outputs), **place.order_fields}, None)
        failpoint("agent.after_spawn_order")

    def _spawn_refused(self, slot: Slot, run: str, message: str, *, transient: bool) -> None:
        self._tools.feed(slot.name, SpawnFailed(run, message, transient=transient, at=self._tools.clock().wall))

    def _environment(self, slot: Slot, place: Place) -> dict[str, str]:
        brought = self.secrets.values(slot.name, slot.wish.launch)
        return views.environment(slot, {**self.base, **place.environment}, {**brought, **place.secrets})

    # --- hooks and probes ---

    def _hook(self, slot: Slot, hook: HookRun) -> None:
        missing = self.secrets.missing(slot.name, slot.wish.launch)
        if missing and hook.name == "pre_start":
            self._tools.feed(slot.name, Withheld(missing))
        elif missing:
            self._hook_refused(slot, hook.run, missing, transient=True)
        else:
            self._when_placed(slot, hook.run, self._send_hook, self._hook_refused)

    def _send_hook(self, slot: Slot, run: str, place: Place) -> None:
        if not _is_due(self._tools.slot(slot.name), run):
            self._hook_refused(slot, run, "it is not wanted any more", transient=False)
            return
        name = next(hook.name for hook in (slot.hook, slot.aside) if hook is not None and hook.run == run)
        try:
            failpoint("agent.before_hook_order")
            outputs = self._tools.open_logs(slot.name, run)
        except OSError as error:
            self._hook_refused(slot, run, f"finds no room for its output: {error}", transient=True)
            return
        environ = {**self._environment(slot, place), "HOOK": name}
        order = views.spawn_order(slot, run, environ, outputs)
        argv = slot.wish.launch["hooks"][name]["argv"]
        self._errands.begin_hook(slot.name, {**order, "argv": argv, **place.order_fields})
        failpoint("agent.after_hook_order")

    def _hook_refused(self, slot: Slot, run: str, message: str, *, transient: bool) -> None:  # noqa: ARG002 - one shape for both
        ended = HookEnded(run, False, f"could not be started: {message}", None, None, self._tools.clock().wall)
        self._tools.feed(slot.name, ended)

    async def probe(self, slot: Slot, run: str, argv: list[str], outputs: tuple[str, str]) -> Outcome:
        """Run an exec probe of the slot and wait for its end. Cancelled, it is killed."""
        if self.secrets.missing(slot.name, slot.wish.launch):
            return Outcome(False, "the values of its secrets are not known", is_known=False)
        try:
            place = await self._place(slot, is_errand=True)
        except (HostError, asyncio.TimeoutError) as error:  # noqa: UP041 - two classes before Python 3.11
            return Outcome(False, f"could not be started: {error}", is_known=False)
        order = views.spawn_order(slot, run, {**self._environment(slot, place), "HOOK": "probe"}, outputs)
        answer = self._errands.begin_probe(slot.name, {**order, "argv": argv, **place.order_fields})
        try:
            return await answer
        except asyncio.CancelledError:
            self._errands.kill(run)
            raise

    # --- where it runs ---

    def _when_placed(self, slot: Slot, run: str, go: Callable[..., None], refuse: Callable[..., None]) -> None:
        """Call `go(slot, run, place)` now, or later where finding the place may block."""
        if _may_block(slot.wish.launch):
            self.preparing.add(run)
            task = asyncio.ensure_future(self._later(slot, run, go, refuse))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        try:
            place = self._host.place(slot.name, slot.wish.launch, is_errand=run != slot.run)
        except HostError as error:
            refuse(slot, run, str(error), transient=error.transient)
        else:
            go(slot, run, place)

    async def _later(self, slot: Slot, run: str, go: Callable[..., None], refuse: Callable[..., None]) -> None:
        try:
            place = await self._place(slot, is_errand=run != slot.run)
        except asyncio.TimeoutError:  # noqa: UP041 - two classes before Python 3.11
            text = f"Cannot look up its user and secrets: no answer within {PREPARE_S:.0f} s"
            refuse(slot, run, text, transient=True)
        except HostError as error:
            refuse(slot, run, str(error), transient=error.transient)
        except Exception as error:
            # One order's bug is one slot's.
            _log.exception("internal error: %s: order", slot.name)
            refuse(slot, run, f"internal error: {error}", transient=False)
        else:
            go(slot, run, place)
        finally:
            self.preparing.discard(run)

    async def _place(self, slot: Slot, *, is_errand: bool) -> Place:
        work = partial(self._host.place, slot.name, slot.wish.launch, is_errand=is_errand)
        return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._pool, work), PREPARE_S)

    # --- signals ---

    def _signal(self, name: str, effect: Signal) -> None:
        failpoint("agent.before_signal")
        scope = "group" if effect.group else "main"
        order = {"op": "signal", "run": effect.run, "signal": effect.signal, "scope": scope}
        sent = (lambda: self._tools.feed(name, StopSent(effect.run))) if effect.asks else None
        self._tools.send(order, sent)
        failpoint("agent.after_signal")


def _is_due(slot: Optional[Slot], run: str) -> bool:
    """Whether the slot still waits for this order."""
    if slot is None:
        return False
    if slot.run == run:
        return slot.phase is Phase.SPAWNING
    return any(hook is not None and hook.run == run and not hook.killed for hook in (slot.hook, slot.aside))


def _may_block(launch: Mapping[str, Any]) -> bool:
    return bool(launch.get("secret_files") or launch.get("user") or launch.get("group"))
