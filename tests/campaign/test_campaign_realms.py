"""Two realms on one host, with workers of the same names: whatever befalls one, the other does not notice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.e2e.e2e_installation import Installation

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(300)]


@pytest.fixture
def two() -> Iterator[tuple[Installation, Installation]]:
    with contextlib.ExitStack() as stack:
        sites = Installation(), Installation()
        wrong: list[str] = []
        for site in sites:
            stack.callback(site.remove)
            stack.callback(_close, site, wrong)
        yield sites
    assert wrong == []


def _close(site: Installation, wrong: list[str]) -> None:
    wrong += site.close()


def test_deaths_and_a_graceful_end_in_one_realm_touch_nobody_in_the_other(
    two: tuple[Installation, Installation],
) -> None:
    one, other = two
    for site in two:
        site.add("web", "--child-setsid", replicas=2, stop={"grace_ms": 1000})
        site.add("api")
        site.serve()
    before = {site.root: site.until_running() for site in two}
    one.kill("controller", "agent", "keeper")
    one.serve()
    assert one.until_running() == before[one.root]
    one.kill_worker("web/0")
    one.until_reborn("web/0", before[one.root]["web/0"])
    one.stop()
    assert other.until_running() == before[other.root] == other.living()
    assert all(len(book.starts) == 1 and not book.signals for book in other.journals().values())
    other.stop()
    one.serve()
    one.until_running()
