"""Hears what the back ends tell and passes it on: workers to look at, events and runtime rows to store, bells to ring.

It notes and wakes; it decides nothing and never blocks. An event is only journalled by its host and stored by the
writer; nothing of it is an input of a plan (level, not edge). Rows of instances that change within one round of the
event loop are kept together, so that a burst costs one look at the host's view.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from controller.backends.base import Backend, HostEvent, LogFile
from controller.core.observed import ObservedInstance
from controller.reconcile.queue import WorkQueue

log = logging.getLogger("workerctl.workers")

_TOLD = {
    "restart_scheduled": logging.INFO,
    "completed": logging.INFO,
    "adopted": logging.INFO,
    "group_left": logging.INFO,
    "became_unready": logging.INFO,
    "readiness_failed": logging.INFO,
    "killed": logging.WARNING,
    "unkillable": logging.WARNING,
    "notify_failed": logging.WARNING,
    "gave_up": logging.WARNING,
    "stray_killed": logging.WARNING,
    "host_rebooted": logging.WARNING,
    "record_quarantined": logging.WARNING,
    "state_restored": logging.WARNING,
    "gap": logging.WARNING,
    "internal_error": logging.ERROR,
}
"""Events that are told, and how loudly. Starts and stops are not: the plan's lines say them."""


class Keeper(Protocol):
    """Where what was heard is kept; implemented over the store."""

    def keep_event(self, host: str, event: HostEvent) -> None:
        """Store one event, exactly once."""

    def keep_instances(self, host: str, instances: Sequence[ObservedInstance], gone: Sequence[str]) -> None:
        """Store the newest state of these instances; forget those that are gone."""

    def keep_host(self, host: str, instances: Mapping[str, ObservedInstance]) -> None:
        """Store the newest state of all instances of a host; every other one of it is gone."""

    async def event_cursor(self, host: str) -> tuple[str, int] | None:
        """The last stored event of the host."""


class Observer:
    """The one listener of all back ends."""

    def __init__(
        self,
        *,
        backends: Mapping[str, Backend],
        queue: WorkQueue,
        keeper: Keeper,
        log_grew: Callable[[str, LogFile], None],
        changed: Callable[[Sequence[str] | None], None],
    ) -> None:
        self._backends, self._queue, self._keeper = backends, queue, keeper
        self._log_grew, self._changed = log_grew, changed
        self._unkept: dict[str, dict[str, None] | None] = {}
        self.on_metered: Callable[[str, Mapping[str, tuple[str, float]]], None] = lambda _host, _used: None

    def host_changed(self, host: str, instances: Sequence[str] | None) -> None:
        """Look at the workers concerned, and keep what their instances have become."""
        if instances is None:
            self._queue.everything()
        else:
            self._queue.add(_workers(instances))
        self._note(host, instances)

    def sampled(self, host: str, instances: Sequence[str]) -> None:
        """Keep and show the figures. No plan depends on them, so the loop is not woken."""
        self._note(host, instances)

    def metered(self, host: str, used: Mapping[str, tuple[str, float]]) -> None:
        """Count it. It grows all the time, so nobody is told."""
        self.on_metered(host, used)

    def _note(self, host: str, instances: Sequence[str] | None) -> None:
        if not self._unkept:
            asyncio.get_running_loop().call_soon(self._keep)
        known = self._unkept.setdefault(host, {})
        if instances is None:
            self._unkept[host] = None
        elif known is not None:
            known.update(dict.fromkeys(instances))
        self._changed(None if instances is None else _workers(instances))

    def _keep(self) -> None:
        unkept, self._unkept = self._unkept, {}
        for host, names in unkept.items():
            view = self._backends[host].view()
            if not view.reachable:
                continue  # Memories. When it is back, all of it is told.
            if names is None:
                self._keeper.keep_host(host, view.instances)
            else:
                found = [view.instances[name] for name in names if name in view.instances]
                self._keeper.keep_instances(host, found, [name for name in names if name not in view.instances])

    def event_heard(self, host: str, event: HostEvent) -> None:
        """Keep it; what a person would want to hear of is also a line of our log."""
        level = _TOLD.get(event.type)
        if level is not None:
            log.log(level, "%s: %s", event.instance or host, event.message)
        self._keeper.keep_event(host, event)

    def log_grew(self, host: str, file: LogFile) -> None:
        """There is something to read."""
        self._log_grew(host, file)

    async def event_cursor(self, host: str) -> tuple[str, int] | None:
        """From where the host's events are wanted."""
        return await self._keeper.event_cursor(host)


def _workers(instances: Sequence[str]) -> list[str]:
    return sorted({instance.rpartition("/")[0] for instance in instances})
