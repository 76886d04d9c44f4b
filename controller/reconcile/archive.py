"""What is recorded: hosts' events exactly once, our own events, instances, specs, operations: all through the writer.

The database is not on the critical path: nothing here waits for it, but for a moment at the start of a connection.
Our own events that do not fit are counted by the writer. A host's events that do not fit stay in its journal: they are
asked for again when there is room. What the writer has taken counts as stored while this process lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from controller.backends.base import HostEvent
from controller.core.desired import DesiredWorker
from controller.core.heartbeats import Beat, Told
from controller.core.observed import ObservedInstance
from controller.reconcile.operations import Operation
from controller.store import Store, StoreError, StoreUnavailable
from controller.store.records import (
    ConfigRow,
    ConfigRows,
    Event,
    EventRows,
    JournalCursor,
    OperationRow,
    Outcome,
    Rejected,
    RuntimeRow,
    RuntimeRows,
    WorkerRecords,
)

GATHER_S = 0.02
"""Events of one burst go to the writer together."""
AGAIN_S = 1.0
BATCH = 1000
PENDING_MOST = 20_000
STORED_S = 2.0
"""Clients of heartbeats wait three seconds by habit."""
READ_S = 5.0
"""A connection waits no longer than this for what the database remembers."""

T = TypeVar("T")

log = logging.getLogger("workerctl.archive")


class Archive:
    """Implements the observer's `Keeper` over the store. Used from the event loop only.

    `told(instance)`: the newest heartbeat of its live run.
    """

    def __init__(self, store: Store, *, now: Callable[[], float], ask_again: Callable[[str], None]) -> None:
        self.told: Callable[[str], Told | None] = lambda _instance: None
        self._store, self._now, self._ask_again = store, now, ask_again
        self._pending: dict[str, deque[HostEvent]] = {}
        self._taken: dict[str, tuple[str, int]] = {}
        self._deaf: set[str] = set()
        self._rows: dict[str, set[str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._accepted: dict[str, tuple[str, dict[str, Any]]] = {}
        self._generation: dict[str, int] = {}

    # --- events of hosts ---

    async def event_cursor(self, host: str) -> tuple[str, int] | None:
        """The last stored event of the host; what is pending is forgotten, it will be told again.

        None, also while the database cannot be read: everything is told again, and the writer leaves out what it has.
        """
        self._generation[host] = self._store.generation
        with contextlib.suppress(StoreError):
            if host not in self._rows:
                rows = await self._read(self._store.reader.worker_runtime)
                self._rows[host] = {row.instance for row in rows if row.host == host}
        cursor = self._taken.get(host)
        if cursor is None:
            try:
                stored = await self._read(lambda: self._store.reader.event_cursor(host))
                cursor = (stored.journal_id, stored.seq) if stored else None
            except StoreError as error:
                log.warning("events are asked for from the start", extra={"fields": {"host": host, "why": str(error)}})
        self._pending.pop(host, None)
        self._deaf.discard(host)
        return cursor

    async def _read(self, question: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(READ_S):
                return await self._store.ask(question)
        except TimeoutError:
            raise StoreUnavailable("the database does not answer") from None

    def keep_event(self, host: str, event: HostEvent) -> None:
        """Gather it with its neighbours."""
        if host in self._deaf:
            return  # There is a hole before it; it is told again.
        pending = self._pending.setdefault(host, deque())
        pending.append(event)
        if len(pending) > PENDING_MOST or (len(pending) >= BATCH and not self._is_refused):
            self._hand_over()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._hand_over)
        if len(pending) > PENDING_MOST:
            # No room for long: forget the copies, the journal has them. Heard again from the stored cursor on.
            del self._pending[host]
            self._deaf.add(host)
            self._when_room(host)

    def _when_room(self, host: str) -> None:
        loop = asyncio.get_running_loop()

        def ring() -> None:
            with contextlib.suppress(RuntimeError):  # The loop has ended.
                loop.call_soon_threadsafe(self._hear_again, host)

        self._store.writer.when_room(ring)

    def _hear_again(self, host: str) -> None:
        if host in self._deaf:
            self._ask_again(host)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._is_refused = None, False
        for host, pending in self._pending.items():
            while pending:
                first = itertools.islice(pending, BATCH)
                journal_id, group = next(itertools.groupby(first, key=attrgetter("journal_id")))
                same = list(group)
                cursor = JournalCursor(host=host, journal_id=journal_id, seq=same[-1].seq)
                rows = EventRows(
                    events=[self._event(event) for event in same], cursor=cursor, generation=self._generation.get(host)
                )
                if not self._store.writer.submit(rows):
                    self._is_refused = True
                    self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._hand_over)
                    return
                self._taken[host] = (journal_id, cursor.seq)
                for _ in same:
                    pending.popleft()

    def flush(self) -> None:
        """Hand over what is pending now."""
        self._hand_over()

    def _event(self, event: HostEvent) -> Event:
        return Event(
            at=event.at or self._now(),  # A gap has no time of its own.
            type=event.type,
            worker_id=event.instance.rpartition("/")[0] if event.instance else None,
            instance=event.instance,
            run=event.run,
            actor="agent",
            cause=event.cause,
            message=event.message,
            data=event.data,
            journal_seq=event.seq,
        )

    def begin_anew(self) -> None:
        """The database was made anew while we ran: what it is to hold is told again, by the hosts from the start."""
        hosts = sorted(self._generation)
        for known in (self._taken, self._pending, self._accepted, self._rows):
            known.clear()
        for host in hosts:
            self._ask_again(host)

    # --- what workers tell of themselves ---

    async def keep_records(self, records: WorkerRecords, within_s: float = STORED_S) -> None:
        """They are stored when it returns. Raises StoreError where the database does not take them now.

        They may be stored all the same, a little later: whoever tells them again does so under the same numbers.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has ended.
                loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(outcome))

        if not self._store.writer.submit(records, settle):
            raise StoreUnavailable("the database is away, and as much as there is room for waits for it already")
        try:
            async with asyncio.timeout(within_s):
                outcome = await done
        except TimeoutError:
            raise StoreUnavailable("the database has not taken the records yet; send them again") from None
        if isinstance(outcome, Rejected):
            raise StoreUnavailable(outcome.message)

    # --- instances ---

    def keep_instances(self, host: str, instances: Sequence[ObservedInstance], gone: Sequence[str]) -> None:
        """Their newest rows replace those that still wait. Of those that are gone, events and lines stay."""
        if host in self._rows:
            self._rows[host].update(instance.instance for instance in instances)
            self._rows[host].difference_update(gone)
        now = self._now()
        rows = [_runtime(host, instance, self.told(instance.instance), now) for instance in instances]
        self._store.writer.submit(RuntimeRows(rows=rows, gone=list(gone)))

    def keep_host(self, host: str, instances: Mapping[str, ObservedInstance]) -> None:
        """All rows of a host: also of what went while nobody looked, be it before this process began."""
        gone = self._rows.get(host, set()) - instances.keys()
        self.keep_instances(host, list(instances.values()), sorted(gone))

    # --- the controller itself ---

    def keep_own(self, event: Event) -> None:
        """One event of the controller."""
        self._store.writer.submit(EventRows(events=[event]))

    async def recall(self) -> None:
        """Which specs were accepted before this start; nothing where the database cannot be read now."""
        with contextlib.suppress(StoreError):
            rows = await self._read(self._store.reader.worker_configs)
            self._accepted = {row.worker_id: (row.revision, dict(row.spec)) for row in rows}

    def is_news(self, worker: DesiredWorker) -> bool:
        """Whether this very spec was not the accepted one before."""
        return self._accepted.get(worker.worker_id) != (worker.revision, worker.spec.model_dump(mode="json"))

    def keep_spec(self, worker: DesiredWorker) -> None:
        """The accepted spec of a worker, with the problems of its file."""
        self._store.writer.submit(ConfigRows(rows=[_config(worker, self._now())]))

    def drop_spec(self, worker_id: str) -> None:
        """The spec is gone; its row stays, marked."""
        self._store.writer.submit(ConfigRows(gone=[worker_id], at=self._now()))

    def keep_operation(self, operation: Operation) -> None:
        """An operation as it stands."""
        self._store.writer.submit(
            OperationRow(
                operation_id=operation.operation_id,
                worker_id=operation.worker_id,
                action=operation.action,
                state=operation.state,
                detail=operation.detail,
                actor=operation.actor,
                reason=operation.reason,
                number=operation.number,
                created_at=operation.created_at,
                updated_at=self._now(),
            )
        )


