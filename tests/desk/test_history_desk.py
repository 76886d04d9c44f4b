"""Figures over time: sampled from a host in memory into a real database, and drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from controller.api.past_ports import HistoryWish
from controller.api.ports import Sender
from controller.core.heartbeats import Beat
from controller.core.observed import Status
from controller.desk.heartbeats import HeartbeatDesk, heartbeat_key
from controller.desk.history import HistoryDesk, drawn
from controller.desk.parts import Parts
from controller.reconcile.archive import Archive
from controller.reconcile.loop import Loop
from controller.reconcile.queue import WorkQueue
from controller.reconcile.wishes import WishBook
from controller.store import Store, open_store
from controller.store.history import HistoryQuery, Span
from controller.store.records import Event, EventRows
from tests.core.core_builders import seen, worker
from tests.fakes.clock import FakeClock
from tests.reconcile.reconcile_site import HOST, MemoryHost, running, until
from tests.store.store_builders import QUICK

START = 1_700_000_400.0
"""A whole number of ten minutes."""


class Scene:
    """Two instances of `web` on a host in memory, with a clock that is moved."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.host = FakeClock(START + 1), MemoryHost()
        self.store: Store = open_store(str(folder / "workerctl.db"), settings=QUICK)
        wishes = WishBook(folder)
        loop = Loop(backends={HOST: self.host}, wishes=wishes, queue=WorkQueue(), clock=self.clock)
        self.heartbeats = HeartbeatDesk(heartbeat_key(b"state"), loop, self.clock)
        nothing: Any = None
        archive = Archive(self.store, now=self.clock.now, ask_again=lambda _host: None)
        archive.told = self.heartbeats.told_of
        parts = Parts(
            store=self.store, loop=loop, specs=nothing, wishes=wishes, archive=archive, clock=self.clock,
            heartbeats=self.heartbeats,
        )  # fmt: skip
        self.desk = HistoryDesk(parts, lambda worker_id: worker_id == "web")
        self.uses(10.0, None)

    def uses(self, *cpu: float | None) -> None:
        web = worker("web", replicas=len(cpu))
        self.host.slots = {
            f"web/{ordinal}": seen(web, ordinal, run="r", cpu_percent=percent, memory_bytes=100, restart_count=ordinal)
            for ordinal, percent in enumerate(cpu)
        }

    async def passes(self, seconds: int) -> None:
        for _ in range(seconds):
            await self.clock.advance(1)

    async def written(self) -> None:
        """All is stored: chores, too, for which `flush` does not wait."""
        await until(lambda: self.store.writer.backlog == 0)

    async def drawn(self, **more: Any) -> Any:
        await self.written()
        wish = HistoryWish(
            **{"worker_id": "web", "since": START, "until": START + 3600, "metrics": ("cpu_percent",), **more}
        )  # fmt: skip
        return await self.desk.history(wish)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path)
    yield found
    found.store.close()


async def test_a_sample_is_taken_at_each_whole_ten_seconds(scene: Scene) -> None:
    async with running(scene.desk.run()):
        await scene.passes(25)
        scene.uses(30.0, 5.0)
        await scene.passes(10)
    assert await scene.drawn(metrics=("cpu_percent", "memory_bytes", "restart_count")) == {
        "worker_id": "web",
        "since": "2023-11-14T22:20:00.000Z",
        "until": "2023-11-14T23:20:00.000Z",
        "step_s": 10,
        "times": [START + 10, START + 20, START + 30],
        "series": [
            {"worker_id": "web", "instance": None, "metric": "cpu_percent", "values": [10.0, 10.0, 35.0]},
            {"worker_id": "web", "instance": None, "metric": "memory_bytes", "values": [200.0, 200.0, 200.0]},
            {"worker_id": "web", "instance": None, "metric": "restart_count", "values": [1.0, 1.0, 1.0]},
        ],
        "annotations": [],
    }
    by_instance = await scene.drawn(by_instance=True)
    assert [(series["instance"], series["values"]) for series in by_instance["series"]] == [
        ("web/0", [10.0, 10.0, 30.0]),
        ("web/1", [None, None, 5.0]),
    ]
    (one,) = (await scene.drawn(instance="web/1"))["series"]
    assert one["values"] == [None, None, 5.0]


async def test_what_heartbeats_tell_is_kept_as_history_too(scene: Scene) -> None:
    scene.heartbeats.keep(Sender(instance="web/0", run="r"), Beat(active_tasks=4, assigned_accounts=2, error_count=1))
    async with running(scene.desk.run()):
        await scene.passes(10)
    names = ("active_tasks", "assigned_accounts", "error_count")
    series = (await scene.drawn(metrics=names))["series"]
    assert [(one["metric"], one["values"]) for one in series] == [
        (names[0], [4.0]),
        (names[1], [2.0]),
        (names[2], [1.0]),
    ]


async def test_what_heartbeats_tell_stands_in_the_row_of_the_instance_while_its_run_lives(scene: Scene) -> None:
    def rows() -> list[Any]:
        return [
            (row.instance, row.active_tasks, row.assigned_accounts, row.error_count, row.last_heartbeat_at)
            for row in scene.store.reader.worker_runtime(worker_id="web")
        ]

    async with running(scene.desk.run()):
        scene.heartbeats.keep(Sender(instance="web/0", run="r"), Beat(active_tasks=4, error_count=1))
        await scene.passes(12)
        await scene.written()
        assert rows() == [("web/0", 4, None, 1, START + 1)]
        scene.heartbeats.keep(Sender(instance="web/0", run="r"), Beat(active_tasks=5, assigned_accounts=2))
        await scene.passes(10)
        await scene.written()
        assert rows() == [("web/0", 5, 2, None, START + 13)]


