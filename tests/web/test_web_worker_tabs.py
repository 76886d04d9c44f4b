"""A worker's instances, its spec and its history, on real edits, crashes and commits; and workers that are gone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually
from tests.web.web_browser import Tab, tab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp"
DIES = ["sh", "-c", "echo '<b>boom</b>' >&2; sleep 0.3; exit 3"]


def test_instances_the_spec_and_its_history_are_told_as_they_are(site: Installation, chromium: Browser) -> None:
    _git(site, "init", "-q", "-b", "main")
    site.write("base.yaml", "kind: Defaults\nlabels: {team: growth}\n")
    site.add("web", "--lines=3", replicas=3, env={"API_KEY": "hunter2", "NOTE": HOSTILE})
    site.write("falls.yaml", _spec("falls", command=DIES, max_restart_attempts=1, restart_delay_ms=100))
    _commit(site, f"The shop opens\n\nWith three of it. {HOSTILE}")
    site.serve()
    site.until_running("web")
    site.until_status("falls", "error")
    with tab(chromium, f"http://{site.listen}") as opened:
        _instances(site, opened)
        _spec_tab(site, opened)
        _history(site, opened)
        _gone(site, opened)
    with _viewer(site, chromium) as opened:
        for name in ("spec", "history", "instances"):
            opened.open(f"/workers/web/{name}")
            expect(opened.page.locator(".loading")).to_have_count(0)
            expect(opened.page.get_by_role("button", name="Go back to it")).to_have_count(0)
            expect(opened.page.get_by_role("link", name="Edit", exact=True)).to_have_count(0)


def _instances(site: Installation, opened: Tab) -> None:
    page = opened.page
    opened.open("/workers/web/instances")
    pids = site.pids("web")
    expect(page.get_by_text("3 of 3 running")).to_be_visible()
    page.get_by_role("link", name="web/2", exact=True).click()
    detail = page.get_by_role("region", name="Instance web/2")
    expect(detail).to_contain_text(str(pids["web/2"]))
    expect(detail.get_by_text("This is its first run that is remembered.")).to_be_visible()

    # It dies: its next run is another one, and the past one has its end and its last lines.
    site.kill_worker("web/2")
    expect(detail.get_by_text("SIGKILL").first).to_be_visible()
    detail.get_by_role("button", name="Its last lines").click()
    expect(detail.get_by_label("Its last lines")).to_contain_text("line 0000000")
    site.until_running("web")
    expect(detail).not_to_contain_text(str(pids["web/2"]))
    log = detail.get_by_role("link", name="Log of this run")
    expect(log).to_have_attribute(
        "href", f"/workers/web/logs?instance=2&run={site.worker('web')['instances'][2]['run']}"
    )

    # A link to an event leads to it, whatever came later.
    opened.open("/workers/web/events?type=exited")
    page.locator("a.event-when").first.click()
    marked = page.locator(".event.is-marked")
    expect(marked).to_contain_text("web/2")
    site.kill_worker("web/0")
    site.until_running("web")
    opened.open(page.url.removeprefix(opened.root))
    expect(marked).to_contain_text("web/2")
    expect(page.locator(".event")).to_have_count(1)

    # What a run printed is text; what gave up says how often it tried.
    opened.open("/workers/falls/instances")
    detail = page.get_by_role("region", name="Instance falls/0")
    expect(detail.get_by_text("exit 3").first).to_be_visible()
    detail.get_by_role("button", name="Its last lines").first.click()
    expect(detail.get_by_label("Its last lines").first).to_contain_text("<b>boom</b>")


def _spec_tab(site: Installation, opened: Tab) -> None:
    page = opened.page
    opened.open("/workers/web/spec")
    fields = page.get_by_role("table", name="Fields in effect")
    row = fields.get_by_role("row").filter(has_text="labels.team")
    expect(row).to_contain_text("base.yaml:2")
    expect(fields.get_by_role("row").filter(has_text="env.API_KEY")).to_contain_text("***")
    expect(page.get_by_text("What runs has all of it")).to_be_visible()
    page.get_by_role("button", name="as usual").click()
    expect(fields.get_by_role("row").filter(has_text="restart_backoff.factor")).to_contain_text("default")
    fields.get_by_role("row").filter(has_text="replicas").get_by_role("link", name="web.yaml").click()
    expect(page.locator(".source .is-marked")).to_contain_text("replicas: 3")
    assert "hunter2" not in page.content()
    page.get_by_role("button", name="YAML").click()
    shown = page.get_by_label("web.yaml", exact=True).inner_text()
    assert "hunter2" not in shown

    # A broken edit: what was good goes on, and the file says what is wrong, at its line.
    site.write("falls.yaml", "worker_id: falls\nreplicas: many\n")
    opened.open("/workers/falls/spec")
    expect(page.get_by_text("the last good spec goes on")).to_be_visible()
    page.get_by_role("link", name="falls.yaml:2").click()
    expect(page.locator(".source .is-wrong")).to_contain_text("replicas: many")


def _history(site: Installation, opened: Tab) -> None:
    page = opened.page
    opened.open("/workers/web/history")
    first = page.get_by_role("article").first
    expect(first).to_contain_text("Ann Other")
    expect(first).to_contain_text("The shop opens")
    expect(first).to_contain_text("Created web/0, web/1 and web/2")

    # An edit through the API, told with who and what it did, without a reload; and one in git.
    answer = site.ask("/api/v1/worker-configs/web", "PATCH", {"env": {"MODE": "fast"}, "replicas": 2})
    assert answer.status == 200
    expect(first).to_contain_text("Changed env.MODE, replicas")
    expect(first).to_contain_text("Replaced web/0 and web/1")
    expect(first).to_contain_text("through the API")
    page.get_by_role("link", name="Text before and after").first.click()
    compared = page.get_by_role("group", name="What differs between")
    expect(compared).to_contain_text("replicas: 3")
    expect(compared).to_contain_text("MODE: fast")
    opened.keep("history-compared")

    # Back to what was: what it brings is said before, the secret stays, and it is a revision like any other.
    page.get_by_role("button", name="Go back to it").last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("env.MODE")
    opened.keep("history-go-back")
    dialog.get_by_role("button", name="Go back").click()
    expect(dialog).to_have_count(0)
    eventually(lambda: site.worker("web")["desired_replicas"] == 3, told="it has three again")
    assert "hunter2" in (site.specs / "web.yaml").read_text()
    site.until_running("web")
    expect(first).to_contain_text("Changed env.MODE, replicas")

    # What cannot be started is not applied; the spec says what the processes do not have, and why.
    assert site.ask("/api/v1/worker-configs/web", "PATCH", {"command": ["/nowhere/at-all"]}).status == 200
    opened.open("/workers/web/spec")
    drift = page.get_by_role("region", name="Not applied yet")
    expect(drift).to_contain_text("/nowhere/at-all")
    expect(drift).to_contain_text("command")
    opened.keep("spec-drift")


def _gone(site: Installation, opened: Tab) -> None:
    page = opened.page
    site.add("passing")
    site.until_running("passing")
    assert site.ask("/api/v1/worker-configs/passing", "DELETE").status == 204
    eventually(lambda: "passing" not in site.workers(), told="it is gone")
    opened.open("/workers")
    expect(page.get_by_role("link", name="passing", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Gone").click()
    gone = page.get_by_role("region", name="Gone workers").get_by_role("link", name="passing", exact=True)
    expect(gone).to_be_visible()
    opened.keep("workers-gone")
    gone.click()
    expect(page.get_by_text("Its spec is gone")).to_be_visible()
    opened.keep("worker-gone")
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("article").first).to_contain_text("Removed")
    page.get_by_role("button", name="Go back to it").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Create it again").click()
    site.until_running("passing")


@contextmanager
def _viewer(site: Installation, chromium: Browser) -> Iterator[Tab]:
    """As somebody who may look: what the page shows is decided by what the API says of them."""
    who = {"name": "vic", "role": "viewer", "via": "token", "token_id": "t1", "expires_at": None}
    with tab(chromium, f"http://{site.listen}") as opened:
        opened.page.route("**/api/v1/whoami", lambda route: route.fulfill(json=who))
        yield opened


def test_a_hundred_instances_are_few_rows_and_sort_by_what_they_use(site: Installation, chromium: Browser) -> None:
    site.add("web")
    site.serve()
    site.until_running("web")
    item = site.workers()["web"]
    one = item["instances"][0]
    status = ("running", "crashed", "running", "running")
    item["instances"] = [
        {**one, "instance": f"web/{n}", "ordinal": n, "status": status[n % 4], "memory_bytes": n * 1_000_000}
        for n in range(100)
    ]
    with tab(chromium, f"http://{site.listen}") as opened:
        page = opened.page
        body = f"id: events:1\nevent: hello\ndata: {{}}\n\nid: events:1\nevent: workers\ndata: {json.dumps(item)}\n\n"
        stream = {"status": 200, "headers": {"Content-Type": "text/event-stream"}, "body": body}
        page.route("**/api/v1/stream*", lambda route: route.fulfill(**stream))
        page.route("**/api/v1/workers/web/status", lambda route: route.fulfill(json={**site.worker("web"), **item}))
        opened.open("/workers/web/instances")
        expect(page.get_by_text("75 of 100 running")).to_be_visible()
        assert page.locator("tbody tr").count() < 90
        page.get_by_role("button", name="Memory").click()
        expect(page.locator("tbody tr").first).to_contain_text("web/99")
        page.get_by_role("button", name="crashed").click()
        expect(page.get_by_text("25 of 100 instances")).to_be_visible()
        expect(page.locator("tbody tr").first).to_contain_text("web/97")
        opened.keep("hundred")


def _spec(worker_id: str, **fields: object) -> str:
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in {"worker_id": worker_id, **fields}.items())


def _git(site: Installation, *arguments: str) -> None:
    who = ["-c", "user.name=Ann Other", "-c", "user.email=ann@example.org"]
    command = ["git", *who, *arguments]
    subprocess.run(command, cwd=site.specs, check=True, env=site.environment(), capture_output=True, timeout=60)


def _commit(site: Installation, message: str) -> None:
    _git(site, "add", "-A")
    _git(site, "commit", "-q", "-m", message)
