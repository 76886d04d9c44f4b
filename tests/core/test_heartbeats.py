"""What heartbeats make of a worker: sums over what was told, and null where nobody told anything."""

from __future__ import annotations

from controller.core.heartbeats import Beat, Told, reported


def told(instance: str, at: float = 1.0, beat: Beat | None = None) -> Told:
    return Told(instance=instance, run="r", at=at, beat=beat or Beat())


def test_figures_are_summed_over_the_instances_that_told_them() -> None:
    first = told("web/0", 5.0, Beat(active_tasks=1, error_count=0, metrics={"done": 2, "lag": 0.5}))
    second = told("web/1", 4.0, Beat(active_tasks=2, metrics={"done": 3}))

    assert reported([second, first]) == {
        "error_count": 0,
        "assigned_accounts": None,
        "active_tasks": 3,
        "last_heartbeat_at": 5.0,
        "metrics": {"done": 5, "lag": 0.5},
        "told": {"web/0": first, "web/1": second},
    }


def test_who_told_nothing_has_no_figures() -> None:
    assert reported([]) == {}
