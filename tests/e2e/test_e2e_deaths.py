"""kill -9 of any of ours, at any moment: no worker dies of it, none is started twice, no stranger is signalled.

Each test kills a set of ours in one phase. A killed controller is started again, as its user would. Then, always: what
was running has its pid, no slot ever had two processes, all is as the specs ask within ten seconds, a stop leaves
nothing, and the bystander is untouched (the last three stand in the fixture).
"""

from __future__ import annotations

import time

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.sliced]

CONVERGED_S = 10.0
SETS = [
    pytest.param(("controller",), id="controller"),
    pytest.param(("agent",), id="agent"),
    pytest.param(("keeper",), id="keeper"),
    pytest.param(("agent", "keeper"), id="agent-and-keeper"),
    pytest.param(("controller", "agent", "keeper"), id="all-three"),
]


def kill(site: Installation, roles: tuple[str, ...]) -> None:
    site.kill(*roles)
    if "controller" in roles:
        site.serve()


@pytest.mark.parametrize("roles", SETS)
def test_a_death_while_idle_changes_no_pid(site: Installation, roles: tuple[str, ...]) -> None:
    for number in range(4):
        site.add(f"w{number}", replicas=2)
    site.serve()
    before = site.until_running()
    for _ in range(2):
        kill(site, roles)
        assert site.until_running(patience_s=CONVERGED_S) == before == site.living()
    assert all(len(book.starts) == 1 and not book.signals for book in site.journals().values())
    eventually(lambda: site.run("plan").code == 0, CONVERGED_S, told="there is nothing to do")
    site.until_reborn("w0/0", site.kill_worker("w0/0"))
    site.until_running(patience_s=CONVERGED_S)
    assert site.living() | {"w0/0": 0} == before | {"w0/0": 0}


@pytest.mark.parametrize("roles", SETS)
def test_a_death_while_twenty_start_ends_with_twenty(site: Installation, roles: tuple[str, ...]) -> None:
    for number in range(10):
        site.add(f"w{number:02}", replicas=2)
    site.serve()
    eventually(lambda: len(site.journals()) >= 3, told="some have started")
    early = site.living()
    kill(site, roles)
    after = site.until_running(*(f"w{number:02}" for number in range(10)), patience_s=2 * CONVERGED_S)
    assert len(after) == 20
    assert site.living() == after
    assert {name: after[name] for name in early} == early


@pytest.mark.parametrize("roles", SETS)
def test_a_death_while_stopping_keeps_the_deadline(site: Installation, roles: tuple[str, ...]) -> None:
    site.add("deaf", "--ignore-term", stop={"grace_ms": 4000})
    site.add("web")
    site.serve()
    before = site.until_running()
    site.run("stop", "deaf")
    eventually(lambda: site.journal("deaf/0").signals, told="it was asked to end")
    asked_at = site.journal("deaf/0").signals[0][0]
    kill(site, roles)
    eventually(lambda: "deaf/0" not in site.living(), told="it is gone")
    assert 3.5 < time.monotonic() - asked_at < 4 + 2.5, "the original deadline counts"
    site.until_status("deaf", "stopped", CONVERGED_S)
    assert site.until_running("web") == {"web/0": before["web/0"]}
    assert len(site.journal("deaf/0").starts) == 1


@pytest.mark.parametrize("roles", SETS)
def test_a_death_while_backing_off_starts_it_once_when_it_is_due(site: Installation, roles: tuple[str, ...]) -> None:
    site.add("flaky", restart_delay_ms=3000, restart_backoff={"jitter": 0})
    site.add("web")
    site.serve()
    before = site.until_running()
    site.kill_worker("flaky/0")
    killed_at = time.monotonic()
    site.until_status("flaky", "crashed")
    kill(site, roles)
    site.until_reborn("flaky/0", before["flaky/0"])
    started_at = site.journal("flaky/0").starts[-1].at
    assert 2.8 < started_at - killed_at < 3 + 3, "the original delay counts"
    assert site.until_running(patience_s=CONVERGED_S)["web/0"] == before["web/0"]
    assert len(site.journal("flaky/0").starts) == 2


