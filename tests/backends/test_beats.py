"""Heartbeats on their way to the agent: one message a second while anybody must beat, and none that is lost."""

from __future__ import annotations

from typing import Any

from controller.backends.agent import AgentBackend
from controller.backends.base import SlotOrder
from controller.backends.beats import Box
from tests.backends.backends_site import Connected, FakePlace, order, runner, until


def test_the_box_holds_the_last_time_of_one_run_for_each_instance() -> None:
    box = Box()
    for instance, run, now in (("web/0", "r1", 1.0), ("web/1", "r2", 1.5), ("web/0", "r3", 2.0), ("web/1", "r2", 3.0)):
        box.heard(instance, run, now)
    assert box.message() == {"r3": 2.0, "r2": 3.0}


def test_what_was_heard_after_a_message_had_left_stays_for_the_next_one() -> None:
    box = Box()
    box.heard("web/0", "r1", 1.0)
    box.heard("web/1", "r2", 1.0)
    message = box.message()
    box.heard("web/0", "r1", 2.0)
    box.arrived(message)
    assert box.message() == {"r1": 2.0}


class Takes:
    """What the agent is told, each message with its runs."""

    def __init__(self, fake: FakePlace) -> None:
        self.messages: list[dict[str, Any]] = []
        fake.agent.answers["beat"] = self.take

    def take(self, request: dict[str, Any]) -> dict[str, Any]:
        self.messages.append(request)
        return {"ok": True}

    @property
    def runs(self) -> list[str]:
        return [run for message in self.messages for run in message["beats"]]


def quick(fake: FakePlace) -> AgentBackend:
    backend = fake.backend()
    backend._beats.period_s = 0.01
    return backend


def must_beat(ordinal: int = 0, generation: int = 1) -> SlotOrder:
    return order(runner(liveness={"heartbeat": {}}), generation, instance=f"web/{ordinal}")


async def test_nothing_is_told_while_nobody_must_beat_and_each_period_as_soon_as_somebody_must(fake: FakePlace) -> None:
    takes = Takes(fake)
    async with Connected(quick(fake)) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        found.backend.beat("web/0", "run1")
        assert takes.messages == []
        await found.backend.apply([must_beat(1)])
        await until(lambda: len(takes.messages) > 2)
        assert takes.runs == []
        found.backend.beat("web/1", "run2")
        await until(lambda: "run2" in takes.runs)
        told = len(takes.messages)
        await until(lambda: len(takes.messages) > told + 2)
        assert takes.runs == ["run2"]
        at = [message["at"] for message in takes.messages]
        assert at == sorted(at)
        assert {message["epoch"] for message in takes.messages} == {1}
        await found.backend.remove({"web/1": 2})
        told = len(takes.messages)
        await found.backend.stored([])
        await found.backend.stored([])
        assert len(takes.messages) <= told + 1


async def test_a_beat_whose_message_was_not_answered_comes_again_over_the_next_connection(fake: FakePlace) -> None:
    takes = Takes(fake)
    async with Connected(quick(fake)) as found:
        await found.reachable()
        await found.backend.apply([must_beat()])
        await until(lambda: takes.messages)
        fake.agent.cuts.add("beat")
        found.backend.beat("web/0", "run1")
        await until(lambda: not found.backend.view().reachable)
        await found.reachable()
        await until(lambda: takes.messages[-1]["beats"] == {} and len(takes.runs) > 0)
        assert set(takes.runs) == {"run1"}


async def test_an_older_agent_that_knows_no_heartbeats_is_asked_once_and_obeyed_as_before(fake: FakePlace) -> None:
    fake.agent.answers["beat"] = lambda _request: {"ok": False, "error": "unknown_op", "message": "no operation 'beat'"}
    async with Connected(quick(fake)) as found:
        await found.reachable()
        await found.backend.apply([must_beat()])
        await until(lambda: "beat" in fake.agent.seen)
        found.backend.beat("web/0", "run1")
        for generation in (2, 3, 4):
            await found.backend.apply([must_beat(0, generation)])
        assert (fake.agent.seen.count("beat"), found.status()) == (1, "running")
