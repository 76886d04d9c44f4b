"""Log lines on their way to a target that speaks OTLP over HTTP: a real server of the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from controller.outlets.senders import sender_for
from controller.outlets.targets import parse_target
from tests.api.api_site import until
from tests.outlets.test_forward import Lines, begun, forwarder, running
from tests.outlets.test_log_forms import line


@asynccontextmanager
async def otlp(take: Handler) -> AsyncIterator[str]:
    """A target that answers so; its URL."""
    app = web.Application()
    app.router.add_post("/v1/logs", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"otlp+http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_otlp_is_posted_as_json() -> None:
    taken: list[tuple[str, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append((request.headers["Content-Type"], await request.read()))
        return web.json_response({})

    async with otlp(take) as url:
        sender = sender_for(parse_target(url), "box")
        await sender.send([line(text="hello")])
        await sender.close()
    ((kind, body),) = taken
    assert kind == "application/json"
    (logs,) = json.loads(body)["resourceLogs"]
    assert logs["scopeLogs"][0]["logRecords"][0]["body"] == {"stringValue": "hello"}


async def test_lines_that_an_otlp_target_leaves_out_are_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "too old"}})

    lines = Lines()
    async with otlp(take) as url, running(forwarder(lines, url, tmp_path)) as one:
        await begun(lines, one)
        lines.add("a", "b", "c")
        await until(lambda: one.progress.sent == 1)
        assert (one.progress.passed_over, one.progress.trouble) == (2, "")
    assert [record.message for record in caplog.records] == [f"{one.target} has left out 2 of 3 lines: too old"]


@pytest.mark.parametrize(
    "said", [b"", b"{}", b'{"partialSuccess": {}}', b"[1]", b"ok", b'{"partialSuccess": {"rejectedLogRecords": "x"}}']
)
async def test_any_other_answer_of_an_otlp_target_means_that_it_has_all(said: bytes) -> None:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=said)

    async with otlp(take) as url:
        sender = sender_for(parse_target(url), "box")
        assert await sender.send([line()]) is None
        await sender.close()
