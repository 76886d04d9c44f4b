"""Places to connect to, closed whatever happened."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.backends.backends_site import FakePlace, Place, RealPlace


@pytest.fixture(params=["fake", "real"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    found: Place = FakePlace() if request.param == "fake" else RealPlace()
    yield found
    await found.close()


@pytest.fixture
async def fake() -> AsyncIterator[FakePlace]:
    found = FakePlace()
    await found.agent.start()
    yield found
    await found.close()
