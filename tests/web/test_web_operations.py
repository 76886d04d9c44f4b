"""What operators do all day, in a real browser against one installation: batches, guards, suspensions, charts, keys, a
line that is passed on, a controller that goes away, and somebody who may only look.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually
from tests.web.web_browser import Tab, tab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SLOW = "--slow-stop=2000"
ACTS = re.compile(r"^(Restart|Start|Stop|Resume|Confirm|New|Look now|Cancel the rest|Try)\b")
SCREENS = (
    "/", "/workers", "/workers/front-1", "/workers/front-1/logs", "/workers/front-1/metrics", "/workers/front-1/events",
    "/plan", "/logs", "/events", "/batches",
)  # fmt: skip


def _fill(site: Installation, **env: str) -> None:
    """Two workers that obey, one that falls until a file is there, and three that take their time to end."""
    for name in ("front-1", "front-2"):
        site.add(name, "--lines=40", "--every=5", labels={"tier": "front"}, env={"ROUND": "1", **env})
    falls = f"test -e {site.root}/beside/mended || exit 3; exec sleep 1000"
    quick = "max_restart_attempts: 0\nstart_grace_ms: 200\nlabels: {tier: front}\n"
    site.write("falls.yaml", f'worker_id: falls\ncommand: ["sh", "-c", "{falls}"]\n{quick}')
    for number in (1, 2, 3):
        site.add(f"slow-{number}", SLOW, labels={"pace": "slow"}, env={"ROUND": "1", **env})


def test_a_day_of_an_operator(site: Installation, chromium: Browser) -> None:
    _fill(site)
    site.serve()
    site.until_status("falls", "error")
    site.until_running("front-1", "front-2", "slow-1", "slow-2", "slow-3")
    with tab(chromium, f"http://{site.listen}") as opened:
        _restarts_a_label_as_a_batch(site, opened)
        _cancels_the_rest(opened)
        _confirms_what_a_guard_holds(site, opened)
        _keeps_one_stopped_for_a_while(site, opened)
        _works_by_keys(opened)
        _passes_a_line_on(opened)
        _reads_charts(opened)
        _loses_the_controller_and_comes_back_as_a_viewer(site, opened)


def _dialog(opened: Tab) -> Locator:
    return opened.page.get_by_role("dialog")


def _begin(opened: Tab, selector: str, reason: str) -> None:
    opened.open("/batches")
    opened.page.get_by_role("button", name="New batch").click()
    form = _dialog(opened)
    expect(form.get_by_role("button", name="Restart 0 workers")).to_be_disabled()
    form.locator("[name=selector]").fill(selector)
    expect(form.get_by_role("status")).to_contain_text("3 workers match")
    form.locator("[name=parallel]").fill("1")
    form.locator("[name=reason]").fill(reason)
    command = f"workerctl batch restart -l {selector} --parallel 1 --reason '{reason}'"
    expect(form.get_by_label("Text to copy")).to_have_text(command)
    opened.keep("batch-form")
    form.get_by_role("button", name="Restart 3 workers").click()
    expect(opened.page.locator("h1").first).to_contain_text("Restart 3 workers")


def _restarts_a_label_as_a_batch(site: Installation, opened: Tab) -> None:
    page, before = opened.page, site.pids("front-1", "front-2")
    _begin(opened, "tier=front", "new certificates")
    results = page.get_by_role("table", name="Results")
    expect(page.locator("h1").first).to_contain_text("failed")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "2 succeeded, 1 failed")
    # What failed stands first, says why, and leads to its log.
    first = results.get_by_role("row").nth(1)
    expect(first).to_contain_text("falls")
    expect(first).to_contain_text("exited with code 3")
    expect(first.get_by_role("link", name="log")).to_have_attribute("href", "/workers/falls/logs")
    after = site.pids("front-1", "front-2")
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)
    opened.keep("batch-failed")
    assert opened.breaches() == []

    (site.root / "beside/mended").touch()
    page.get_by_role("button", name="Try the failed one again").click()
    expect(_dialog(opened)).to_contain_text("A new batch of 1 worker")
    _dialog(opened).get_by_role("button", name="Try again").click()
    expect(page.locator("h1").first).to_contain_text("Restart 1 worker")
    expect(page.locator("h1").first).to_contain_text("succeeded")
    expect(page.get_by_role("term").filter(has_text="Again of")).to_be_visible()
    site.until_running("falls")


def _cancels_the_rest(opened: Tab) -> None:
    page = opened.page
    _begin(opened, "pace=slow", "by mistake")
    page.get_by_role("button", name="Cancel the rest").click()
    expect(_dialog(opened)).to_contain_text("Nothing that was done is taken back.")
    _dialog(opened).get_by_role("button", name="Cancel the rest").click()
    expect(page.locator(".toast")).to_contain_text("The rest is left out")
    expect(page.locator("h1").first).to_contain_text("cancelled")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("[12] cancelled"))
    opened.open("/batches")
    rows = page.get_by_role("table", name="Batches").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("by mistake")
    expect(rows).to_have_count(4)
    opened.keep("batches")


def _confirms_what_a_guard_holds(site: Installation, opened: Tab) -> None:
    page, names = opened.page, ("front-1", "front-2", "slow-1", "slow-2", "slow-3")
    site.until_running(*names)
    before = site.pids(*names)
    opened.open("/plan")
    _fill(site, ROUND="2")
    expect(page.get_by_text("5 workers wait for your word")).to_be_visible()
    held = page.locator(".plan-group", has=page.get_by_role("link", name="slow-3", exact=True))
    expect(held).to_contain_text("env.ROUND")
    expect(held).to_contain_text("restart")
    opened.keep("plan-guard")
    assert opened.breaches() == []
    assert site.pids(*names) == before
    page.get_by_role("button", name="Confirm\u2026").click()
    expect(_dialog(opened)).to_contain_text("workerctl reconcile --confirm")
    opened.keep("plan-confirm")
    _dialog(opened).get_by_role("button", name="Let it happen").click()
    expect(page.get_by_text("5 workers wait for your word")).to_have_count(0)
    eventually(lambda: not set(before.values()) & set(site.pids(*names).values()), told="all have another process")
    site.until_running(*names)


def _keeps_one_stopped_for_a_while(site: Installation, opened: Tab) -> None:
    page = opened.page
    opened.open("/workers/front-2")
    page.get_by_role("button", name="Stop").click()
    _dialog(opened).get_by_label("How long").select_option("For 15 minutes")
    _dialog(opened).get_by_label("Reason").fill("migration")
    expect(_dialog(opened).get_by_label("Text to copy")).to_have_text(
        "workerctl suspend front-2 --for 15m --reason migration"
    )
    _dialog(opened).get_by_role("button", name="Stop").click()
    expect(page.get_by_label("Why, and what next")).to_contain_text("migration")
    assert "desired_state" not in (site.specs / "front-2.yaml").read_text()
    page.get_by_role("button", name="Resume").click()
    _dialog(opened).get_by_role("button", name="Resume").click()
    expect(page.get_by_label("Why, and what next")).to_contain_text("It runs as the spec asks.")


def _works_by_keys(opened: Tab) -> None:
    page, press = opened.page, opened.page.keyboard.press
    press("g")
    press("p")
    expect(page.locator("h1").first).to_have_text("Plan")
    press(":")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("restart front-1")
    expect(page.get_by_role("option", selected=True)).to_contain_text("Restart front-1")
    press("Enter")
    expect(_dialog(opened).get_by_role("heading", name="Restart front-1?")).to_be_visible()
    press("Escape")
    expect(_dialog(opened)).to_have_count(0)

    # The cursor selects, also a range, and acts on its row; while somebody types, keys are letters.
    opened.open("/workers?sort=worker")
    page.get_by_role("link", name="front-1", exact=True).wait_for()
    press("?")
    for what in ("Next row", "Restart the worker", "Show these keys", "Batches"):
        expect(_dialog(opened).get_by_text(what, exact=True)).to_be_visible()
    press("Escape")
    expect(_dialog(opened)).to_have_count(0)
    for key in ("j", "j", "x", "j", "Shift+X"):
        press(key)
    expect(page.get_by_role("region", name="Selection")).to_contain_text("1 selected")
    press("j")
    press("x")
    expect(page.get_by_role("region", name="Selection")).to_contain_text("2 selected")
    press("r")
    expect(_dialog(opened).get_by_role("heading", name="Restart slow-1?")).to_be_visible()
    press("Escape")
    press("/")
    page.keyboard.type("jr")
    expect(page.get_by_text("No worker matches")).to_be_visible()
    page.get_by_role("link", name="Clear filters").click()
    press("Escape")


def _passes_a_line_on(opened: Tab) -> None:
    page = opened.page
    opened.open("/logs?q=line+00000007")
    box = page.get_by_role("log")
    expect(box.locator("mark").first).to_have_text("line 00000007")
    bars = page.get_by_role("slider", name=re.compile("^Lines over time"))
    shown = page.locator(".log-histogram figcaption strong")
    expect(shown).to_have_text(f"{box.locator('.log-row').count()} lines")
    opened.keep("logs-searched")
    # From a bar to its line, by keys; from the line to its link, and what somebody else sees there.
    bars.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"at=\d+"))
    line = page.get_by_role("region", name="The line")
    expect(line.get_by_label("Text of the line")).to_contain_text("line 00000007")
    to = line.get_by_role("link", name="See in context").get_attribute("href")
    other = page.context.new_page()
    other.goto(opened.root + str(to))
    expect(other.locator(".log-row.chosen")).to_contain_text("line 00000007")
    expect(other.locator(".log-row.chosen")).to_be_in_viewport()
    expect(other.get_by_role("log")).to_contain_text("line 00000008")
    other.close()
    page.get_by_role("button", name="as a table").click()
    expect(page.get_by_role("region", name="Lines over time as a table")).to_contain_text("no level")


def _reads_charts(opened: Tab) -> None:
    page = opened.page
    opened.open("/workers/front-1/metrics?range=15m")
    cpu = page.get_by_role("slider", name=re.compile("^CPU, from"))
    expect(cpu).to_be_visible()
    expect(page.get_by_role("slider", name=re.compile(r"^Seen running [1-9]"))).to_be_visible()
    marks = page.get_by_role("group", name="Marks on the charts")
    expect(marks.get_by_role("button", name=re.compile("asked by a person"))).to_be_visible()
    expect(marks.get_by_role("button", name=re.compile("spec changed"))).to_be_visible()
    cpu.focus()
    page.keyboard.press("End")
    expect(cpu).to_have_attribute("aria-valuetext", re.compile(r"^\d\d:\d\d:\d\d: "))
    page.locator(".chart").first.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="CPU as a table").get_by_role("row").nth(1)).to_contain_text("%")
    marks.get_by_role("button", name=re.compile("spec changed")).click()
    expect(page).to_have_url(re.compile("hide=spec"))
    opened.keep("metrics")
    assert opened.breaches() == []


def _loses_the_controller_and_comes_back_as_a_viewer(site: Installation, opened: Tab) -> None:
    page = opened.page
    made = site.run("token", "create", "ann", "--role", "viewer", "--state-dir", str(site.state))
    assert made.code == 0, made.text
    opened.open("/workers/front-1")
    site.kill("controller")
    expect(page.get_by_text("Reconnecting", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("old. The controller cannot be reached")
    site.serve("--auth", "required", ready=False)
    page.get_by_label("Token", exact=True).fill(next(word for word in made.out.split() if word.startswith("wctl_")))
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("h1").first).to_contain_text("front-1")
    for path in SCREENS:
        opened.open(path)
        expect(page.get_by_text("read only")).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        assert [one for one in page.get_by_role("button").all_inner_texts() if ACTS.match(one.strip())] == [], path
        assert page.locator("input[type=checkbox]").count() == 0, path
    page.get_by_label("workerctl, to the overview").click()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("restart front")
    expect(page.get_by_text("Nothing is called that.")).to_be_visible()
    page.keyboard.press("Escape")
