"""An open store with a short wait for locks, over both databases: a file, and a database of a real server.

A test that names `path` is about files, and runs over SQLite only. `target` is what `--db` takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.store import Store, open_store
from tests.store.store_builders import QUICK
from tests.store.store_server import Server, emptied, shared_server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Over both databases, but for those about files, and those that choose themselves."""
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "dialect" in metafunc.fixturenames and not any("dialect" in names for names in named):
        metafunc.parametrize("dialect", ["sqlite"] if "path" in metafunc.fixturenames else ["sqlite", "postgresql"])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    yield from shared_server()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "workerctl.db")


@pytest.fixture
def target(request: pytest.FixtureRequest, dialect: str) -> str:
    if dialect == "sqlite":
        return str(request.getfixturevalue("path"))
    return emptied(request.getfixturevalue("server"))


@pytest.fixture
def own(server: Server) -> Iterator[str]:
    """The name of an empty database of the test's own."""
    name = server.create()
    yield name
    server.drop(name)


@pytest.fixture
def store(target: str) -> Iterator[Store]:
    opened = open_store(target, settings=QUICK)
    assert opened.writer.flush(10)  # its first look is over
    yield opened
    opened.close()
