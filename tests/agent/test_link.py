"""The agent's end of the keeper's socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

from controller.agent.link import Link
from controller.agent.protocol import LENGTHS_SIZE, decode, encode, lengths


async def until(look: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + 10.0
    while not look():
        assert asyncio.get_running_loop().time() < deadline, "it never came about"
        await asyncio.sleep(0.002)


class Ends:
    """Both ends; `frames` is what the link delivered, `ended` how often it told of the end."""

    def __init__(self) -> None:
        self.keeper, agent = socket.socketpair()
        self.frames: list[dict[str, Any]] = []
        self.ended = 0
        self.link = Link(agent.detach(), self.frames.append, self._end)

    def _end(self) -> None:
        self.ended += 1

    def close(self) -> None:
        self.link.close()
        self.keeper.close()


async def test_frames_arrive_whole_and_in_order_however_they_are_cut() -> None:
    ends = Ends()
    data = b"".join(encode({"ev": "exited", "n": number}) for number in range(20))
    for at in range(0, len(data), 7):
        ends.keeper.send(data[at : at + 7])
        await asyncio.sleep(0)
    await until(lambda: len(ends.frames) == 20)
    assert ends.frames == [{"ev": "exited", "n": number} for number in range(20)]
    ends.close()


async def test_orders_beyond_the_kernels_buffer_wait_in_order_and_tell_when_they_have_left() -> None:
    ends = Ends()
    left: list[int] = []
    for number in range(400):
        ends.link.send({"n": number, "text": "x" * 4000}, lambda number=number: left.append(number))  # type: ignore[misc]
    before = len(left)
    assert before < 400
    ends.keeper.setblocking(False)
    received = bytearray()
    loop = asyncio.get_running_loop()
    while len(left) < 400 or len(received) < 400 * 4000:
        received += await asyncio.wait_for(loop.sock_recv(ends.keeper, 1 << 20), 10.0)
    numbers: list[int] = []
    while received:
        header, _ = lengths(bytes(received[:LENGTHS_SIZE]))
        numbers.append(decode(bytes(received[LENGTHS_SIZE : LENGTHS_SIZE + header])).header["n"])
        del received[: LENGTHS_SIZE + header]
    assert (numbers, left) == (list(range(400)), list(range(400)))
    ends.close()


async def test_the_end_is_told_once_after_all_frames() -> None:
    ends = Ends()
    ends.keeper.send(encode({"ev": "runs"}))
    ends.keeper.close()
    await until(lambda: ends.ended)
    ends.link.send({"op": "list"})
    assert (ends.frames, ends.ended) == ([{"ev": "runs"}], 1)


async def test_nonsense_is_the_end() -> None:
    ends = Ends()
    ends.keeper.send(struct.pack(">II", 3, 0) + b"abc")
    await until(lambda: ends.ended)
    assert ends.frames == []
    ends.keeper.close()
