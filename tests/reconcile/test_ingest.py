"""Log ingest over the real store: every line once and in order, whatever breaks in between."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.backends.base import Superseded, Unavailable
from controller.reconcile import ingest
from controller.reconcile.fair_share import FairShare
from controller.reconcile.ingest import LogIngest
from controller.store import Store, open_store
from controller.store.log_search import LogFilter, Place
from controller.store.records import Line as StoredText
from controller.store.records import LogBatch, StoredLine
from tests.examples import examples
from tests.reconcile.reconcile_site import HOST, MemoryHost, Output, rounds, running, until
from tests.store.store_builders import QUICK, locked, stored_lines


def follower(store: Store, host: MemoryHost, *, rate: int = 1_000_000) -> LogIngest:
    return LogIngest(
        store=store, backends={HOST: host}, now=lambda: 7000.0, store_rate=lambda _: rate, mark_s=0.01, retry_s=0.01
    )


def host_with(*outputs: Output, **fields: Any) -> MemoryHost:
    return MemoryHost(outputs={(output.run, output.stream): output for output in outputs}, **fields)


def lines(store: Store, run: str = "r1") -> list[StoredLine]:
    return stored_lines(store, run=run)


def texts(store: Store, run: str = "r1") -> list[str]:
    return [line.text for line in lines(store, run)]


def offset(store: Store, run: str = "r1") -> int:
    found = store.reader.log_cursors([run]).get((run, "stdout"))
    return found.byte_offset if found else 0


def submit(store: Store, **fields: Any) -> None:
    values: dict[str, Any] = {"run": "r1", "stream": "stdout", "slot": "web/0", "from_offset": 0, **fields}
    assert store.writer.submit(LogBatch(**values))
    assert store.writer.flush(5)


async def test_lines_are_stored_as_they_come_and_the_host_is_told(store: Store) -> None:
    output = Output(data=b"one\ntwo\nthr")
    host = host_with(output)
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: texts(store) == ["one", "two"])
        output.data += b"ee\n"
        follows.grew(HOST, output.file)
        await until(lambda: texts(store) == ["one", "two", "three"])
        await until(lambda: host.marks == {("r1", "stdout"): 14})
        assert [line.at for line in lines(store)] == [5000.0] * 3
        await asyncio.wait_for(follows.caught_up(), 5)


async def test_an_ended_file_is_read_to_its_end_and_forgotten(store: Store) -> None:
    output = Output(data=b"one\nlast", ended=True)
    host = host_with(output)
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: texts(store) == ["one", "last"] and not follows._files)
        reads = len(host.reads)
        await until(lambda: host.marks == {("r1", "stdout"): 8})
        host.marks.clear()
        follows.grew(HOST, output.file)
        await until(lambda: host.marks == {("r1", "stdout"): 8})
        assert (len(host.reads), follows._files) == (reads, {})


async def test_large_ended_files_keep_the_lines_that_lie_over_a_chunk_border(store: Store) -> None:
    wanted = [f"line {number} " + "x" * 500 for number in range(2000)]
    output = Output(data="\n".join(wanted).encode(), ended=True)
    follows = follower(store, host_with(output))
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: not follows._files)
        assert texts(store) == wanted


async def test_what_is_stored_already_is_not_read_again_after_a_start(store: Store) -> None:
    outputs = [Output(run=f"r{number}", data=b"one\n", ended=True) for number in range(40)]
    for output in outputs[:39]:
        submit(store, run=output.run, to_offset=4, lines=[StoredText(at=1.0, text="one", byte_offset=0)])
    host = host_with(*outputs)
    follows = follower(store, host)
    async with running(follows.run()):
        for output in outputs:
            follows.grew(HOST, output.file)
        await until(lambda: not follows._files)
        assert host.reads == [("r39", 0)]
        await until(lambda: len(host.marks) == 40)


async def test_a_reader_that_is_behind_the_database_goes_on_from_there(store: Store) -> None:
    output = Output(data=b"one\ntwo\n")
    follows = follower(store, host_with(output))
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: offset(store) == 8)
        submit(store, from_offset=8, to_offset=14, lines=[StoredText(at=1.0, text="three", byte_offset=8)])
        output.data += b"three\nfour\n"
        follows.grew(HOST, output.file)
        await until(lambda: texts(store) == ["one", "two", "three", "four"])


async def test_what_the_database_does_not_take_at_all_is_not_marked(store: Store) -> None:
    output = Output(data=b"one\n", base=2**70)  # more than a database counts
    host = host_with(output)
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: len(host.reads) > 2)
        assert (offset(store), host.marks) == (0, {})


async def test_a_truncated_file_leaves_a_record_and_goes_on(store: Store) -> None:
    output = Output(data=b"one\ntw")
    follows = follower(store, host_with(output))
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: offset(store) == 4)
        output.base, output.data = 10, b""
        follows.grew(HOST, output.file)
        await until(lambda: offset(store) == 10)
        output.data = b"new\n"
        follows.grew(HOST, output.file)
        await until(lambda: texts(store)[-1:] == ["new"])
        assert texts(store) == ["one", "6 bytes are missing: truncated by the writer", "new"]


async def test_a_file_that_is_far_behind_is_skipped_forward(store: Store) -> None:
    output = Output(data=b"".join(b"%099d\n" % number for number in range(200_000)), at=None)
    follows = follower(store, host_with(output))
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: offset(store) == output.size)
        found = (await asyncio.to_thread(store.reader.log_slice, LogFilter(workers=None), Place(after=0), 10)).lines
        assert found[0].kind == "gap"
        missing = int(found[0].text.split()[0])
        assert found[1].byte_offset == missing
        assert found[1].text == f"{missing // 100:099d}"
        assert output.size - missing <= ingest.CATCH_UP


async def test_a_file_that_is_gone_is_let_go(store: Store) -> None:
    follows = follower(store, host_with())
    async with running(follows.run()):
        follows.grew(HOST, Output(data=b"x\n").file)
        await until(lambda: not follows._files)
        await asyncio.wait_for(follows.caught_up(), 5)


async def test_what_a_host_had_told_of_and_has_no_more_is_a_record(store: Store) -> None:
    output = Output(data=b"one\ntwo\n")
    host = host_with(output)
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: offset(store) == 8)
        output.data += b"three\n"
        host.outputs.clear()
        follows.grew(HOST, output.file)
        await until(lambda: not follows._files)
        assert texts(store) == ["one", "two", "6 bytes are missing: there is no stdout of run r1"]
        assert offset(store) == 14


async def test_all_workers_share_one_budget_and_the_quiet_one_loses_nothing(store: Store) -> None:
    loud = [Output(run=f"r{number}", data=b"x\n" * 3000) for number in range(2, 6)]
    quiet = Output(run="r1", data=b"quiet\n" * 20)
    follows = follower(store, host_with(*loud, quiet))
    follows.share = FairShare(200)
    async with running(follows.run()):
        for output in [*loud, quiet, *loud]:
            # Each prints for some seconds.
            output.at = 5000.0 if output.at is None else output.at + 1
            follows.grew(HOST, output.file)
            await until(lambda wanted=output: offset(store, wanted.run) == wanted.size)  # type: ignore[misc]
            output.data += b"x\n" * 3000 if output is not quiet else b""
    assert texts(store) == ["quiet"] * 20
    for output in loud:
        found = lines(store, output.run)
        told = [line.text for line in found if line.kind == "gap"]
        assert "more than its share of the 200 a second of all workers; they are bytes " in told[-1]
        assert len([line for line in found if line.at == output.at and line.kind == "line"]) <= 200


async def test_a_live_file_that_prints_too_much_is_still_read_to_its_end(store: Store) -> None:
    output = Output(data=b"x\n" * 40_000)
    follows = follower(store, host_with(output), rate=10)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: offset(store) == output.size)
        assert len([line for line in lines(store) if line.kind == "line"]) == 10


async def test_a_host_that_cannot_be_asked_is_read_when_it_lists_its_files_again(store: Store) -> None:
    output = Output(data=b"one\n")
    host = host_with(output, reachable=False)
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await asyncio.wait_for(follows.caught_up(), 5)
        host.reachable = True
        follows.grew(HOST, output.file)
        await until(lambda: texts(store) == ["one"])


async def test_a_read_that_fails_for_another_reason_is_tried_again(store: Store) -> None:
    output = Output(data=b"one\n", ended=True)
    host = host_with(output, errors={"read_log": [Unavailable("internal")]})
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: texts(store) == ["one"])


async def test_a_bug_in_one_file_does_not_stop_the_others(store: Store) -> None:
    broken, good = Output(run="r1", data=b"one\n"), Output(run="r2", data=b"two\n")
    host = host_with(broken, good, errors={"read_log": [KeyError("a bug of ours")]})
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, broken.file)
        await until(lambda: not host.errors["read_log"])
        follows.grew(HOST, good.file)
        await until(lambda: texts(store, "r2") == ["two"])
        follows.grew(HOST, broken.file)
        await until(lambda: texts(store, "r1") == ["one"])


async def test_a_mark_that_comes_while_others_are_told_is_not_lost(store: Store) -> None:
    output = Output(data=b"one\n")
    host = host_with(output, errors={"stored": [Unavailable("just now")]})
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: not host.errors["stored"])
        output.data += b"two\n"
        follows.grew(HOST, output.file)
        await until(lambda: host.marks == {("r1", "stdout"): 8})


async def test_another_controller_ends_the_ingest(store: Store) -> None:
    output = Output(data=b"one\n")
    host = host_with(output, errors={"stored": [Superseded("claimed")]})
    follows = follower(store, host)
    follows.grew(HOST, output.file)
    with pytest.raises(ExceptionGroup) as caught:
        await follows.run()
    assert caught.group_contains(Superseded)


async def test_nothing_is_marked_that_is_not_stored(store: Store, db: str) -> None:
    output = Output(data=b"one\n")
    host = host_with(output)
    follows = follower(store, host)
    async with running(follows.run()):
        with locked(db):
            follows.grew(HOST, output.file)
            await until(lambda: host.reads)
            await asyncio.sleep(0.1)  # several rounds of telling
            assert host.marks == {}
        await until(lambda: host.marks == {("r1", "stdout"): 4})
        assert texts(store) == ["one"]


async def test_a_flood_of_empty_lines_gets_in_by_and_by(store: Store) -> None:
    output = Output(data=b"\n" * 60_000, at=None, ended=True)
    follows = follower(store, host_with(output))
    async with running(follows.run()):
        follows.grew(HOST, output.file)
        await until(lambda: not follows._files)
        assert offset(store) == 60_000


async def test_a_busy_file_does_not_starve_a_quiet_one(store: Store) -> None:
    busy = Output(run="r1", data=b"x" * 99 + b"\n", ended=False)
    busy.data *= 100_000
    quiet = Output(run="r2", data=b"quiet\n")
    host = host_with(busy, quiet)
    follows = follower(store, host)
    async with running(follows.run()):
        follows.grew(HOST, busy.file)
        follows.grew(HOST, quiet.file)
        await until(lambda: texts(store, "r2") == ["quiet"])
        assert offset(store, "r1") < busy.size


# --- histories --------------------------------------------------------------------------------------------------------

PARTS = st.lists(
    st.text(alphabet="ab é漢\r", max_size=8).map(str.encode) | st.just(b"\n") | st.just(b"x" * 17_000),
    max_size=12,
)
STEPS = st.lists(
    st.tuples(st.just("write"), PARTS.map(b"".join))
    | st.tuples(st.sampled_from(["die", "fail", "settle", "relist", "breathe"]), st.just(b"")),
    max_size=12,
)


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path: Path = tmp_path_factory.mktemp("histories") / "workerctl.db"
    opened = open_store(str(path), settings=QUICK)
    yield opened
    opened.close()


RUNS = itertools.count()


@settings(examples(0.6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_a_history_of_deaths_and_broken_reads_stores_the_file_exactly(
    one_store: Store, steps: list[tuple[str, bytes]], sizes: list[int], seed: int
) -> None:
    output = Output(run=f"h{next(RUNS)}")
    asyncio.run(history(one_store, output, steps, sizes, random.Random(seed)))
    found = lines(one_store, output.run)
    wanted = output.data.decode().replace("\r\n", "\n").split("\n")
    rebuilt = [""]
    for line in found:
        rebuilt[-1] += line.text
        if not line.partial:
            rebuilt.append("")
    assert [line.seq for line in found] == list(range(1, len(found) + 1))
    assert rebuilt == (wanted if wanted[-1] == "" else [*wanted, ""])


async def history(store: Store, output: Output, steps: list[tuple[str, bytes]], sizes: list[int], dice: Any) -> None:
    # No read is smaller than what a line may need to be cut.
    host = host_with(output, limits=itertools.cycle(size + 20_000 for size in sizes))
    follows = follower(store, host)
    task = asyncio.ensure_future(follows.run())
    for step, data in steps:
        match step:
            case "write":
                output.data += data
                follows.grew(HOST, output.file)
            case "die":
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                follows = follower(store, host)
                task = asyncio.ensure_future(follows.run())
                follows.grew(HOST, output.file)
            case "fail":
                host.errors.setdefault("read_log", []).append(Unavailable("broken"))
            case "settle":
                await asyncio.wait_for(follows.caught_up(), 5)
            case "relist":
                follows.grew(HOST, output.file)
            case _:
                await rounds(dice.randrange(30))
    output.ended = True
    follows.grew(HOST, output.file)
    await until(lambda: not follows._files)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
