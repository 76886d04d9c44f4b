"""Log lines in four notations, once and followed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.api.log_query import LogQuery
from controller.api.streams import PIECE
from tests.api.api_site import Site, fault, problem, told, until
from tests.fakes.api_ports import line, worker

PATH = "/api/v1/workers/web/logs"


def _ndjson(*items: Any) -> bytes:
    return b"".join(json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for item in items)


WHOLE = {"stopped_early": False, "removed": None}


async def test_the_newest_lines_come_oldest_first_with_the_cursor_to_go_on(site: Site) -> None:
    site.ports.say(line("one"), line("two"), line("three"))

    answer = await site.get(PATH + "?tail=2")

    assert answer.json == {
        "items": [line("two"), line("three")],
        "next_cursor": "3",
        "prev_cursor": "2",
        "stopped_early": False,
        "removed": None,
    }


async def test_after_pages_forward_and_the_cursor_never_ends(site: Site) -> None:
    site.ports.say(line("one"), line("two"), line("three"))

    pages = [(await site.get(f"{PATH}?after={after}&limit=2")).json for after in (0, 2, 3)]

    assert pages == [
        {"items": [line("one"), line("two")], "next_cursor": "2", "prev_cursor": None, **WHOLE},
        {"items": [line("three")], "next_cursor": "3", "prev_cursor": None, **WHOLE},
        {"items": [], "next_cursor": "3", "prev_cursor": None, **WHOLE},
    ]


async def test_every_filter_reaches_the_store(site: Site) -> None:
    query = "tail=5&stream=stderr&instance=web/2&run=r7&since=2026-01-31T12:00:00%2B01:00&until=1769860800.5"
    await site.get(f"{PATH}?{query}")
    await site.get(f"{PATH}?instance=3&since=2026-01-31T12:00:00+01:00")

    assert site.ports.queries == [
        LogQuery(
            worker_id="web", limit=5, stream="stderr", ordinal=2, run="r7", since=1769857200.0, until=1769860800.5
        ),
        LogQuery(worker_id="web", limit=100, ordinal=3, since=1769857200.0),
    ]


@pytest.mark.parametrize(
    ("query", "name", "message", "hint"),
    [
        ("tail=10001", "tail", "expected a whole number from 0 to 10000", None),
        ("tail=-1", "tail", "expected a whole number from 0 to 10000", None),
        ("stream=stdour", "stream", "expected one of stdout, stderr", "did you mean stdout?"),
        ("instance=db/1", "instance", "expected web/N or N", None),
        ("instance=../1", "instance", "expected web/N or N", None),
        ("since=yesterday", "since", "expected a time such as 2026-01-31T12:00:00Z, or seconds since 1970", None),
        ("since=999999999999", "since", "expected a time such as 2026-01-31T12:00:00Z, or seconds since 1970", None),
        (
            "since=2026-01-31T12:00:00",
            "since",
            "expected a time with an offset, such as 2026-01-31T12:00:00Z",
            None,
        ),
        ("after=abc", "after", "expected a whole number from 0 to 9223372036854775807", None),
        ("until=5&follow=1", "until", "a followed log has no end; leave out follow or until", None),
        ("before=5&follow=1", "before", "a followed log has no end; leave out follow or before", None),
        ("before=5&after=3", "before", "pages go back with before or on with after, not both", None),
        ("&".join(["grep=x"] * 9), "grep", "expected at most 8 of them", None),
    ],
)
async def test_wrong_parameters_are_refused(site: Site, query: str, name: str, message: str, hint: str | None) -> None:
    answer = await site.get(f"{PATH}?{query}")

    errors = [fault(message, pointer=f"/query/{name}", hint=hint)]
    assert told(answer) == problem(400, "bad_parameter", f"a query parameter is wrong: {message}", PATH, errors=errors)


async def test_plain_text_is_what_the_worker_wrote_and_never_a_page(site: Site) -> None:
    site.ports.say(
        line("<script>alert(1)</script>\x1b[31m"),
        line("half", partial=True),
        line(" whole"),
        line("cut", partial=True),
        line("other", stream="stderr"),
        line("open", partial=True),
        line("3 lines left out", kind="gap"),
        line("stray \udc80"),
        line("last", partial=True),
    )

    answer = await site.get(PATH, Accept="text/plain")

    assert (answer.media_type, answer.headers["X-Content-Type-Options"]) == ("text/plain; charset=utf-8", "nosniff")
    assert answer.body.decode() == (
        "<script>alert(1)</script>\x1b[31m\nhalf whole\ncut\nother\nopen\n[3 lines left out]\nstray \\udc80\nlast"
    )


async def test_ndjson_is_one_line_an_object(site: Site) -> None:
    site.ports.say(line("a\u2028b"), line("é\udcff"))

    answer = await site.get(PATH, Accept="application/x-ndjson")

    assert answer.media_type == "application/x-ndjson"
    assert [json.loads(row)["text"] for row in answer.body.split(b"\n")[:-1]] == ["a\u2028b", "é\udcff"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("text/*", "text/plain; charset=utf-8"),
        ("application/json;q=0.5, text/plain", "text/plain; charset=utf-8"),
        ("application/*;q=0.2, application/json;q=0", "application/x-ndjson"),
        ("application/json;q=much, text/plain;q=0.1", "text/plain; charset=utf-8"),
        ("application/json; charset=utf-8", "application/json"),
        ("text/html", "application/problem+json"),
    ],
)
async def test_accept_chooses_the_notation(site: Site, accept: str, media_type: str) -> None:
    assert (await site.get(PATH, Accept=accept)).media_type == media_type


async def test_what_cannot_be_had_is_406(site: Site) -> None:
    answer = await site.get(PATH, Accept="text/html")

    detail = "this can be had as application/json, text/plain, application/x-ndjson, not as the Accept header asks"
    assert told(answer) == problem(406, "not_acceptable", detail, PATH)


async def test_an_unknown_worker_is_404_also_when_followed(site: Site) -> None:
    path = "/api/v1/workers/nope/logs"
    for query in ("", "?follow=1"):
        answer = await site.get(path + query)
        assert told(answer) == problem(404, "unknown_worker", "there is no worker nope", path)


async def test_lines_of_a_worker_that_is_gone_stay_readable(site: Site) -> None:
    site.ports.say(line("farewell"))
    site.ports.drop("web")

    last = {"next_cursor": "1", "prev_cursor": "1", **WHOLE}
    assert (await site.get(PATH)).json == {"items": [line("farewell")], **last}


async def test_followed_lines_begin_with_the_tail_and_go_on(site: Site) -> None:
    site.ports.say(line("one"), line("two"))

    async with site.follow(f"{PATH}?tail=1&follow=true") as follower:
        assert await follower.chunk() == _ndjson(line("two"))
        site.ports.say(line("three"), line("four"))
        assert await follower.chunk() == _ndjson(line("three"), line("four"))
        site.ports.say(line("elsewhere", worker_id="db"))
        site.ports.say(line("five"))
        assert await follower.chunk() == _ndjson(line("five"))


async def test_followed_lines_from_now_on_miss_nothing(site: Site) -> None:
    site.ports.say(line("old"))

    async with site.follow(f"{PATH}?tail=0&follow=1") as follower:
        site.ports.say(line("new"))
        assert await follower.chunk() == _ndjson(line("new"))


async def test_a_long_backlog_is_sent_in_pieces_without_waiting(site: Site) -> None:
    site.ports.say(*(line(f"line {n}") for n in range(1200)))

    async with site.follow(f"{PATH}?after=0&follow=1") as follower:
        chunks = [await follower.items() for _ in range(12)]

    assert [len(chunk) for chunk in chunks] == [PIECE] * 12
    assert [item["text"] for chunk in chunks for item in chunk] == [f"line {n}" for n in range(1200)]


async def test_server_sent_events_carry_ids_and_a_browser_resumes_by_them(site: Site) -> None:
    site.ports.say(line("one"), line("two"))

    async with site.follow(f"{PATH}?tail=1&follow=1", Accept="text/event-stream") as follower:
        assert follower.head.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert await follower.chunk() == b"id: 2\ndata: " + _ndjson(line("two")) + b"\n"
    site.ports.say(line("three"))
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "2"}
    async with site.follow(f"{PATH}?tail=1&follow=1", **headers) as follower:
        assert await follower.chunk() == b"id: 3\ndata: " + _ndjson(line("three")) + b"\n"


async def test_plain_text_can_be_followed_across_a_line_that_ends_later(site: Site) -> None:
    site.ports.say(line("half", partial=True))

    async with site.follow(f"{PATH}?follow=1", Accept="text/plain") as follower:
        assert await follower.chunk() == b"half"
        site.ports.say(line(" whole"))
        assert await follower.chunk() == b" whole\n"


async def test_lines_are_searched_by_plain_text_and_level_also_while_followed(site: Site) -> None:
    site.ports.say(line("GET /a (1.5)"), line("GET /b", level="error"), line("POST /a", level="warn"))

    async def texts(query: str) -> list[str]:
        return [item["text"] for item in (await site.get(f"{PATH}?{query}")).json["items"]]

    assert await texts("grep=GET") == ["GET /a (1.5)", "GET /b"]
    assert await texts("grep=GET&grep=/a") == await texts("grep=(1.5)") == ["GET /a (1.5)"]
    assert await texts("grep=(a%2B)%2B$") == await texts("grep=get") == []
    assert await texts("level=ERROR&level=warn") == ["GET /b", "POST /a"]
    assert await texts("grep=&level=") == ["GET /a (1.5)", "GET /b", "POST /a"]
    async with site.follow(f"{PATH}?follow=1&grep=needle&tail=0") as follower:
        await until(lambda: len(site.ports.tower) == 1)
        site.ports.say(line("hay"), line("a needle"))
        assert await follower.items() == [line("a needle")]


async def test_before_pages_back_to_the_beginning(site: Site) -> None:
    site.ports.say(*(line(f"line {n}") for n in range(5)))
    pages, query = [], "tail=2"
    while True:
        page = (await site.get(f"{PATH}?{query}")).json
        pages.append([item["text"] for item in page["items"]])
        if page["prev_cursor"] is None:
            break
        query = f"tail=2&before={page['prev_cursor']}"

    assert pages == [["line 3", "line 4"], ["line 1", "line 2"], ["line 0"], []]


async def test_lines_are_searched_in_either_case_inverted_and_by_kind(site: Site) -> None:
    site.ports.say(line("GET /"), line("put /"), line("it ended", kind="lifecycle"), line("2 missing", kind="gap"))

    async def texts(query: str) -> list[str]:
        return [item["text"] for item in (await site.get(f"{PATH}?{query}")).json["items"]]

    assert await texts("") == ["GET /", "put /", "2 missing"]
    assert await texts("kind=lifecycle&kind=line") == ["GET /", "put /", "it ended"]
    assert await texts("grep=get&case=ignore") == ["GET /"]
    assert await texts("grep=get&case=ignore&grep=miss&invert=1") == ["put /"]
    assert (await site.get(f"{PATH}?kind=lines")).json["detail"].endswith("line, gap, lifecycle, task, error")


async def test_lines_of_several_and_of_all_workers_come_in_the_order_of_their_storing(site: Site) -> None:
    for name, labels in (("db", {"tier": "back"}), ("mail", {"tier": "back", "zone": "a"})):
        site.ports.put(worker(name, labels=labels))
    site.ports.say(
        line("one"), line("two", worker_id="db"), line("three", worker_id="mail"), line("gone", worker_id="x")
    )

    async def texts(query: str) -> list[str]:
        return [item["text"] for item in (await site.get(f"/api/v1/logs?{query}")).json["items"]]

    assert await texts("") == ["one", "two", "three", "gone"]
    assert await texts("worker=web&worker=mail") == ["one", "three"]
    assert await texts("worker=x") == ["gone"]
    assert await texts("selector=tier=back") == ["two", "three"]
    assert await texts("selector=tier=back,zone") == await texts("selector=tier&worker=mail&worker=web") == ["three"]
    assert await texts("selector=nowhere") == []
    answer = await site.get("/api/v1/logs?worker=nope")
    assert told(answer) == problem(404, "unknown_worker", "there is no worker nope", "/api/v1/logs")
    async with site.follow("/api/v1/logs?follow=1&selector=tier=back&tail=0") as follower:
        site.ports.say(line("no"), line("yes", worker_id="db"))
        assert await follower.items() == [line("yes", worker_id="db")]


@pytest.mark.parametrize(
    ("accept", "media_type", "name"),
    [("*/*", "text/plain; charset=utf-8", "web.log"), ("application/x-ndjson", "application/x-ndjson", "web.ndjson")],
)
async def test_a_download_is_all_that_matches_page_by_page(
    site: Site, accept: str, media_type: str, name: str
) -> None:  # fmt: skip
    site.ports.say(*(line(f"line {n}") for n in range(4500)), line("other", worker_id="db"))

    answer = await site.get(f"{PATH}?download=1&grep=line", Accept=accept)

    assert (answer.media_type, answer.headers["Content-Disposition"]) == (media_type, f'attachment; filename="{name}"')
    rows = answer.body.decode().splitlines()
    assert [json.loads(row)["text"] if "x-" in accept else row for row in rows] == [f"line {n}" for n in range(4500)]
    asked = [query for query in site.ports.queries if isinstance(query, LogQuery)]
    assert [query.limit for query in asked] == [0, 2000, 2000, 2000]


async def test_a_link_chooses_the_format_of_a_download(site: Site) -> None:
    site.ports.say(line("one"))
    browser = "text/html,*/*;q=0.8"

    text = await site.get(f"{PATH}?download=1&format=text", Accept=browser)
    assert (text.media_type.partition(";")[0], text.body) == ("text/plain", b"one\n")
    lines = await site.get(f"{PATH}?download=1&format=ndjson", Accept=browser)
    assert (lines.media_type, json.loads(lines.body)["text"]) == ("application/x-ndjson", "one")
    assert (await site.get(f"{PATH}?download=1&format=html")).status == 400


@pytest.mark.parametrize("query", ["download=1&tail=5", "download=1&before=5", "follow=1&download=1"])
async def test_a_download_has_no_bounds_but_its_conditions(site: Site, query: str) -> None:
    assert (await site.get(f"{PATH}?{query}")).status == 400


async def test_a_search_that_took_long_says_so(site: Site) -> None:
    site.ports.say(line("one"))
    site.ports.is_cut = True

    assert (await site.get(PATH)).json["stopped_early"] is True


async def test_lines_of_json_are_parsed_where_asked_and_others_stay_as_they_are(site: Site) -> None:
    text = '{"level":"info","msg":"done","took_ms":7}'
    site.ports.say(line(text), line("plain"), line('{"msg":"cut', partial=True), line(text, kind="gap"))

    async def rows(query: str, **headers: str) -> list[tuple[Any, ...]]:
        items = (await site.get(f"{PATH}?{query}", **headers)).json["items"]
        return [(item["text"], item.get("data", "absent")) for item in items]

    assert await rows("") == [(text, "absent"), ("plain", "absent"), ('{"msg":"cut', "absent"), (text, "absent")]
    assert await rows("parsed=1") == [
        ("done", {"level": "info", "took_ms": 7}), ("plain", None), ('{"msg":"cut', None), (text, None),
    ]  # fmt: skip
    download = await site.get(f"{PATH}?parsed=1&download=1")
    assert (download.media_type, json.loads(download.body.splitlines()[0])["text"]) == ("application/x-ndjson", "done")
    async with site.follow(f"{PATH}?follow=1&parsed=1&tail=0") as follower:
        site.ports.say(line('{"msg":"new"}'))
        assert await follower.items() == [line("new") | {"data": {}}]
    assert (await site.get(f"{PATH}?parsed=1", Accept="text/plain")).status == 406


async def test_records_that_were_not_printed_stand_in_brackets_in_plain_text(site: Site) -> None:
    site.ports.say(line("half", partial=True), line("started as pid 7", kind="lifecycle", stream=None, data={}))

    answer = await site.get(f"{PATH}?kind=line&kind=lifecycle", Accept="text/plain")

    assert answer.body.decode() == "half\n[started as pid 7]\n"
