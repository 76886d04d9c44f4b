"""Every screen as it is looked at: light and dark, wide and narrow, by axe, and never wider than its window.

`WORKERCTL_SCREENS=DIR pytest -m e2e tests/web/test_web_screens.py` keeps what it saw. A new screen is a row of SCREENS.
"""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.e2e_installation import Installation
from tests.web.web_browser import NARROW, WIDE, Tab, tab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SCREENS = {
    "overview": "/",
    "workers": "/workers",
    "worker": "/workers/falls",
    "worker-logs": "/workers/falls/logs",
    "worker-metrics": "/workers/canary/metrics",
    "worker-events": "/workers/falls/events",
    "worker-instances": "/workers/canary/instances?instance=1",
    "worker-spec": "/workers/canary/spec",
    "worker-spec-file": "/workers/canary/spec?view=file#L2",
    "worker-history": "/workers/falls/history",
    "configuration": "/configuration",
    "configuration-new": "/configuration/new",
    "configuration-of": "/configuration/falls",
    "plan": "/plan",
    "logs": "/logs",
    "events": "/events",
    "batches": "/batches",
    "docs": "/docs",
    "doc": "/docs/performance",
    "fields": "/docs/fields?q=grace",
    "api": "/api#show_status",
    "settings": "/settings",
    "not-found": "/nowhere",
}
"""By a name for the screenshot."""


@pytest.mark.parametrize(
    ("look", "size", "scheme"), [("light", WIDE, "light"), ("dark", WIDE, "dark"), ("narrow", NARROW, "light")]
)
def test_every_screen_can_be_read_by_everybody(
    site: Installation, chromium: Browser, look: str, size: tuple[int, int], scheme: str
) -> None:
    site.add("canary", replicas=3, labels={"team": "growth"})
    site.add("asleep", desired_state="stopped")
    site.write("falls.yaml", 'worker_id: falls\ncommand: ["false"]\nmax_restart_attempts: 0\n')
    site.write("broken.yaml", "worker_id: broken\ncommand: [\n")
    site.serve()
    site.until_status("falls", "error")
    wrong: dict[str, list[str]] = {}
    with tab(chromium, f"http://{site.listen}", size, scheme=scheme) as opened:
        for name, path in SCREENS.items():
            opened.open(path)
            expect(opened.page.locator(".loading")).to_have_count(0)
            opened.keep(f"{name}-{look}")
            found = opened.breaches() + (["it is wider than its window"] if opened.overflows() else [])
            if found:
                wrong[name] = found
        if look == "light":
            wrong |= {name: found for name, found in _opened(opened).items() if found}
    assert wrong == {}


def _opened(opened: Tab) -> dict[str, list[str]]:
    """What is opened above a screen: the palette, the keys, a menu, a selection, a confirmation."""
    page, found = opened.page, {}
    opened.open("/workers?status=running")
    for name, key in (("palette", "Control+k"), ("keys", "?")):
        page.keyboard.press(key)
        page.get_by_role("dialog").wait_for()
        opened.keep(name)
        found[name] = opened.breaches()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_label("Actions of canary").click()
    found["menu"] = opened.breaches()
    page.keyboard.press("Escape")
    page.get_by_label("Select canary").check()
    found["selection"] = opened.breaches()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Restart").click()
    page.get_by_role("dialog").wait_for()
    opened.keep("confirmation")
    found["confirmation"] = opened.breaches()
    return found


def test_a_thousand_workers_are_few_rows_and_all_are_there(site: Installation, chromium: Browser) -> None:
    site.add("canary")
    site.serve()
    site.until_running("canary")
    item = site.workers()["canary"]
    told = ["id: events:1\nevent: hello\ndata: {}\n\n"]
    for number in range(1000):
        one = {**item, "worker_id": f"worker-{number:04d}"}
        told.append(f"id: events:1\nevent: workers\ndata: {json.dumps(one)}\n\n")
    with tab(chromium, f"http://{site.listen}") as opened:
        page = opened.page
        stream = {"status": 200, "headers": {"Content-Type": "text/event-stream"}, "body": "".join(told)}
        page.route("**/api/v1/stream*", lambda route: route.fulfill(**stream))
        page.route("**/api/v1/metrics-history*", lambda route: route.fulfill(json={"series": []}))
        opened.open("/workers")
        page.get_by_role("link", name="worker-0000", exact=True).wait_for()
        assert page.locator("tbody tr").count() < 60
        page.get_by_label("Filter workers").fill("0999")
        expect(page.get_by_role("link", name="worker-0999", exact=True)).to_be_visible()
        expect(page.get_by_text("1 of 1,000 workers")).to_be_visible()
        page.get_by_label("Filter workers").fill("")
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        expect(page.get_by_role("link", name="worker-0999", exact=True)).to_be_visible()
