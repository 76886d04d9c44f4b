"""How many lines when: what is asked of the store, and what is refused."""

from __future__ import annotations

import pytest

from controller.api.log_query import LogQuery, SpanWish
from tests.api.api_site import Site, fault, problem, told
from tests.fakes.api_log_counts import NOTHING
from tests.fakes.api_ports import worker

PATH = "/api/v1/logs/histogram"


async def test_the_answer_is_what_the_store_counted(site: Site) -> None:
    site.ports.counted = {**NOTHING, "times": [60], "series": [{"level": None, "values": [3]}], "lines": 3}
    answer = await site.get(PATH)
    assert (answer.status, answer.json) == (200, site.ports.counted)
    assert site.ports.count_wishes == ((LogQuery(limit=100), SpanWish(most=80)),)


async def test_every_filter_and_the_spans_reach_the_store(site: Site) -> None:
    site.ports.put(worker("db", labels={"tier": "back"}))
    words = "grep=x&case=ignore&invert=1&level=error&kind=line"
    query = f"selector=tier=back&stream=stderr&run=r7&since=1000&until=2000&{words}"
    await site.get(f"{PATH}?{query}&before=90&spans=200&step=60")
    wanted = LogQuery(
        workers=("db",), limit=100, stream="stderr", run="r7", since=1000.0, until=2000.0, before=90, grep=("x",),
        ignore_case=True, invert=True, levels=("error",), kinds=("line",),
    )  # fmt: skip
    assert site.ports.count_wishes == ((wanted, SpanWish(most=200, step=60, before=90)),)


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("spans=0", "spans", "expected a whole number from 1 to 200"),
        ("spans=201", "spans", "expected a whole number from 1 to 200"),
        ("step=0", "step", "expected a whole number from 1 to 316224000"),
        ("limit=5", "limit", "unknown parameter"),
        ("follow=1", "follow", "unknown parameter"),
    ],
)
async def test_wrong_parameters_are_refused(site: Site, query: str, name: str, message: str) -> None:
    answer = await site.get(f"{PATH}?{query}")
    errors = [fault(message, pointer=f"/query/{name}")]
    assert told(answer) == problem(400, "bad_parameter", f"a query parameter is wrong: {message}", PATH, errors=errors)


async def test_a_worker_that_nobody_knows_is_404(site: Site) -> None:
    answer = await site.get(f"{PATH}?worker=nope")
    assert told(answer) == problem(404, "unknown_worker", "there is no worker nope", PATH)
