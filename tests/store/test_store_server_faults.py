"""A server goes away, comes back, stops answering, takes no writes, has no room: nothing is lost, nothing is twice."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.store import Limits, Settings, Store, StoreUnavailable, open_store
from controller.store.records import EventRows, Heads, Stored, WorkerRecord, WorkerRecords
from tests.store.store_builders import Told, event, journal, line, log_batch, operation, stored_lines, until
from tests.store.store_proxy import Proxy
from tests.store.store_server import ROLE, SHARED, Server, emptied

SHORT = Settings(busy_timeout_s=1.0, answer_timeout_s=1.0, probe_s=0.2)
SMALL = Settings(
    busy_timeout_s=1.0, answer_timeout_s=1.0, probe_s=0.2, limits=Limits(lines=20, events=3, group_rows=10)
)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    yield emptied(server)
    if server.process is None:
        server.start()


Opener = Callable[[str, Settings], Store]


@pytest.fixture
def opener() -> Iterator[Opener]:
    """Opens stores that are closed with the test, whatever became of it."""
    with ExitStack() as ends:

        def opened(target: str, settings: Settings) -> Store:
            store = open_store(target, settings=settings)
            ends.callback(store.close, 0.0)
            assert store.writer.flush(10)
            return store

        yield opened


@pytest.fixture
def store(url: str, opener: Opener) -> Store:
    return opener(url, SHORT)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    opened = Proxy(server.port)
    yield opened
    opened.close()


@pytest.fixture
def far(server: Server, proxy: Proxy, url: str, opener: Opener) -> Store:
    """A store whose server is reached through the proxy."""
    return opener(server.url(SHARED, port=proxy.port) + "?connect_timeout=2", SHORT)


def texts(store: Store) -> list[str]:
    return [one.text for one in stored_lines(store)]


def messages(store: Store) -> list[str]:
    return [one.message for one in store.reader.events(limit=1000)]


def fill(store: Store, first: int, count: int) -> Told:
    """Lines, events of a journal and of our own, one of each per number."""
    told = Told()
    for number in range(first, first + count):
        assert store.writer.submit(log_batch(number), told)
        assert store.writer.submit(journal([number + 1]))
        assert store.writer.submit(EventRows(events=[event(message=f"own {number}")]))
    return told


def assert_whole(store: Store, count: int) -> None:
    """All that `fill` wrote is there, once and in order."""
    assert store.writer.flush(20), store.writer.last_error
    until(lambda: readable(store), "readers are back")
    assert texts(store) == [f"line {number}" for number in range(count)]
    told = messages(store)
    assert [one for one in told if one.startswith("own")] == [f"own {number}" for number in range(count)]
    assert [one for one in told if one.startswith("event")] == [f"event {number + 1}" for number in range(count)]
    assert (store.writer.healthy, store.writer.trouble, store.writer.rejected) == (True, "", 0)


def readable(store: Store) -> bool:
    try:
        store.reader.heads()
    except StoreUnavailable:
        return False
    return True


def unwell(store: Store, *words: str) -> None:
    until(lambda: any(word in store.writer.trouble for word in words), f"{words} in {store.writer.last_error!r}")
    assert not store.writer.healthy


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_server_that_was_away_gets_everything_in_order_and_once(store: Store, server: Server, how: int) -> None:
    fill(store, 0, 10)
    assert store.writer.flush(10)
    server.stop(how)
    fill(store, 10, 10)
    unwell(store, "cannot be reached", "closed the connection")
    with pytest.raises(StoreUnavailable, match=r"Cannot read the database postgresql://workerctl:\*\*\*@"):
        store.reader.heads()
    server.start()
    assert_whole(store, 20)
    assert store.generation == 0


def test_a_quiet_writer_notices_too_that_the_server_is_away(store: Store, server: Server) -> None:
    told: list[tuple[float, str]] = []
    store.on_returned(lambda away_s, why: told.append((away_s, why)))
    server.stop()
    unwell(store, "cannot be reached", "closed the connection")
    threading.Event().wait(1.1)  # shorter absences are not told
    server.start()
    until(lambda: told, "the absence is told")
    assert store.writer.healthy
    assert (told[0][0] >= 1.0, told[0][1]) in [
        (True, "the server cannot be reached"),
        (True, "the server is starting up or shutting down"),
    ]


def test_a_long_absence_costs_no_more_memory_than_agreed_and_says_what_was_dropped(
    url: str, server: Server, opener: Opener
) -> None:
    store = opener(url, SMALL)
    server.stop()
    taken = [store.writer.submit(log_batch(number)) for number in range(100)]
    own = [store.writer.submit(EventRows(events=[event(message=f"own {number}")])) for number in range(50)]
    states = [store.writer.submit(operation(detail=str(number))) for number in range(1000)]
    assert (sum(taken), sum(own), sum(states)) == (20, 3, 1000)
    # A marker for what was dropped, one state of the operation under way and one that waits.
    assert store.writer.backlog <= 20 + 3 + 1 + 2
    unwell(store, "cannot be reached")
    server.start()
    assert store.writer.flush(20)
    until(lambda: readable(store), "readers are back")
    # The lines that were not taken are in their files: they go on where the stored ones end.
    assert store.writer.submit(log_batch(20, 80))
    assert store.writer.flush(20)
    assert texts(store) == [f"line {number}" for number in range(100)]
    assert messages(store) == ["own 0", "own 1", "own 2", "47 events were not stored"]
    found = store.reader.operation("op1")
    assert found is not None
    assert found.detail == "999"


def test_connections_that_are_ended_again_and_again_in_the_middle_cost_nothing(store: Store, server: Server) -> None:
    with server.connect(SHARED, user="postgres") as other:
        for first in range(0, 60, 10):
            fill(store, first, 10)
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,))
    assert_whole(store, 60)


def test_a_commit_whose_answer_is_lost_is_not_repeated(far: Store, proxy: Proxy) -> None:
    heard: list[Heads] = []
    far.writer.subscribe(heard.append)
    proxy.lose_answer_to(b"COMMIT")
    told = fill(far, 0, 5)
    told.all(5)
    assert_whole(far, 5)
    # Who follows hears of all of it, though no row was new to the second attempt.
    assert (max(one.log_id for one in heard), max(one.event_seq for one in heard)) == (5, 10)
    fill(far, 5, 5)
    assert_whole(far, 10)


def test_records_of_workers_in_a_commit_whose_answer_is_lost_are_not_repeated_either(far: Store, proxy: Proxy) -> None:
    job = WorkerRecord(at=1.0, kind="task", level="info", text="job without a number")
    start = journal([1], type="started", worker_id="web", instance="web/0")
    proxy.lose_answer_to(b"COMMIT")
    told = Told()
    for batch in (WorkerRecords(run="r1", slot="web/0", records=[job]), start):
        assert far.writer.submit(batch, told)
    told.all(2)
    assert sorted(texts(far)) == ["job without a number", "started: event 1"]


@pytest.mark.e2e  # several limits of seconds, one after the other
def test_a_network_that_swallows_everything_is_given_up_in_time(far: Store, proxy: Proxy, server: Server) -> None:
    fill(far, 0, 5)
    assert far.writer.flush(10)
    far.reader.heads()
    before = proxy.connections
    proxy.swallow()
    fill(far, 5, 5)
    unwell(far, "cannot be reached")
    with pytest.raises(StoreUnavailable):
        far.reader.heads()
    # What the server still takes for our connection has the lock of the one writer; it is ended.
    proxy.forward()
    assert_whole(far, 10)
    assert proxy.connections > before
    with server.connect(SHARED, user="postgres") as other:
        count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert other.execute(count).fetchone() == (1,)


def test_closing_does_not_wait_for_a_server_that_does_not_answer(far: Store, proxy: Proxy) -> None:
    proxy.swallow()
    assert far.writer.submit(log_batch())
    assert not far.close(timeout=0.1)


def test_a_server_that_takes_no_writes_is_waited_for_and_loses_no_row(store: Store, server: Server) -> None:
    with server.connect(SHARED, user="postgres") as other:
        other.execute(f"ALTER DATABASE {SHARED} SET default_transaction_read_only = on")
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,))
        try:
            fill(store, 0, 5)
            unwell(store, "takes no writes")
            assert texts(store) == []
        finally:
            other.execute("SET default_transaction_read_only = off")
            other.execute(f"ALTER DATABASE {SHARED} RESET default_transaction_read_only")
    assert_whole(store, 5)


def test_a_standby_is_waited_for_and_its_promotion_is_noticed(store: Store, server: Server) -> None:
    generations: list[int] = []
    store.on_recreated(lambda: generations.append(store.generation))
    fill(store, 0, 5)
    assert store.writer.flush(10)
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    fill(store, 5, 5)
    unwell(store, "standby")
    until(lambda: readable(store), "readers are back")
    with server.connect(user="postgres", database="postgres") as other:
        other.execute("SELECT pg_promote()")
    assert_whole(store, 10)
    # It may lack the last commits: what is not in it is told again.
    assert generations == [1]
    assert "a standby took over" in store.story


def test_a_server_without_a_free_connection_is_waited_for(store: Store, server: Server) -> None:
    with server.connect(SHARED, user="postgres") as other:
        other.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,))
        try:
            fill(store, 0, 5)
            until(lambda: "too many connections" in store.writer.last_error, "refused")
        finally:
            other.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
    assert_whole(store, 5)


def test_a_privilege_that_is_taken_away_costs_no_row(store: Store, server: Server) -> None:
    with server.connect(SHARED, user="postgres") as other:
        other.execute("ALTER TABLE worker_logs OWNER TO postgres")
        fill(store, 0, 5)
        unwell(store, "privileges")
        other.execute(f"ALTER TABLE worker_logs OWNER TO {ROLE}")
    assert_whole(store, 5)


def test_a_statement_that_takes_too_long_is_given_up_and_repeated(url: str, server: Server, opener: Opener) -> None:
    store = opener(url, Settings(busy_timeout_s=30.0, answer_timeout_s=0.5))
    with server.connect(SHARED, user="postgres") as other, other.transaction():
        other.execute("LOCK TABLE worker_logs IN EXCLUSIVE MODE")
        fill(store, 0, 5)
        unwell(store, "statement_timeout")
    assert_whole(store, 5)


def test_a_database_that_is_made_anew_under_us_is_filled_again(own: str, server: Server, opener: Opener) -> None:
    store = opener(server.url(own), SHORT)
    generations: list[int] = []
    store.on_recreated(lambda: generations.append(store.generation))
    fill(store, 0, 5)
    assert store.writer.flush(10)
    server.drop(own)
    unwell(store, "no such database", "closed the connection", "cannot be reached")
    server.create(name=own)
    until(lambda: generations == [1], "another generation")
    assert "another database answers" in store.story
    until(lambda: store.writer.healthy, "healthy")
    assert store.writer.submit(log_batch(0, 3))
    assert store.writer.flush(10)
    assert texts(store) == ["line 0", "line 1", "line 2"]


@pytest.fixture
def small_disk(tmp_path: Path, server: Server) -> Iterator[Path]:
    """A file system of 16 MB for a tablespace."""
    place = server.folder / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0777", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        assert "CI" not in os.environ, "CI can mount"
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


def test_a_full_disk_of_the_server_is_outlived(server: Server, small_disk: Path, opener: Opener) -> None:
    space = small_disk / "space"
    space.mkdir()
    os.chown(space, *owner(server))
    with server.connect("postgres", user="postgres") as other:
        other.execute(f"CREATE TABLESPACE small OWNER {ROLE} LOCATION '{space}'")
    name = server.create(options="TABLESPACE small")
    try:
        store = opener(server.url(name), Settings(busy_timeout_s=1.0, answer_timeout_s=10.0))
        fill(store, 0, 5)
        assert store.writer.flush(10)
        filler = small_disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                pass
        told = Told()
        wide = [line(number, text="x" * 3000) for number in range(200)]
        assert store.writer.submit(log_batch(0, 200, run="wide", slot="db/0", lines=wide), told)
        unwell(store, "the disk of the server is full")
        filler.unlink()
        assert told.one() == Stored(rows=200, seq=200)
        assert_whole(store, 5)
    finally:
        server.drop(name)
        with server.connect("postgres", user="postgres") as other:
            other.execute("DROP TABLESPACE small")


def owner(server: Server) -> tuple[int, int]:
    found = server.data.stat()
    return found.st_uid, found.st_gid
