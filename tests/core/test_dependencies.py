"""What a start waits for, whom a change concerns, and circles."""

from __future__ import annotations

import pytest

from controller.core.dependencies import (
    circular_dependencies,
    dependencies,
    dependents,
    dependents_by_worker,
    why_awaited,
    why_down,
)
from controller.core.desired import Desired
from controller.core.observed import Observed, ObservedInstance, Status
from tests.core.core_builders import desired, observed, picture, problem, row, seen, spec, view, worker

WEB = worker(replicas=2)


def awaited(*slots: ObservedInstance, **fields: bool) -> tuple[str, str]:
    """Why not started, why not ready."""
    made = picture(desired(WEB), observed(*slots, **fields))
    return why_awaited(made, "started"), why_awaited(made, "ready")


# --- what is awaited ---------------------------------------------------------------------------------------------


def test_all_instances_must_run() -> None:
    assert awaited(*row(WEB)) == ("", "")
    assert awaited(seen(WEB)) == ("web/1 is not there yet", "web/1 is not there yet")
    assert awaited() == ("web/0 is not there yet", "web/0 is not there yet")


@pytest.mark.parametrize("status", [Status.STOPPED, Status.STARTING, Status.STOPPING, Status.CRASHED])
def test_what_is_on_its_way_is_not_started_yet(status: Status) -> None:
    assert awaited(seen(WEB), seen(WEB, 1, status)) == (f"web/1 is {status}", f"web/1 is {status}")


def test_ready_is_running_and_not_unready() -> None:
    assert awaited(seen(WEB, ready=True), seen(WEB, 1, ready=None)) == ("", "")
    assert awaited(seen(WEB), seen(WEB, 1, ready=False)) == ("", "web/1 is running but not ready")


def test_what_has_completed_was_started_and_is_not_ready() -> None:
    done = seen(WEB, 1, Status.STOPPED, reason="Completed")
    assert awaited(seen(WEB), done) == ("", "web/1 has completed")


def test_what_is_not_known_is_not_there() -> None:
    assert awaited(seen(WEB), seen(WEB, 1, Status.UNKNOWN))[0] == "web/1 is not known"
    assert awaited(*row(WEB), reachable=False)[0] == "its host cannot be asked"
    assert why_awaited(picture(desired(WEB), Observed()), "started") == "its host cannot be asked"


def test_slots_beyond_replicas_and_elsewhere_do_not_count() -> None:
    have = Observed(hosts={"localhost": view(*row(WEB), seen(WEB, 5, Status.STARTING)), "beta": view(seen(WEB, 0))})
    assert why_awaited(picture(desired(WEB), have), "ready") == ""


def test_what_will_not_come_by_itself_says_so() -> None:
    failed = observed(seen(WEB), seen(WEB, 1, Status.ERROR))
    lazy = worker(auto_start=False)
    assert [
        why_down(picture(desired(WEB), failed)),
        why_down(picture(desired(worker(desired_state="stopped")), observed(seen(WEB)))),
        why_down(picture(desired(lazy), observed())),
        why_down(picture(desired(lazy), observed(seen(lazy)))),
        why_down(picture(desired(worker(replicas=0)), observed())),
        why_down(picture(desired(removed=["web"]), observed(seen(WEB)))),
        why_down(picture(Desired(broken={"web": (problem(),)}), observed())),
        why_down(picture(desired(), observed(seen(WEB)))),
    ] == [
        "is in error",
        "is stopped: its spec says desired_state: stopped",
        "is stopped: its spec says auto_start: false",
        "",
        "has no instance: its spec says replicas: 0",
        "is removed",
        "has no valid spec: web.yaml:4:7: expected an integer",
        "is not known: no spec has that name",
    ]
    assert why_awaited(picture(desired(WEB), failed), "started") == "it is in error"


# --- whom a change concerns --------------------------------------------------------------------------------------


def test_dependents_are_the_direct_ones() -> None:
    want = desired(
        worker("a", depends_on={"b": "ready", "lost": "started"}), worker("b", depends_on={"c": "started"}),
        worker("c"), worker("d", depends_on={"b": "started"}),
    )  # fmt: skip
    assert dependents_by_worker(want) == {"b": {"a", "d"}, "c": {"b"}, "lost": {"a"}}
    assert [dependents(want, name) for name in ("a", "b", "c", "lost")] == [set(), {"a", "d"}, {"b"}, {"a"}]
    assert dependencies(want.workers["a"]) == [("b", "ready"), ("lost", "started")]


# --- circles -----------------------------------------------------------------------------------------------------


def circles(**needs: str) -> dict[str, str]:
    """Workers by name with what they need, blank-separated; the messages."""
    specs = [spec(name, depends_on=dict.fromkeys(others.split(), "started")) for name, others in needs.items()]
    found = circular_dependencies(specs)
    assert all(fault.hint == "take one of these dependencies out" for fault in found.values())
    return {name: f"{fault.pointer} {fault.message}" for name, fault in found.items()}


def test_what_leads_nowhere_is_no_circle() -> None:
    assert circles(a="b c", b="d", c="d lost", d="") == {}
    assert circular_dependencies([]) == {}


def test_a_worker_that_depends_on_itself() -> None:
    assert circles(a="a b", b="") == {"a": "/depends_on/a depends on itself: a -> a"}


def test_every_spec_of_a_circle_is_told_from_its_own_side_and_nobody_else() -> None:
    assert circles(z="a", a="b", b="c", c="a d", d="") == {
        "a": "/depends_on/b depends on itself: a -> b -> c -> a",
        "b": "/depends_on/c depends on itself: b -> c -> a -> b",
        "c": "/depends_on/a depends on itself: c -> a -> b -> c",
    }


def test_between_two_circles_there_is_none() -> None:
    found = circles(a="b", b="a m", m="y", y="z", z="y")
    assert sorted(found) == ["a", "b", "y", "z"]


def test_of_several_circles_a_short_one_is_shown() -> None:
    assert circles(a="b c", b="c", c="a")["a"] == "/depends_on/c depends on itself: a -> c -> a"


def test_a_long_circle_is_cut_and_costs_little() -> None:
    names = [f"w{number:04}" for number in range(3000)]
    found = circles(**{name: names[(number + 1) % len(names)] for number, name in enumerate(names)})
    assert len(found) == 3000
    assert found["w0000"] == (
        "/depends_on/w0001 depends on itself: "
        "w0000 -> w0001 -> w0002 -> w0003 -> w0004 -> w0005 -> w0006 -> w0007 -> 2992 more -> w0000"
    )
