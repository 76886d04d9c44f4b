"""Start and stop set one scalar in the person's file; restart is an intent that is served exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e


def by_hand(site: Installation) -> str:
    """A file as a person writes it: comments, quotes, odd spaces, an order of its own, words of another language."""
    command = site.spec("web").splitlines()[1].partition(": ")[2]
    return (
        "# The front door. 触らないで。\n"
        "name:   'Ovi'      # in Finnish\n"
        "\n"
        "worker_id: web\n"
        f"command: {command}\n"
        "desired_state: running   # set by hand\n"
        "start_grace_ms: 200\n"
        "labels: {b: \"2\",   a: '1'}\n"
        "# the end, without a newline"
    )


@pytest.fixture
def web(site: Installation) -> Installation:
    """web as a person wrote it, and api beside it, running."""
    site.write("web.yaml", by_hand(site))
    site.add("api")
    site.serve()
    site.until_running()
    return site


def file_of(site: Installation) -> Path:
    return site.specs / "web.yaml"


def test_stop_and_start_change_one_word_of_the_file_and_nothing_else(web: Installation) -> None:
    api = web.pids()["api/0"]
    assert web.run("stop", "web", "--wait", "20").code == 0
    assert file_of(web).read_text("utf-8") == by_hand(web).replace("desired_state: running ", "desired_state: stopped ")
    assert web.living() == {"api/0": api}
    assert web.worker("web")["status"] == "stopped"
    assert web.run("status", "web").code == 0
    assert web.run("start", "web", "--wait", "20").code == 0
    assert file_of(web).read_text("utf-8") == by_hand(web)
    assert web.until_running("web").keys() == {"web/0"}
    assert web.living()["api/0"] == api


@pytest.mark.parametrize(("first", "second", "file_says", "status"), [
    ("stop", "start", "running", "running"),
    ("start", "stop", "stopped", "stopped"),
])  # fmt: skip
def test_of_two_wishes_in_a_moment_the_later_one_wins(
    web: Installation, first: str, second: str, file_says: str, status: str
) -> None:
    if first == "start":
        assert web.run("stop", "web", "--wait", "10").code == 0
    assert web.run(first, "web").code == 0
    assert web.run(second, "web", "--wait", "10").code == 0
    assert f"desired_state: {file_says}   # set by hand" in file_of(web).read_text()
    web.until_status("web", status)
    assert web.workers()["web"]["desired_state"] == file_says


def test_stop_appends_the_scalar_where_there_is_none(site: Installation) -> None:
    site.add("web")
    site.serve()
    site.until_running("web")
    before = file_of(site).read_text()
    assert site.run("stop", "web", "--wait", "20").code == 0
    assert file_of(site).read_text() == before + "desired_state: stopped\n"


def test_stop_edits_the_right_document_of_many(site: Installation) -> None:
    site.write("all.yaml", f"# one\n{site.spec('api')}---\n# two\n{site.spec('web')}---\n{site.spec('queue')}")
    site.serve()
    before = site.until_running("api", "web", "queue")
    text = (site.specs / "all.yaml").read_text()
    assert site.run("stop", "web", "--wait", "20").code == 0
    wanted = text.replace(site.spec("web"), site.spec("web") + "desired_state: stopped\n")
    assert (site.specs / "all.yaml").read_text() == wanted
    del before["web/0"]
    assert site.living() == before


def test_a_stopped_worker_stays_stopped_over_a_restart_of_everything(web: Installation) -> None:
    web.run("stop", "web", "--wait", "20")
    web.stop()
    web.serve()
    web.until_running("api")
    assert web.worker("web")["status"] == "stopped"
    assert len(web.journal("web/0").starts) == 1


def test_restart_makes_one_new_process_and_leaves_the_file_alone(web: Installation) -> None:
    before, stat = web.pids(), file_of(web).stat()
    assert web.run("restart", "web", "--reason", "new certificate", "--wait", "20").code == 0
    after = web.until_running("web", "api")
    assert after["api/0"] == before["api/0"]
    assert after["web/0"] != before["web/0"]
    assert len(web.journal("web/0").starts) == 2
    assert (file_of(web).stat().st_mtime_ns, file_of(web).stat().st_ino) == (stat.st_mtime_ns, stat.st_ino)
    assert (
        "new certificate" in eventually(lambda: web.events("web", "restart_requested"), told="the event")[0]["message"]
    )


def test_a_restart_is_not_served_again_by_the_next_controller(web: Installation) -> None:
    web.run("restart", "web", "--wait", "20")
    pid = web.until_running("web")["web/0"]
    for _ in range(2):
        web.kill("controller")
        web.serve()
        assert web.until_running("web") == {"web/0": pid}
    assert len(web.journal("web/0").starts) == 2


def test_a_restart_does_not_consume_the_budget(site: Installation) -> None:
    site.add("web", max_restart_attempts=1)
    site.serve()
    site.until_running("web")
    for _ in range(3):
        assert site.run("restart", "web", "--wait", "20").code == 0
        site.until_running("web")
    site.until_reborn("web/0", site.kill_worker("web/0"))
    site.until_running("web")


def test_replicas_are_restarted_one_at_a_time(site: Installation) -> None:
    site.add("web", "--slow-stop=200", replicas=3)
    site.serve()
    before = site.until_running("web")
    assert site.run("restart", "web", "--wait", "40").code == 0
    after = site.until_running("web")
    assert all(after[name] != before[name] for name in before)
    books = [site.journal(f"web/{ordinal}") for ordinal in range(3)]
    assert [len(book.starts) for book in books] == [2, 2, 2]
    moments = [moment for book in books for moment in (book.exits[0][0], book.starts[1].at)]
    assert moments == sorted(moments), "an instance went before the one before it was back"


def test_a_worker_that_is_not_auto_started_waits_for_a_start_and_then_runs(site: Installation) -> None:
    site.add("web", auto_start=False)
    site.serve()
    site.until_status("web", "stopped")
    assert site.living() == {}
    assert site.run("start", "web", "--wait", "20").code == 0
    site.until_running("web")
    assert "desired_state: running" in file_of(site).read_text()


def test_a_restart_of_what_is_stopped_is_refused(web: Installation) -> None:
    web.run("stop", "web", "--wait", "20")
    told = web.run("restart", "web")
    assert told.code == 6
    assert "workerctl start web" in told.text


def test_start_and_stop_of_a_broken_file_are_refused_with_its_place(web: Installation) -> None:
    web.write("web.yaml", by_hand(web).replace("name:", "nam:"))
    eventually(lambda: web.workers()["web"]["problems"], told="the problem")
    before = file_of(web).read_bytes()
    told = web.run("stop", "web")
    assert told.code == 6
    assert "web.yaml:2:1" in told.text
    assert file_of(web).read_bytes() == before
    web.run("restart", "web", "--wait", "20")
    assert len(web.journal("web/0").starts) == 2, "a restart needs no good file"


def test_a_stop_of_many_goes_on_in_parallel(site: Installation) -> None:
    names = [f"w{number}" for number in range(5)]
    for name in names:
        site.add(name, "--slow-stop=1000")
    site.serve()
    site.until_running(*names)
    assert site.run("stop", *names, "--wait", "20").code == 0
    first = [site.journal(f"{name}/0").signals[0][0] for name in names]
    last = [site.journal(f"{name}/0").exits[0][0] for name in names]
    assert max(first) < min(last), "the last was asked before the first had obeyed"
