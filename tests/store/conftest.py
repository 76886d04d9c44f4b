"""An open store on a real file, with a short wait for locks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.store import Store, open_store
from tests.store.store_builders import QUICK


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "workerctl.db")


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    opened = open_store(path, settings=QUICK)
    yield opened
    opened.close()
