"""What any agent does through its back end: the same sentences for the one in memory and the real one."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from controller.agent.protocol import STREAMS
from controller.backends.base import Answer, Gone, LogFile, Superseded, Unavailable
from tests.backends.backends_site import Connected, Place, order, runner, until


async def test_nobody_answers_so_an_agent_is_started_and_listed(place: Place) -> None:
    backend = place.backend()
    assert not backend.view().reachable
    async with Connected(backend) as found:
        await found.reachable()
        view = backend.view()
        assert (view.reachable, dict(view.instances), view.message) == (True, {}, "")
        assert found.hearer.changes[-1] is None


async def test_an_order_is_seen_in_the_view_and_an_equal_one_changes_nothing(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        assert await found.backend.apply([order(runner())]) == [Answer(instance="web/0")]
        await until(lambda: found.status() == "running")
        before = found.backend.view().instances["web/0"]
        assert ["web/0"] in found.hearer.changes
        assert await found.backend.apply([order(runner())]) == [Answer(instance="web/0")]
        after = found.backend.view().instances["web/0"]
        assert (after.pid, after.run, after.generation) == (before.pid, before.run, 1)


async def test_an_older_order_is_stale(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner(), 5)])
        (answer,) = await found.backend.apply([order(runner(labels={"a": "b"}), 4, digest="other")])
        assert (answer.instance, answer.error) == ("web/0", "stale")


async def test_a_removed_slot_goes_and_its_next_life_needs_a_higher_generation(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner(), 3)])
        await until(lambda: found.status() == "running")
        assert await found.backend.remove({"web/0": 4}) == [Answer(instance="web/0")]
        await until(lambda: found.status() is None)
        assert found.backend.view().floors["web/0"] == 4
        (answer,) = await found.backend.apply([order(runner(), 4)])
        assert answer.error == "stale"
        assert await found.backend.apply([order(runner(), 5)]) == [Answer(instance="web/0")]
        await until(lambda: found.status() == "running")


async def test_what_cannot_start_is_refused_and_the_old_one_stays(place: Place) -> None:
    if hasattr(place, "agent"):
        place.agent.missing.add("/no/such/command")
    async with Connected(place.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        await until(lambda: found.status() == "running")
        before = found.backend.view().instances["web/0"]
        worse = order(runner("/no/such/command"), 2)
        (answer,) = await found.backend.apply([worse])
        assert answer.error == "refused"
        assert "/no/such/command" in answer.message
        refusal = found.backend.view().refusals["web/0"]
        assert (refusal.digest, refusal.at) == (worse.digest, 6000.0)
        assert found.backend.view().instances["web/0"].pid == before.pid
        await found.backend.apply([order(runner("/bin/sleep", "61"), 2)])
        assert dict(found.backend.view().refusals) == {}


async def test_events_come_in_order_and_once_also_over_a_new_connection(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        await until(lambda: found.status() == "running" and found.hearer.events)
        found.backend.reconnect()
        await until(lambda: not found.backend.view().reachable)
        await found.reachable()
        await found.backend.remove({"web/0": 2})
        await until(lambda: found.hearer.events[-1].type in ("removed", "slot_removed") and found.status() is None)
        numbers = [event.seq for event in found.hearer.events]
        assert all(second == first + 1 for first, second in pairwise(numbers))
        assert {event.instance for event in found.hearer.events} <= {"web/0", None}


async def test_output_can_be_read_from_any_offset_until_it_is_over(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner("/bin/echo", "hello", "world"))])
        await until(lambda: found.status() == "stopped")
        (file, *_) = await until(lambda: [f for f in found.hearer.files if f.size and f.stream == "stdout"])
        assert file.instance == "web/0"
        whole = await found.backend.read_log(file, 0, 1000)
        assert (whole.offset, whole.data, whole.size, whole.ended) == (0, b"hello world\n", 12, True)
        part = await found.backend.read_log(file, 6, 3)
        assert (part.offset, part.data, part.size) == (6, b"wor", 12)
        await found.backend.stored([(file.run, file.stream, 12)])
        found.backend.reconnect()
        await until(lambda: any(f.stored == 12 for f in found.hearer.files))
        assert {f.stream for f in found.hearer.files} <= set(STREAMS)


async def test_output_of_an_unknown_run_is_gone(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        with pytest.raises(Gone):
            await found.backend.read_log(
                LogFile(run="0" * 16, instance="web/0", stream="stdout", size=1, ended=True), 0, 9
            )


async def test_an_agent_that_dies_is_found_again_with_its_slots(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        await until(lambda: found.status() == "running")
        before = found.backend.view().instances["web/0"]
        await place.kill_agent()
        await until(lambda: not found.backend.view().reachable)
        await found.reachable()
        after = found.backend.view().instances["web/0"]
        assert (after.status, after.run, after.pid) == (before.status, before.run, before.pid)
        assert await found.backend.apply([order(runner())]) == [Answer(instance="web/0")]


async def test_another_realm_is_not_ours(place: Place) -> None:
    async with Connected(place.backend()) as first:
        await first.reachable()
        async with Connected(place.backend(realm="other")) as second:
            await until(lambda: "belongs to realm r1" in second.backend.view().message)
            assert not second.backend.view().reachable
            with pytest.raises(Unavailable):
                await second.backend.apply([order(runner())])


async def test_the_newest_claim_wins(place: Place) -> None:
    async with Connected(place.backend()) as first:
        await first.reachable()
        async with Connected(place.backend()) as second:
            await second.reachable()
            with pytest.raises(Superseded):
                await first.backend.apply([order(runner())])
            first.backend.reconnect()
            with pytest.raises(Superseded):
                await asyncio.wait_for(first.task, 15)
            assert await second.backend.apply([order(runner())]) == [Answer(instance="web/0")]


async def test_an_adjourned_agent_stops_everything_and_leaves(place: Place) -> None:
    async with Connected(place.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        await until(lambda: found.status() == "running")
        await found.backend.adjourn(5)
        await asyncio.wait_for(found.backend.gone.wait(), 15)
        await found.task
        with pytest.raises(Unavailable):
            await found.backend.kill_now()
