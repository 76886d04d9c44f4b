"""The end of a controller: graceful, twice, keeping, or killed; and the one that comes after it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually, pause, process

pytestmark = pytest.mark.e2e


def test_sigterm_stops_all_in_parallel_with_progress_and_leaves_nothing(site: Installation) -> None:
    for number in range(6):
        site.add(f"w{number}", "--slow-stop=1500")
    site.serve()
    site.until_running()
    began = time.monotonic()
    site.stop()
    assert time.monotonic() - began < 6, "six times 1.5 s would be 9 s"
    books = site.journals()
    assert [[number for _, number in book.signals] for book in books.values()] == [[15]] * 6
    assert [[code for _, code in book.exits] for book in books.values()] == [[0]] * 6
    log = site.log()
    assert "stopping all workers" in log
    assert "still stopping" in log
    assert "all workers have stopped" in log


def test_ctrl_c_does_the_same(site: Installation) -> None:
    site.add("web")
    site.serve()
    site.until_running()
    site.tell(signal.SIGINT)
    site.ended()
    eventually(lambda: not site.leftovers(), 5, told="nothing is left")
    assert site.journal("web/0").exits[0][1] == 0


def test_a_worker_that_ignores_term_is_killed_after_its_grace(site: Installation) -> None:
    site.add("deaf", "--ignore-term", "--child", stop={"grace_ms": 2000})
    site.add("web")
    site.serve()
    site.until_running()
    site.tell()
    site.ended()
    ended = time.monotonic()
    asked_at = site.journal("deaf/0").signals[0][0]
    assert 1.8 < ended - asked_at < 5, "killed at about two seconds"
    assert site.journal("web/0").exits[0][0] < asked_at + 1.5, "nobody waits for the deaf one"
    eventually(lambda: not site.leftovers(), 5, told="nothing is left")


def test_a_stop_of_a_worker_that_ignores_term_takes_its_grace(site: Installation) -> None:
    site.add("deaf", "--ignore-term", stop={"grace_ms": 2000})
    site.serve()
    site.until_running()
    assert site.run("stop", "deaf", "--wait", "20").code == 0
    asked_at = site.journal("deaf/0").signals[0][0]
    assert 1.8 < time.monotonic() - asked_at < 5
    assert site.living() == {}
    assert [number for _, number in site.journal("deaf/0").signals] == [15]


def test_a_second_sigterm_kills_at_once(site: Installation) -> None:
    for number in range(3):
        site.add(f"deaf{number}", "--ignore-term", stop={"grace_ms": 30_000})
    site.serve()
    site.until_running()
    site.tell()
    eventually(lambda: all(book.signals for book in site.journals().values()), told="all were asked")
    began = time.monotonic()
    site.tell()
    site.ended()
    assert time.monotonic() - began < 4
    eventually(lambda: not site.leftovers(), 5, told="nothing is left")


def test_the_stop_timeout_is_the_most_that_a_worker_gets(site: Installation) -> None:
    site.add("deaf", "--ignore-term", stop={"grace_ms": 60_000})
    site.serve("--stop-timeout", "1")
    site.until_running()
    began = time.monotonic()
    site.stop()
    assert time.monotonic() - began < 8


def test_a_worker_that_waits_for_its_next_try_does_not_start_during_the_stop(site: Installation) -> None:
    site.add("flaky", "--exit=3", "--after=10", restart_delay_ms=700, max_restart_attempts=None)
    site.add("slow", "--slow-stop=2500")
    site.serve()
    site.until_running("slow")
    site.until_status("flaky", "crashed")
    site.tell()
    eventually(lambda: site.journal("slow/0").signals, told="the stop began")
    starts = len(site.journal("flaky/0").starts)
    site.ended()
    assert len(site.journal("flaky/0").starts) == starts


@pytest.mark.parametrize("way", ["keep", "kill -9"])
def test_workers_that_were_left_are_adopted_with_the_same_pids(site: Installation, way: str) -> None:
    site.add("web", replicas=2)
    site.add("api")
    site.serve("--on-exit", "keep")
    before = site.until_running()
    revisions = {name: item["revision"] for name, item in site.workers().items()}
    leave(site, way)
    assert site.living() == before
    site.serve()
    assert site.until_running() == before
    eventually(lambda: site.run("plan").code == 0, told="there is nothing to do")
    assert {name: item["revision"] for name, item in site.workers().items()} == revisions
    assert all(len(book.starts) == 1 and not book.signals for book in site.journals().values())
    assert {item["restart_count"] for item in site.workers().values()} == {0}


def leave(site: Installation, way: str) -> None:
    if way == "keep":
        site.tell()
        site.ended()
    else:
        site.kill("controller")


def test_an_exit_while_the_controller_was_away_is_told_with_its_code(site: Installation) -> None:
    go = site.root / "go"
    site.add("web", command=f"while ! test -e {go}; do sleep 0.05; done; exit 7", auto_restart="never")
    site.add("again", command=f"while ! test -e {go}; do sleep 0.05; done; exit 8", restart_delay_ms=500)
    site.serve()
    pids = site.until_running()
    site.kill("controller")
    go.touch()
    eventually(lambda: not any(process(pid) for pid in pids.values()), told="both have left")
    go.unlink()
    site.serve()
    item = site.until_status("web", "error")
    assert (item["last_exit"]["cause"], item["last_exit"]["code"]) == ("exited", 7)
    site.until_running("again")
    eventually(lambda: len(site.events(None, "exited")) == 2, told="the events")
    assert {told["worker_id"]: told["message"][:18] for told in site.events(None, "exited")} == {
        "web": "exited with code 7", "again": "exited with code 8",
    }  # fmt: skip


def test_a_crash_while_the_controller_is_away_is_repaired_at_once(site: Installation) -> None:
    site.add("web", restart_delay_ms=200)
    site.serve()
    before = site.until_running()
    site.kill("controller")
    site.kill_worker("web/0")
    pid = site.until_reborn("web/0", before["web/0"], 5)
    site.serve()
    assert site.until_running() == {"web/0": pid}


def test_what_was_edited_added_and_removed_while_the_controller_was_away_is_done_once(site: Installation) -> None:
    for name in ("api", "edited", "removed"):
        site.add(name)
    site.serve()
    before = site.until_running()
    site.kill("controller")
    site.add("edited", "--mark=v2")
    site.add("added")
    (site.specs / "removed.yaml").unlink()
    site.serve()
    eventually(lambda: "removed" not in site.workers(), told="the removed one is gone")
    eventually(lambda: site.journal("edited/0").marks == ["-", "v2"], told="the edit is done")
    after = site.until_running("api", "edited", "added")
    assert after["api/0"] == before["api/0"]
    assert [number for _, number in site.journal("removed/0").signals] == [15]
    assert len(site.journal("removed/0").starts) == 1
    assert site.living() == after


def test_a_second_controller_on_the_same_state_directory_is_refused(site: Installation) -> None:
    site.add("web")
    site.serve()
    before = site.until_running()
    assert site.controller is not None
    second = subprocess.run(
        site.serve_command("--listen", "127.0.0.1:0"), capture_output=True, text=True, timeout=20, check=False,
        env=site.environment(),
    )  # fmt: skip
    assert second.returncode == 6
    assert f"pid {site.controller.pid}" in second.stderr + second.stdout
    assert str(site.state) in second.stderr + second.stdout
    assert site.until_running() == before


def test_a_second_controller_on_the_same_address_is_refused_and_stops_nothing(site: Installation) -> None:
    site.add("web")
    site.serve()
    before = site.until_running()
    command = site.serve_command()
    command[command.index("--state-dir") + 1] = str(site.root / "other")
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=site.environment())
    assert second.returncode == 1
    assert site.listen in second.stderr + second.stdout
    assert site.until_running() == before


def test_the_next_controller_waits_for_a_stop_that_goes_on(site: Installation) -> None:
    """Killed in the middle of its graceful end: the stop goes on, and the next one starts everything again, once."""
    site.add("slow", "--slow-stop=2500")
    site.add("web")
    site.serve()
    before = site.until_running()
    site.tell()
    eventually(lambda: site.journal("slow/0").signals, told="the stop began")
    site.kill("controller")
    site.serve()
    after = site.until_running("slow", "web")
    assert after["slow/0"] != before["slow/0"]
    assert site.living() == after


def test_a_killed_controller_leaves_everything_for_as_long_as_it_takes(site: Installation) -> None:
    site.add("web")
    site.serve()
    before = site.until_running()
    site.kill("controller")
    pause(1.0)
    assert site.living() == before
    keeper = site.pid_of("keeper")
    os.kill(keeper, 0)
    site.serve()
    assert site.pid_of("keeper") == keeper
