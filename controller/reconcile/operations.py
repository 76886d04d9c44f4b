"""Operations: what became of a person's start, stop or restart. Pure judgement, and the book of the live ones.

An operation is a view, not an actor: the wish is already in the spec or in an intent, and the loop does the rest.
Losing the book loses nothing but the answer to "and, is it done?".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from controller.core.observed import ObservedInstance, Status
from controller.core.plan import Hold
from controller.store.records import OperationRow

OperationState = Literal["accepted", "running", "succeeded", "failed", "superseded"]
_DONE = {"start": "all instances run", "stop": "all instances have stopped", "restart": "all instances run anew"}
ENDED = ("succeeded", "failed", "superseded")
KEPT = 1000
"""Ended operations remembered in memory; the store has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One asked-for change of one worker. `number` is the run request it waits for (0: none)."""

    operation_id: str
    worker_id: str
    action: Literal["start", "stop", "restart"]
    state: OperationState
    detail: str
    actor: str
    reason: str
    number: int
    created_at: float

    def document(self) -> dict[str, Any]:
        """As API.md has it."""
        return {
            "operation_id": self.operation_id,
            "worker_id": self.worker_id,
            "action": self.action,
            "state": self.state,
            "detail": self.detail,
        }


def judge(
    operation: Operation, instances: Sequence[ObservedInstance], holds: Sequence[Hold], *, replicas: int, pending: bool
) -> Operation:
    """The operation as it stands. `pending`: the wish is not served yet, or the loop has yet to see it.

    A wish that is an intent (it has a number) is in the plan's sight at once: what is held then says why it waits.
    """
    if operation.state in ENDED:
        return operation
    if pending and not (operation.number and holds):
        return replace(operation, state="running", detail="waiting for the loop")
    match operation.action:
        case "stop":
            left = [i.instance for i in instances if i.status is not Status.STOPPED and i.status is not Status.ERROR]
            done, waiting = not left, f"waiting for {', '.join(left)} to stop"
            broken: list[ObservedInstance] = []
        case "start" | "restart":
            ready = [i for i in instances if _has_run(i, operation)]
            done, waiting = len(ready) >= replicas, f"{len(ready)} of {replicas} instances have started"
            broken = [i for i in instances if i.status is Status.ERROR and i.run_request >= operation.number]
    if done:
        return replace(operation, state="succeeded", detail=_DONE[operation.action])
    if broken:
        return replace(operation, state="failed", detail=f"{broken[0].instance}: {broken[0].message}")
    refusal = next((hold for hold in holds if hold.reason == "CannotStart"), None)
    if refusal:
        return replace(operation, state="failed", detail=refusal.message)
    detail = f"{waiting}; held: {holds[0].message}" if holds else waiting
    return replace(operation, state="running", detail=detail)


def _has_run(instance: ObservedInstance, operation: Operation) -> bool:
    if operation.action == "restart" and instance.run_request < operation.number:
        return False
    completed = instance.status is Status.STOPPED and instance.reason == "Completed"
    return instance.status is Status.RUNNING or completed


def read_operation(row: OperationRow) -> Operation:
    """An operation as it was stored."""
    return Operation(
        operation_id=row.operation_id,
        worker_id=row.worker_id,
        action=cast("Literal['start', 'stop', 'restart']", row.action),
        state=cast("OperationState", row.state),
        detail=row.detail,
        actor=row.actor,
        reason=row.reason,
        number=row.number or 0,
        created_at=row.created_at,
    )


class OperationBook:
    """The live operations, and the newest ended ones. A newer operation of a worker supersedes the older."""

    def __init__(self) -> None:
        self._live: dict[str, Operation] = {}
        self._ended: dict[str, Operation] = {}

    def add(self, operation: Operation) -> list[Operation]:
        """Enter it; the operations it supersedes."""
        superseded = [
            replace(old, state="superseded", detail=f"superseded by {operation.action}")
            for old in self.live(operation.worker_id)
        ]
        for changed in (*superseded, operation):
            self.put(changed)
        return superseded

    def put(self, operation: Operation) -> None:
        """Enter a new standing."""
        if operation.state not in ENDED:
            self._live[operation.operation_id] = operation
            return
        self._live.pop(operation.operation_id, None)
        self._ended[operation.operation_id] = operation
        while len(self._ended) > KEPT:
            del self._ended[next(iter(self._ended))]

    def get(self, operation_id: str) -> Operation | None:
        """One by its id."""
        return self._live.get(operation_id) or self._ended.get(operation_id)

    def all(self) -> list[Operation]:
        """All that are remembered, oldest first."""
        return sorted((*self._ended.values(), *self._live.values()), key=lambda one: one.created_at)

    def of_worker(self, worker_id: str) -> list[Operation]:
        """The remembered ones of a worker, oldest first."""
        return [one for one in self.all() if one.worker_id == worker_id]

    def live(self, worker_id: str | None = None) -> list[Operation]:
        """Those that have not ended (of one worker)."""
        return [operation for operation in self._live.values() if worker_id in (None, operation.worker_id)]
