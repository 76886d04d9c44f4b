"""A browser for the tests of the web UI: Debian's Chromium by Playwright, and what every page must keep to.

    with browser() as chromium, tab(chromium, "http://127.0.0.1:3000") as page: ...

A tab remembers everything that went wrong in it: exceptions, errors in the console, breaches of the policy; and at its
end there was nothing, or the test fails. `WORKERCTL_SCREENS=DIR` keeps screenshots there, to be looked at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Error, Page, expect, sync_playwright

AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text("utf-8")
CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 30_000
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE, NARROW = (1280, 900), (390, 844)
_ANSWERS = "Failed to load resource"
"""What the console says of an answer that is an error; the page is to say it better."""


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    if shutil.which("chromium") is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: apt-get install chromium")
        pytest.skip("chromium is not installed")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Tab:
    """One page, and what went wrong in it."""

    def __init__(self, page: Page, root: str) -> None:
        self.page, self.root = page, root
        self.faults: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", self._threw)
        page.on("console", self._heard)
        page.on("dialog", self._asked)

    def _threw(self, error: Error) -> None:
        self.faults.append(f"exception: {error}")

    def _asked(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":  # the browser's own question, where something typed was not applied
            dialog.accept()
            return
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_ANSWERS):
            self.faults.append(f"{message.type}: {message.text}")

    def open(self, path: str) -> None:
        """Go there by the address, and wait for the screen."""
        self.page.goto(self.root + path, wait_until="domcontentloaded")
        self.page.locator("h1").first.wait_for()

    def heading(self) -> str:
        """What the screen is called."""
        return self.page.locator("h1").first.inner_text()

    def breaches(self) -> list[str]:
        """What axe finds, in all its rules of WCAG 2.2 A and AA and its best practices."""
        self.page.evaluate(AXE)
        found: Any = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(self.page.evaluate("() => document.documentElement.scrollWidth > innerWidth"))

    def keep(self, name: str) -> None:
        """A screenshot, where somebody asked for them."""
        folder = os.environ.get("WORKERCTL_SCREENS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@contextmanager
def tab(
    chromium: Browser, root: str, size: tuple[int, int] = WIDE, *, scheme: Any = "light", context: Any = None
) -> Iterator[Tab]:
    """A page of its own; it must have gone through without a fault. `context`: share cookies with another tab."""
    own: BrowserContext = context or chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
    )
    opened = Tab(own.new_page(), root)
    yield opened
    faults = list(opened.faults)
    own.close()
    assert not faults, faults