async def test_what_does_not_run_and_what_cannot_be_reached_has_no_figures(scene: Scene) -> None:
    web = worker("web")
    scene.host.slots = {"web/0": seen(web, status=Status.STOPPED, pid=None)}
    async with running(scene.desk.run()):
        await scene.passes(10)
        scene.uses(1.0)
        scene.host.reachable = False
        await scene.passes(10)
    assert (await scene.drawn())["series"] == []


async def test_minutes_and_spans_of_ten_are_made_meanwhile_and_after_a_start(scene: Scene) -> None:
    async with running(scene.desk.run()):
        await scene.passes(70)
        await scene.written()
    assert [(span.at, span.figures["cpu_percent"]) for span in minutes(scene)] == [(START, 10.0), (START, None)]
    await scene.passes(600)  # nobody runs
    async with running(scene.desk.run()):
        await scene.passes(1)
        await scene.written()
    assert [(span.at, span.instance) for span in minutes(scene)] == [
        (START, "web/0"), (START + 60, "web/0"), (START, "web/1"), (START + 60, "web/1"),
    ]  # fmt: skip
    found = await scene.drawn(step=600)
    assert (found["step_s"], found["times"]) == (600, [START])


def minutes(scene: Scene) -> tuple[Span, ...]:
    query = HistoryQuery(worker_id="web", step=60, since=int(START), until=int(START) + 3600)
    return scene.store.reader.history(query)


@pytest.mark.parametrize(
    ("since", "until", "step"),
    [(-3600, 0, 10), (-7200, 0, 10), (-7300, 0, 60), (-86_400, -86_000, 60), (-3 * 86_400, -3 * 86_400 + 60, 600)],
)
async def test_the_finest_spans_that_are_still_kept_are_drawn(scene: Scene, since: int, until: int, step: int) -> None:
    wish = HistoryWish(
        worker_id="web", since=scene.clock.now() + since, until=scene.clock.now() + until, metrics=("cpu_percent",)
    )  # fmt: skip
    found = await scene.desk.history(wish)
    assert found is not None
    assert found["step_s"] == step


async def test_what_happened_meanwhile_is_told(scene: Scene) -> None:
    def event(at: float, kind: str, **more: Any) -> Event:
        return Event(at=at, type=kind, worker_id="web", actor="agent", message=kind, **more)

    happened = [
        event(START - 1, "started"), event(START, "spec_accepted"), event(START + 5, "started", instance="web/0"),
        event(START + 6, "became_ready", instance="web/0"), event(START + 7, "exited", instance="web/1"),
    ]  # fmt: skip
    assert scene.store.writer.submit(EventRows(events=happened))
    told = (await scene.drawn())["annotations"]
    assert [(one["type"], one["instance"]) for one in told] == [
        ("spec_accepted", None), ("started", "web/0"), ("exited", "web/1"),
    ]  # fmt: skip
    assert told[0] == {
        "at": "2023-11-14T22:20:00.000Z", "type": "spec_accepted", "instance": None, "actor": "agent",
        "message": "spec_accepted",
    }  # fmt: skip
    of_one = (await scene.drawn(instance="web/0"))["annotations"]
    assert [one["type"] for one in of_one] == ["spec_accepted", "started"]


async def test_without_a_worker_it_is_the_sums_of_each(scene: Scene) -> None:
    api = worker("api", replicas=1)
    scene.uses(1.0, 2.0)
    scene.host.slots["api/0"] = seen(api, 0, run="r", cpu_percent=5.0, memory_bytes=7)
    async with running(scene.desk.run()):
        await scene.passes(20)
    assert (await scene.drawn(worker_id=None, until=START + 60)) == {
        "worker_id": None,
        "since": "2023-11-14T22:20:00.000Z",
        "until": "2023-11-14T22:21:00.000Z",
        "step_s": 10,
        "times": [START + 10, START + 20],
        "series": [
            {"worker_id": "api", "instance": None, "metric": "cpu_percent", "values": [5.0, 5.0]},
            {"worker_id": "web", "instance": None, "metric": "cpu_percent", "values": [3.0, 3.0]},
        ],
        "annotations": [],
    }


async def test_a_worker_of_which_nothing_is_known_has_no_history(scene: Scene) -> None:
    wish = HistoryWish(worker_id="other", since=START, until=START + 1, metrics=("cpu_percent",))
    assert await scene.desk.history(wish) is None


def test_a_hole_is_null_and_instances_stand_in_the_order_of_their_numbers() -> None:
    def span(instance: str, at: int) -> Span:
        return Span(worker_id="web", instance=instance, at=at, figures=cast("Any", {"cpu_percent": float(at)}))

    of = {"worker_id": "web", "metric": "cpu_percent"}
    assert drawn([span("web/10", 0), span("web/2", 10), span("web/2", 40)], ("cpu_percent",), 10) == {
        "times": [0, 10, 20, 30, 40],
        "series": [
            {**of, "instance": "web/2", "values": [None, 10.0, None, None, 40.0]},
            {**of, "instance": "web/10", "values": [0.0, None, None, None, None]},
        ],
    }
