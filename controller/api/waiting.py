"""Waiting for the end of what was asked for: `?wait_s=N`. Nothing polls: a bell says when to look again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from controller.api.call import Call
from controller.api.followers import Woken
from controller.api.ports import Document, Topic
from controller.api.query import Query

MAX_WAIT_S = 600


def wait_s(call: Call) -> float | None:
    """How long the client waits, or None where it does not. Raises ApiProblem."""
    return Query(call.request, "wait_s").seconds("wait_s", high=MAX_WAIT_S)


Look = Callable[[], Awaitable[tuple[Document, bool]]]


async def until(call: Call, topic: Topic, look: Look, seconds: float) -> Document:
    """What `look` gives once it says so; or as it stands when the time is over, or the client or the server goes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    bell = call.ports.changes.subscribe(topic)
    try:
        while True:
            found, is_over = await look()
            if is_over:
                return found
            woken = await call.followers.wait(bell, call.connection.lost, max(0.0, deadline - loop.time()))
            if woken is not Woken.LOOK:
                return (await look())[0]
    finally:
        bell.close()
