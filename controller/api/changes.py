"""Bells: how followers learn that there is something to look at. The standard implementation of `ports.Changes`.

Level-based: a bell holds one bit. However often it is rung before its follower looks, the follower looks once and
reads everything after its own cursor; so a slow follower costs one bit, never a queue.

Everything here belongs to the event loop's thread. Another thread rings with `loop.call_soon_threadsafe(changes.ring,
topic, worker_id)`.
"""

from __future__ import annotations

import asyncio

from controller.api.ports import Topic

_Key = tuple[Topic, str | None]


class EventBell:
    """A bell over one asyncio.Event."""

    def __init__(self, changes: BellTower, key: _Key) -> None:
        self._changes = changes
        self._key = key
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Make the next `wait` return."""
        self._event.set()

    async def wait(self) -> None:
        """See ports.Bell. Nothing is awaited between waking and clearing, so a cancelled wait loses no ring."""
        await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        """Give it back."""
        self._changes.forget(self._key, self)


class BellTower:
    """All bells, by topic and worker."""

    def __init__(self) -> None:
        self._bells: dict[_Key, set[EventBell]] = {}

    def __len__(self) -> int:
        """How many bells are out."""
        return sum(len(bells) for bells in self._bells.values())

    def subscribe(self, topic: Topic, worker_id: str | None = None) -> EventBell:
        """See ports.Changes."""
        bell = EventBell(self, (topic, worker_id))
        self._bells.setdefault((topic, worker_id), set()).add(bell)
        return bell

    def ring(self, topic: Topic, worker_id: str | None = None) -> None:
        """Wake who follows this worker and who follows all; without a worker, everyone of the topic."""
        for (rung_topic, rung_worker), bells in self._bells.items():
            if rung_topic is topic and (worker_id is None or rung_worker in {None, worker_id}):
                for bell in bells:
                    bell.ring()

    def forget(self, key: _Key, bell: EventBell) -> None:
        """Drop one bell. Unknown ones are ignored."""
        bells = self._bells.get(key, set())
        bells.discard(bell)
        if not bells:
            self._bells.pop(key, None)
