"""Settings in a real browser: a token made, used, taken away again; who may not sees no button; what is remembered."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.e2e_installation import Installation
from tests.web.web_browser import NARROW, Tab, tab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]


def made(page: Page, name: str, role: str) -> str:
    """A token of that name, made with the page; its text."""
    page.get_by_role("button", name="New token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Role").select_option(role)
    dialog.get_by_label("Lives").select_option("A week")
    expected = f"workerctl token create {name} --role {role} --expires 7d"
    expect(dialog.get_by_label("Text to copy")).to_have_text(expected)
    dialog.get_by_role("button", name="Make it").click()
    text = dialog.get_by_label("The token").inner_text()
    expect(dialog.get_by_label("Use it with curl")).to_contain_text("/api/v1/whoami")
    return text


def logged_in(opened: Tab, path: str, token: str) -> Page:
    page = opened.page
    opened.open(path)
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("h1").first).to_have_text("Settings")
    return page


def test_a_token_is_made_shown_once_used_and_revoked(site: Installation, chromium: Browser) -> None:
    site.serve("--auth", "required")
    root, admin = f"http://{site.listen}", (site.state / "bootstrap-token").read_text().strip()
    with tab(chromium, root) as opened, tab(chromium, root, NARROW) as other:
        page = logged_in(opened, "/settings", admin)
        token = _a_token_is_shown_once(opened)
        assert token.split("_", 2)[2] not in site.log()
        _a_viewer_sees_no_dead_button(other, token)
        _what_is_revoked_ends_at_once(opened, other.page)
        _what_is_remembered_is_forgotten(page)
        expect(page.get_by_text(str(site.specs), exact=True)).to_be_visible()
        page.get_by_role("button", name="Log out here").click()
        expect(page.get_by_label("Token", exact=True)).to_be_visible()


def _a_token_is_shown_once(opened: Tab) -> str:
    page, dialog = opened.page, opened.page.get_by_role("dialog")
    rows = page.get_by_role("table", name="Tokens").locator("tbody tr")
    expect(rows).to_have_count(1)
    token = made(page, "ann", "viewer")
    opened.keep("token-made")
    assert opened.breaches() == []

    # There is no second time, so closing it asks once.
    dialog.get_by_label("Close").click()
    expect(dialog.get_by_text("Is it copied?")).to_be_visible()
    dialog.get_by_role("button", name="I have it").click()
    expect(rows).to_have_count(2)
    expect(page.locator("body")).not_to_contain_text(token.split("_", 2)[2])

    # A name is taken once; the page says so before anybody asks.
    page.get_by_role("button", name="New token").click()
    dialog.get_by_label("Name").fill("ann")
    expect(dialog.get_by_text("There is a token of this name.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Make it")).to_be_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    return token


def _a_viewer_sees_no_dead_button(opened: Tab, token: str) -> None:
    page = logged_in(opened, "/settings", token)
    expect(page.get_by_text("May look at everything, and change nothing.")).to_be_visible()
    expect(page.get_by_text("An admin makes and revokes them")).to_be_visible()
    expect(page.get_by_role("button", name="New token")).to_have_count(0)
    expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    expect(page.get_by_text("this browser", exact=True)).to_be_visible()
    opened.keep("settings-viewer")
    assert (opened.breaches(), opened.overflows()) == ([], False)


def _what_is_revoked_ends_at_once(opened: Tab, viewer: Page) -> None:
    """After it was said what that ends; of the last token of an admin it is said that it is the last."""
    page, dialog = opened.page, opened.page.get_by_role("dialog")
    page.reload()
    expect(page.get_by_role("table", name="Browsers that are logged in").locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Revoke ann").click()
    expect(dialog).to_contain_text("1 browser logged in with it is logged out")
    opened.keep("revoke")
    assert opened.breaches() == []
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_role("table", name="Tokens").locator("tbody tr")).to_have_count(1)
    viewer.reload()
    expect(viewer.get_by_label("Token", exact=True)).to_be_visible()

    page.get_by_role("button", name="Revoke bootstrap").click()
    expect(dialog).to_contain_text("No other admin has a token.")
    expect(dialog).to_contain_text("You will be logged out.")
    dialog.get_by_role("button", name="Cancel").click()


def _what_is_remembered_is_forgotten(page: Page) -> None:
    page.evaluate("localStorage.setItem('workerctl.views.workers', JSON.stringify([{name: 'mine', query: 'q=a'}]))")
    page.get_by_role("button", name="Dark").click()
    page.reload()
    expect(page.get_by_text("1 saved view of workers")).to_be_visible()
    page.get_by_role("button", name="Forget: 1 saved view of workers").click()
    expect(page.get_by_text("1 saved view of workers")).to_have_count(0)
    assert page.evaluate("localStorage.getItem('workerctl.views.workers')") is None
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
