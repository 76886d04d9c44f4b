"""What is recorded: hosts' events exactly once, our own events, instances, specs, operations: all through the writer.

The database is not on the critical path: nothing here waits for it. Our own events that do not fit are counted by the
writer. A host's events that do not fit stay in its journal: they are asked for again when there is room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.backends.base import HostEvent
from controller.core.desired import DesiredWorker
from controller.core.observed import ObservedInstance
from controller.reconcile.operations import Operation
from controller.store import Store
from controller.store.records import (
    ConfigRow,
    ConfigRows,
    Event,
    EventRows,
    JournalCursor,
    OperationRow,
    RuntimeRow,
    RuntimeRows,
)

GATHER_S = 0.02
"""Events of one burst go to the writer together."""
PENDING_MOST = 20_000


class Archive:
    """Implements the observer's `Keeper` over the store. Used from the event loop only."""

    def __init__(self, store: Store, *, now: Callable[[], float], ask_again: Callable[[str], None]) -> None:
        self._store, self._now, self._ask_again = store, now, ask_again
        self._pending: dict[str, list[HostEvent]] = {}
        self._timer: asyncio.TimerHandle | None = None

    # --- hosts ---

    async def event_cursor(self, host: str) -> tuple[str, int] | None:
        """The last stored event of the host; what is pending is forgotten, it will be told again."""
        self._pending.pop(host, None)
        cursor = await asyncio.to_thread(self._store.reader.event_cursor, host)
        return (cursor.journal_id, cursor.seq) if cursor else None

    def keep_event(self, host: str, event: HostEvent) -> None:
        """Gather it with its neighbours."""
        pending = self._pending.setdefault(host, [])
        pending.append(event)
        if len(pending) > PENDING_MOST:
            # No room for long: forget the copies, the journal has them, and begin again from the stored cursor.
            del self._pending[host]
            self._ask_again(host)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._hand_over)

    def _hand_over(self) -> None:
        self._timer = None
        for host, pending in list(self._pending.items()):
            while pending:
                same = [event for event in pending if event.journal_id == pending[0].journal_id]
                cursor = JournalCursor(host=host, journal_id=same[0].journal_id, seq=same[-1].seq)
                rows = EventRows(events=[_event(event) for event in same], cursor=cursor)
                if not self._store.writer.submit(rows):
                    self._timer = asyncio.get_running_loop().call_later(1.0, self._hand_over)
                    return
                del pending[: len(same)]

    def flush(self) -> None:
        """Hand over what is pending now."""
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()

    def keep_instance(self, host: str, instance: ObservedInstance) -> None:
        """The newest row of an instance replaces one that still waits."""
        self._store.writer.submit(RuntimeRows(rows=[_runtime(host, instance, self._now())]))

    def drop_instance(self, _host: str, instance: str) -> None:
        """Its row goes; its events and lines stay."""
        self._store.writer.submit(RuntimeRows(gone=[instance]))

    # --- the controller itself ---

    def keep_own(self, event: Event) -> None:
        """One event of the controller."""
        self._store.writer.submit(EventRows(events=[event]))

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


def _event(event: HostEvent) -> Event:
    return Event(
        at=event.at,
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


def _runtime(host: str, instance: ObservedInstance, now: float) -> RuntimeRow:
    ended = instance.last_exit
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
