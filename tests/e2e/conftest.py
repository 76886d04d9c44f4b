"""An installation for each scenario: everything in it is ended, and what must never be fails the test.

All tests of this folder are `e2e`. When one fails, its report holds what the controllers, the keeper and the
canaries wrote, and its folder is kept when WORKERCTL_E2E_KEEP is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from controller.store import open_store
from tests.e2e.e2e_installation import Installation

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure, so that the fixture tells the story, and put the story into the report."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
        site = getattr(item, "funcargs", {}).get("site")
        if report.failed and isinstance(site, Installation):
            report.sections.append(("what the program wrote", site.story()))
    return report


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A database without a row, of the newest schema. Modules that are about first starts override this with None."""
    path = tmp_path_factory.mktemp("empty") / "workerctl.db"
    open_store(str(path)).close()
    return path


@pytest.fixture
def site(request: pytest.FixtureRequest, empty_database: Path | None) -> Iterator[Installation]:
    """An empty installation, nothing running but a bystander. To make its schema is a sixth of a start's work: it is
    there, as at nearly every start of a user's.
    """
    opened = Installation()
    if empty_database is not None:
        opened.state.mkdir(mode=0o700)
        shutil.copy(empty_database, opened.state)
    yield opened
    has_failed = request.node.stash.get(FAILED, True)
    wrong = opened.close()
    story = opened.story()
    if not (has_failed and "WORKERCTL_E2E_KEEP" in os.environ):
        opened.remove()
    if wrong:
        pytest.fail("\n".join([*wrong, "" if has_failed else story]), pytrace=False)
