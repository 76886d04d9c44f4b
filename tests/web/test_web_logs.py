"""Logs in a real browser: what a worker prints is text, searched, linked, followed; of very many lines few rows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Download, Page, Route, expect

from tests.e2e.e2e_installation import PYTHON, Installation
from tests.e2e.e2e_processes import eventually
from tests.web.web_browser import NARROW, tab

PRINTS = r"""
import json, signal, sys, time
def say(text, to=sys.stdout):
    print(text, file=to, flush=True)
say("<img src=x onerror=alert(1)><script>alert(2)</script>")
say("\x1b[31mred\x1b[0m and \x1b[1;38;5;34mgreen\x1b[0m, \x1b[2Jcleared \x1b]0;title\x07")
say("invoice\u202egpj.exe and a zero\u200bwidth")
say(json.dumps({"level": "error", "msg": "payment refused", "user": "<b>anna</b>", "took_ms": 42}))
say("WARNING disk is nearly full", sys.stderr)
say("no level on stderr", sys.stderr)
say("x" * 9000)
for number in range(400):
    say(f"INFO request {number} took {number % 17} ms")
go_on = [True]
signal.signal(signal.SIGTERM, lambda *_: go_on.clear())
number = 0
while go_on:
    if sys.argv[1] == "talks" or number < 2:
        say(f"INFO tick {number}")
    number += 1
    time.sleep(0.1)
