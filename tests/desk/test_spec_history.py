"""What became of a spec, made of events: by whom, what changed, and what came of it."""

from __future__ import annotations

from typing import Any

from controller.desk.spec_history import revisions
from controller.store.records import StoredEvent

AT = 1_700_000_000.0


def event(seq: int, type_: str, **more: Any) -> StoredEvent:
    values = {
        "at": AT + seq, "worker_id": "web", "instance": None, "run": None, "actor": "specs", "cause": "", "message": "",
        "data": {},
    }  # fmt: skip
    return StoredEvent(seq=seq, type=type_, **{**values, **more})


def accepted(seq: int, revision: str, etag: str = "", **spec: Any) -> StoredEvent:
    data = {
        "file": "web.yaml", "line": 1, "commit": None, "revision": revision, "etag": etag or f"e{seq}",
        "spec": {"worker_id": "web", **spec},
    }  # fmt: skip
    return event(seq, "spec_accepted", data=data)


def ordered(seq: int, kind: str, instance: str) -> StoredEvent:
    return event(seq, f"{kind}_ordered", instance=instance, actor="loop")


def told(events: list[StoredEvent], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(one[name] for name in names) for one in revisions(events)]


def test_an_accepted_spec_is_told_with_its_changes_and_what_was_done_for_it() -> None:
    events = [
        accepted(1, "r1", replicas=1), ordered(2, "create", "web/0"),
        accepted(5, "r2", replicas=2, env={"A": "1"}), ordered(6, "replace", "web/0"), ordered(7, "create", "web/1"),
        ordered(8, "replace", "web/0"), event(9, "gave_up", instance="web/1", actor="agent"),
    ]  # fmt: skip
    first, second = revisions(events)
    assert first == {
        "seq": 1, "at": "2023-11-14T22:13:21.000Z", "kind": "accepted", "revision": "r1", "actor": None, "reason": "",
        "message": "", "source": {"file": "web.yaml", "line": 1, "commit": None}, "commit": None,
        "spec": {"worker_id": "web", "replicas": 1}, "fields": None, "orders": {"create": ["web/0"]}, "gave_up": [],
        "is_current": False,
    }  # fmt: skip
    assert second["fields"] == [
        {"path": "env.A", "from": None, "to": "1", "effect": "restart"},
        {"path": "replicas", "from": 1, "to": 2, "effect": "none"},
    ]
    assert (second["orders"], second["gave_up"], second["is_current"]) == (
        {"replace": ["web/0"], "create": ["web/1"]}, ["web/1"], True,
    )  # fmt: skip


def test_who_wrote_a_file_through_us_is_known_by_what_was_written_whichever_was_told_first() -> None:
    events = [
        accepted(1, "r1", "a"),
        accepted(2, "r2", "b"), event(3, "spec_changed", actor="ann", data={"etag": "b"}),
        event(4, "stop_requested", actor="bob", cause="maintenance", data={"etag": "c"}), accepted(5, "r2", "c"),
        event(6, "spec_changed", actor="eve", data={"etag": "b"}), accepted(7, "r2", "b"),
    ]  # fmt: skip
    assert told(events, "actor", "reason") == [(None, ""), ("ann", ""), ("bob", "maintenance"), ("eve", "")]


def test_who_brings_a_file_back_did_not_write_it_before() -> None:
    back = [accepted(1, "r1", "a"), accepted(2, "r2", "b"), event(3, "spec_replaced", actor="ann", data={"etag": "a"})]
    assert told([*back, accepted(4, "r1", "a")], "actor") == [(None,), (None,), ("ann",)]


def test_what_was_refused_and_what_was_removed_is_told_too_and_is_never_the_current_one() -> None:
    events = [
        accepted(1, "r1", replicas=1), event(2, "spec_rejected", message="web.yaml:3: no"), ordered(3, "stop", "web/0"),
        event(40, "spec_deleted", actor="ann"), event(41, "spec_removed", message="its file is gone"),
    ]  # fmt: skip
    assert told(events, "kind", "actor", "message", "is_current", "orders") == [
        ("accepted", None, "", False, {}),
        ("rejected", None, "web.yaml:3: no", False, {}),
        ("removed", "ann", "its file is gone", False, {}),
    ]
    assert told(events[:2], "kind", "is_current") == [("accepted", True), ("rejected", False)]


def test_a_spec_that_was_too_long_to_be_kept_is_compared_with_nothing() -> None:
    long = event(2, "spec_accepted", data={"revision": "r2", "spec": None})
    assert told([accepted(1, "r1"), long, accepted(3, "r3")], "fields") == [(None,), (None,), (None,)]