@pytest.mark.parametrize("roles", SETS)
def test_a_worker_that_dies_together_with_us_is_started_again_once(site: Installation, roles: tuple[str, ...]) -> None:
    site.add("web", "--child", stop={"grace_ms": 500})
    site.add("api")
    site.serve()
    before = site.until_running()
    site.kill(*roles)
    site.kill_worker("web/0")
    if "controller" in roles:
        site.serve()
    site.until_reborn("web/0", before["web/0"], 2 * CONVERGED_S)
    after = site.until_running(patience_s=CONVERGED_S)
    assert after["api/0"] == before["api/0"]
    assert len(site.journal("web/0").starts) == 2


@pytest.mark.parametrize("roles", SETS[:4])
def test_a_death_during_a_graceful_end_leaves_nothing(site: Installation, roles: tuple[str, ...]) -> None:
    """Whoever of ours is left carries the stop on to its end, and does not say before that all have stopped."""
    until_both_were_asked_to_end(site)
    site.kill(*roles)
    if "controller" not in roles:
        site.ended(patience_s=20)
        assert site.living() == {}
    eventually(lambda: not site.living(), 10, told="both are gone")
    eventually(lambda: not site.leftovers(), 10, told="nothing is left")
    assert all(len(book.starts) == 1 for book in site.journals().values())


@pytest.mark.parametrize("roles", SETS[1:4])
def test_a_graceful_end_right_after_a_death_stops_everything(site: Installation, roles: tuple[str, ...]) -> None:
    site.add("web", replicas=3)
    site.serve()
    site.until_running()
    site.kill(*roles)
    site.stop()
    assert all(len(book.starts) == 1 and book.exits for book in site.journals().values())


def test_a_death_of_all_during_a_graceful_end_is_mended_by_the_next_controller(site: Installation) -> None:
    """Nobody is left to carry the stop on; the next controller wants everything to run, and nothing twice."""
    until_both_were_asked_to_end(site)
    asked_at = site.journal("deaf/0").signals[0][0]
    site.kill("controller", "agent", "keeper")
    site.serve()
    after = site.until_running("slow", "deaf", patience_s=CONVERGED_S + 3)
    assert site.living() == after
    assert time.monotonic() - asked_at > 3 or len(site.journal("deaf/0").starts) == 1


def until_both_were_asked_to_end(site: Installation) -> None:
    site.add("slow", "--slow-stop=1500")
    site.add("deaf", "--ignore-term", stop={"grace_ms": 3000})
    site.serve()
    site.until_running()
    site.tell()
    eventually(lambda: all(book.signals for book in site.journals().values()), told="both were asked")


def test_an_agent_that_is_killed_again_and_again_disturbs_nobody(site: Installation) -> None:
    site.add("web", replicas=5)
    site.serve()
    before = site.until_running()
    for _ in range(8):
        site.kill("agent")
    assert site.until_running(patience_s=CONVERGED_S) == before
    assert all(len(book.starts) == 1 and not book.signals for book in site.journals().values())


def test_an_edit_during_a_death_is_done_once(site: Installation) -> None:
    site.add("web", "--slow-stop=500")
    site.add("api")
    site.serve()
    before = site.until_running()
    site.add("web", "--slow-stop=500", "--mark=v2")
    eventually(lambda: site.journal("web/0").signals, told="the old one was asked to end")
    kill(site, ("controller", "agent", "keeper"))
    eventually(lambda: site.journal("web/0").marks[-1] == "v2", CONVERGED_S, told="the new one runs")
    after = site.until_running(patience_s=CONVERGED_S)
    assert after["api/0"] == before["api/0"]
    assert site.journal("web/0").marks == ["-", "v2"]
