"""What holds for every plan: over random snapshots, and over turns in a world that obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.core.dependencies import why_awaited
from controller.core.desired import Desired, DesiredWorker
from controller.core.intents import Intents, Keep, RunIntent
from controller.core.keeps import with_keeps
from controller.core.observed import HostView, Observed, ObservedInstance, Refusal, Status
from controller.core.plan import ActionKind, Plan
from controller.core.planner import plan
from tests.core.core_builders import NOW, desired, picture, problem, seen, worker
from tests.examples import examples
from tests.fakes.obedient_world import ObedientWorld

NAMES = ("api", "mail", "web", "x1", "x2")
Value = TypeVar("Value")

VARIANTS: tuple[dict[str, Any], ...] = (
    {"command": ["v1"]},
    {"command": ["v2"]},
    {"command": ["v1"], "start_grace_ms": 5},
    {"command": ["v1"], "port": 4000},
    {"command": ["v1"], "port": 4001},
    {"command": ["v1"], "desired_state": "stopped"},
    {"command": ["v2"], "auto_start": False},
    {"command": ["v1"], "auto_start": False},
    {"command": ["v1"], "depends_on": {"web": "ready"}},
    {"command": ["v2"], "depends_on": {"api": "started", "lost": "ready"}},
    {"command": ["v1"], "limits": {"nice": 5}, "secrets": {"PASSWORD": {"env": "DB_PASSWORD"}}},
    {"command": ["v1"], "limits": {"cpu": 1}},
)
LATEST = 7
"""Variants up to this one wait for nobody and need no limit: they always get where they should."""

KEEPS = (
    *(None,) * 8,
    Keep(worker_id="", wanted="stopped", at=NOW - 60, until=NOW + 3600),
    Keep(worker_id="", wanted="stopped", at=NOW - 60, until=NOW + 0.5),
    Keep(worker_id="", wanted="running", at=NOW - 60, until=NOW + 3600),
    Keep(worker_id="", wanted="stopped", at=NOW - 60, until=NOW),
)
unhurried = settings(suppress_health_check=[HealthCheck.too_slow])
"""A machine with other work is no reason to fail."""


def own_port(place: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Workers never ask for each other's ports: the sources refuse that."""
    return fields | {"port": fields["port"] + 100 * place} if "port" in fields else fields


POOL: Mapping[tuple[str, int, int], DesiredWorker] = {
    (name, variant, replicas): worker(name, **own_port(place, fields), replicas=replicas)
    for place, name in enumerate(NAMES)
    for variant, fields in enumerate(VARIANTS)
    for replicas in range(5)
}


