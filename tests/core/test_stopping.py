"""How long stopping everything may take."""

from __future__ import annotations

from controller.core.spec import WorkerSpec
from controller.core.stopping import stop_seconds


def worker(worker_id: str, grace_ms: int, **fields: object) -> WorkerSpec:
    return WorkerSpec.model_validate({"worker_id": worker_id, "stop": {"grace_ms": grace_ms}, **fields})


def test_without_workers_nothing_is_waited_for() -> None:
    assert stop_seconds([]) == 0.0


def test_workers_stop_side_by_side() -> None:
    assert stop_seconds([worker("a", 2000), worker("b", 5000)]) == 5.0


def test_those_that_depend_on_each_other_stop_one_after_the_other() -> None:
    specs = [
        worker("db", 4000),
        worker("app", 2000, depends_on={"db": "started"}),
        worker("web", 1000, depends_on={"app": "started"}),
        worker("other", 6500),
    ]
    assert stop_seconds(specs) == 7.0


def test_hooks_around_the_stop_have_their_time() -> None:
    hooks = {"pre_stop": {"exec": ["a"], "timeout_ms": 3000}, "post_stop": {"exec": ["b"], "timeout_ms": 500}}
    assert stop_seconds([worker("a", 2000, hooks=hooks)]) == 5.5
