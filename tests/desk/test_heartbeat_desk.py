"""The desk of heartbeats: who is admitted, what is kept and for how long, and what liveness is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.agent.protocol import heartbeat_token
from controller.api.ports import Sender, StoreUnavailable, Turned
from controller.core.heartbeats import Beat, OwnRecord
from controller.desk.heartbeats import BURST, PER_S, HeartbeatDesk, heartbeat_key
from controller.reconcile.loop import Loop
from controller.reconcile.queue import WorkQueue
from controller.reconcile.wishes import WishBook
from controller.store import StoreError
from controller.store.records import WorkerRecord, WorkerRecords
from tests.core.core_builders import seen, worker
from tests.fakes.clock import FakeClock
from tests.reconcile.reconcile_site import HOST, MemoryHost

KEY = heartbeat_key(b"state")


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


class Scene:
    """One worker on a host in memory, with a clock that is moved."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.host = FakeClock(), MemoryHost()
        loop = Loop(backends={HOST: self.host}, wishes=WishBook(folder), queue=WorkQueue(), clock=self.clock)
        self.desk = HeartbeatDesk(KEY, loop, self.clock)
        self.changed: list[str] = []
        self.forwarded: list[tuple[str, str, str]] = []
        self.desk.changed = self.changed.extend
        self.desk.forward = lambda *told: self.forwarded.append(told)
        self.runs("r1", "r2")

    def runs(self, *runs: str) -> None:
        """Its instances live as these runs."""
        web = worker("web", replicas=len(runs))
        self.host.slots = {f"web/{ordinal}": seen(web, ordinal, run=run) for ordinal, run in enumerate(runs)}

    def admit(self, instance: str = "web/0", run: str = "r1", *, to: str = "web", key: str = KEY) -> Sender | Turned:
        return self.desk.admit(to, heartbeat_token(key, instance, run))

    def keep(self, instance: str = "web/0", run: str = "r1", **beat: Any) -> float:
        return self.desk.keep(Sender(instance=instance, run=run), Beat(**beat))


async def test_a_run_that_lives_is_admitted_to_its_own_worker(scene: Scene) -> None:
    assert scene.admit("web/1", "r2") == Sender(instance="web/1", run="r2")


@pytest.mark.parametrize(
    ("changes", "turned"),
    [
        ({"key": "another"}, Turned.FORGED),
        ({"to": "api"}, Turned.FOREIGN),
        ({"run": "r0"}, Turned.NOT_LIVE),
        ({"instance": "web/7"}, Turned.NOT_LIVE),
    ],
)
async def test_others_are_turned_away(scene: Scene, changes: dict[str, Any], turned: Turned) -> None:
    assert scene.admit(**changes) is turned


@pytest.mark.parametrize(
    "token", ["", ".", "..", "web.0.r1.", "web.0.r1.\N{GREEK SMALL LETTER ALPHA}", "\udcff.0.r1.x"]
)
async def test_what_is_no_token_is_forged(scene: Scene, token: str) -> None:
    assert scene.desk.admit("web", token) is Turned.FORGED


async def test_a_run_that_is_over_has_no_say_any_more_and_its_figures_go_with_it(scene: Scene) -> None:
    scene.keep(active_tasks=3)
    assert scene.desk.reported_of("web")["active_tasks"] == 3
    scene.runs("r9", "r2")
    assert scene.admit() is Turned.NOT_LIVE
    assert scene.desk.reported_of("web") == {}


async def test_figures_are_summed_and_news_is_told_when_they_are_others_than_before(scene: Scene) -> None:
    scene.keep(active_tasks=1)
    scene.clock.jump(5)
    scene.keep(active_tasks=1)
    assert scene.changed == ["web"]
    scene.keep("web/1", "r2", active_tasks=2, metrics={"lag": 0.5})
    assert scene.changed == ["web", "web"]
    found = scene.desk.reported_of("web")
    assert (found["active_tasks"], found["metrics"], found["last_heartbeat_at"]) == (3, {"lag": 0.5}, scene.clock.now())


async def test_too_many_are_refused_until_some_time_has_passed_and_another_run_begins_with_all_of_it(
    scene: Scene,
) -> None:
    waits: Sequence[float] = [scene.keep() for _ in range(int(BURST) + 1)]
    assert (waits[:-1], waits[-1]) == ([0.0] * int(BURST), 1 / PER_S)
    scene.clock.jump(1.01 / PER_S)
    assert (scene.keep(), scene.keep() > 0) == (0.0, True)
    scene.clock.jump(-3600)
    assert scene.keep() > 0
    assert scene.keep("web/1", "r2") == 0.0


async def test_liveness_is_told_of_each_beat_of_a_run_that_lives_also_of_one_too_many(scene: Scene) -> None:
    for _ in range(int(BURST) + 5):
        scene.keep()
    scene.keep(run="r0")
    assert scene.forwarded == [("localhost", "web/0", "r1")] * (int(BURST) + 5)


async def test_records_are_stored_with_the_run_that_told_them_and_when_they_happened(scene: Scene) -> None:
    stored: list[WorkerRecords] = []

    async def store(records: WorkerRecords) -> None:
        stored.append(records)

    scene.desk.store = store
    records = [OwnRecord(kind="task", message="job 7", level="info", data={"n": 1}, age_s=2.5, number=3)]
    await scene.desk.record(Sender(instance="web/0", run="r1"), "w1", records)

    row = WorkerRecord(at=scene.clock.now() - 2.5, kind="task", level="info", text="job 7", data={"n": 1}, number=3)
    assert stored == [WorkerRecords(run="r1", slot="web/0", records=[row], source="w1")]


async def test_records_that_the_database_does_not_take_are_told_so(scene: Scene) -> None:
    async def store(_records: WorkerRecords) -> None:
        raise StoreError("it is away")

    scene.desk.store = store
    with pytest.raises(StoreUnavailable, match="it is away"):
        await scene.desk.record(Sender(instance="web/0", run="r1"), "", [])