@st.composite
def any_worker(draw: st.DrawFn, name: str, *, least: int = 0, variants: int = len(VARIANTS) - 1) -> DesiredWorker:
    return POOL[(name, draw(st.integers(0, variants)), draw(st.integers(least, 4)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    want: Desired
    have: Observed
    intents: Intents

    def plan(self, only: frozenset[str] | None = None) -> Plan:
        return plan(self.want, self.have, self.intents, now=NOW, only=only)


@st.composite
def slots(draw: st.DrawFn, name: str) -> list[ObservedInstance]:
    made = []
    of = draw(any_worker(name, least=1))
    for ordinal in sorted(draw(st.sets(st.integers(0, 5), max_size=4))):
        other = draw(any_worker(name, least=1)) if draw(st.booleans()) else of
        slot = seen(other, ordinal, draw(st.sampled_from(list(Status))))
        made.append(
            replace(
                slot,
                wanted=draw(st.sampled_from(["running", "stopped"])),
                run_request=draw(st.sampled_from([0, 5, 9])),
                removing=draw(st.integers(0, 9)) == 0,
                since=NOW - draw(st.sampled_from([0.0, 100.0])),
                reason=draw(st.sampled_from(["", "Completed", "SecretsMissing"])),
                ready=draw(st.sampled_from([None, False, True])),
            )
        )
    return made


@st.composite
def cases(draw: st.DrawFn) -> Case:
    workers, removed, broken, runs, keeps = {}, [], {}, {}, {}
    instances: dict[str, dict[str, ObservedInstance]] = {"localhost": {}, "beta": {}}
    for name in NAMES:
        kind = draw(st.sampled_from(["wanted", "wanted", "wanted", "removed", "broken", "absent"]))
        if kind == "wanted":
            made = draw(any_worker(name))
            stale = draw(st.integers(0, 5)) == 0
            workers[name] = replace(made, stale=True, problems=(problem(name),)) if stale else made
        elif kind == "removed":
            removed.append(name)
        elif kind == "broken":
            broken[name] = (problem(name),)
        for slot in draw(slots(name)):
            host = "beta" if draw(st.integers(0, 9)) == 0 else "localhost"
            instances[host][slot.instance] = slot
        if draw(st.booleans()):
            kinds: list[Literal["restart", "start"]] = ["restart", "start"]
            at = NOW - draw(st.sampled_from([0.0, 200.0]))
            number = draw(st.sampled_from([5, 7]))
            runs[name] = RunIntent(worker_id=name, kind=draw(st.sampled_from(kinds)), number=number, at=at)
        if keep := draw(st.sampled_from(KEEPS)):
            keeps[name] = replace(keep, worker_id=name)
    refusals = {
        slot: Refusal(
            digest=workers[slot.split("/")[0]].instances[0].digest, message="no", at=NOW - draw(st.floats(0, 60))
        )
        for slot in draw(st.sets(st.sampled_from([f"{name}/0" for name in NAMES])))
        if slot.split("/")[0] in workers and workers[slot.split("/")[0]].instances
    }
    hosts = {
        name: HostView(
            reachable=draw(st.integers(0, 4)) > 0,
            instances=found,
            refusals=refusals,
            enforceable=draw(st.sampled_from([None, frozenset(), frozenset({"nice"}), frozenset({"cpu", "nice"})])),
        )
        for name, found in instances.items()
        if draw(st.integers(0, 9)) > 0
    }
    held = draw(st.integers(0, 4)) == 0
    want = replace(
        desired(removed=removed), workers=workers, broken=broken, hold_reason="the directory is gone" if held else ""
    )
    return Case(want=want, have=Observed(hosts=hosts), intents=Intents(runs=runs, keeps=keeps))


def backwards(mapping: Mapping[str, Value]) -> dict[str, Value]:
    return dict(reversed(list(mapping.items())))


@unhurried
@given(cases())
def test_never_acts_on_what_is_not_known(case: Case) -> None:
    for action in case.plan().actions:
        view = case.have.hosts[action.host]
        assert view.reachable
        slot = view.instances.get(action.instance)
        if slot is not None:
            assert slot.status is not Status.UNKNOWN
            assert not slot.removing
            assert action.generation == slot.generation + 1
        assert (slot is None) == (action.kind is ActionKind.CREATE)


@unhurried
@given(cases())
def test_removes_only_what_is_beyond_replicas_or_proven_gone_and_nothing_while_the_source_is_held(case: Case) -> None:
    for action in case.plan().actions:
        if action.kind is ActionKind.REMOVE:
            assert not case.want.hold_reason
            known = case.want.workers.get(action.worker_id)
            if known is None:
                assert action.worker_id in case.want.removed
            else:
                assert action.ordinal >= len(known.instances)


@unhurried
@given(cases())
def test_the_order_of_the_input_does_not_matter(case: Case) -> None:
    want = replace(
        case.want,
        workers=backwards(case.want.workers),
        removed=backwards(case.want.removed),
        broken=backwards(case.want.broken),
    )
    hosts = {
        name: replace(view, instances=backwards(view.instances), refusals=backwards(view.refusals))
        for name, view in case.have.hosts.items()
    }
    intents = Intents(runs=backwards(case.intents.runs), keeps=backwards(case.intents.keeps))
    turned = Case(want=want, have=Observed(hosts=backwards(hosts)), intents=intents)
    assert turned.plan() == case.plan()


@unhurried
@given(cases())
def test_no_slot_has_two_actions(case: Case) -> None:
    slots = [(action.host, action.instance) for action in case.plan().actions]
    assert len(slots) == len(set(slots))


@unhurried
@given(cases(), st.sets(st.sampled_from(NAMES)))
def test_a_limited_turn_is_a_part_of_the_whole_plan(case: Case, names: set[str]) -> None:
    whole, part = case.plan(), case.plan(frozenset(names))
    assert [action for action in whole.actions if action.worker_id in names] == list(part.actions)
    assert set(part.holds) <= set(whole.holds)
    assert [hold for hold in whole.holds if hold.worker_id in names] == [hold for hold in part.holds if hold.worker_id]


@unhurried
@given(cases())
def test_the_next_look_lies_ahead(case: Case) -> None:
    made = case.plan()
    assert made.next_wake is None or made.next_wake > NOW


@unhurried
@given(cases())
def test_at_most_one_running_instance_of_a_worker_is_disturbed(case: Case) -> None:
    disturbed: dict[str, int] = {}
    for action in case.plan().actions:
        slot = case.have.hosts[action.host].instances.get(action.instance)
        in_service = slot is not None and slot.status is Status.RUNNING
        if in_service and action.kind in (ActionKind.REPLACE, ActionKind.RESTART):
            disturbed[action.worker_id] = disturbed.get(action.worker_id, 0) + 1
    assert set(disturbed.values()) <= {1}


@unhurried
@given(cases())
def test_nothing_new_starts_before_what_it_depends_on(case: Case) -> None:
    for action in case.plan().actions:
        if action.kind in (ActionKind.CREATE, ActionKind.START) and action.wanted == "running":
            needed = case.want.workers[action.worker_id].spec.depends_on
            want = with_keeps(case.want, case.intents, NOW)
            unmet = [name for name, what in needed.items() if why_awaited(picture(want, case.have, name), what)]
            assert unmet == []


@unhurried
@given(cases())
def test_what_runs_already_waits_for_nobody(case: Case) -> None:
    """Where nothing new is to be started, dependencies make no difference."""
    alone = replace(case.want, workers={name: without_dependencies(of) for name, of in case.want.workers.items()})
    free = [(action.kind, action.instance) for action in replace(case, want=alone).plan().actions]
    if not any(kind in (ActionKind.CREATE, ActionKind.START) for kind, _ in free):
        assert [(action.kind, action.instance) for action in case.plan().actions] == free


def without_dependencies(of: DesiredWorker) -> DesiredWorker:
    """The same revisions and digests: only the planner's view of the dependencies goes."""
    return replace(of, spec=of.spec.model_copy(update={"depends_on": {}}))


@unhurried
@given(cases())
def test_nothing_starts_under_a_limit_that_its_host_cannot_enforce(case: Case) -> None:
    for action in case.plan().actions:
        is_new = action.kind not in (ActionKind.UPDATE, ActionKind.STOP, ActionKind.REMOVE)
        if is_new and action.wanted == "running":
            limits = case.want.workers[action.worker_id].spec.limits
            assert limits is None or set(limits.names) <= (case.have.hosts[action.host].enforceable or frozenset())


@unhurried
@given(cases())
def test_what_is_kept_is_as_if_its_spec_said_so_until_its_time_is_over(case: Case) -> None:
    """The same actions, and the next look is due when the first keep ends."""
    live = {name: keep for name, keep in case.intents.keeps.items() if keep.until > NOW}
    saying = {
        name: replace(of, spec=of.spec.model_copy(update={"desired_state": live[name].wanted}))
        for name, of in case.want.workers.items()
        if name in live
    }
    said = Case(
        want=replace(case.want, workers={**case.want.workers, **saying}),
        have=case.have,
        intents=Intents(runs=case.intents.runs),
    )
    kept = case.plan()
    assert [(one.kind, one.instance, one.wanted, one.run_request) for one in kept.actions] == [
        (one.kind, one.instance, one.wanted, one.run_request) for one in said.plan().actions
    ]
    told = {hold.worker_id: hold.until for hold in kept.holds if hold.reason in ("KeptStopped", "KeptRunning")}
    assert all(until == live[str(name)].until for name, until in told.items())
    assert kept.next_wake is None or not told or kept.next_wake <= min(live[str(name)].until for name in told)


# --- turns in a world that obeys -------------------------------------------------------------------------------------


def turn(world: ObedientWorld, want: Desired, intents: Intents) -> Plan:
    made = plan(want, world.observe(), intents, now=world.clock.now)
    world.execute(made, want)
    world.pass_time()
    return made


def converge(world: ObedientWorld, want: Desired, intents: Intents | None = None) -> None:
    """Turns until the plan is empty and nothing moves; an answer to every guard is given."""
    wishes = intents or Intents()
    for _ in range(200):
        before = dict(world.slots)
        made = turn(world, want, wishes)
        confirmed = {hold.confirm for hold in made.holds if hold.confirm}
        if not made.actions and confirmed <= wishes.confirmed and world.slots == before:
            return
        wishes = replace(wishes, confirmed=wishes.confirmed | confirmed)
    raise AssertionError(f"no end in sight: {made}")


def target(want: Desired) -> dict[str, str]:
    """What should run, where the spec leaves nothing open."""
    return {
        f"{worker_id}/{instance.ordinal}": instance.revision
        for worker_id, entry in sorted(want.workers.items())
        if entry.spec.wanted == "running"
        for instance in entry.instances
    }


@st.composite
def fleets(draw: st.DrawFn) -> Desired:
    workers = [draw(any_worker(name, variants=LATEST)) for name in NAMES if draw(st.integers(0, 3)) > 0]
    present = {entry.worker_id for entry in workers}
    return desired(*workers, removed=[name for name in NAMES if name not in present])


@examples(0.6)
@given(st.lists(fleets(), min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_turns_reach_what_is_wanted_whatever_came_before(history: list[Desired], patience: list[int]) -> None:
    world = ObedientWorld()
    for want, turns in zip(history, patience, strict=False):
        for _ in range(turns):
            turn(world, want, Intents())
    final = history[-1]
    converge(world, final)
    open_ended = {name for name, entry in final.workers.items() if entry.spec.wanted == "unless_stopped"}
    running = {name: at for name, at in world.running().items() if name.split("/")[0] not in open_ended}
    assert running == target(final)
    assert set(world.slots) == {
        f"{name}/{instance.ordinal}" for name, entry in final.workers.items() for instance in entry.instances
    }


@examples(0.6)
@given(st.integers(1, 4), st.integers(0, LATEST))
def test_a_rollout_never_takes_more_than_one_instance_out_of_service(replicas: int, variant: int) -> None:
    world = ObedientWorld()
    before, after = POOL[("web", 0, replicas)], POOL[("web", variant, replicas)]
    converge(world, desired(before))
    world.watch()
    converge(world, desired(after))
    if after.spec.wanted != "stopped":
        assert world.least_in_service["web"] >= replicas - 1


@examples(0.6)
@given(st.integers(1, 4), st.integers(1, 3))
def test_a_restart_gives_every_instance_exactly_one_new_run(replicas: int, wishes: int) -> None:
    world = ObedientWorld()
    web = POOL[("web", 0, replicas)]
    converge(world, desired(web))
    before = dict(world.started)
    for number in range(1, wishes + 1):
        intents = Intents(runs={"web": RunIntent(worker_id="web", kind="restart", number=number, at=world.clock.now)})
        converge(world, desired(web), intents)
        converge(world, desired(web), intents)
    assert dict(world.started) == {name: count + wishes for name, count in before.items()}


def test_a_start_gives_those_that_are_down_exactly_one_new_run() -> None:
    world = ObedientWorld()
    web = POOL[("web", 0, 3)]
    converge(world, desired(web))
    world.crash("web/0", Status.ERROR)
    world.complete("web/1")
    intents = Intents(runs={"web": RunIntent(worker_id="web", kind="start", number=1, at=world.clock.now)})
    converge(world, desired(web), intents)
    assert dict(world.started) == {"web/0": 2, "web/1": 2, "web/2": 1}
    world.clock.now += 60
    world.crash("web/2", Status.ERROR)
    converge(world, desired(web), intents)
    assert dict(world.started) == {"web/0": 2, "web/1": 2, "web/2": 1}


def test_a_rollout_to_a_bad_revision_costs_one_instance_and_an_edit_repairs_it() -> None:
    good, bad, fixed = (worker(command=[name], replicas=3) for name in ("good", "bad", "fixed"))
    world = ObedientWorld(bad=frozenset({bad.revision}))
    converge(world, desired(good))
    converge(world, desired(bad))
    assert world.running() == {"web/1": good.revision, "web/2": good.revision}
    converge(world, desired(fixed))
    assert world.running() == dict.fromkeys(("web/0", "web/1", "web/2"), fixed.revision)
    assert dict(world.started) == {"web/0": 3, "web/1": 2, "web/2": 2}


def test_a_rollout_goes_on_when_a_crashed_instance_is_back() -> None:
    old, new = (worker(command=[name], replicas=2) for name in ("old", "new"))
    world = ObedientWorld()
    converge(world, desired(old))
    turn(world, desired(new), Intents())
    world.pass_time()
    world.crash("web/0")
    converge(world, desired(new))
    assert world.running() == {"web/1": old.revision}
    world.retry("web/0")
    converge(world, desired(new))
    assert world.running() == {"web/0": new.revision, "web/1": new.revision}


def test_an_unreachable_world_is_left_alone_and_caught_up_with() -> None:
    world = ObedientWorld()
    converge(world, desired(POOL[("web", 0, 2)]))
    world.reachable = False
    made = turn(world, desired(removed=["web"]), Intents())
    assert str(made) == "hold     *: HostUnreachable: localhost cannot be asked: no answer"
    world.reachable = True
    converge(world, desired(removed=["web"]))
    assert world.slots == {}
    converge(world, desired(POOL[("web", 0, 2)]))
    assert dict(world.started) == {"web/0": 2, "web/1": 2}
