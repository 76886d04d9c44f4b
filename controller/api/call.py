"""What a handler is given: one request that was admitted, with everything it may use. Made by dispatch.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from controller.api.admission import Principal
from controller.api.connection import Connection
from controller.api.followers import Followers
from controller.api.ports import Ports
from controller.api.sessions import SessionBook
from controller.api.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One admitted request. `params` are the named parts of the path, checked by the router.

    `content`: its body, where it was read before the handler was called.
    """

    request: web.BaseRequest
    connection: Connection
    ports: Ports
    followers: Followers
    principal: Principal
    sessions: SessionBook
    tokens: Tokens
    request_id: str
    params: Mapping[str, str]
    content: bytes | None = None

    @property
    def path(self) -> str:
        """The path as it was asked for, without the query."""
        return self.request.raw_path.partition("?")[0]
