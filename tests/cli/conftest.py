"""A fake API for each test, closed when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.api_server import FakeApi


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An empty fleet, being served."""
    with FakeApi().serving() as serving:
        yield serving
