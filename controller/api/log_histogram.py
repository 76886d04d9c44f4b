"""`GET /api/v1/logs/histogram`: how many log lines of which level when, of those that a search would find.

`times` are the begins of spans of `step_s` seconds each, in seconds since the epoch; each of `series` has the count of
one level for each of them (`level` null: lines that name none), the worst first. `worst_ids`: of each span the first
line of its worst level, to look from there with `at` or `before`. It is counted from the newest line back for about a
second: what was not reached is said (`stopped_early`, `back_to`), and `before=prev_cursor&step=step_s` counts on from
there. Who follows from `next_cursor` sees each line that is not counted here once.
"""

from __future__ import annotations

from aiohttp import web

from controller.api.call import Call
from controller.api.log_query import SpanWish
from controller.api.logs import question_of_all
from controller.api.query import Query
from controller.api.responses import json_response

MOST_SPANS = 200
USUAL_SPANS = 80
LONGEST_S = 10 * 366 * 86_400
_KNOWN = ("worker", "selector", "stream", "run", "since", "until", "before", "grep", "case", "invert", "level", "kind")


async def show_histogram(call: Call) -> web.StreamResponse:
    """Filters as of `GET /api/v1/logs`; `spans`: at most so many, `step`: of so many seconds at least."""
    query = Query(call.request, *_KNOWN, "spans", "step")
    most = query.number("spans", low=1, high=MOST_SPANS) or USUAL_SPANS
    wish = SpanWish(most=most, step=query.number("step", low=1, high=LONGEST_S))
    question = await question_of_all(query, call)
    return json_response(await question.counts(wish), call.request_id)
