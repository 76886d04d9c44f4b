"""Figures over time: kept, rolled up, read as series, deleted. Over both databases."""

from __future__ import annotations

import threading

from controller.store import Policy, Store
from controller.store.chores import RollUp, Sample, Samples
from controller.store.history import HistoryQuery, Span

START = 1_700_000_400
"""A multiple of ten minutes."""


def keep(store: Store, at: int, **cpu: float | None) -> None:
    """Samples of web/0, web/1 ... by the names web_0, web_1."""
    rows = [Sample(instance=name.replace("_", "/"), cpu_percent=value) for name, value in cpu.items()]
    do(store, Samples(at=at, rows=rows))


def do(store: Store, chore: Samples | RollUp) -> None:
    done = threading.Event()
    assert store.writer.submit(chore, lambda _outcome: done.set())
    assert done.wait(10)


def roll(store: Store, step: int, since: int, until: int) -> None:
    do(store, RollUp(step=step, since=since, until=until))


def spans(store: Store, step: int = 10, **more: object) -> list[tuple[str | None, int, float | None]]:
    query = HistoryQuery(worker_id="web", step=step, since=START - 10_000, until=START + 10_000, **more)  # type: ignore[arg-type]
    return [(span.instance, span.at - START, span.figures["cpu_percent"]) for span in store.reader.history(query)]


def test_samples_are_kept_by_instance_and_a_second_one_of_the_same_moment_replaces_the_first(store: Store) -> None:
    keep(store, START, web_0=1.0, web_1=2.0, mail_0=9.0)
    keep(store, START + 10, web_0=3.0)
    keep(store, START + 10, web_0=4.0, web_1=None)
    assert spans(store) == [("web/0", 0, 1.0), ("web/0", 10, 4.0), ("web/1", 0, 2.0), ("web/1", 10, None)]
    assert spans(store, instance="web/1") == [("web/1", 0, 2.0), ("web/1", 10, None)]


def test_all_figures_come_back(store: Store) -> None:
    sample = Sample(
        instance="web/0", cpu_percent=12.5, memory_bytes=1e12, active_tasks=3, assigned_accounts=4, error_count=5,
        restart_count=6,
    )  # fmt: skip
    do(store, Samples(at=START, rows=[sample]))
    query = HistoryQuery(worker_id="web", step=10, since=START, until=START)
    assert store.reader.history(query) == (
        Span(
            worker_id="web",
            instance="web/0",
            at=START,
            figures={
                "cpu_percent": 12.5, "cpu_max": 12.5, "memory_bytes": 1e12, "memory_max": 1e12, "active_tasks": 3.0,
                "assigned_accounts": 4.0, "error_count": 5.0, "restart_count": 6.0,
            },
        ),
    )  # fmt: skip


def test_a_worker_is_the_sum_of_what_is_known_of_its_instances(store: Store) -> None:
    keep(store, START, web_0=1.0, web_1=2.0, mail_0=9.0)
    keep(store, START + 10, web_0=3.0, web_1=None)
    keep(store, START + 20, web_0=None)
    assert spans(store, summed=True) == [(None, 0, 3.0), (None, 10, 3.0), (None, 20, None)]


def test_a_roll_up_averages_what_is_known_and_keeps_the_largest(store: Store) -> None:
    for number, cpu in enumerate([10.0, 20.0, None, 60.0, 30.0, 30.0, 7.0]):
        keep(store, START + number * 10, web_0=cpu)
    roll(store, 60, START, START + 120)
    assert spans(store, 60) == [("web/0", 0, 30.0), ("web/0", 60, 7.0)]
    (first, _) = store.reader.history(HistoryQuery(worker_id="web", step=60, since=START, until=START + 60))
    assert first.figures["cpu_max"] == 60.0
    roll(store, 600, START, START + 600)
    assert spans(store, 600) == [("web/0", 0, 18.5)]


def test_a_roll_up_that_is_made_again_takes_in_what_came_late(store: Store) -> None:
    keep(store, START, web_0=10.0)
    roll(store, 60, START, START + 60)
    keep(store, START + 10, web_0=30.0)
    # It begins where the span begins, whatever it is told: half a span would be wrong.
    roll(store, 60, START + 10, START + 60)
    assert spans(store, 60) == [("web/0", 0, 20.0)]


def test_retention_deletes_each_resolution_by_its_own_age_and_forgets_who_has_nothing_left(store: Store) -> None:
    keep(store, START, web_0=1.0)
    roll(store, 60, START, START + 60)
    keep(store, START + 100, web_0=1.0, mail_0=2.0)
    policy = Policy(samples_s={10: 50, 60: 1000, 600: 1000}, slice_rows=1)
    assert store.sweep(policy, START + 120).samples == 1
    assert (spans(store), spans(store, 60)) == ([("web/0", 100, 1.0)], [("web/0", 0, 1.0)])
    # Two samples and a span of web/0, and the names of both.
    assert store.sweep(policy, START + 5000).samples == 5
    assert (spans(store), spans(store, 60)) == ([], [])
    keep(store, START + 5000, web_0=5.0)
    assert spans(store) == [("web/0", 5000, 5.0)]