def _runtime(host: str, instance: ObservedInstance, told: Told | None, now: float) -> RuntimeRow:
    ended, beat = instance.last_exit, Beat() if told is None else told.beat
    return RuntimeRow(
        instance=instance.instance,
        worker_id=instance.worker_id,
        ordinal=instance.ordinal,
        host=host,
        status=instance.status.value,
        updated_at=now,
        reason=instance.reason,
        message=instance.message,
        pid=instance.pid,
        run=instance.run,
        run_number=instance.run_number,
        revision=instance.running_revision or instance.revision,
        started_at=instance.started_at,
        restart_count=instance.restart_count,
        cpu_percent=instance.cpu_percent,
        memory_bytes=instance.memory_bytes,
        error_count=beat.error_count,
        assigned_accounts=beat.assigned_accounts,
        active_tasks=beat.active_tasks,
        last_heartbeat_at=None if told is None else told.at,
        last_exit={"cause": ended.cause, "code": ended.code, "signal": ended.signal, "at": ended.at} if ended else None,
        next_retry_at=instance.next_retry_at,
    )


def _config(worker: DesiredWorker, now: float) -> ConfigRow:
    spec = worker.spec
    return ConfigRow(
        worker_id=worker.worker_id,
        deployment_type=spec.deployment_type,
        host=spec.host,
        replicas=spec.replicas,
        auto_start=spec.auto_start,
        desired_state="running" if spec.wanted == "running" else "stopped",
        auto_restart=spec.restart_policy,
        restart_delay_ms=spec.restart_delay_ms,
        revision=worker.revision,
        updated_at=now,
        name=spec.name,
        description=spec.description,
        port=spec.port,
        max_accounts=spec.max_accounts,
        max_restart_attempts=spec.max_restart_attempts,
        labels=spec.labels,
        spec=spec.model_dump(mode="json"),
        source_file=worker.source.file,
        source_line=worker.source.line,
        valid=not worker.problems,
        problems=[{"file": p.file, "line": p.line, "column": p.column, "message": p.message} for p in worker.problems],
    )
