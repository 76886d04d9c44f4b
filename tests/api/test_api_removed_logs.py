"""Lines that retention has removed: who asks for them is told, nobody else."""

from __future__ import annotations

import pytest

from controller.api.ports import Removed
from tests.api.api_site import Site
from tests.fakes.api_ports import line

PATH = "/api/v1/workers/web/logs"
LOST = Removed(lines=12, to=2, until=1_000_000_000.0)
TOLD = {"lines": 12, "until": "2001-09-09T01:46:40.000Z"}
GAP = "12 older lines, printed until 2001-09-09T01:46:40.000Z, were removed: more than are kept, or too old"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("tail=0", None),
        ("after=1", TOLD),
        ("after=2", None),
        ("before=1", TOLD),
        ("before=3&tail=1", None),
        ("before=1&since=2001-09-09T01:46:40Z", TOLD),
        ("before=1&since=2001-09-09T01:46:41Z", None),
        ("before=1&kind=lifecycle", None),
    ],
)
async def test_a_page_that_leads_to_them_says_so(site: Site, query: str, told: object) -> None:
    site.ports.say(line("one"), line("two"), line("three"))
    site.ports.lost = LOST
    assert (await site.get(f"{PATH}?{query}")).json["removed"] == told
    assert (await site.get(f"/api/v1/logs?{query}")).json["removed"] == told


async def test_a_download_begins_with_them(site: Site) -> None:
    site.ports.say(line("one"), line("two"))
    site.ports.lost = LOST
    assert (await site.get(f"{PATH}?download=1")).body == f"[{GAP}]\none\ntwo\n".encode()
    assert (await site.get(f"{PATH}?download=1&after=2")).body == b""
    site.ports.lost = None
    assert (await site.get(f"{PATH}?download=1")).body == b"one\ntwo\n"
