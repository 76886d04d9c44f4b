"""`GET /api/v1/server`: what this controller is and how it was started. No secret is in it; nothing of it changes."""

from __future__ import annotations

from aiohttp import web

from controller.api.call import Call
from controller.api.query import Query
from controller.api.responses import json_response


async def show_server(call: Call) -> web.StreamResponse:
    """See the header."""
    Query(call.request)
    return json_response(call.ports.server.about(), call.request_id)
