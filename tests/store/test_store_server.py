"""What is special about a server: how it is reached, what it is called, who may write to it, what schema it gets."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from controller.store import StoreError, StoreUnavailable, locate, open_store
from controller.store.engine import writer_engine
from controller.store.errors import StoreTakenError
from controller.store.records import Rejected, RuntimeRows, Stored
from controller.store.tables import metadata
from tests.store.store_builders import QUICK, Told, line, locked, log_batch, operation, runtime_row, stored_lines, until
from tests.store.store_server import PASSWORD, Server, emptied


@pytest.fixture
def url(server: Server) -> str:
    return emptied(server)


def test_the_migrated_schema_is_the_one_that_the_code_uses(url: str) -> None:
    engine = writer_engine(locate(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        texts = connection.exec_driver_sql(
            "SELECT DISTINCT collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'text'"
        )
        assert texts.scalars().all() == ["C"]
    engine.dispose()


def test_numbers_may_be_as_large_as_in_a_file(url: str) -> None:
    store = open_store(url, settings=QUICK)
    told = Told()
    row = runtime_row(active_tasks=2**53, pid=2**40, restart_count=2**40)
    assert store.writer.submit(RuntimeRows(rows=[row]), told)
    assert told.one() == Stored(rows=1)
    assert store.reader.worker_runtime() == (row,)
    store.close()


def test_only_the_row_that_the_server_refuses_is_rejected(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    store = open_store(url, settings=QUICK)
    told, bad = Told(), Told()
    with locked(url):
        assert store.writer.submit(log_batch(0), told)
        until(lambda: not store.writer.healthy, "unhealthy")
        assert store.writer.submit(operation(secrets.token_hex(20_000)), bad)  # more than an index takes
        assert store.writer.submit(log_batch(0, run="bad", to_offset=2**70), bad)
        assert store.writer.submit(log_batch(0, run="odd", lines=[line(byte_offset=2**70)]), bad)
        assert store.writer.submit(log_batch(1), told)
    assert told.all(2) == [Stored(rows=1, seq=1), Stored(rows=1, seq=2)]
    assert [isinstance(one, Rejected) for one in bad.all(3)] == [True] * 3
    assert (store.writer.healthy, store.writer.rejected) == (True, 3)
    store.close()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgresql://me:hunter2@h/db", "postgresql://me:***@h/db"),
        ("postgres://me:hunter2@h/db", "postgresql://me:***@h/db"),
        ("postgresql+psycopg://me@h/db?password=hunter2", "postgresql://me@h/db?password=***"),
        ("postgresql://h/db?sslpassword=hunter2&sslmode=require", "postgresql://h/db?sslmode=require&sslpassword=***"),
    ],
)
def test_a_url_is_shown_without_its_passwords(written: str, shown: str) -> None:
    assert str(locate(written)) == f"the database {shown}"


def test_a_wrong_password_is_told_without_any(server: Server) -> None:
    with pytest.raises(StoreUnavailable, match="password authentication failed") as refused:
        open_store(server.url("shared").replace(PASSWORD, "another1"), settings=QUICK)
    assert "another1" not in str(refused.value)


def test_a_database_that_is_not_there_is_told_and_waited_for(server: Server, own: str) -> None:
    url = server.url(own)
    server.drop(own)
    with pytest.raises(StoreUnavailable, match="does not exist"):
        open_store(url, settings=QUICK)
    store = open_store(url, settings=QUICK, waits=True)
    told = Told()
    assert store.writer.submit(log_batch(), told)
    until(lambda: not store.writer.healthy, "unhealthy")
    server.create(name=own)
    assert told.one() == Stored(rows=1, seq=1)
    store.close()


def test_an_option_that_nobody_knows_is_refused_at_once(server: Server) -> None:
    with pytest.raises(StoreError, match="invalid") as refused:
        open_store(server.url("shared") + "&bogus=1", settings=QUICK, waits=True)
    assert not isinstance(refused.value, StoreUnavailable)


def test_another_encoding_is_refused_with_what_to_do(server: Server) -> None:
    name = server.create(options="ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreUnavailable, match=r"its encoding is LATIN1.*CREATE DATABASE \.\.\. ENCODING 'UTF8'"):
        open_store(server.url(name), settings=QUICK)
    server.drop(name)


def test_without_the_driver_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnavailable, match=r"its driver is not installed.*pip install 'workerctl\[postgres\]'"):
        locate("postgresql://h/db")


def test_the_driver_is_loaded_for_servers_only(tmp_path: Path) -> None:
    script = f"import sys; from controller.store import open_store; open_store('{tmp_path}/a.db').close(); "
    told = subprocess.run(
        [sys.executable, "-c", script + "print('psycopg' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


def test_a_second_controller_is_kept_out_and_told_of_the_first(url: str) -> None:
    first = open_store(url, settings=QUICK)
    assert first.writer.submit(log_batch())
    assert first.writer.flush(10)
    with pytest.raises(StoreTakenError, match=r"another controller writes to it \(workerctl, pid \d+ on .* since 20"):
        open_store(url, settings=QUICK)
    second = open_store(url, settings=QUICK, waits=True)
    told = Told()
    assert second.writer.submit(log_batch(1), told)
    until(lambda: second.writer.trouble == "another controller writes to it", "refused")
    assert [one.text for one in stored_lines(second)] == ["line 0"]
    first.close()
    assert told.one() == Stored(rows=1, seq=2)
    second.close()
