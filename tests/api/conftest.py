"""A server for each test, that must have given everything back when the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from controller.api.listen import parse_listen
from controller.api.server import ApiServer
from tests.api.api_site import FAST, Site
from tests.fakes.api_ports import FakePorts, Json, worker

OpenSite = Callable[..., Awaitable[Site]]


@pytest.fixture
async def open_site() -> AsyncIterator[OpenSite]:
    """Starts servers with chosen workers, address and limits."""
    sites: list[Site] = []

    async def opened(*workers: Json, listen: str = "127.0.0.1:0", **options: Any) -> Site:
        ports, where = FakePorts(*workers), parse_listen(listen)
        server = ApiServer(ports.ports, where, **{"limits": FAST, **options})
        await server.start()
        sites.append(Site(ports, server, where))
        return sites[-1]

    yield opened
    for site in sites:
        await site.closed()
        assert site.server.connection_count == site.server.follower_count == len(site.ports.tower) == 0


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A server with one worker, `web`."""
    return await open_site(worker("web"))
