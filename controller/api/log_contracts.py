"""What the routes of log lines promise; contracts.py joins them to the others."""

from __future__ import annotations

from collections.abc import Mapping

from controller.api.contract import AFTER, FOLLOW, LAST_EVENT, Contract, flag, json_of, number, query
from controller.api.log_histogram import LONGEST_S, MOST_SPANS
from controller.api.responses import EVENTS, NDJSON, PLAIN
from controller.api.shapes import COUNT, FLAG, TEXT, TIME, WORKER_ID, Schema, listed, named, or_null, record
from controller.core.log_kinds import KINDS

_MOMENT: Schema = {"type": "string", "description": "RFC 3339 with an offset, or seconds since 1970."}
_LOG_PAGE: Schema = record(
    items=listed(named("LogLine")),
    next_cursor=TEXT,
    prev_cursor=or_null(TEXT),
    stopped_early=FLAG,
    removed=or_null(record(lines=COUNT, until=TIME)),
)
_LOG_ANSWERS = {200: json_of("Lines; `next_cursor` is where to go on.", _LOG_PAGE, NDJSON, PLAIN, EVENTS)}
_LOG_PARAMETERS = (
    number("tail", 0, 10_000, "The newest lines."),
    number("limit", 1, 10_000, "With `after`: how many at most."),
    AFTER,
    query("before", COUNT, "The newest lines before this cursor (`prev_cursor`)."),
    query("stream", {"type": "string", "enum": ["stdout", "stderr"]}, "Only this one."),
    query("run", TEXT, "Only this run: its id, or `current` or `previous`."),
    query("grep", TEXT, "Lines that hold this text, as it is. Repeated: all of them.", repeated=True),
    query("case", {"type": "string", "enum": ["ignore", "exact"]}, "Whether `grep` takes either case."),
    flag("invert", "Lines that hold none of the texts of `grep`."),
    query("level", TEXT, "Lines of these levels.", repeated=True),
    query(
        "kind", {"type": "string", "enum": list(KINDS)}, "Records of these kinds; `line`, `gap` else.", repeated=True
    ),
    flag("parsed", "A line that is a JSON object has its message for `text`, and the other fields in `data`."),
    query("since", _MOMENT, "From then on."),
    query("until", _MOMENT, "Up to then."),
    flag("download", "All that matches, as a file: plain text, or NDJSON by `Accept`."),
    query("format", {"type": "string", "enum": ["text", "ndjson"]}, "Of a download, where `Accept` cannot be set."),
    FOLLOW,
    LAST_EVENT,
)
_WHOSE = (
    query("worker", WORKER_ID, "Only of these.", repeated=True),
    query("selector", TEXT, "Only of those with these labels: `key=value` or `key`, commas between."),
)
_FILTERS = ("before", "stream", "run", "grep", "case", "invert", "level", "kind", "since", "until")
_HISTOGRAM: Schema = record(
    step_s=COUNT,
    times=listed(COUNT),
    series=listed(record(level=or_null(TEXT), values=listed(COUNT))),
    worst_ids=listed(or_null(COUNT)),
    lines=COUNT,
    stopped_early=FLAG,
    back_to=or_null(TIME),
    prev_cursor=or_null(TEXT),
    next_cursor=TEXT,
)

LOG_CONTRACTS: Mapping[tuple[str, str], Contract] = {
    ("GET", "/api/v1/workers/{id}/logs"): Contract(
        summary="Log lines, also of a worker that is gone.",
        parameters=(query("instance", TEXT, "`NAME/N`, or N."), *_LOG_PARAMETERS),
        answers=_LOG_ANSWERS,
        problems=(400, 404, 406, 503),
    ),
    ("GET", "/api/v1/logs"): Contract(
        summary="Log lines of several workers, or of all, in the order of their storing.",
        parameters=(
            *_WHOSE,
            *_LOG_PARAMETERS,
        ),
        answers=_LOG_ANSWERS,
        problems=(400, 404, 406, 503),
    ),
    ("GET", "/api/v1/logs/histogram"): Contract(
        summary="How many log lines of which level when, of several workers or of all.",
        parameters=(
            *_WHOSE,
            number("spans", 1, MOST_SPANS, "Spans of time, at most."),
            number("step", 1, LONGEST_S, "How long a span is at least, in seconds."),
            *(one for one in _LOG_PARAMETERS if one.name in _FILTERS),
        ),
        answers={200: json_of("Counts by span and level.", _HISTOGRAM)},
        problems=(400, 404, 503),
    ),
}
