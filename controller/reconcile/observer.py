"""Hears what the back ends tell and passes it on: workers to look at, events and runtime rows to store, bells to ring.

It notes and wakes; it decides nothing and never blocks. An event is only journalled by its host and stored by the
writer; nothing of it is an input of a plan (level, not edge).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from controller.backends.base import Backend, HostEvent, LogFile
from controller.core.observed import ObservedInstance
from controller.reconcile.queue import WorkQueue


class Keeper(Protocol):
    """Where what was heard is kept; implemented over the store."""

    def keep_event(self, host: str, event: HostEvent) -> None:
        """Store one event, exactly once."""

    def keep_instance(self, host: str, instance: ObservedInstance) -> None:
        """Store the newest state of an instance."""

    def drop_instance(self, host: str, instance: str) -> None:
        """The slot is gone."""

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

    def host_changed(self, host: str, instances: Sequence[str] | None) -> None:
        """Look at the workers concerned, and keep what their instances have become."""
        view = self._backends[host].view()
        if instances is None:
            self._queue.everything()
        else:
            self._queue.add({instance.rpartition("/")[0] for instance in instances})
        for name in view.instances if instances is None else instances:
            instance = view.instances.get(name)
            if instance is None:
                self._keeper.drop_instance(host, name)
            elif view.reachable:
                self._keeper.keep_instance(host, instance)
        self._changed(None if instances is None else sorted({name.rpartition("/")[0] for name in instances}))

    def event_heard(self, host: str, event: HostEvent) -> None:
        """Keep it."""
        self._keeper.keep_event(host, event)

    def log_grew(self, host: str, file: LogFile) -> None:
        """There is something to read."""
        self._log_grew(host, file)

    async def event_cursor(self, host: str) -> tuple[str, int] | None:
        """From where the host's events are wanted."""
        return await self._keeper.event_cursor(host)
