"""The socket between keeper and agent: whole frames only, never blocking, bounded."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from controller.agent.keeper_link import BACKLOG_LIMIT, Link
from controller.agent.protocol import ProtocolError, encode


@pytest.fixture
def ends() -> Iterator[tuple[Link, Link]]:
    first, second = socket.socketpair()
    made = Link(first), Link(second)
    yield made
    for link in made:
        link.close()


def test_a_frame_in_pieces_is_one_frame_and_two_in_one_piece_are_two() -> None:
    first, second = socket.socketpair()
    link = Link(first)
    data = encode({"op": "list"}) + encode({"op": "shutdown"})
    seen = []
    for at in range(len(data)):
        second.send(data[at : at + 1])
        seen += link.receive()
    second.send(data)
    seen += link.receive()
    assert [frame["op"] for frame in seen] == ["list", "shutdown"] * 2
    second.close()
    assert (link.receive(), link.closed) == ([], True)
    link.close()


@pytest.mark.parametrize("data", [b"\xff" * 8, encode({"op": "x"}, b"payload"), b"\0\0\0\x02\0\0\0\0[]"])
def test_what_is_no_frame_of_ours_is_an_error(data: bytes) -> None:
    first, second = socket.socketpair()
    link = Link(first)
    second.send(data)
    with pytest.raises(ProtocolError):
        link.receive()
    second.close()
    link.close()


def test_what_was_sent_before_the_other_end_died_is_all_received(ends: tuple[Link, Link]) -> None:
    here, there = ends
    for number in range(50):
        there.send({"n": number})
    there.close()
    here.send({"lost": True})
    assert [frame["n"] for frame in here.receive(drain=True)] == list(range(50))
    assert here.closed


def test_past_the_limit_events_are_dropped_and_the_stream_stays_whole(ends: tuple[Link, Link]) -> None:
    here, there = ends
    big = "x" * (BACKLOG_LIMIT // 10)
    for number in range(30):
        here.send({"n": number, "text": big})
    assert here.overflowed
    here.send({"n": "ignored while it overflows"})
    received = []
    while here.has_output:
        here.flush()
        received += there.receive()
    here.overflowed = False
    here.send({"n": "again"})
    received += there.receive()
    numbers = [frame["n"] for frame in received]
    assert numbers == [*range(len(numbers) - 1), "again"]
    assert 0 < len(numbers) < 30
