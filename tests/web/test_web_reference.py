"""What is read, in a real browser: every page of the documentation, every field, every request; found by words."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.e2e_installation import Installation
from tests.web.web_browser import NARROW, Tab, tab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]
DRAWN = """() => ({
  anchors: [...document.querySelectorAll('.prose :is(h2, h3, h4)')].map(one => one.id),
  lost: [...document.querySelectorAll('.prose a[href^="#"]')]
    .map(one => one.hash.slice(1)).filter(one => !document.getElementById(one)),
  foreign: [...document.querySelectorAll('.prose *')]
    .map(one => one.localName).filter(one => ['script', 'img', 'iframe', 'style'].includes(one)),
  marks: document.querySelector('.prose').innerText.split('\\n').filter(one => /^(```|\\|--|## )/.test(one)),
})"""
"""What became of a page: its anchors, links that lead nowhere, elements out of its text, marks that are left over."""


def test_what_is_to_be_read_is_found_by_words_and_leads_on(site: Installation, chromium: Browser) -> None:
    site.add("canary")
    site.serve()
    site.until_running("canary")
    topics = {one["topic"]: one for one in site.ask("/api/v1/docs").body["items"]}
    with tab(chromium, f"http://{site.listen}") as opened:
        _every_page_is_whole(opened, topics)
        _words_lead_there(opened)
        _a_request_is_tried(opened, site.listen)
    with tab(chromium, f"http://{site.listen}", NARROW) as opened:
        _on_a_phone_contents_are_folded(opened)


def _every_page_is_whole(opened: Tab, topics: dict[str, Any]) -> None:
    """From the first to the last by the link to the next one; the anchors are those that the API tells."""
    page, seen = opened.page, []
    opened.open("/docs/getting-started")
    while True:
        topic = page.url.rpartition("/")[2]
        expect(page.locator("h1").first).to_have_text(topics[topic]["title"].partition(": ")[0])
        page.get_by_role("navigation", name="Pages beside this one").wait_for()
        anchors = [heading["anchor"] for heading in topics[topic]["headings"]]
        assert page.evaluate(DRAWN) == {"anchors": anchors, "lost": [], "foreign": [], "marks": []}, topic
        seen.append(topic)
        further = page.get_by_role("link", name="Next")
        if further.count() == 0:
            break
        further.click()
    assert sorted(seen) == sorted(topics)


def _words_lead_there(opened: Tab) -> None:
    page, title = opened.page, opened.page.locator("h1").first
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("operations security")
    expect(page.get_by_role("option").first).to_contain_text("Security")
    page.keyboard.press("Enter")
    expect(title).to_have_text("Operations")
    expect(page.get_by_role("heading", name="Security")).to_be_in_viewport()

    # Pages lead to each other, at the heading that is meant; and back.
    opened.open("/docs/performance")
    page.locator(".prose a[href='/docs/reliability#the-soak']").first.click()
    expect(title).to_have_text("Reliability")
    expect(page.locator("#the-soak")).to_be_in_viewport()
    page.go_back()
    expect(title).to_have_text("Performance")

    # What the program says to read is a link.
    opened.open("/docs/specs")
    page.get_by_role("link", name="workerctl help error-messages").first.click()
    expect(title).to_have_text("Error messages")

    # A field, by typing part of it; and what there is not.
    opened.open("/docs?q=grace_ms")
    page.get_by_role("link", name="stop.grace_ms").click()
    expect(page.get_by_role("heading", name="stop.grace_ms")).to_be_in_viewport()
    opened.open("/docs?q=zzzz")
    expect(page.get_by_text("No heading and no field is called that")).to_be_visible()


def _a_request_is_tried(opened: Tab, listen: str) -> None:
    opened.open("/api#show_status")
    one = opened.page.locator("#show_status")
    answer = one.get_by_label("The answer", exact=True)
    expect(one.get_by_label("curl")).to_have_text(f"curl http://{listen}/api/v1/workers/canary/status")
    one.get_by_label("id", exact=True).fill("nobody")
    one.get_by_role("button", name="Send").click()
    expect(answer).to_contain_text("there is no worker nobody")
    one.get_by_label("id", exact=True).fill("canary")
    one.get_by_role("button", name="Send").click()
    expect(answer).to_contain_text('"status": "running"')
    one.get_by_text("Shape", exact=True).click()
    expect(one.get_by_label("Shape of the answer", exact=True)).to_contain_text("worker_id: string")
    opened.keep("api-tried")
    assert opened.breaches() == []


def _on_a_phone_contents_are_folded(opened: Tab) -> None:
    page = opened.page
    opened.open("/docs/operations")
    contents = page.get_by_role("navigation", name="On this page")
    contents.get_by_role("button").click()
    contents.get_by_role("link", name="Forwarding logs").click()
    expect(page.locator("#forwarding-logs")).to_be_in_viewport()
    expect(contents.get_by_role("link")).to_have_count(0)
    assert not opened.overflows()
    opened.open("/api#create_token")
    expect(page.locator("#create_token").get_by_label("Shape of the body", exact=True)).to_contain_text('"viewer" |')
    assert not opened.overflows()