"""
MANY = 100_000


def _add(site: Installation, name: str, how: str, **fields: Any) -> None:
    (site.root / "beside/prints.py").write_text(PRINTS, "utf-8")
    values = {"worker_id": name, "command": [PYTHON, "-I", "-S", str(site.root / "beside/prints.py"), how], **fields}
    site.write(f"{name}.yaml", "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()))


def _lines(site: Installation, worker: str, **query: str) -> list[dict[str, Any]]:
    asked = "&".join(f"{key}={value}" for key, value in {"tail": "1000", **query}.items())
    found: list[dict[str, Any]] = site.ask(f"/api/v1/workers/{worker}/logs?{asked}").body["items"]
    return found


def _box(page: Page) -> Any:
    return page.get_by_role("log")


@pytest.mark.e2e
def test_a_log_is_read_searched_linked_and_followed(site: Installation, chromium: Browser) -> None:
    _add(site, "talks", "talks", labels={"team": "growth"})
    _add(site, "quiet", "quiet", replicas=2)
    site.serve()
    eventually(lambda: any("tick 3" in one["text"] for one in _lines(site, "talks")), told="it talks")
    eventually(lambda: len(_lines(site, "quiet", grep="tick")) == 4, told="the quiet ones have said all")
    with tab(chromium, f"http://{site.listen}") as opened:
        page = opened.page
        _follows_and_pauses(page, lambda: opened.open("/workers/talks/logs"))
        opened.keep("worker-logs-light")
        _shows_strangers_as_text(page)
        opened.keep("worker-logs-hostile-light")
        assert opened.breaches() == []
        _filters_and_links(site, page)
        opened.keep("worker-logs-line-light")
        assert opened.breaches() == []
        _goes_from_match_to_match(page)
        _weaves_in_what_happened(page)
        _explores(page, lambda: opened.open("/logs"))
        opened.keep("logs-light")
        assert opened.breaches() == []
        _downloads(page)
    with tab(chromium, f"http://{site.listen}", scheme="dark") as opened:
        for name, path in {"logs": "/logs", "worker-logs": "/workers/quiet/logs?kind=line&kind=lifecycle&q=<"}.items():
            opened.open(path)
            expect(_box(opened.page)).to_contain_text("alert(1)" if "worker" in name else "tick")
            opened.keep(f"{name}-dark")
            assert opened.breaches() == []
    with tab(chromium, f"http://{site.listen}", NARROW) as opened:
        for name, path in {"logs": "/logs", "worker-logs": "/workers/talks/logs"}.items():
            opened.open(path)
            expect(_box(opened.page)).to_contain_text("tick")
            assert not opened.overflows()
            opened.page.get_by_role("button", name=re.compile("^Filters")).click()
            expect(opened.page.get_by_label("Level", exact=True)).to_be_visible()
            opened.keep(f"{name}-narrow")
            assert opened.breaches() == []


def _follows_and_pauses(page: Page, go: Any) -> None:
    go()
    follow = page.get_by_role("button", name="Follow", exact=True)
    expect(follow).to_have_attribute("aria-pressed", "true")
    expect(_box(page)).to_contain_text("INFO tick")
    _box(page).hover()
    page.mouse.wheel(0, -600)
    expect(page.get_by_role("button", name=re.compile(r"Paused, \d+ new lines"))).to_be_visible()
    expect(follow).to_have_attribute("aria-pressed", "false")
    top = page.evaluate("() => document.querySelector('[role=log]').scrollTop")
    row = _box(page).locator(".log-row").nth(20).inner_text()
    expect(page.get_by_role("button", name=re.compile(r"Paused, [1-9]\d+ new lines"))).to_be_visible()
    assert page.evaluate("() => document.querySelector('[role=log]').scrollTop") == top
    assert _box(page).locator(".log-row").nth(20).inner_text() == row
    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name=re.compile("Paused"))).to_have_count(0)


def _shows_strangers_as_text(page: Page) -> None:
    page.evaluate("() => { document.querySelector('[role=log]').scrollTop = 0; }")
    box = _box(page)
    expect(box).to_contain_text("<img src=x onerror=alert(1)><script>alert(2)</script>")
    expect(box.locator("img, script")).to_have_count(0)
    expect(box.locator(".a-f1")).to_have_text("red")
    expect(box.locator(".a-bold")).to_have_text("green")
    expect(box).to_contain_text("\u241b[2Jcleared \u241b]0;title\u2407")
    expect(box).to_contain_text("invoice\u2039U+202E\u203agpj.exe and a zero\u2039U+200B\u203awidth")
    expect(box.locator(".l-error")).to_contain_text("error payment refused user=<b>anna</b> took_ms=42")
    expect(box.locator(".l-warning")).to_contain_text("warn")
    expect(box.locator(".log-row", has_text="no level on stderr").locator(".log-mark")).to_have_text("stderr")
    expect(box).to_contain_text("\u2026 5000 more characters")


def _filters_and_links(site: Installation, page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("took 16 MS")
    expect(_box(page).locator("mark").first).to_have_text("took 16 ms")
    expect(_box(page).locator(".log-row")).to_have_count(23)
    expect(page).to_have_url(re.compile(r"q=took\+16\+MS"))
    expect(page.locator(".log-said")).to_contain_text("23 matching lines")
    expect(page.locator(".log-said")).to_contain_text("all that is kept was searched")
    page.get_by_role("button", name="Aa, match case").click()
    expect(page.get_by_text("No line matches")).to_be_visible()
    page.get_by_role("button", name="Aa, match case").click()
    wanted = _lines(site, "talks", grep="request%20356%20")[0]
    _box(page).locator(".log-row", has_text="request 356 ").locator(".log-time").click()
    expect(page).to_have_url(re.compile(rf"at={wanted['id']}$"))
    line = page.get_by_role("region", name="The line")
    expect(line.get_by_label("Text of the line")).to_have_text("INFO request 356 took 16 ms")
    line.get_by_role("link", name="See in context").click()
    expect(page).to_have_url(f"http://{site.listen}/workers/talks/logs?at={wanted['id']}")
    expect(_box(page).locator(".log-row.chosen")).to_contain_text("request 356")
    expect(_box(page)).to_contain_text("request 357")
    # The link alone shows the same to somebody else.
    page.reload()
    expect(_box(page).locator(".log-row.chosen")).to_be_in_viewport()
    expect(_box(page)).to_contain_text("request 355")


def _goes_from_match_to_match(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="The line")).to_have_count(0)
    page.get_by_role("button", name="Highlight").click()
    page.get_by_role("button", name=".* regular expression").click()
    page.get_by_label("Mark this text").fill(r"request 1?23 .*ms$")
    page.get_by_label("Mark this text").press("Escape")
    expect(page.locator(".log-matches")).to_contain_text("2 in ")
    page.keyboard.press("n")
    expect(_box(page).locator(".log-row.current")).to_contain_text("request 23 ")
    page.keyboard.press("n")
    expect(_box(page).locator(".log-row.current")).to_contain_text("request 123 ")
    expect(page.locator(".log-matches")).to_contain_text("2 of 2 in ")
    page.keyboard.press("N")
    expect(_box(page).locator(".log-row.current")).to_contain_text("request 23 ")
    page.keyboard.press("/")
    page.keyboard.type("(")
    expect(page.get_by_role("alert")).to_contain_text("no regular expression")
    page.keyboard.press("Escape")


def _weaves_in_what_happened(page: Page) -> None:
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_label("Only lines with this text").fill("")
    page.get_by_role("button", name="Starts and ends").click()
    page.get_by_role("button", name="Printed").click()
    expect(_box(page).locator(".k-lifecycle").first).to_contain_text("event")
    expect(_box(page).locator(".k-line")).to_have_count(0)


def _explores(page: Page, go: Any) -> None:
    go()
    expect(_box(page)).to_contain_text("talks/0")
    expect(page.get_by_role("slider", name=re.compile("^Lines over time"))).to_be_visible()
    page.get_by_label("Only workers, by name or label").fill("quiet")
    page.get_by_label("Only workers, by name or label").press("Enter")
    expect(page).to_have_url(re.compile("worker=quiet"))
    page.get_by_label("Level", exact=True).select_option("warning")
    expect(_box(page).locator(".log-row")).to_have_count(4)
    expect(_box(page)).to_contain_text("quiet/1")
    expect(_box(page)).not_to_contain_text("talks")


def _downloads(page: Page) -> None:
    page.get_by_role("button", name="Save").click()
    with page.expect_download() as coming:
        page.get_by_role("menuitem", name="Matching lines as NDJSON").click()
    got: Download = coming.value
    rows = [json.loads(row) for row in got.path().read_text("utf-8").splitlines()]
    found = sorted((row["instance"], row["level"]) for row in rows)
    assert found == [(f"quiet/{number}", level) for number in (0, 1) for level in ("error", "warning")]


@pytest.mark.campaign
def test_a_hundred_thousand_lines_are_few_rows_and_scroll_without_waiting(
    site: Installation, chromium: Browser
) -> None:
    site.add("canary")
    site.serve()
    site.until_running("canary")
    line = {"at": "2026-11-24T06:17:54.049Z", "approximate": False, "worker_id": "canary", "instance": "canary/0",
            "run": "r", "stream": "stdout", "kind": "line", "seq": 1, "level": "info", "partial": False}  # fmt: skip
    texts = (f"line {number} \u001b[32mok\u001b[0m {'word ' * (number % 9)}" for number in range(MANY + 500))
    told = "".join(json.dumps({**line, "id": 10 + at, "text": text}) + "\n" for at, text in enumerate(texts))

    def answer(route: Route) -> None:
        if "follow=1" in route.request.url:
            route.fulfill(status=200, headers={"Content-Type": "application/x-ndjson"}, body=told)
        else:
            begin: dict[str, Any] = {
                "items": [],
                "next_cursor": "9",
                "prev_cursor": None,
                "stopped_early": False,
                "removed": None,
            }
            route.fulfill(json=begin)

    with tab(chromium, f"http://{site.listen}") as opened:
        page = opened.page
        page.route("**/api/v1/workers/canary/logs*", answer)
        opened.open("/workers/canary/logs")
        expect(_box(page)).to_contain_text(f"line {MANY + 499} ok")
        expect(page.locator(".log-said")).to_contain_text("100,000 lines")
        for key in ("", "w"):
            if key:
                page.keyboard.press(key)
                expect(_box(page)).to_have_class(re.compile("wraps"))
            frames = page.evaluate(
                """async () => {
                    const box = document.querySelector('[role=log]'), gaps = [];
                    let most = 0, last = performance.now();
                    for (let step = 60; step >= 0; step -= 1) {
                        box.scrollTop = box.scrollHeight * step / 60;
                        await new Promise(requestAnimationFrame);
                        gaps.push(performance.now() - last);
                        last = performance.now();
                        most = Math.max(most, document.querySelectorAll('.log-row').length);
                    }
                    return {most, middle: gaps.sort((a, b) => a - b)[30], worst: gaps.at(-1)};
                }"""
            )
            assert frames["most"] < 120
            assert frames["middle"] < 500
            expect(_box(page).locator(".log-row").first).to_contain_text("line 500 ")
            page.keyboard.press("f")
            expect(_box(page)).to_contain_text(f"line {MANY + 499} ok")
