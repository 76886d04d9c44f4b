"""Editing, adding, renaming and removing files while the program runs: what changed is done, and nothing else."""

from __future__ import annotations

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def three(site: Installation) -> Installation:
    """api, queue and web with three replicas, all running."""
    site.add("api")
    site.add("queue")
    site.add("web", replicas=3)
    site.serve()
    site.until_running()
    return site


def until_marked(site: Installation, instance: str, mark: str) -> None:
    eventually(lambda: site.journal(instance).marks[-1:] == [mark], told=f"{instance} runs {mark}")


def until_settled(site: Installation, worker_id: str) -> dict[str, int]:
    """Wait until a worker runs and no change of it is on its way."""

    def settled() -> bool:
        item = site.workers()[worker_id]
        return any(c["type"] == "Progressing" and c["status"] == "False" for c in item["conditions"])

    site.until_running(worker_id)
    eventually(settled, told=f"{worker_id} has settled")
    return site.until_running(worker_id)


def test_an_edited_command_restarts_that_worker_only(three: Installation) -> None:
    before = three.pids()
    three.add("api", "--mark=v2")
    until_marked(three, "api/0", "v2")
    after = three.until_running()
    assert {name for name in before if after[name] != before[name]} == {"api/0"}
    assert [number for _, number in three.journal("api/0").signals] == [15]
    assert three.journal("api/0").marks == ["-", "v2"]


def test_the_plan_of_an_edit_is_told_with_its_cause(three: Installation) -> None:
    three.add("api", "--mark=v2")
    until_marked(three, "api/0", "v2")
    line = next(line for line in three.log().splitlines() if " replace " in line and "api/0" in line)
    assert "command" in line
    ordered = eventually(lambda: three.events("api", "replace_ordered"), told="the event")
    assert len(ordered) == 1
    assert ordered[0]["data"]["fields"]
    assert "command" in ordered[0]["message"]


def test_an_edit_is_done_about_a_second_later(three: Installation) -> None:
    three.add("api", "--mark=v2")
    eventually(lambda: three.journal("api/0").marks[-1] == "v2", 5, told="the new one runs")


def test_replicas_are_replaced_one_at_a_time_in_their_order(three: Installation) -> None:
    before = three.pids()
    three.add("web", "--mark=v2", "--slow-stop=200", replicas=3)
    for ordinal in range(3):
        until_marked(three, f"web/{ordinal}", "v2")
    after = until_settled(three, "web")
    assert len(after) == 3
    assert [three.pids()[name] for name in ("api/0", "queue/0")] == [before[name] for name in ("api/0", "queue/0")]
    books = [three.journal(f"web/{ordinal}") for ordinal in range(3)]
    assert [book.marks for book in books] == [["-", "v2"]] * 3
    moments = [moment for book in books for moment in (book.exits[0][0], book.starts[1].at)]
    assert moments == sorted(moments), "an instance went before the one before it was back"


def test_an_added_file_starts_its_worker_and_touches_nobody(three: Installation) -> None:
    before = three.pids()
    three.add("mailer")
    three.until_running("mailer")
    after = three.pids()
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"mailer/0"}


def test_a_renamed_file_restarts_nothing(three: Installation) -> None:
    before = three.pids()
    (three.specs / "api.yaml").rename(three.specs / "front.yaml")
    eventually(lambda: three.workers()["api"]["source"]["file"] == "front.yaml", told="the new name is shown")
    assert three.pids() == before == three.living()
    assert all(len(book.starts) == 1 and not book.signals for book in three.journals().values())


def test_a_worker_that_moves_to_another_file_goes_on(three: Installation) -> None:
    before = three.pids()
    both = (three.specs / "queue.yaml").read_text() + "---\n" + (three.specs / "api.yaml").read_text()
    (three.specs / "api.yaml").unlink()
    three.write("queue.yaml", both)
    eventually(lambda: three.workers()["api"]["source"]["file"] == "queue.yaml", told="the new place is shown")
    assert three.pids() == before == three.living()


def test_a_removed_file_stops_its_worker_which_is_then_gone(three: Installation) -> None:
    before = three.pids()
    (three.specs / "queue.yaml").unlink()
    eventually(lambda: three.ask("/api/v1/workers/queue/status").status == 404, told="the worker is gone")
    assert three.journal("queue/0").exits[0][1] == 0
    del before["queue/0"]
    assert three.pids() == before == three.living()
    assert three.run("status", "queue").code == 5
    told = three.until_says(lambda out: "stopped" in out, "events", "queue")
    assert "spec_removed" in told


def test_more_replicas_start_the_new_ones_and_touch_none(three: Installation) -> None:
    before = three.pids()
    three.add("web", replicas=5)
    eventually(lambda: len(three.living()) == 7, told="seven canaries live")
    after = three.until_running("web")
    assert {name: three.pids()[name] for name in before} == before
    assert set(after) == {f"web/{ordinal}" for ordinal in range(5)}
    assert all(len(book.starts) == 1 and not book.signals for book in three.journals().values())
    assert "replicas 3 -> 5" in three.log()


def test_fewer_replicas_stop_the_highest_ones(three: Installation) -> None:
    three.add("web", replicas=5)
    eventually(lambda: len(three.living()) == 7, told="seven canaries live")
    before = three.until_running()
    three.add("web", replicas=2)
    eventually(lambda: len(three.living()) == 4, told="four canaries live")
    for ordinal in (2, 3, 4):
        del before[f"web/{ordinal}"]
    eventually(lambda: three.pids() == before, told="only the lower ones are shown")
    assert three.living() == before
    assert three.until_running("web") == {name: pid for name, pid in before.items() if name.startswith("web")}


def test_settings_that_a_process_does_not_notice_are_taken_over_in_place(three: Installation) -> None:
    before = three.pids()
    three.add(
        "api",
        restart_delay_ms=1234,
        max_restart_attempts=7,
        labels={"team": "x"},
        stop={"signal": "INT", "grace_ms": 900},
    )
    eventually(lambda: three.workers()["api"]["labels"] == {"team": "x"}, told="the label is shown")
    eventually(lambda: three.events("api", "update_ordered"), told="the update is told")
    assert three.pids() == before == three.living()
    three.run("stop", "api", "--wait", "20")
    assert [number for _, number in three.journal("api/0").signals] == [2], "the new stop signal counts"


def test_a_directory_of_defaults_restarts_only_where_something_changes(three: Installation) -> None:
    three.write("defaults.yaml", "kind: Defaults\nrestart_window_ms: 700000\n")
    before = three.pids()
    three.add("mailer")
    three.until_running("mailer")
    after = three.pids()
    assert {name: after[name] for name in before} == before


def test_a_burst_of_edits_ends_at_the_last_one(three: Installation) -> None:
    for number in range(20):
        three.add("api", f"--mark=v{number}")
    until_marked(three, "api/0", "v19")
    until_settled(three, "api")
    assert three.journal("api/0").marks[-1] == "v19"
    assert three.living() == three.pids()


def test_an_edit_that_is_taken_back_at_once_ends_at_the_old_revision(three: Installation) -> None:
    before = three.workers()["api"]["revision"]
    three.add("api", "--mark=v2")
    until_marked(three, "api/0", "v2")
    three.add("api")
    until_marked(three, "api/0", "-")
    until_settled(three, "api")
    assert three.workers()["api"]["revision"] == before
