"""Which workers ask for the same port on one host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.core.ports import overlapping_ports
from controller.core.spec import WorkerSpec
from tests.core.core_builders import spec


def messages(*specs: WorkerSpec) -> dict[str, str]:
    return {worker_id: fault.message for worker_id, fault in overlapping_ports(specs).items()}


def test_ranges_beside_each_other_are_fine() -> None:
    assert messages(spec("a", port=4001, replicas=3), spec("b", port=4004), spec("c"), spec("d", port=4000)) == {}


def test_the_same_port_on_another_host_is_fine() -> None:
    assert messages(spec("a", port=4001), spec("b", port=4001, host="beta")) == {}


def test_a_worker_without_replicas_asks_for_nothing() -> None:
    assert messages(spec("a", port=4001), spec("b", port=4001, replicas=0)) == {}


def test_an_overlap_is_a_fault_of_both() -> None:
    assert messages(spec("b", port=4003), spec("a", port=4001, replicas=3)) == {
        "a": "ports 4001 to 4003 on localhost overlap with b, which asks for port 4003",
        "b": "port 4003 on localhost overlaps with a, which asks for ports 4001 to 4003",
    }


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 8)), max_size=8))
def test_exactly_those_that_meet_another_are_named(ranges: list[tuple[int, int]]) -> None:
    specs = [spec(f"w{index}", port=port, replicas=count) for index, (port, count) in enumerate(ranges)]
    taken = [set(range(port, port + count)) for port, count in ranges]
    meeting = {
        f"w{index}"
        for index, ports in enumerate(taken)
        if any(ports & other for place, other in enumerate(taken) if place != index)
    }
    assert set(overlapping_ports(specs)) == meeting
