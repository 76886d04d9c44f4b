"""Log lines on their way to others: real servers of the test, real connections, and everything that goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from controller.outlets.forward import BATCH_BYTES, Forwarder, Spool
from controller.outlets.senders import Away, Refused, sender_for
from controller.outlets.targets import parse_target
from controller.store.errors import StoreError
from controller.store.records import StoredLine
from tests.api.api_site import until
from tests.outlets.test_log_forms import line

SOON_S = 20


class Lines:
    """What the database holds, in memory; `trouble` is raised instead of an answer.

    `others`: records behind the newest line that nobody forwards.
    """

    def __init__(self, *lines: StoredLine) -> None:
        self.lines = list(lines)
        self.trouble: Exception | None = None
        self.others = 0
        self._more = asyncio.Event()

    @property
    def spool(self) -> Spool:
        return Spool(head=self._head, after=self._after, news=self._news, now=lambda: 1_700_000_000.0)

    def add(self, *texts: str) -> None:
        for text in texts:
            self.lines.append(line(self.newest + 1, text))
        self._more.set()

    @property
    def newest(self) -> int:
        return self.lines[-1].id if self.lines else 0

    async def _head(self) -> int:
        if self.trouble is not None:
            raise self.trouble
        return self.newest + self.others

    async def _after(self, number: int, limit: int) -> Sequence[StoredLine]:
        return [one for one in self.lines if one.id > number][:limit]

    async def _news(self) -> None:
        await self._more.wait()
        self._more.clear()


class Loki:
    """A server that takes pushes, answers as it is told to, and keeps what it took."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.asked = 0
        self.headers: dict[str, str] = {}
        self.answer: Callable[[Sequence[str]], int] = lambda _texts: 204
        self.port = 0

    @property
    def url(self) -> str:
        return f"loki+http://127.0.0.1:{self.port}"

    async def take(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.headers = dict(request.headers)
        told = [value[1] for stream in (await request.json())["streams"] for value in stream["values"]]
        status = self.answer(told)
        if status < 300:
            self.texts += told
        return web.Response(status=status, headers={"Retry-After": "0"} if status == 429 else {}, text="said")

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[None]:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/loki/api/v1/push", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


def forwarder(lines: Lines, url: str, folder: Path, most_behind: int = 1000) -> Forwarder:
    target = parse_target(url)
    return Forwarder(
        target, sender_for(target, "box"), lines.spool, folder / "forward", most_behind=most_behind,
        again_s=(0.01, 0.05),
    )  # fmt: skip


@asynccontextmanager
async def running(one: Forwarder) -> AsyncIterator[Forwarder]:
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def begun(lines: Lines, one: Forwarder) -> None:
    """A target begins with what comes from then on: wait until it has noted where that is."""
    await until(lambda: any((one.folder).glob("*.json")))


async def test_what_comes_from_then_on_is_sent_in_order_and_once(tmp_path: Path) -> None:
    loki, lines = Loki(), Lines(line(5, "before"))
    async with loki.listening(), running(forwarder(lines, loki.url, tmp_path)) as one:
        await begun(lines, one)
        lines.add("a", "b")
        await until(lambda: len(loki.texts) == 2)
        lines.add("c")
        await until(lambda: len(loki.texts) == 3)
    assert loki.texts == ["a", "b", "c"]
    assert (one.progress.sent, one.progress.passed_over, one.progress.trouble) == (3, 0, "")


async def test_another_start_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    loki, lines = Loki(), Lines()
    async with loki.listening():
        async with running(forwarder(lines, loki.url, tmp_path)) as one:
            await begun(lines, one)
            lines.add("a")
            await until(lambda: one.progress.sent == 1 and '"line": 1' in next(one.folder.glob("*.json")).read_text())
        lines.add("b")
        async with running(forwarder(lines, loki.url, tmp_path)):
            await until(lambda: len(loki.texts) == 2)
    assert loki.texts == ["a", "b"]


async def test_a_target_that_is_away_loses_nothing_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loki, lines = Loki(), Lines()
    async with loki.listening():
        pass
    with caplog.at_level("INFO"):
        async with running(forwarder(lines, loki.url, tmp_path)) as one:
            await begun(lines, one)
            lines.add("a", "b", "c")
            await until(lambda: one.progress.trouble != "")
            lines.add("d")
            async with loki.listening(loki.port):
                await until(lambda: len(loki.texts) == 4)
                await until(lambda: one.progress.trouble == "")
    assert loki.texts == ["a", "b", "c", "d"]
    told = [record.message for record in caplog.records if record.name == "workerctl.forward"]
    assert [message.partition(": ")[0] for message in told] == [
        f"{loki.url}/loki/api/v1/push takes no log lines", f"{loki.url}/loki/api/v1/push takes log lines again",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [429, 500, 503, 401, 404, 307])
async def test_an_answer_that_may_be_another_one_later_is_waited_for(status: int, tmp_path: Path) -> None:
    loki, lines = Loki(), Lines()
    async with loki.listening(), running(forwarder(lines, loki.url, tmp_path)) as one:
        await begun(lines, one)
        loki.answer = lambda _texts: status
        lines.add("a")
        await until(lambda: loki.asked > 2)
        assert one.progress.trouble == f"it answered {status}: said"
        loki.answer = lambda _texts: 204
        await until(lambda: loki.texts == ["a"])


async def test_a_line_that_is_refused_costs_no_other_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loki, lines = Loki(), Lines()
    loki.answer = lambda texts: 400 if "bad" in texts else 204
    async with loki.listening(), running(forwarder(lines, loki.url, tmp_path)) as one:
        await begun(lines, one)
        lines.add(*"abcde", "bad", *"fgh")
        await until(lambda: len(loki.texts) == 8)
        await until(lambda: one.progress.sent == 8)
    assert loki.texts == list("abcdefgh")
    assert one.progress.passed_over == 1
    assert [r.message for r in caplog.records] == [f"{one.target} refuses line 6: it answered 400: said"]


async def test_a_batch_is_bounded_in_bytes_too_but_holds_a_line_at_least(tmp_path: Path) -> None:
    loki, lines, sizes = Loki(), Lines(), list[int]()

    def answer(texts: Sequence[str]) -> int:
        sizes.append(sum(map(len, texts)))
        return 204

    loki.answer = answer
    async with loki.listening(), running(forwarder(lines, loki.url, tmp_path)) as one:
        await begun(lines, one)
        lines.add(*["x" * 300_000] * 7, "y" * (BATCH_BYTES + 1), "z")
        await until(lambda: len(loki.texts) == 9)
    assert sizes == [900_000, 900_000, 300_000, BATCH_BYTES + 1, 1]


async def test_a_target_that_says_at_once_is_not_asked_as_often_as_it_can_be(tmp_path: Path) -> None:
    one = forwarder(Lines(), "loki+http://127.0.0.1:1", tmp_path)
    one.again_s = (1.0, 60.0)
    pauses = [one.pause(1, Away("429", seconds)) for seconds in (0.0, 30.0, 3600.0)]
    assert [round(pause, -1) for pause in pauses[1:]] == [pytest.approx(30, abs=10), pytest.approx(60, abs=20)]
    assert pauses[0] >= 0.8


async def test_lines_that_are_newer_than_the_head_leave_nothing_behind_that_is_less_than_none(tmp_path: Path) -> None:
    loki, lines = Loki(), Lines()
    async with loki.listening(), running(forwarder(lines, loki.url, tmp_path)) as one:
        await begun(lines, one)
        lines.others = -1

        def answer(_texts: Sequence[str]) -> int:
            lines.others = 0  # numbers never fall: the next look finds them all
            return 204

        loki.answer = answer
        lines.add("a", "b")
        await until(lambda: one.progress.sent == 2)
        assert one.progress.behind == 0


async def test_records_that_are_not_forwarded_leave_nothing_behind(tmp_path: Path) -> None:
    loki, lines = Loki(), Lines()
    async with loki.listening(), running(forwarder(lines, loki.url, tmp_path)) as one:
        await begun(lines, one)
        lines.others = 3
        lines.add("a")
        await until(lambda: '"line": 4' in next(one.folder.glob("*.json")).read_text())
        assert (loki.texts, one.progress.behind) == (["a"], 0)


async def test_of_a_target_that_is_too_far_behind_the_oldest_are_passed_over_with_a_record(tmp_path: Path) -> None:
    loki, lines = Loki(), Lines()
    async with loki.listening():
        async with running(forwarder(lines, loki.url, tmp_path)) as one:
            await begun(lines, one)
        lines.add(*map(str, range(1, 101)))
        async with running(forwarder(lines, loki.url, tmp_path, most_behind=40)) as one:
            await until(lambda: len(loki.texts) == 21)
    gap = f"80 lines were not forwarded: {one.target} took none for too long; they are in the database"
    assert sorted(loki.texts, key=len) == sorted([*map(str, range(81, 101)), gap], key=len)
    assert one.progress.passed_over == 80


async def test_another_database_is_begun_at_its_end(tmp_path: Path) -> None:
    loki, lines = Loki(), Lines(line(100, "old"))
    async with loki.listening():
        async with running(forwarder(lines, loki.url, tmp_path)) as one:
            await begun(lines, one)
        lines = Lines(line(3, "read again"))
        async with running(forwarder(lines, loki.url, tmp_path)) as one:
            await until(lambda: '"line": 3' in next(one.folder.glob("*.json")).read_text())
            lines.add("new")
            await until(lambda: loki.texts == ["new"])


async def test_a_database_that_is_away_is_waited_for(tmp_path: Path) -> None:
    loki, lines = Loki(), Lines()
    async with loki.listening(), running(forwarder(lines, loki.url, tmp_path)) as one:
        await begun(lines, one)
        lines.trouble = StoreError("the database is away")
        lines.add("a")
        await until(lambda: one.progress.trouble == "the database is away")
        lines.trouble = None
        await until(lambda: loki.texts == ["a"])


async def test_login_token_and_tenant_go_along_and_a_renewed_token_counts(tmp_path: Path) -> None:
    loki, token = Loki(), tmp_path / "token"
    async with loki.listening():
        address = f"127.0.0.1:{loki.port}"
        sender = sender_for(parse_target(f"loki+http://me:pass@{address}?tenant=team"), "box")
        await sender.send([line()])
        assert loki.headers["X-Scope-OrgID"] == "team"
        assert loki.headers["Authorization"] == "Basic bWU6cGFzcw=="
        await sender.close()
        sender = sender_for(parse_target(f"loki+http://{address}?token_file={token}"), "box")
        with pytest.raises(Away, match="cannot read the token file"):
            await sender.send([line()])
        for secret in ("one", "two"):
            token.write_text(secret + "\n")
            await sender.send([line()])
            assert loki.headers["Authorization"] == f"Bearer {secret}"
        await sender.close()


async def test_what_is_wrong_with_lines_is_another_thing_than_what_passes() -> None:
    loki = Loki()
    async with loki.listening():
        sender = sender_for(parse_target(loki.url), "box")
        loki.answer = lambda _texts: 400
        with pytest.raises(Refused, match=r"^it answered 400: said$"):
            await sender.send([line()])
        loki.answer = lambda _texts: 503
        with pytest.raises(Away, match=r"^it answered 503: said$"):
            await sender.send([line()])
        await sender.close()


class Syslog:
    """A receiver of framed messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int(await reader.readuntil(b" "))
                self.messages.append((await reader.readexactly(length)).decode())
        writer.close()


async def test_syslog_over_tcp_is_framed_by_octets_and_a_broken_connection_is_made_anew(tmp_path: Path) -> None:
    receiver, lines = Syslog(), Lines()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    async with server:
        url = f"syslog+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with running(forwarder(lines, url, tmp_path)) as one:
            await begun(lines, one)
            lines.add("ä\nb", "c")
            await until(lambda: len(receiver.messages) == 2)
            receiver.writers[0].close()
            await receiver.writers[0].wait_closed()
            lines.add("d")
            await until(lambda: len(receiver.messages) >= 3)
        server.close()
    assert [message.rpartition("] ")[2] for message in receiver.messages] == ["ä\\nb", "c", "d"]
    assert len(receiver.writers) == 2


async def test_syslog_over_udp_is_one_datagram_a_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(SOON_S)
        sender = sender_for(parse_target(f"syslog+udp://127.0.0.1:{receiver.getsockname()[1]}"), "box")
        await sender.send([line(1, "a"), line(2, "b")])
        got = [receiver.recv(65_536).decode() for _ in range(2)]
    assert [re.sub(r".*\] ", "", message) for message in got] == ["a", "b"]


async def test_a_host_that_is_not_there_is_away(unused_tcp_port_factory: Callable[[], int]) -> None:
    for kind in ("loki+http", "otlp+http", "syslog+tcp", "syslog+tls"):
        sender = sender_for(parse_target(f"{kind}://127.0.0.1:{unused_tcp_port_factory()}"), "box")
        with pytest.raises(Away):
            await sender.send([line()])
        await sender.close()
