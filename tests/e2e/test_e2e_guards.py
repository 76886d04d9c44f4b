"""What is probably a mistake stops nothing: it is held, said, and waits for a person."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.e2e_installation import Installation, Item
from tests.e2e.e2e_processes import eventually, pause

pytestmark = pytest.mark.e2e

FIVE = ("a", "b", "c", "d", "e")


@pytest.fixture
def five(site: Installation) -> Installation:
    for name in FIVE:
        site.add(name)
    site.serve()
    site.until_running()
    return site


def until_held(site: Installation, reason: str) -> Item:
    """The first hold with this reason."""

    def held() -> Item | None:
        holds = site.ask("/api/v1/plan").body["holds"]
        return next((hold for hold in holds if hold["reason"] == reason), None)

    return eventually(held, told=f"a hold {reason}")


def assert_untouched(site: Installation, before: dict[str, int]) -> None:
    """Also not a few settle windows later."""
    pause(1.0)
    assert site.pids() == before == site.living()
    assert not any(book.signals for book in site.journals().values())


@pytest.mark.parametrize("way", ["emptied", "renamed away", "replaced by another"])
def test_a_specs_directory_that_is_suddenly_empty_or_another_stops_nothing(five: Installation, way: str) -> None:
    before = five.pids()
    if way == "emptied":
        for path in five.specs.glob("*.yaml"):
            path.unlink()
    else:
        five.specs.rename(five.root / "moved")
        if way == "replaced by another":
            five.specs.mkdir()
            five.write("f.yaml", five.spec("f"))
    eventually(lambda: "specs are held" in five.log(), told="the hold is logged")
    assert_untouched(five, before)
    eventually(lambda: "hold" in five.run("plan").text, told="the plan shows it")


def test_a_directory_that_comes_back_goes_on_as_if_nothing_had_been(five: Installation) -> None:
    before = five.pids()
    five.specs.rename(five.root / "moved")
    eventually(lambda: "specs are held" in five.log(), told="the hold is logged")
    (five.root / "moved").rename(five.specs)
    eventually(lambda: "no longer held" in five.log(), told="the hold has ended")
    five.add("a", "--mark=v2")
    eventually(lambda: five.journal("a/0").marks == ["-", "v2"], told="edits are seen again")
    five.until_running()
    assert {name: pid for name, pid in five.living().items() if name != "a/0"} | {"a/0": before["a/0"]} == before


def test_an_emptied_directory_is_emptied_for_good_when_somebody_confirms(five: Installation) -> None:
    """The directory first, then the removal of all: each digest names one thing."""
    for path in five.specs.glob("*.yaml"):
        path.unlink()
    confirmed: list[str] = []

    def all_have_stopped() -> bool:
        digests = [hold["confirm"] for hold in five.ask("/api/v1/plan").body["holds"] if hold.get("confirm")]
        for digest in dict.fromkeys(digests):
            if digest not in confirmed:
                confirmed.append(digest)
                assert five.run("reconcile", "--confirm", digest).code in (0, 10)
        return not five.living()

    eventually(all_have_stopped, told="all have stopped")
    eventually(lambda: five.workers() == {}, told="all are gone")
    assert 1 <= len(confirmed) <= 2


def test_removing_four_of_five_waits_for_a_confirmation_of_exactly_that(five: Installation) -> None:
    before = five.pids()
    for name in FIVE[1:]:
        (five.specs / f"{name}.yaml").unlink()
    digest = until_held(five, "PruneGuard")["confirm"]
    assert_untouched(five, before)
    assert digest in five.run("plan").text
    assert five.run("reconcile").code == 10
    assert five.run("reconcile", "--confirm", "0" * len(digest)).code in (5, 6)
    assert_untouched(five, before)
    assert five.run("reconcile", "--confirm", digest).code == 0
    eventually(lambda: five.living() == {"a/0": before["a/0"]}, told="only the first is left")
    eventually(lambda: sorted(five.workers()) == ["a"], told="only the first is shown")


def test_a_prune_that_is_held_stays_held_over_a_restart_of_the_controller(five: Installation) -> None:
    before = five.pids()
    for name in FIVE[1:]:
        (five.specs / f"{name}.yaml").unlink()
    digest = until_held(five, "PruneGuard")["confirm"]
    five.kill("controller")
    five.serve()
    assert until_held(five, "PruneGuard")["confirm"] == digest
    assert_untouched(five, before)


def test_files_removed_while_the_controller_was_away_are_guarded_too(five: Installation) -> None:
    before = five.pids()
    five.kill("controller")
    for name in FIVE[1:]:
        (five.specs / f"{name}.yaml").unlink()
    five.serve()
    until_held(five, "PruneGuard")
    assert_untouched(five, before)


@pytest.mark.parametrize("pause_s", [0.02, 0.3])
def test_files_edited_one_after_the_other_are_guarded_as_one_change(site: Installation, pause_s: float) -> None:
    names = [f"w{number:02}" for number in range(12)]
    for name in names:
        site.write(f"{name}.yaml", f"worker_id: {name}\ncommand: [sleep, '1000']\nenv: {{COLOUR: red}}\n")
    site.serve()
    before = site.until_running()
    for path in sorted(site.specs.glob("*.yaml")):
        site.write(path.name, path.read_text().replace("red", "blue"))
        pause(pause_s)
    until_held(site, "MassRestartGuard")
    pause(1.0)
    after = site.pids()
    assert sum(after[name] != pid for name, pid in before.items()) <= 3, "no more than may always be touched"


def test_workers_whose_files_and_records_are_gone_stay_until_somebody_confirms(five: Installation) -> None:
    before = five.pids()
    five.kill("controller")
    shutil.rmtree(five.state / "last_good")
    for name in ("b", "c"):
        (five.specs / f"{name}.yaml").unlink()
    five.serve()
    digest = until_held(five, "NoSpec")["confirm"]
    assert_untouched(five, before)
    assert f"workerctl reconcile --confirm {digest}" in five.run("get").out
    assert five.run("reconcile", "--confirm", digest).code == 0
    eventually(lambda: sorted(five.living()) == ["a/0", "d/0", "e/0"], told="those two are gone")
    eventually(lambda: sorted(five.workers()) == ["a", "d", "e"], told="nothing is shown of them")
    assert five.pids() == {name: before[name] for name in ("a/0", "d/0", "e/0")}


def test_three_may_go_at_once(five: Installation) -> None:
    for name in FIVE[2:]:
        (five.specs / f"{name}.yaml").unlink()
    eventually(lambda: sorted(five.workers()) == ["a", "b"], told="three are gone")


def test_a_change_that_would_restart_most_of_the_fleet_waits(five: Installation) -> None:
    before = five.pids()
    five.write("defaults.yaml", "kind: Defaults\nenv: {COLOUR: blue}\n")
    digest = until_held(five, "MassRestartGuard")["confirm"]
    assert_untouched(five, before)
    assert five.run("reconcile", "--confirm", digest).code == 0
    eventually(lambda: all(len(book.starts) == 2 for book in five.journals().values()), told="all are replaced")
    five.until_running()
