"""`workerctl batch`: whom it means, how it goes, what is said of failures; mostly against the real server."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from controller.api.ports import BatchWish, Refused
from controller.cli.errors import Exit
from tests.cli.cli_site import meanwhile, run, shown
from tests.cli.test_cli_program import on_a_terminal
from tests.cli.test_cli_with_the_real_api import Site, site
from tests.fakes.api_ports import batch
from tests.fakes.api_server import FakeApi
from tests.fakes.api_server import worker as fake_worker

__all__ = ["site"]  # the fixture


def begin(site: Site, *states: str, state: str = "running", batch_id: str = "b1", **more: Any) -> None:
    """The batch of web and mailer is so now."""
    found = batch(batch_id, "web", "mailer", states=states, state=state, **more)
    for result, detail in zip(found["results"], more.pop("details", ()), strict=False):
        result["detail"] = detail
    site.change(lambda: site.ports.begin(found))


def once_begun(site: Site, then: Callable[[], None]) -> Callable[[], None]:
    def script() -> None:
        site.wait_for(lambda: "b1" in site.ports.begun)
        then()

    return script


def test_whom_it_means_is_shown_and_then_the_end(site: Site) -> None:
    def script() -> None:
        begin(site, "running", "succeeded", detail="1 restarted, 1 under way")
        begin(site, "succeeded", "succeeded", state="succeeded", detail="2 restarted")

    with meanwhile(once_begun(site, script)):
        told = site.run("batch", "restart", "web", "mailer", "web", "--parallel", "2", "--reason", "new words")
    assert (told.exit_code, told.stdout, told.stderr) == (
        Exit.OK,
        "restart 2 workers, 2 at a time: web, mailer\n✓ batch b1: 2 restarted\n",
        "",
    )
    (wish,) = site.ports.batch_wishes
    assert isinstance(wish, BatchWish)
    assert (wish.action, wish.worker_ids, wish.parallel, wish.reason) == ("restart", ("web", "mailer"), 2, "new words")
    assert (wish.graceful, wish.stop_on_failure) == (True, False)


def test_each_failure_gets_a_line_and_an_unknown_worker_a_near_name(site: Site) -> None:
    def script() -> None:
        results = batch("b1", "web", "weeb", states=["failed", "not_found"], state="failed", detail="1 failed")
        results["results"][0]["detail"] = "web/0: exited with code 3"
        site.change(lambda: site.ports.begin(results))

    with meanwhile(once_begun(site, script)):
        told = site.run("batch", "stop", "web", "weeb", "--no-graceful", "--stop-on-failure")
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (Exit.FAILED, "✗ batch b1: 1 failed")
    assert sorted(told.stderr.splitlines()) == [
        "✗ web: web/0: exited with code 3",
        '✗ weeb: there is no such worker. Did you mean "web"?',
    ]
    (wish,) = site.ports.batch_wishes
    assert isinstance(wish, BatchWish)
    assert (wish.graceful, wish.stop_on_failure) == (False, True)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (["succeeded", "not_found"], Exit.NOT_FOUND),
        (["not_found", "failed"], Exit.FAILED),
        (["succeeded", "skipped"], Exit.FAILED),
        (["succeeded", "cancelled"], Exit.FAILED),
    ],
)
def test_the_exit_code_is_that_of_the_worst(site: Site, ends: list[str], code: Exit) -> None:
    with meanwhile(once_begun(site, lambda: begin(site, *ends, state="failed"))):
        assert site.run("batch", "stop", "web", "mailer").exit_code == code


def test_labels_choose_and_a_dry_run_only_shows(site: Site) -> None:
    told = site.run("batch", "stop", "-l", "team=growth", "--dry-run")
    assert (told.exit_code, told.stdout) == (Exit.OK, "stop 1 worker: mailer\n")
    assert site.run("batch", "stop", "-l", "team", "--dry-run").stdout == "stop 1 worker: mailer\n"
    nobody = site.run("batch", "stop", "-l", "team=x", "--dry-run")
    assert (nobody.exit_code, nobody.stderr) == (Exit.NOT_FOUND, "Error: no worker has the labels team=x\n")
    unknown = site.run("batch", "stop", "webb", "--dry-run")
    assert (unknown.exit_code, unknown.stderr) == (
        Exit.NOT_FOUND,
        'there is no worker "webb". Did you mean "web"?\n',
    )
    for wrong in (["batch", "stop"], ["batch", "stop", "web", "-l", "a"], ["batch", "stop", "-l", "=x"]):
        assert site.run(*wrong).exit_code == Exit.USAGE
    assert site.ports.batch_wishes == []


def test_many_names_are_cut_short_before_a_batch_but_not_in_a_dry_run(api: FakeApi) -> None:
    api.workers = [fake_worker(f"w{number:02}", labels={"a": ""}) for number in range(22)]
    api.answers["POST", "/api/v1/workers/batch"] = (202, batch("b1", "w00", states=["succeeded"], state="succeeded"))
    assert "w21" in shown(api, "batch", "start", "-l", "a", "--dry-run")
    assert shown(api, "batch", "start", "-l", "a").splitlines()[0].endswith(" w19 and 2 more")


def test_who_does_not_wait_is_told_where_to_look(site: Site) -> None:
    told = site.run("batch", "restart", "web", "--no-wait")
    assert (told.exit_code, told.stdout.splitlines()[1]) == (
        Exit.OK,
        "→ batch b1: ; `workerctl batch show b1` shows how it goes",
    )


def test_what_is_refused_is_told_with_what_to_do(site: Site) -> None:
    site.ports.refusal = Refused(code="too_many_batches", message="50 batches are under way", hint="cancel one")
    told = site.run("batch", "restart", "web")
    assert (told.exit_code, told.stderr.splitlines()) == (
        Exit.CONFLICT,
        ["Error: Cannot restart 1 worker: 50 batches are under way", "  hint: cancel one"],
    )


def test_a_controller_that_is_away_meanwhile_is_waited_for(api: FakeApi) -> None:
    api.workers = [fake_worker("web")]
    over = batch("b1", "web", states=["succeeded"], state="succeeded", detail="1 restarted")
    api.answers["POST", "/api/v1/workers/batch"] = (202, batch("b1", "web", states=["running"]))
    api.answers["GET", "/api/v1/batches/b1"] = (503, {"detail": "the controller ends"})

    def script() -> None:
        api.wait_for(lambda: sum(asked.path == "/api/v1/batches/b1" for asked in api.requests) > 1)
        api.answers["GET", "/api/v1/batches/b1"] = (200, over)

    with meanwhile(script):
        assert shown(api, "batch", "restart", "web").splitlines()[-1] == "✓ batch b1: 1 restarted"
    api.answers["GET", "/api/v1/batches/b1"] = (404, {"detail": "there is no batch b1"})
    gone = run(api, "batch", "restart", "web")
    assert (gone.exit_code, gone.stderr) == (
        Exit.NOT_FOUND,
        "Error: Cannot follow batch b1: there is no batch b1\n",
    )


def test_on_a_terminal_one_line_tells_how_it_goes_and_ctrl_c_leaves_the_batch_alone(api: FakeApi) -> None:
    api.workers = [fake_worker("web")]
    api.answers["POST", "/api/v1/workers/batch"] = (202, batch("b1", "web", detail="1 pending"))
    api.answers["GET", "/api/v1/batches/b1"] = (200, batch("b1", "web", states=["running"], detail="1 under way"))
    with on_a_terminal(api, "batch", "restart", "web", NO_COLOR="1") as (process, seen):
        api.wait_for(lambda: "1 worker: 1 under way" in "".join(seen))
        process.send_signal(signal.SIGINT)
    assert process.returncode == Exit.INTERRUPTED
    text = "".join(seen)
    assert text.startswith("restart 1 worker: web\r\n\r\x1b[K1 worker: 1 pending")
    assert text.endswith("\r\x1b[Kthe batch goes on: `workerctl batch show b1`, `workerctl batch cancel b1`\r\n")


def test_batches_are_listed_and_shown_cancelled_and_tried_again(site: Site) -> None:
    assert site.run("batch", "ls").stderr == "no batches; `workerctl batch restart NAME...` begins one\n"
    begin(site, "succeeded", "failed", state="failed", detail="1 restarted, 1 failed", reason="new words")
    listed = site.run("batch", "ls").stdout.splitlines()
    assert listed[0].split() == ["ID", "ACTION", "STATE", "WORKERS", "BEGAN", "BY", "DETAIL"]
    assert listed[1].split()[:4] == ["b1", "restart", "failed", "2"]
    (item,) = json.loads(site.run("batch", "ls", "-o", "json").stdout)["items"]
    assert (item["batch_id"], "results" in item) == ("b1", False)
    text = site.run("batch", "show", "b1").stdout
    assert "restart, 4 at a time" in text
    assert "new words" in text
    assert [row.split()[:2] for row in text.splitlines()[-2:]] == [["mailer", "failed"], ["web", "succeeded"]]
    assert json.loads(site.run("batch", "show", "b1", "-o", "json").stdout) == site.ports.begun["b1"]
    assert site.run("batch", "show", "b1", "-o", "yaml").stdout.startswith("batch_id: b1\n")
    assert site.run("batch", "show", "b9").exit_code == Exit.NOT_FOUND
    assert site.run("batch", "cancel", "b9").exit_code == Exit.NOT_FOUND
    assert site.run("batch", "cancel", "b1").stdout == "batch b1: 1 restarted, 1 failed\n"
    assert site.run("batch", "retry", "b1", "--no-wait", "--reason", "again").exit_code == Exit.OK
    assert [wish[:2] for wish in site.ports.batch_wishes if isinstance(wish, tuple)] == [
        ("cancel", "b9"),
        ("cancel", "b1"),
        ("retry", "b1"),
    ]
