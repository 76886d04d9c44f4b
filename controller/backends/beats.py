"""Tells an agent when runs have last been heard: one message a second, while any run of its host must beat.

Used by agent.py. A message also says that we are there: without any the agent knows nothing of who beats by us. What
was heard stays in the box until a message with it was answered, so that a connection that breaks loses none of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.backends.base import Unavailable
from controller.backends.link import Link
from controller.core.observed import ObservedInstance

PERIOD_S = 1.0

log = logging.getLogger("workerctl.agent")


@dataclass(slots=True)
class Box:
    """What was heard and is not known to have arrived: the last time by run, one run for each instance. Pure."""

    unsent: dict[str, tuple[str, float]] = field(default_factory=dict)

    def heard(self, instance: str, run: str, now: float) -> None:
        """A run has told of itself."""
        self.unsent[instance] = (run, now)

    def message(self) -> dict[str, float]:
        """All of it, as the protocol has it."""
        return dict(self.unsent.values())

    def arrived(self, message: Mapping[str, float]) -> None:
        """The message was answered; what came since stays."""
        self.unsent = {name: (run, at) for name, (run, at) in self.unsent.items() if message.get(run) != at}


class Beats:
    """One per agent. Its clock is the event loop's: monotonic, and the same for all messages of one epoch."""

    def __init__(self) -> None:
        self.period_s = PERIOD_S
        self._box = Box()
        self._asked: set[str] = set()
        self._any_asked = asyncio.Event()

    def note(self, instance: ObservedInstance) -> None:
        """An instance as it is now."""
        if must_beat(instance):
            self._asked.add(instance.instance)
        else:
            self._asked.discard(instance.instance)
        self._ring()

    def forget(self, instance: str) -> None:
        """It is gone."""
        self._asked.discard(instance)
        self._ring()

    def begin(self, instances: Iterable[ObservedInstance]) -> None:
        """All of them, after a greeting."""
        self._asked = {instance.instance for instance in instances if must_beat(instance)}
        self._ring()

    def heard(self, instance: str, run: str) -> None:
        """A run has told of itself. Kept where it must."""
        if instance in self._asked:
            self._box.heard(instance, run, _now())

    async def along(self, link: Link, pump: asyncio.Task[None], epoch: int | None) -> None:
        """Tell over this connection, which is over when its pump is. A bug of ours does not hide in a task."""
        telling = asyncio.create_task(self._tell(link, epoch))
        try:
            await asyncio.wait([pump])
        finally:
            telling.cancel()
            await asyncio.wait([telling])
        if not telling.cancelled():
            telling.result()

    async def _tell(self, link: Link, epoch: int | None) -> None:
        # An agent that knows no heartbeats is told once.
        while True:
            await self._any_asked.wait()
            message = self._box.message()
            try:
                header = (await link.ask("beat", epoch=epoch, at=_now(), beats=message)).header
            except Unavailable:
                return
            if header.get("ok") is not True:
                log.warning("the agent takes no heartbeats", extra={"fields": {"problem": header.get("message")}})
                return
            self._box.arrived(message)
            await asyncio.sleep(self.period_s)

    def _ring(self) -> None:
        if self._asked:
            self._any_asked.set()
        else:
            self._any_asked.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()


def must_beat(instance: ObservedInstance) -> bool:
    """Whether the agent asks its run for heartbeats, as far as it has told."""
    return instance.run is not None and instance.heartbeat_ms is not None
