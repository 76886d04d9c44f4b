"""What became of a person's wish."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.observed import ObservedInstance, Status
from controller.core.plan import Hold
from controller.reconcile.operations import KEPT, Operation, OperationBook, judge
from tests.core.core_builders import NOW, seen, worker

WEB = worker("web", replicas=2)


def operation(action: Any = "restart", number: int = 7, **fields: Any) -> Operation:
    values = {"operation_id": "op", "worker_id": "web", "state": "accepted", "detail": "", "actor": "a", "reason": ""}
    return Operation(**{**values, "action": action, "number": number, "created_at": NOW, **fields})


def pair(*statuses: Status, request: int = 7, **fields: Any) -> list[ObservedInstance]:
    return [seen(WEB, ordinal, status, run_request=request, **fields) for ordinal, status in enumerate(statuses)]


def verdict(of: Operation, instances: list[ObservedInstance], *holds: Hold, pending: bool = False) -> tuple[str, str]:
    found = judge(of, instances, holds, replicas=2, pending=pending)
    return found.state, found.detail


def test_before_the_loop_has_looked_nothing_is_said() -> None:
    assert verdict(operation(), pair(Status.RUNNING), pending=True) == ("running", "waiting for the loop")


def test_a_restart_is_done_when_all_run_anew() -> None:
    old_and_new = [seen(WEB, 0, run_request=7), seen(WEB, 1, run_request=6)]
    assert verdict(operation(), old_and_new) == ("running", "1 of 2 instances have started")
    assert verdict(operation(), pair(Status.RUNNING, Status.RUNNING))[0] == "succeeded"


def test_a_run_that_completed_has_started() -> None:
    done = pair(Status.RUNNING, Status.STOPPED, reason="Completed")
    assert verdict(operation("start"), done)[0] == "succeeded"
    assert verdict(operation("start"), pair(Status.RUNNING, Status.STOPPED))[0] == "running"


def test_a_stop_is_done_when_nothing_runs() -> None:
    assert verdict(operation("stop"), pair(Status.STOPPED, Status.ERROR))[0] == "succeeded"
    assert verdict(operation("stop"), pair(Status.STOPPED, Status.STOPPING)) == (
        "running",
        "waiting for web/1 to stop",
    )
    assert verdict(operation("stop"), pair(Status.STOPPED, Status.UNKNOWN))[0] == "running"


def test_what_gave_up_after_the_wish_has_failed() -> None:
    broken = pair(Status.RUNNING, Status.ERROR, message="exited with code 3 too often")
    assert verdict(operation(), broken) == ("failed", "web/0: exited with code 3 too often".replace("web/0", "web/1"))
    before = [seen(WEB, 0), seen(WEB, 1, Status.ERROR, run_request=6)]
    assert verdict(operation(), before)[0] == "running"


def test_a_hold_is_told_and_a_refusal_ends_it() -> None:
    paced = Hold(worker_id="web", reason="RolloutPaced", message="one at a time")
    waiting = [seen(WEB, 0, run_request=6), seen(WEB, 1, run_request=6)]
    assert verdict(operation(), waiting, paced) == ("running", "0 of 2 instances have started; held: one at a time")
    refused = Hold(worker_id="web", reason="CannotStart", message="no such command")
    assert verdict(operation(), waiting, paced, refused) == ("failed", "no such command")


def test_what_holds_an_intent_is_told_while_it_waits() -> None:
    waiting = [seen(WEB, 0, run_request=6), seen(WEB, 1, run_request=6)]
    refused = Hold(worker_id="web", reason="CannotStart", message="no such command")
    assert verdict(operation(), waiting, refused, pending=True) == ("failed", "no such command")
    assert verdict(operation("start", number=0), waiting, refused, pending=True)[1] == "waiting for the loop"


@pytest.mark.parametrize("state", ["succeeded", "failed", "superseded"])
def test_what_has_ended_stays_as_it_ended(state: Any) -> None:
    ended = operation(state=state, detail="so")
    assert judge(ended, [], (), replicas=2, pending=True) == ended


def test_a_newer_operation_supersedes_the_older_of_its_worker() -> None:
    book = OperationBook()
    first, other = operation(operation_id="1"), operation(operation_id="2", worker_id="api")
    assert book.add(first) == []
    assert book.add(other) == []
    (old,) = book.add(operation("stop", operation_id="3", created_at=NOW + 1))
    assert (old.operation_id, old.state, old.detail) == ("1", "superseded", "superseded by stop")
    assert [one.operation_id for one in book.live()] == ["2", "3"]
    assert [one.operation_id for one in book.live("web")] == ["3"]
    assert [one.operation_id for one in book.of_worker("web")] == ["1", "3"]
    assert book.get("1") == old
    assert book.get("9") is None
    assert old.document() == {
        "operation_id": "1", "worker_id": "web", "action": "restart", "state": "superseded",
        "detail": "superseded by stop",
    }  # fmt: skip


def test_a_live_operation_that_never_ends_does_not_keep_the_ended_ones_in_memory() -> None:
    book = OperationBook()
    book.add(operation(operation_id="forever", worker_id="stuck"))
    for number in range(KEPT + 50):
        one = operation(operation_id=str(number))
        book.add(one)
        book.put(replace(one, state="succeeded"))
    assert (len(book._ended), len(book.live())) == (KEPT, 1)
    assert book.get("forever") is not None
    assert book.get("0") is None
