"""An open store on a real file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.store import Store, open_store
from tests.store.store_builders import QUICK


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "workerctl.db")


@pytest.fixture
def store(db: str) -> Iterator[Store]:
    opened = open_store(db, settings=QUICK)
    yield opened
    opened.close()
