from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert

from controller.store import SchemaNewerError, Store, StoreError, StoreUnavailable, migrate, open_store
from controller.store.engine import locate, prepare, writer_engine
from controller.store.errors import StoreTakenError
from controller.store.history import HistoryQuery
from controller.store.records import JournalCursor
from controller.store.tables import event_cursors, metadata
from tests.store.store_builders import QUICK, until
from tests.store.store_server import Server


def stamp(target: str, revision: str | None = None) -> list[str]:
    """The revision that the database says it has; `revision` is written first."""
    engine = writer_engine(locate(target))
    with engine.begin() as connection:
        if revision is not None:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    engine.dispose()
    return list(found)


def test_the_migrated_schema_is_the_one_that_the_code_uses(store: Store, path: str) -> None:
    engine = writer_engine(locate(path))
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        indexed = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")
        assert sorted(indexed.scalars()) == sorted(
            str(index.name) for table in metadata.tables.values() for index in table.indexes
        )
        numbered = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        assert sorted(numbered.scalars()) == ["events", "worker_logs"]
    engine.dispose()


def test_a_second_start_migrates_nothing(store: Store, target: str) -> None:
    assert store.schema == migrate.head()
    store.close()
    again = open_store(target, settings=QUICK)
    assert again.schema == store.schema
    again.close()


def test_the_revision_is_known_before_and_after(path: str) -> None:
    prepare(locate(path))
    engine = writer_engine(locate(path))
    with engine.connect() as connection:
        assert migrate.current(connection) is None
    assert migrate.upgrade(engine, "it") == migrate.head()
    with engine.connect() as connection:
        assert migrate.current(connection) == migrate.head()
    engine.dispose()


def test_a_former_schema_is_brought_up_to_date_with_what_is_in_it(path: str, server: Server, own: str) -> None:
    for target in (path, server.url(own)):
        from_the_first_schema(target)


def from_the_first_schema(target: str) -> None:
    prepare(locate(target))
    engine = writer_engine(locate(target))
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection=connection, on_step=lambda **_step: None), "0001")
        connection.execute(insert(event_cursors).values(host="here", journal_id="j", seq=7))
    engine.dispose()
    assert stamp(target) == ["0001"]
    store = open_store(target, settings=QUICK)
    assert store.reader.event_cursor("here") == JournalCursor(host="here", journal_id="j", seq=7)
    assert store.reader.history(HistoryQuery(worker_id="web", step=10, since=0, until=1)) == ()
    store.close()
    assert stamp(target) == [migrate.head()]


def test_the_revisions_that_are_read_from_the_files_are_those_that_alembic_finds() -> None:
    scripts = ScriptDirectory.from_config(migrate._config())
    assert list(migrate._known()) == [script.revision for script in scripts.walk_revisions()][::-1]


def test_a_start_on_a_current_database_does_without_alembic(path: str) -> None:
    open_store(path, settings=QUICK).close()
    script = (
        "import sys; from controller.store import open_store\n"
        "open_store(sys.argv[1]).close(); print(sorted({'alembic', 'mako', 'pygments'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_two_at_once_migrate_once(path: str) -> None:
    prepare(locate(path))
    both = threading.Barrier(2)
    done: list[Any] = []

    def run() -> None:
        engine = writer_engine(locate(path))
        both.wait(10)
        done.append(migrate.upgrade(engine, "it"))
        engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert done == [migrate.head()] * 2


@pytest.mark.parametrize("migrates", [True, False])
def test_a_newer_schema_is_refused_and_left_alone(store: Store, target: str, migrates: bool) -> None:
    store.close()
    stamp(target, "9999")
    try:
        with pytest.raises(
            SchemaNewerError,
            match=rf"a newer workerctl made its schema \(9999\), this one knows up to {migrate.head()}; use the newer",
        ):
            # Waiting helps nobody here.
            open_store(target, migrate=migrates, settings=QUICK, waits=True)
        assert stamp(target) == ["9999"]
    finally:
        stamp(target, migrate.head())


def test_two_controllers_that_begin_together_on_an_empty_server_migrate_once(server: Server, own: str) -> None:
    both = threading.Barrier(2)
    done: list[object] = []

    def begin() -> None:
        both.wait(10)
        try:
            store = open_store(server.url(own), settings=QUICK)
            done.append(store.schema)
            held.wait(10)
            store.close()
        except StoreTakenError as error:
            done.append(error.in_short)

    held = threading.Event()
    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: len(done) == 2, "both have begun, or were refused")
    held.set()
    for thread in threads:
        thread.join(20)
    assert migrate.head() in done
    assert set(done) <= {migrate.head(), "another controller writes to it"}
    assert stamp(server.url(own)) == [migrate.head()]


def test_without_migrating_an_older_schema_is_refused(path: str) -> None:
    with pytest.raises(StoreUnavailable, match=f"its schema is empty, it must be migrated to {migrate.head()}"):
        open_store(path, migrate=False, settings=QUICK)
    open_store(path, settings=QUICK).close()
    open_store(path, migrate=False, settings=QUICK).close()


def test_without_migrating_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"x" * 5000)
    with pytest.raises(StoreUnavailable, match=r"Cannot open the database .*: the file is not a database"):
        open_store(str(tmp_path / "a.db"), migrate=False)


def test_migrations_are_found_in_the_package_first_then_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "controller"
    package.mkdir()
    with pytest.raises(StoreError, match="no migrations beside"):
        migrate.migrations_directory(str(package))
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "env.py").touch()
    assert migrate.migrations_directory(str(package)) == str(tmp_path / "migrations")
    (package / "_migrations").mkdir()
    (package / "_migrations" / "env.py").touch()
    assert migrate.migrations_directory(str(package)) == str(package / "_migrations")


def test_migrating_says_nothing(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    open_store(path, settings=QUICK).close()
    assert capfd.readouterr() == ("", "")
