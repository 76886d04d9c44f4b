"""What people come for, from the first page on, in a real browser, against the real program with real workers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.e2e_installation import Installation
from tests.web.web_browser import tab

pytestmark = pytest.mark.e2e
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe"
FALLS = 'command: ["sh", "-c", "echo boom >&2; exit 3"]\nmax_restart_attempts: 0\nrestart_delay_ms: 100\n'


def test_from_an_empty_page_to_a_worker_a_crash_understood_and_mended(site: Installation, chromium: Browser) -> None:
    site.serve()
    with tab(chromium, f"http://{site.listen}") as opened:
        page, title = opened.page, opened.page.locator("h1").first

        # The first page says what to write; what it says works as it stands.
        opened.open("/")
        expect(title).to_have_text("No workers yet")
        opened.keep("first-run")
        site.write("hello.yaml", page.get_by_label("hello.yaml").inner_text())
        expect(title).to_have_text("The one worker is well")

        # By keys alone: to the list, onto the row, into the worker.
        page.keyboard.press("g")
        page.keyboard.press("w")
        expect(title).to_have_text("Workers")
        page.get_by_role("link", name="hello", exact=True).wait_for()
        page.keyboard.press("j")
        page.keyboard.press("o")
        expect(page).to_have_url(f"http://{site.listen}/workers/hello")
        expect(page.get_by_label("Why, and what next")).to_contain_text("It runs as the spec asks.")

        # A worker that gives up stands first, everywhere, with its reason; its name is text, whatever is in it.
        site.write("falls.yaml", f"worker_id: falls\nname: {HOSTILE!r}\n{FALLS}".replace("\\u202e", "\u202e"))
        expect(page).to_have_title("(1) hello \u00b7 workerctl")
        page.get_by_label("workerctl, to the overview").click()
        expect(title).to_have_text("1 of 2 workers needs attention")
        expect(page.get_by_text("<img src=x onerror=alert(1)>\u2039U+202E\u203agnp.exe")).to_be_visible()
        page.get_by_role("link", name="falls", exact=True).first.click()
        expect(page.get_by_label("Why, and what next")).to_contain_text("exited with code 3")
        expect(page.get_by_label("Why, and what next")).to_contain_text("workerctl logs falls")

        # Mended in its file, it runs, and nobody reloaded the page.
        site.write("falls.yaml", site.spec("falls"))
        expect(title).to_contain_text("running")
        expect(page.get_by_label("Why, and what next")).to_contain_text("It runs as the spec asks.")
        expect(page).to_have_title("falls \u00b7 workerctl")

        # An action says what it will do, does it, and is told to have been done.
        pid = site.pids("falls")["falls/0"]
        page.get_by_role("button", name="Restart").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Reason").fill("to see")
        expect(dialog.get_by_label("Text to copy")).to_have_text("workerctl restart falls --reason 'to see'")
        dialog.get_by_role("button", name="Restart").click()
        expect(page.locator(".toast", has_text="falls restarted")).to_be_visible()
        opened.keep("restarted")
        assert site.pids("falls")["falls/0"] != pid

        # What was stopped by mistake is taken back.
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        site.until_running("falls")


def test_a_page_outlives_the_controller_and_says_how_old_it_is(site: Installation, chromium: Browser) -> None:
    site.add("canary")
    site.serve()
    site.until_running("canary")
    with tab(chromium, f"http://{site.listen}") as opened:
        page = opened.page
        opened.open("/workers")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        site.kill("controller")
        expect(page.get_by_text("Reconnecting", exact=True)).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("old. The controller cannot be reached")
        opened.keep("stale")
        site.serve()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_role("link", name="canary", exact=True)).to_be_visible()


def test_a_token_is_typed_once_and_a_viewer_sees_no_dead_buttons(site: Installation, chromium: Browser) -> None:
    site.add("canary")
    site.serve("--auth", "required")
    made = site.run("token", "create", "ann", "--role", "viewer", "--state-dir", str(site.state))
    assert made.code == 0, made.text
    token = next(word for word in made.out.split() if word.startswith("wctl_"))
    with tab(chromium, f"http://{site.listen}") as opened:
        page = opened.page
        opened.open("/workers/canary")
        expect(page.get_by_role("heading", name="workerctl")).to_be_visible()
        assert opened.breaches() == []
        page.get_by_label("Token", exact=True).fill("wctl_00000000_" + "x" * 43)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("This token does not exist, or was revoked.")
        opened.keep("login")
        page.get_by_label("Token", exact=True).fill(token)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("h1").first).to_contain_text("canary")
        expect(page.get_by_text("read only")).to_be_visible()
        opened.keep("read-only")
        expect(page.get_by_role("button", name="Restart")).to_have_count(0)

        # The session is the browser's: also after a reload. No script can read it.
        page.reload()
        expect(page.locator("h1").first).to_contain_text("canary")
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token", exact=True)).to_be_visible()
