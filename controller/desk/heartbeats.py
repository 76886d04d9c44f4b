"""The desk of heartbeats: whose a token is, whether its run is still the one that lives, and what runs told last.

In memory only: after a restart of the controller figures are null until the next heartbeat, which is soon. A run's
figures go with the run. Used from the event loop.

A token proves itself (an HMAC with the controller's key over instance and run), so a forged one costs a hash and
nothing else. Tokens are compared in constant time, and are in no answer, event or log line.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from controller.agent.protocol import heartbeat_token
from controller.api.ports import Sender, StoreUnavailable, Turned
from controller.core.heartbeats import Beat, OwnRecord, Told, reported
from controller.core.observed import ObservedInstance
from controller.reconcile.clock import Clock
from controller.reconcile.loop import Loop
from controller.store import StoreError
from controller.store.records import WorkerRecord, WorkerRecords

BURST = 20.0
PER_S = 5.0
"""A run may send so many at once, and then so many a second."""


def heartbeat_key(key: bytes) -> str:
    """The key of tokens, made of the state directory's own, so that it may be told to agents."""
    return hmac.new(key, b"heartbeat", hashlib.sha256).hexdigest()


class HeartbeatDesk:
    """See ports.Heartbeats. `changed(worker_ids)` is called when the figures of workers are others than before.

    `forward(host, instance, run)` is called for each heartbeat, also one too many: liveness may depend on it.
    `store(records)` returns when they are stored, or raises StoreError.
    """

    def __init__(self, key: str, loop: Loop, clock: Clock) -> None:
        self.changed: Callable[[Iterable[str]], None] = lambda _worker_ids: None
        self.forward: Callable[[str, str, str], None] = lambda _host, _instance, _run: None
        self.store: Callable[[WorkerRecords], Awaitable[None]] | None = None
        self._key, self._loop, self._clock = key, loop, clock
        self._told: dict[str, dict[str, Told]] = {}
        self._budgets: dict[str, tuple[str, float, float]] = {}
        self._news: set[str] = set()

    # --- the door ---

    def admit(self, worker_id: str, token: str) -> Sender | Turned:
        """See ports.Heartbeats."""
        if not token.isascii():
            return Turned.FORGED  # The bytes of a header need not be text at all.
        head, _, _mac = token.rpartition(".")
        name, _, rest = head.partition(".")
        ordinal, _, run = rest.partition(".")
        instance = f"{name}/{ordinal}"
        if not hmac.compare_digest(token, heartbeat_token(self._key, instance, run)):
            return Turned.FORGED
        if name != worker_id:
            return Turned.FOREIGN
        seen = self._seen(instance)
        if seen is None or seen.run != run:
            return Turned.NOT_LIVE
        return Sender(instance=instance, run=run)

    def keep(self, sender: Sender, beat: Beat) -> float:
        """See ports.Heartbeats."""
        now = self._clock.now()
        found = self._found(sender.instance)
        if found is not None and found[1].run == sender.run:
            self.forward(found[0], sender.instance, sender.run)
        wait = self._spend(sender, now)
        if wait > 0:
            return wait
        worker_id = sender.instance.rpartition("/")[0]
        of_worker = self._told.setdefault(worker_id, {})
        before = of_worker.get(sender.instance)
        told = Told(instance=sender.instance, run=sender.run, at=now, beat=beat)
        of_worker[sender.instance] = told
        self._news.add(worker_id)
        if before is None or replace(before, at=now) != told:
            self.changed([worker_id])
        return 0.0

    async def record(self, sender: Sender, source: str, records: Sequence[OwnRecord]) -> None:
        """See ports.Heartbeats."""
        now = self._clock.now()
        rows = [
            WorkerRecord(
                at=now - one.age_s, kind=one.kind, level=one.level, text=one.message, data=one.data, number=one.number
            )
            for one in records
        ]
        assert self.store is not None
        try:
            await self.store(WorkerRecords(run=sender.run, slot=sender.instance, records=rows, source=source))
        except StoreError as error:
            raise StoreUnavailable(str(error)) from None

    def _spend(self, sender: Sender, now: float) -> float:
        """One of the run's budget; the seconds to wait where it is used up. A clock that jumps back costs nothing."""
        run, left, at = self._budgets.get(sender.instance, ("", BURST, now))
        left = min(BURST, left + max(0.0, now - at) * PER_S) if run == sender.run else BURST
        if left < 1.0:
            self._budgets[sender.instance] = (sender.run, left, now)
            return (1.0 - left) / PER_S
        self._budgets[sender.instance] = (sender.run, left - 1.0, now)
        return 0.0

    # --- what is shown ---

    def news(self) -> set[str]:
        """The workers that told anything since this was last asked."""
        news, self._news = self._news, set()
        return news

    def reported_of(self, worker_id: str) -> Mapping[str, Any]:
        """Those of one worker. What was told by a run that is over is forgotten here."""
        of_worker = self._told.get(worker_id, {})
        for instance in [name for name, told in of_worker.items() if not self._lives(told)]:
            del of_worker[instance]
            self._budgets.pop(instance, None)
        if not of_worker:
            self._told.pop(worker_id, None)
        return reported(of_worker.values())

    def told_of(self, instance: str) -> Told | None:
        """The newest of an instance's live run."""
        told = self._told.get(instance.rpartition("/")[0], {}).get(instance)
        return told if told is not None and self._lives(told) else None

    def _lives(self, told: Told) -> bool:
        seen = self._seen(told.instance)
        return seen is not None and seen.run == told.run

    def _seen(self, instance: str) -> ObservedInstance | None:
        found = self._found(instance)
        return None if found is None else found[1]

    def _found(self, instance: str) -> tuple[str, ObservedInstance] | None:
        """An instance and its host."""
        views = self._loop.observed().hosts.items()
        return next(((host, seen) for host, view in views if (seen := view.instances.get(instance)) is not None), None)
