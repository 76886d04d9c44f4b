"""A broken or impossible edit never costs a running worker; everybody is told where it is and what was expected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.e2e_installation import Installation, Item
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def two(site: Installation) -> Installation:
    """api and web, running."""
    site.add("api")
    site.add("web")
    site.serve()
    site.until_running()
    return site


def until_problem(site: Installation, worker_id: str) -> Item:
    return eventually(lambda: next(iter(site.workers()[worker_id]["problems"]), None), told="a problem is shown")


def until_accepted(site: Installation, worker_id: str) -> None:
    eventually(lambda: not site.workers()[worker_id]["problems"], told="no problem is left")


def test_a_misspelt_field_is_told_everywhere_and_the_worker_goes_on(two: Installation) -> None:
    before = two.pids()
    two.write("web.yaml", two.spec("web") + "replica: 2\n")
    problem = until_problem(two, "web")
    line = two.spec("web").count("\n") + 1
    assert (problem["file"], problem["line"], problem["column"]) == ("web.yaml", line, 1)
    assert "replicas" in (problem["hint"] or "") + problem["message"]
    place = f"web.yaml:{line}:1"
    assert place in two.log()
    told = {verb: two.run(*verb.split()) for verb in ("get", "status web", "describe web")}
    assert {verb: place in answer.text for verb, answer in told.items()} == dict.fromkeys(told, True)
    assert {verb: "replicas" in answer.text for verb, answer in told.items() if verb != "get"} == {
        "status web": True, "describe web": True,
    }  # fmt: skip
    assert two.pids() == before == two.living()


def test_a_file_that_is_no_yaml_keeps_its_last_good_spec_until_it_is_mended(two: Installation) -> None:
    before = two.pids()
    two.write("web.yaml", "worker_id: web\ncommand: [sleep, 1\n")
    until_problem(two, "web")
    assert two.pids() == before == two.living()
    two.add("web")
    until_accepted(two, "web")
    assert two.pids() == before == two.living()


def test_a_mended_file_with_a_new_command_is_accepted_and_done(two: Installation) -> None:
    two.write("web.yaml", two.spec("web", "--mark=v2") + "nonsense: true\n")
    until_problem(two, "web")
    two.add("web", "--mark=v2")
    eventually(lambda: two.journal("web/0").marks == ["-", "v2"], told="the new one runs")
    until_accepted(two, "web")


def test_a_worker_with_a_broken_file_is_still_restarted_after_a_crash(two: Installation) -> None:
    two.write("web.yaml", "worker_id: [\n")
    until_problem(two, "web")
    two.until_reborn("web/0", two.kill_worker("web/0"))
    assert two.journal("web/0").marks == ["-", "-"]


def test_a_broken_file_stays_harmless_over_a_restart_of_the_controller(two: Installation) -> None:
    before = two.pids()
    two.write("web.yaml", "worker_id: [\n")
    until_problem(two, "web")
    two.kill("controller")
    two.serve()
    assert two.until_running("web", "api") == before == two.living()
    assert until_problem(two, "web")["file"] == "web.yaml"


def test_a_new_file_that_is_broken_starts_nothing_and_is_told(two: Installation) -> None:
    two.write("new.yaml", "worker_id: new\ncommand: [true]\nreplicas: many\n")
    eventually(lambda: "new.yaml:3" in two.log(), told="the problem is logged")
    assert two.run("status").code == 3
    assert "new.yaml:3" in two.run("get").text


def test_a_name_that_two_files_claim_is_an_error_of_both_and_the_running_one_stays(two: Installation) -> None:
    before = two.pids()
    two.write("copy.yaml", two.spec("web", "--mark=copy"))
    until_problem(two, "web")
    assert "copy.yaml" in two.log()
    assert two.pids() == before == two.living()
    (two.specs / "copy.yaml").unlink()
    until_accepted(two, "web")
    assert two.pids() == before == two.living()


IMPOSSIBLE: list[tuple[str, Callable[[Installation], str], str]] = [
    ("command", lambda site: site.spec("web", command=["/nowhere/at-all"]), "command not found"),
    ("name", lambda site: site.spec("web", command=["no-such-program-here"]), "command not found"),
    ("directory", lambda site: site.spec("web", "--mark=v2", working_dir="/nowhere/at/all"), "does not exist"),
]


@pytest.mark.parametrize(("spec", "why"), [pytest.param(spec, why, id=name) for name, spec, why in IMPOSSIBLE])
def test_an_edit_that_cannot_start_leaves_the_old_one_and_says_why(
    two: Installation, spec: Callable[[Installation], str], why: str
) -> None:
    before = two.pids()
    two.write("web.yaml", spec(two))
    eventually(lambda: "CannotStart" in str(two.worker("web")["conditions"]), told="the refusal is shown")
    assert two.pids() == before == two.living()
    for verb in ("status", "describe"):
        assert why in two.run(verb, "web").text
    assert two.run("status", "web").code == 3
    eventually(lambda: "CannotStart" in str(two.events("web", "held")), told="the event")
    two.add("web", "--mark=v3")
    eventually(lambda: two.journal("web/0").marks == ["-", "v3"], told="the mended edit replaces it")
    two.until_running("web")


def test_a_first_start_that_cannot_be_is_an_error_with_its_reason(two: Installation) -> None:
    two.write("new.yaml", two.spec("new", command=["/nowhere/at-all"]))
    item = two.until_status("new", "error")
    assert "/nowhere/at-all" in str(item["instances"][0]["message"]) + item["why"]
    assert two.run("status", "new").code == 3
    two.add("new")
    two.until_running("new")
