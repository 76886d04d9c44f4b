"""One browser for each process that runs tests, and an installation for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import empty_database, pytest_runtest_makereport, site
from tests.web.web_browser import browser

__all__ = ["empty_database", "pytest_runtest_makereport", "site"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's."""
    with browser() as started:
        yield started
