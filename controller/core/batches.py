"""Batches: one wish for many workers, some at a time. What is due next, what is passed over, when it is over. Pure.

Called by the desk of batches, which keeps each value in a file before it acts on it. A batch only moves forward: an
item goes from `pending` over `running` to one of the other states, which it never leaves.

    pending     its turn has not come
    running     it was asked for, or is about to be: its number is noted before, so that asking again asks for the same
    succeeded   its operation ended well: what was asked for is proved to be so
    failed      refused, or its operation ended otherwise; `detail` says why
    not_found   there is no such worker. No failure of the batch: it goes on, whatever it was told to stop for
    skipped     left out, because another one failed and the batch was to stop then
    cancelled   left out, because somebody cancelled the batch; or no longer waited for, where they did so twice
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from controller.core.views import rfc3339

BatchAction = Literal["start", "stop", "restart"]
ItemState = Literal["pending", "running", "succeeded", "failed", "not_found", "skipped", "cancelled"]
BatchState = Literal["running", "succeeded", "failed", "cancelled"]

ITEM_STATES: tuple[ItemState, ...] = get_args(ItemState)
_OPEN = frozenset({"pending", "running"})
_DONE = {"start": "started", "stop": "stopped", "restart": "restarted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One worker of a batch. `number`: of the wish, once it is its turn (0 before); `operation_id`: once asked for."""

    worker_id: str
    state: ItemState = "pending"
    detail: str = ""
    number: int = 0
    operation_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether anything may become of it yet."""
        return self.state in _OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """See the header. `origin`: the batch whose failed ones it tries again; `cancelled_by`: empty unless cancelled."""

    batch_id: str
    action: BatchAction
    items: tuple[BatchItem, ...]
    created_at: float
    actor: str
    reason: str = ""
    graceful: bool = True
    parallel: int = 1
    stop_on_failure: bool = False
    selector: str = ""
    origin: str = ""
    cancelled_by: str = ""
    ended_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it moves any more."""
        return self.ended_at is not None

    def of(self, state: ItemState) -> tuple[BatchItem, ...]:
        """The items in this state."""
        return tuple(item for item in self.items if item.state == state)


def due(batch: Batch) -> tuple[str, ...]:
    """The workers whose turn it is now, in their order."""
    room = max(0, batch.parallel - len(batch.of("running")))
    return tuple(item.worker_id for item in _settled(batch).of("pending")[:room])


def begun(batch: Batch, numbers: Mapping[str, int]) -> Batch:
    """These are asked for next, each with the number of its wish. What was left out meanwhile stays so."""

    def begin(item: BatchItem) -> BatchItem:
        if item.state != "pending" or item.worker_id not in numbers:
            return item
        return replace(item, state="running", number=numbers[item.worker_id])

    return _with(batch, begin)


def moved(batch: Batch, news: Mapping[str, BatchItem], now: float) -> Batch:
    """These workers' items are so now, unless they have ended; then what follows for the others and for the whole."""
    changed = _with(batch, lambda item: news.get(item.worker_id, item) if item.is_open else item)
    return ended(_settled(changed), now)


def cancelled(batch: Batch, actor: str, now: float) -> Batch:
    """What has not begun is left out. What has goes on and is waited for; cancelled once more, not even that."""

    def cancel(item: BatchItem) -> BatchItem:
        if item.state == "pending":
            return replace(item, state="cancelled", detail=f"cancelled by {actor}")
        if item.state == "running" and batch.cancelled_by:
            return replace(item, state="cancelled", detail="no longer waited for; what was asked for goes on")
        return item

    return ended(replace(_with(batch, cancel), cancelled_by=batch.cancelled_by or actor), now)


def ended(batch: Batch, now: float) -> Batch:
    """With the time of its end, where that has come."""
    if batch.is_over or any(item.is_open for item in batch.items):
        return batch
    return replace(batch, ended_at=now)


def to_retry(batch: Batch) -> tuple[str, ...]:
    """The workers that a new try is for: what failed, and what was left out for that."""
    return tuple(item.worker_id for item in batch.items if item.state in ("failed", "skipped"))


def state_of(batch: Batch) -> BatchState:
    """How the whole stands. An unknown worker is no failure, unless nothing else was asked for."""
    states = {item.state for item in batch.items}
    if not batch.is_over:
        return "running"
    if "cancelled" in states:
        return "cancelled"
    if states & {"failed", "skipped"} or "succeeded" not in states:
        return "failed"
    return "succeeded"


def counts(batch: Batch) -> dict[str, int]:
    """How many are in each state."""
    found = Counter(item.state for item in batch.items)
    return {state: found[state] for state in ITEM_STATES}


def told(batch: Batch) -> str:
    """How it stands, in words: `2 restarted, 1 failed`."""
    words = {"succeeded": _DONE[batch.action], "running": "under way", "not_found": "not found"}
    found = counts(batch)
    order: tuple[ItemState, ...] = ("succeeded", "failed", "not_found", "skipped", "cancelled", "running", "pending")
    text = ", ".join(f"{found[state]} {words.get(state, state)}" for state in order if found[state])
    return f"{text}; cancelled by {batch.cancelled_by}" if batch.cancelled_by else text


def batch_summary(batch: Batch) -> dict[str, Any]:
    """As API.md has it in a list."""
    return {
        "batch_id": batch.batch_id,
        "action": batch.action,
        "state": state_of(batch),
        "detail": told(batch),
        "options": {
            "graceful": batch.graceful, "parallel": batch.parallel, "stop_on_failure": batch.stop_on_failure,
        },
        "selector": batch.selector or None,
        "origin": batch.origin or None,
        "actor": batch.actor,
        "reason": batch.reason,
        "created_at": rfc3339(batch.created_at),
        "ended_at": rfc3339(batch.ended_at),
        "total": len(batch.items),
        "counts": counts(batch),
    }  # fmt: skip


def batch_view(batch: Batch) -> dict[str, Any]:
    """The same with the result of each worker, in the order of the batch."""
    results = [
        {
            "worker_id": item.worker_id, "state": item.state, "detail": item.detail,
            "operation_id": item.operation_id or None,
        }
        for item in batch.items
    ]  # fmt: skip
    return {**batch_summary(batch), "results": results}


def _settled(batch: Batch) -> Batch:
    """Without the turns that will not come, because another one failed."""
    failed = batch.of("failed")
    if not (batch.stop_on_failure and failed):
        return batch
    detail = f"not tried, because {failed[0].worker_id} failed"
    return _with(batch, lambda item: replace(item, state="skipped", detail=detail) if item.state == "pending" else item)


def _with(batch: Batch, change: Callable[[BatchItem], BatchItem]) -> Batch:
    return replace(batch, items=tuple(change(item) for item in batch.items))
