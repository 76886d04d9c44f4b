"""The spec feed over a real directory: what changed is handed on, told once, and recorded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.core.desired import Desired
from controller.reconcile import upkeep
from controller.reconcile.archive import Archive
from controller.reconcile.specs import ANSWER_S, RESCAN_S, TOLD, SpecFeed, difference
from controller.reconcile.upkeep import keep_house
from controller.store import Policy, Store, StoreUnavailable
from controller.store.records import ConfigRows, Event, EventRows
from tests.core.core_builders import desired, problem
from tests.core.core_builders import worker as accepted
from tests.fakes.clock import FakeClock
from tests.reconcile.reconcile_site import read_anew, rounds, running, until
from tests.sources.specs_builder import START, SpecsDirectory, worker
from tests.store.store_builders import config_row


class Scene:
    def __init__(self, folder: Path, store: Store) -> None:
        self.clock = FakeClock(START)
        self.spot = SpecsDirectory(folder)
        self.store = store
        self.source: Any = self.spot.source
        self.handed: list[tuple[Desired, frozenset[str] | None]] = []
        archive = Archive(store, now=self.clock.now, ask_again=lambda _: None)
        self.feed = SpecFeed(
            self, clock=self.clock, archive=archive, accept=lambda want, changed: self.handed.append((want, changed))
        )
        self.troubles: list[str] = []
        self.feed.tell_trouble(self.troubles.append)
        self.begun = 0
        self.gate = threading.Event()
        self.gate.set()
        self.fails = 0
        self.task: asyncio.Task[None] | None = None

    # --- the source, with a gate ---

    @property
    def root(self) -> str:
        return str(self.source.root)

    def scan(self, now: float) -> Any:
        self.begun += 1
        assert self.gate.wait(10)
        if self.fails:
            self.fails -= 1
            raise ZeroDivisionError
        return self.source.scan(now)

    def content(self, path: str) -> bytes | None:
        found: bytes | None = self.source.content(path)
        return found

    def confirm(self, digest: str) -> None:
        self.source.confirm(digest)

    def forget(self, worker_id: str) -> None:
        self.source.forget(worker_id)

    # --- what happens ---

    async def start(self) -> None:
        self.task = asyncio.ensure_future(self.feed.run())
        await until(lambda: self.feed.scans == 1 and self.rests)

    async def later(self, seconds: float = RESCAN_S) -> None:
        """Time passes, and somebody looks."""
        before = self.feed._over
        self.spot.now += seconds
        await self.clock.advance(seconds)
        if seconds < RESCAN_S:
            self.feed.look()
        await until(lambda: self.feed._over > before and self.rests)

    @property
    def rests(self) -> bool:
        """No scan is under way, and the next one waits for its time."""
        return self.feed._over == self.feed._begun and self.clock.waiting > 0

    def events(self) -> list[str]:
        assert self.store.writer.flush(5)
        return [event.type for event in self.store.reader.events()]


@pytest.fixture
async def scene(tmp_path: Path, store: Store) -> AsyncIterator[Scene]:
    found = Scene(tmp_path, store)
    yield found
    found.gate.set()
    if found.task is not None:
        found.task.cancel()
        await asyncio.gather(found.task, return_exceptions=True)


async def test_the_first_scan_is_everything_and_a_later_one_only_what_changed(scene: Scene) -> None:
    scene.spot.write("web.yaml", worker("web"))
    await scene.start()
    assert [(sorted(want.workers), changed) for want, changed in scene.handed] == [(["web"], None)]
    await scene.later()
    assert scene.handed[-1][1] == frozenset()
    scene.spot.write("api.yaml", worker("api"))
    await scene.later()
    assert scene.handed[-1][1] == {"api"}
    assert scene.feed.desired is scene.handed[-1][0]
    assert scene.events() == ["spec_accepted", "spec_accepted"]
    assert [row.worker_id for row in scene.store.reader.worker_configs()] == ["api", "web"]


async def test_a_problem_is_told_once_and_the_last_good_spec_goes_on(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.spot.write("web.yaml", worker("web"))
    await scene.start()
    scene.spot.write("web.yaml", worker("web", "replicas: many\n"))
    await scene.later()
    await scene.later()
    assert scene.feed.desired.workers["web"].stale
    assert scene.events() == ["spec_accepted", "spec_rejected"]
    assert caplog.text.count("web.yaml:3") == 1
    scene.spot.write("web.yaml", worker("web"))
    with caplog.at_level("INFO"):
        await scene.later()
    assert "problems solved" in caplog.text
    assert scene.events() == ["spec_accepted", "spec_rejected"]


async def test_a_removed_spec_is_told_with_its_proof_and_its_row_is_marked(scene: Scene) -> None:
    for name in ("web", "api"):
        scene.spot.write(f"{name}.yaml", worker(name))
    await scene.start()
    scene.spot.remove("web.yaml")
    await scene.later()
    await scene.later(1)
    assert sorted(scene.feed.desired.removed) == ["web"]
    assert frozenset({"web"}) in [changed for _, changed in scene.handed]
    assert scene.events()[-1] == "spec_removed"
    assert [row.worker_id for row in scene.store.reader.worker_configs()] == ["api"]
    scene.forget("web")
    await scene.later()
    assert dict(scene.feed.desired.removed) == {}


async def test_a_directory_that_is_away_holds_and_the_loop_hears_of_it(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.spot.write("web.yaml", worker("web"))
    await scene.start()
    scene.spot.remove("web.yaml")
    with caplog.at_level("INFO"):
        await scene.later()
        held, changed = scene.handed[-1]
        assert (changed, held.hold_digest != "", sorted(held.workers)) == (None, True, ["web"])
        scene.confirm(held.hold_digest)
        await scene.later(1)
        await scene.later()
    assert "specs are held" in caplog.text
    assert "no longer held" in caplog.text


async def test_another_digest_of_the_same_hold_is_handed_on(scene: Scene) -> None:
    await scene.start()
    before = scene.feed.desired
    scene.feed.desired = desired(hold_reason="replaced", hold_digest="a")
    await scene.feed._hand_on(desired(hold_reason="replaced", hold_digest="b"), first=False)
    assert scene.handed[-1][0].hold_digest == "b"
    assert scene.handed[-1][1] is None
    assert before == Desired()


async def test_while_many_specs_are_told_others_have_their_turns_and_the_loop_hears_of_all_at_once(
    scene: Scene,
) -> None:
    many = desired(*(accepted(f"w{number}") for number in range(10 * TOLD)))
    telling = asyncio.ensure_future(scene.feed._hand_on(many, first=True))
    turns = 0
    while not telling.done():
        assert scene.handed == []
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 10
    assert [(len(want.workers), changed) for want, changed in scene.handed] == [(10 * TOLD, None)]
    assert scene.store.writer.flush(5)
    assert len(scene.store.reader.events(limit=1000)) == 10 * TOLD


async def test_a_look_during_a_scan_gives_another_one(scene: Scene) -> None:
    await scene.start()
    scene.gate.clear()
    scene.feed.look()
    await until(lambda: scene.begun == 2)
    scene.spot.write("web.yaml", worker("web"))
    looking = asyncio.ensure_future(read_anew(scene.feed))
    await rounds()
    scene.gate.set()
    await looking
    assert scene.begun == 3
    assert "web" in scene.feed.desired.workers


async def test_hints_of_a_burst_give_one_scan(scene: Scene) -> None:
    await scene.start()
    over = asyncio.Event()

    async def hints() -> AsyncIterator[None]:
        for _ in range(20):
            yield None
        await over.wait()

    async with running(scene.feed.follow(hints())):
        await until(lambda: scene.feed.scans == 2 and scene.rests)
        over.set()
    assert scene.begun == 2


async def test_who_asks_is_not_kept_waiting_for_the_end_of_a_burst(scene: Scene) -> None:
    await scene.start()
    scene.feed.debounce_s = 3600.0
    scene.feed.hint()
    await rounds()
    assert scene.begun == 1
    scene.spot.write("web.yaml", worker("web"))
    await read_anew(scene.feed)
    assert (scene.begun, "web" in scene.feed.desired.workers) == (2, True)


async def test_a_scan_that_asks_for_another_gets_it(scene: Scene) -> None:
    await scene.start()
    scene.spot.write("web.yaml", worker("web"), age_s=-RESCAN_S)
    await scene.later()
    assert dict(scene.feed.desired.workers) == {}
    await scene.clock.advance(0.3)
    await until(lambda: scene.feed.scans == 3)
    assert sorted(scene.feed.desired.workers) == ["web"]


async def test_a_scan_that_fails_holds_the_source_and_the_next_one_ends_that(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.spot.write("web.yaml", worker("web"))
    await scene.start()
    scene.spot.write("api.yaml", worker("api"))
    scene.fails = 2
    await read_anew(scene.feed)
    await read_anew(scene.feed)
    held, changed = scene.handed[-1]
    why = "internal error while reading the specs (ZeroDivisionError, see the log of `workerctl serve`)"
    assert held.hold_reason == f"{why}; the last good specs go on"
    assert (held.hold_digest, sorted(held.workers), changed) == ("", ["web"], frozenset())
    assert scene.handed[-2][1] is None, "everybody looks when a hold begins"
    assert "ZeroDivisionError" in caplog.text.partition("Traceback")[2]
    assert caplog.text.count("specs are held") == 1
    await read_anew(scene.feed)
    assert (scene.feed.desired.hold_reason, sorted(scene.feed.desired.workers)) == ("", ["api", "web"])
    assert scene.troubles[-1] == ""


async def test_a_first_scan_that_fails_is_told_and_nothing_is_handed_on(scene: Scene) -> None:
    scene.spot.write("web.yaml", worker("web"))
    scene.fails = 1
    scene.task = asyncio.ensure_future(scene.feed.run())
    await until(lambda: scene.troubles)
    assert "internal error while reading the specs" in scene.troubles[0]
    assert (scene.handed, scene.feed.scans) == ([], 0)
    await read_anew(scene.feed)
    assert (scene.handed[0][1], scene.troubles[-1]) == (None, "")


async def test_a_scan_that_hangs_is_told_and_waited_for_and_no_other_one_begins(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.spot.write("web.yaml", worker("web"))
    await scene.start()
    scene.gate.clear()
    scene.feed.look()
    await until(lambda: scene.begun == 2 and scene.clock.waiting)
    await scene.clock.advance(ANSWER_S)
    await until(lambda: scene.feed.desired.hold_reason)
    assert scene.feed.desired.hold_reason == (
        f"the specs directory {scene.root} has not answered for 30 s: a network file system may hang; "
        "the last good specs go on"
    )
    assert (sorted(scene.feed.desired.workers), "specs are held" in caplog.text) == (["web"], True)
    for _ in range(3):
        scene.feed.look()
        await scene.clock.advance(RESCAN_S)
    assert scene.begun == 2
    scene.spot.write("api.yaml", worker("api"))
    scene.gate.set()
    await until(lambda: not scene.feed.desired.hold_reason)
    assert sorted(scene.feed.desired.workers) == ["api", "web"]


async def test_the_end_of_the_program_does_not_wait_for_a_scan_that_hangs(scene: Scene) -> None:
    await scene.start()
    scene.gate.clear()
    scene.feed.look()
    await until(lambda: scene.begun == 2)
    assert scene.task is not None
    scene.task.cancel()
    await asyncio.wait_for(asyncio.gather(scene.task, return_exceptions=True), 5)
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "specs"] == [True]


async def test_a_state_directory_that_cannot_be_written_is_told_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.feed._warn("cannot write last good specs")
    scene.feed._warn("cannot write last good specs")
    assert caplog.text.count("last good") == 1


def test_a_difference_names_everybody_concerned() -> None:
    web, api = accepted("web"), accepted("api")
    found = difference(
        desired(web, api, broken={"bad": ()}), desired(accepted("web", replicas=2), removed=["api"], broken={"new": ()})
    )
    assert (sorted(found.accepted), sorted(found.gone)) == (["web"], ["api"])
    assert found.touched == {"web", "api", "bad", "new"}
    same = difference(desired(web), desired(accepted("web")))
    assert same.touched == frozenset()
    assert problem() == problem()


# --- upkeep -----------------------------------------------------------------------------------------------------------


async def test_rows_of_specs_that_went_while_nobody_looked_are_marked(scene: Scene) -> None:
    scene.store.writer.submit(ConfigRows(rows=[config_row("old"), config_row("web")]))
    scene.spot.write("web.yaml", worker("web"))
    scene.spot.write("bad.yaml", "worker_id: bad\n")
    scene.store.writer.submit(ConfigRows(rows=[config_row("bad")]))
    async with running(keep_house(scene.store, scene.feed, scene.clock)):
        await scene.start()
        await until(lambda: [row.worker_id for row in scene.store.reader.worker_configs()] == ["bad", "web"])
        assert len(scene.store.reader.worker_configs(with_deleted=True)) == 3


async def test_while_the_source_is_held_no_row_is_marked(scene: Scene) -> None:
    scene.store.writer.submit(ConfigRows(rows=[config_row("old")]))
    scene.feed.scans = 1
    scene.feed.desired = desired(hold_reason="git is at work")
    async with running(keep_house(scene.store, scene.feed, scene.clock)):
        await rounds(50)
        assert scene.store.writer.flush(5)
        assert [row.worker_id for row in scene.store.reader.worker_configs()] == ["old"]


class Flaky:
    """A store whose reader and sweep fail as often as they are told to, and then are the real ones."""

    def __init__(self, store: Store, failures: int) -> None:
        self._store, self.failures = store, failures
        self.writer, self.reader = store.writer, self

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")

    def worker_configs(self) -> Any:
        self._fail()
        return self._store.reader.worker_configs()

    def sweep(self, policy: Policy, now: float) -> Any:
        self._fail()
        return self._store.sweep(policy, now)

    def sweep_surplus(self, policy: Policy) -> Any:
        return self._store.sweep_surplus(policy)


async def test_upkeep_goes_on_after_the_database_was_away(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.store.writer.submit(ConfigRows(rows=[config_row("old")]))
    scene.store.writer.submit(EventRows(events=[Event(at=1.0, type="ancient"), Event(at=START, type="new")]))
    await scene.start()
    flaky = Flaky(scene.store, 2)
    async with running(keep_house(flaky, scene.feed, scene.clock)):  # type: ignore[arg-type]
        await until(lambda: flaky.failures == 1 and scene.clock.waiting == 3 and scene.rests)
        await scene.later(upkeep.AGAIN_S)
        await until(lambda: flaky.failures == 0)
        for _ in range(100):  # what is tried again may only begin to wait while time passes
            await scene.later(upkeep.EVERY_S / 10)
            if scene.events() == ["new"] and not scene.store.reader.worker_configs():
                break
        assert (scene.events(), scene.store.reader.worker_configs()) == (["new"], ())
