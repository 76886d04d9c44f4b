"""A whole installation in virtual time, made of the real pure parts: planner, slot machine, launch builder.

What is modelled here is only what lies between them: the network, the keeper, processes, clocks, and deaths. One
seed is one history: edits, wishes and faults for a while, then quiet. Every step checks what must always hold, the
end checks that the world became what the specs ask for.

The model keeps the shell's order: a slot is persisted before its effects are performed, and a death may come between
any two of them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from controller.agent import machine
from controller.agent.decisions import Dice
from controller.agent.states import (
    ALIVE,
    BUSY,
    Applied,
    Exited,
    Found,
    GroupEmptied,
    Heard,
    HookEnded,
    HookRun,
    Missing,
    Now,
    Phase,
    ProbePassed,
    Reap,
    Removed,
    Resumed,
    RunHook,
    Signal,
    Slot,
    Spawn,
    Spawned,
    SpawnFailed,
    StopSent,
    Ticked,
    Wish,
)
from controller.core.desired import Desired, DesiredInstance, DesiredWorker, Launch, Removal
from controller.core.intents import Intents, Keep, RunIntent
from controller.core.keeps import SLACK_S, Clocks, bound, followed
from controller.core.observed import HostView, LastExit, Observed, ObservedInstance, Refusal, Status
from controller.core.plan import Action, ActionKind, Hold, Plan
from controller.core.planner import plan as make_plan
from controller.core.problems import Source
from controller.core.revision import revision as revision_of
from controller.core.spec import WorkerSpec, explicit_fields

HOST = "localhost"
BROKEN = "cannot-start"
LOOPING = "crash-loop"
DEAF = "ignores-term"
WORKERS = ("alpha", "beta", "gamma")


def _hook(timeout_ms: int) -> dict[str, Any]:
    return {"argv": ["hook"], "timeout_ms": timeout_ms}


MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "hooked": {
        "hooks": {name: _hook(1000) for name in ("pre_start", "post_start", "pre_stop", "post_stop")},
        "probes": [{"kind": "readiness", "check": "tcp"}],
    },
    "probed": {
        "hooks": {"post_stop": _hook(1000)},
        "probes": [{"kind": "startup", "check": "tcp"}, {"kind": "liveness", "check": "tcp"}],
    },
}
"""What a worker has beside its command: its second argument names one of these."""


class Broken(AssertionError):
    """Something that must always hold did not."""


@dataclass
class Process:
    """One process of a run. `code` is set when it is over; `known`: its parent was ours when it ended."""

    run: str
    slot: str
    revision: str
    command: str
    born: float
    wall: float
    alive: bool = True
    known: bool = True
    code: int | None = None
    signal: int | None = None
    dies_at: float | None = None
    lingers_until: float | None = None
    healthy_at: float = 0.0

    @property
    def is_there(self) -> bool:
        """The leader lives, or others of its group do."""
        return self.alive or self.lingers_until is not None


@dataclass
class Hook:
    """One run of a hook at the keeper. `over` is how it ended; it is remembered until the slot has heard."""

    slot: str
    hook: HookRun
    ends_at: float
    ok: bool
    over: HookEnded | None = None


@dataclass
class Message:
    """One order on its way, with the epoch and the view it was made from."""

    kind: str
    epoch: int
    action: Action
    order: Wish | None


@dataclass
class Agent:
    """The agent's memory. `slots` is what is persisted (wish and runtime half); a death loses only the inbox."""

    slots: dict[str, Slot] = field(default_factory=dict)
    inbox: list[tuple[str, Heard]] = field(default_factory=list)
    epoch: int = 0


class World:
    """One installation and one history."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.hook_dice = random.Random(f"hooks {seed}")
        self.hooks: dict[str, Hook] = {}
        self.prepared: dict[str, str | None] = {}
        self.mono, self.wall = 1000.0, 1_700_000_000.0
        self.agent = Agent()
        self.processes: dict[str, Process] = {}
        self.reaped: set[str] = set()
        self.network: list[Message] = []
        self.specs: dict[str, WorkerSpec] = {}
        self.removed: dict[str, Removal] = {}
        self.runs: dict[str, RunIntent] = {}
        self.epoch = 0
        self.reachable = True
        self.memory: dict[str, ObservedInstance] = {}
        self.floors: dict[str, int] = {}
        self.refusals: dict[str, Refusal] = {}
        self.counter = 0
        self.story: list[str] = []
        self.faults = True
        self.keep_dice = random.Random(f"keeps {seed}")
        self.keeps: dict[str, Keep] = {}
        self.keep_ends: dict[str, float] = {}
        self.kept_down: dict[str, Keep] = {}
        self.boots, self.booted_at = 1, self.mono
        self.completed: set[str] = set()
        self._workers: dict[str, DesiredWorker] = {}
        self.newest_order: dict[str, int] = {}
        self.claim()

    # --- the controller ---

    def claim(self) -> None:
        """A controller starts anew: a new epoch, an honest look."""
        self.agent.epoch += 1
        self.epoch = self.agent.epoch
        self.look()

    def look(self) -> None:
        """List the slots: what `list` would answer now."""
        self.memory = {name: self.view(slot) for name, slot in self.agent.slots.items() if slot.phase is not Phase.GONE}
        self.floors = {
            name: slot.wish.generation for name, slot in self.agent.slots.items() if slot.phase is Phase.GONE
        }

    def view(self, slot: Slot) -> ObservedInstance:
        worker_id, _, ordinal = slot.name.rpartition("/")
        ended = slot.last_exit
        return ObservedInstance(
            worker_id=worker_id,
            ordinal=int(ordinal),
            generation=slot.wish.generation,
            revision=slot.wish.revision,
            digest=slot.wish.digest,
            run_request=slot.wish.run_request,
            wanted="running" if slot.wish.wanted == "running" else "stopped",
            status=_STATUS[slot.phase],
            fields=slot.wish.fields,
            reason=slot.reason,
            message=slot.message,
            since=slot.since,
            run=slot.run,
            running_revision=slot.running_revision,
            pid=slot.pid,
            last_exit=LastExit(cause=ended.cause, code=ended.code, signal=None, at=ended.at, run=ended.run)
            if ended
            else None,
            removing=slot.wish.removed,
        )

    def desired(self) -> Desired:
        for worker_id, spec in self.specs.items():
            known = self._workers.get(worker_id)
            if known is None or known.spec is not spec:
                self._workers[worker_id] = desired_worker(spec)
        workers = {worker_id: self._workers[worker_id] for worker_id in self.specs}
        return Desired(workers=workers, removed=dict(self.removed))

    def observed(self) -> Observed:
        view = HostView(
            reachable=self.reachable,
            instances=dict(self.memory),
            floors=dict(self.floors),
            refusals=dict(self.refusals),
        )
        return Observed(hosts={HOST: view})

    # --- what people keep for a while ---

    def clocks(self) -> Clocks:
        return Clocks(wall=self.wall, boot_id=f"boot {self.boots}", boot_s=self.mono - self.booted_at)

    def suspend(self, worker_id: str, wanted: Literal["running", "stopped"], seconds: float) -> None:
        keep = Keep(worker_id=worker_id, wanted=wanted, at=self.wall, until=self.wall + seconds)
        self.resume(worker_id)
        self.keeps[worker_id] = bound(keep, self.clocks())
        self.keep_ends[worker_id] = self.mono + seconds

    def resume(self, worker_id: str) -> None:
        self.keeps.pop(worker_id, None)
        self.keep_ends.pop(worker_id, None)
        self.kept_down = {name: keep for name, keep in self.kept_down.items() if keep.worker_id != worker_id}

    def follow_clocks(self) -> None:
        """As the loop does with every turn; and then each keep must end when its time is over, no sooner, no later."""
        self.keeps = {worker_id: followed(keep, self.clocks()) for worker_id, keep in self.keeps.items()}
        for worker_id, keep in self.keeps.items():
            left = self.keep_ends[worker_id] - self.mono
            if abs((keep.until - self.wall) - left) > SLACK_S + 0.1:
                raise Broken(f"{worker_id} is kept for {keep.until - self.wall:.1f} s more and not for {left:.1f} s")

    def wanted_of(self, spec: WorkerSpec) -> str:
        keep = self.keeps.get(spec.worker_id)
        return keep.wanted if keep is not None and keep.until > self.wall else spec.wanted

    def watch_kept(self, name: str, what: str) -> None:
        """What was stopped for a while is not started before its time."""
        keep = self.kept_down.get(name)
        if keep is not None and self.mono < self.keep_ends[keep.worker_id] - SLACK_S:
            raise Broken(f"{name} is kept stopped for {self.keep_ends[keep.worker_id] - self.mono:.1f} s more: {what}")

    def plan(self) -> Plan:
        self.follow_clocks()
        intents = Intents(runs=dict(self.runs), keeps=dict(self.keeps))
        plan = make_plan(self.desired(), self.observed(), intents, now=self.wall)
        if confirmed := frozenset(hold.confirm for hold in plan.holds if hold.confirm):
            # A person confirms every guard at once: guards are tested elsewhere.
            intents = replace(intents, confirmed=confirmed)
            plan = make_plan(self.desired(), self.observed(), intents, now=self.wall)
        for action in plan.actions:
            keep = self.keeps.get(action.worker_id)
            if keep is not None and keep.wanted != action.wanted and keep.until > self.wall and action.kind != "remove":
                raise Broken(f"planned {action}, and it is {keep}")
        for hold in plan.holds:
            is_kept = hold.reason in ("KeptStopped", "KeptRunning")
            if is_kept and hold.worker_id and self.keeps[hold.worker_id].until <= self.wall:
                raise Broken(f"its time is over: {hold}")
        if not self.reachable and plan.actions:
            raise Broken(f"acted on unknown: {plan}")
        slots = [action.instance for action in plan.actions]
        if len(slots) != len(set(slots)):
            raise Broken(f"two actions for one slot: {plan}")
        return plan

    def turn(self) -> Plan:
        """One turn of the loop: plan, and send."""
        plan = self.plan()
        for action in plan.actions:
            self.story.append(f"{self.mono:.1f} plan {action}")
            self.network.append(Message(action.kind.value, self.epoch, action, self.order(action)))
        for worker_id, intent in list(self.runs.items()):
            if self.reachable and not plan.actions and not telling(plan) and self.is_served(intent):
                del self.runs[worker_id]
        for worker_id, keep in list(self.keeps.items()):
            is_gone = worker_id in self.removed and not self.slots_of(worker_id)
            if keep.until <= self.wall or is_gone:
                self.resume(worker_id)
        for worker_id in list(self.removed):
            # As the loop does: forgotten when a fresh look shows no slot, and no order is still on its way.
            on_its_way = any(message.action.worker_id == worker_id for message in self.network)
            if self.reachable and not on_its_way and not self.slots_of(worker_id):
                del self.removed[worker_id]
        return plan

    def slots_of(self, worker_id: str) -> list[Slot]:
        """What the agent has of a worker, tombstones aside."""
        return [
            slot
            for slot in self.agent.slots.values()
            if slot.name.rpartition("/")[0] == worker_id and slot.phase is not Phase.GONE
        ]

    def is_served(self, intent: RunIntent) -> bool:
        mine = [view for view in self.memory.values() if view.worker_id == intent.worker_id]
        if intent.kind == "restart":
            return all(view.run_request >= intent.number for view in mine)
        up = (Status.RUNNING, Status.STARTING)
        return all(view.run_request >= intent.number or view.status in up for view in mine)

    def order(self, action: Action) -> Wish | None:
        if action.kind is ActionKind.REMOVE:
            return None
        worker = desired_worker(self.specs[action.worker_id])
        instance = worker.instances[action.ordinal]
        return Wish(
            generation=action.generation,
            revision=instance.revision,
            digest=instance.digest,
            run_request=action.run_request,
            wanted=action.wanted,
            launch={
                **launch_fields(instance.launch),
                "command": instance.launch.argv[0],
                **MODES[instance.launch.argv[1]],
            },
            fields=explicit_fields(worker.spec),
        )

    # --- the network ---

    def deliver(self, index: int) -> None:
        message = self.network.pop(index)
        if message.epoch < self.agent.epoch:
            return
        name = message.action.instance
        slot = self.agent.slots.get(name)
        newest = self.newest_order.get(name, 0)
        if message.order is None:
            if slot is not None:
                self.newest_order[name] = max(newest, message.action.generation)
                self.feed(name, Removed(message.action.generation))
            return
        if machine.accepts(slot, message.order):
            return
        if message.action.generation <= newest:
            raise Broken(f"{name}: took an order of generation {message.action.generation} after one of {newest}")
        if slot is not None and machine.must_replace(slot, message.order) and message.order.launch["command"] == BROKEN:
            self.refusals[name] = Refusal(digest=message.order.digest, message="command not found", at=self.wall)
            return
        self.newest_order[name] = message.action.generation
        keep = self.keeps.get(message.action.worker_id)
        if message.order.wanted == "running":
            self.watch_kept(name, "an order to run was taken")
            self.kept_down.pop(name, None)
        elif keep is not None and keep.wanted == "stopped":
            self.kept_down[name] = keep
        self.refusals.pop(name, None)
        if slot is None:
            self.agent.slots[name] = Slot(name=name, wish=message.order)
        self.feed(name, Applied(message.order))

    # --- the agent ---

    def feed(self, name: str, event: Heard) -> None:
        """One event through the real machine: persist, then the effects, any of which a death may cut off."""
        before = self.agent.slots[name]
        self.counter += 1
        dice = Dice(run=f"r{self.counter}", fraction=self.dice.random())
        step = machine.step(before, event, self.now(), dice)
        if step.slot.wish.generation < before.wish.generation:
            raise Broken(f"{name}: the generation went back")
        if before.wish.removed and not step.slot.wish.removed and step.slot.wish.generation <= before.wish.generation:
            raise Broken(f"{name}: raised from the dead")
        self.story.append(
            f"{self.mono:.1f} {name} {type(event).__name__} {before.phase.value}->{step.slot.phase.value}"
        )
        self.agent.slots[name] = step.slot
        if step.slot.phase not in (Phase.PREPARING, Phase.SPAWNING):
            self.prepared.pop(name, None)
        elif isinstance(event, HookEnded) and event.ok and before.hook and before.hook.run == event.hook_run:
            self.prepared[name] = before.running_revision
        for effect in step.effects:
            if self.faults and self.dice.random() < 0.01:
                self.story.append(f"{self.mono:.1f} agent dies before {effect}")
                self.agent_dies()
                return
            self.perform(name, effect)
        self.watch_single()

    def perform(self, name: str, effect: object) -> None:
        match effect:
            case Spawn(run=run):
                self.keeper_spawns(name, run)
            case RunHook(hook=hook):
                self.keeper_runs_hook(name, hook)
            case Signal(run=run) if run in self.hooks:
                self.end_hook(self.hooks[run], ok=False)
            case Signal(run=run, signal=number, asks=asks):
                self.keeper_signals(run, number)
                if asks:
                    self.agent.slots[name] = machine.step(
                        self.agent.slots[name], StopSent(run), self.now(), Dice("x", 0.0)
                    ).slot
            case Reap(run=run):
                process = self.processes.get(run)
                if process is not None and process.is_there:
                    raise Broken(f"{name}: reaped a live process")
                self.reaped.add(run)

    def agent_dies(self) -> None:
        """kill -9 of the agent: the inbox is lost; the next one reads the records and the keeper's greeting."""
        self.agent.inbox.clear()
        for name in list(self.agent.slots):
            self.recover(name)
        self.recover_unclaimed()

    def recover(self, name: str) -> None:
        self.recover_hooks(name)
        slot = self.agent.slots[name]
        if slot.run is None or slot.phase not in BUSY:
            return
        process = self.processes.get(slot.run)
        if process is None or slot.run in self.reaped:
            self.feed(name, Missing())
        elif process.alive:
            self.feed(name, Found(process.run, 1, process.revision, process.wall))
        else:
            if slot.phase in ALIVE or slot.phase is Phase.SPAWNING:
                self.feed(name, self.exit_of(process))
            if not process.is_there:
                self.agent.inbox.append((name, GroupEmptied(process.run)))

    def recover_hooks(self, name: str) -> None:
        slot = self.agent.slots[name]
        own = [hook.run for hook in (slot.hook, slot.aside) if hook is not None]
        for run in own:
            hook = self.hooks.get(run)
            if hook is None:
                self.feed(name, HookEnded(run, False, "ended while nobody watched", None, None, self.wall))
            elif hook.over is not None:
                self.feed(name, hook.over)
            elif any(one is not None and one.run == run and one.killed for one in (slot.hook, slot.aside)):
                self.end_hook(hook, ok=False)
        for run, hook in list(self.hooks.items()):
            if hook.slot == name and run not in own:
                del self.hooks[run]

    def recover_unclaimed(self) -> None:
        claimed = {slot.run for slot in self.agent.slots.values()}
        for process in self.processes.values():
            if process.run in claimed or process.run in self.reaped:
                continue
            if process.is_there and not process.alive:
                raise Broken(f"{process.slot}: nobody waits for the rest of {process.run}")
            if process.alive and process.slot in self.agent.slots:
                self.feed(process.slot, Found(process.run, 1, process.revision, process.wall))
            else:
                self.reaped.add(process.run)

    # --- the keeper and its processes ---

    def keeper_runs_hook(self, name: str, hook: HookRun) -> None:
        process = next((one for one in self.processes.values() if one.slot == name and one.is_there), None)
        if hook.name in ("pre_start", "post_stop") and process is not None:
            raise Broken(f"{name}: {hook.name} beside {process.run}")
        if any(one.slot == name and one.hook.name == hook.name and one.over is None for one in self.hooks.values()):
            raise Broken(f"{name}: a second {hook.name}")
        if hook.name == "pre_start" and self.prepared.get(name, "none") == self.agent.slots[name].running_revision:
            raise Broken(f"{name}: pre_start runs again for the same start")
        lasts = self.hook_dice.choice([0.0, 0.3, 0.3, 1e9]) if self.faults else 0.1
        ok = not self.faults or self.hook_dice.random() < 0.8
        self.hooks[hook.run] = Hook(name, hook, self.mono + lasts, ok)

    def end_hook(self, hook: Hook, *, ok: bool) -> None:
        if hook.over is None:
            code, signal = (0, None) if ok else (None, 9)
            hook.over = HookEnded(hook.hook.run, ok, "ended", code, signal, self.wall)
            self.agent.inbox.append((hook.slot, hook.over))

    def probe(self) -> None:
        """Probes are asked all the time: one that is content says so until it is heard."""
        for process in list(self.processes.values()):
            slot = self.agent.slots.get(process.slot)
            if not process.alive or slot is None or slot.run != process.run or slot.phase is not Phase.STARTING:
                continue
            if process.healthy_at <= self.mono:
                for probe in slot.wish.launch.get("probes", ()):
                    self.feed(process.slot, ProbePassed(process.run, probe["kind"]))

    def keeper_spawns(self, name: str, run: str) -> None:
        self.watch_kept(name, "a run begins")
        wish = self.agent.slots[name].wish
        command = wish.launch["command"]
        if "pre_start" in wish.launch.get("hooks", {}) and self.prepared.get(name) != wish.revision:
            raise Broken(f"{name}: spawned without its pre_start")
        if command == BROKEN:
            self.agent.inbox.append((name, SpawnFailed(run, "command not found", transient=False, at=self.wall)))
            return
        if self.faults and self.dice.random() < 0.02:
            self.agent.inbox.append((name, SpawnFailed(run, "no processes left", transient=True, at=self.wall)))
            return
        process = Process(run, name, wish.revision, command, self.mono, self.wall)
        if command == LOOPING:
            process.dies_at = self.mono + self.dice.choice([0.01, 0.5, 1.5])
        process.healthy_at = self.mono + self.hook_dice.choice([0.0, 0.5, 3.0])
        self.processes[run] = process
        self.agent.inbox.append((name, Spawned(run, 1, self.wall)))

    def keeper_signals(self, run: str, number: int) -> None:
        process = self.processes.get(run)
        if process is None or not process.is_there:
            return
        if process.lingers_until is not None:
            if number == 9:
                process.lingers_until = self.mono
            return
        if number == 9:
            process.dies_at = self.mono
        elif process.command != DEAF:
            process.dies_at = self.mono + self.dice.choice([0.0, 0.1, 3.0])
        process.signal = number

    def end(self, process: Process, *, code: int | None, signal: int | None) -> None:
        process.alive, process.code, process.signal = False, code, signal
        if self.dice.random() < 0.3:
            # A child of it lives on: for a moment, for a while, or until it is killed.
            process.lingers_until = self.mono + self.dice.choice([0.02, 3.0, 1e9])
        slot = self.agent.slots.get(process.slot)
        if slot is None or slot.run != process.run:
            return
        self.agent.inbox.append((process.slot, self.exit_of(process)))
        if not process.is_there:
            self.agent.inbox.append((process.slot, GroupEmptied(process.run)))

    def exit_of(self, process: Process) -> Exited:
        if not process.known:
            return Exited(process.run, None, None, known=False, at=self.wall)
        return Exited(process.run, process.code, process.signal, known=True, at=self.wall)

    def keeper_dies(self) -> None:
        """kill -9 of the keeper: its children live on, their ends will be unknown; the agent becomes the keeper."""
        for process in self.processes.values():
            process.known = process.known and not process.is_there and process.run in self.reaped
        for hook in self.hooks.values():
            hook.ok = False
        self.agent_dies()

    def reboot(self) -> None:
        """Everything dies and the runtime halves are void; the wishes stay, and what was wanted starts again.

        How long a keep lasts is the wall clock's to say then; never longer than was asked for.
        """
        self.boots, self.booted_at = self.boots + 1, self.mono
        for worker_id, keep in self.keeps.items():
            length = keep.until - keep.at
            left = keep.until - self.wall if self.wall >= keep.at - SLACK_S else length
            self.keep_ends[worker_id] = self.mono + min(left, length + SLACK_S)
        self.follow_clocks()  # The controller comes up as well, and looks.
        for process in self.processes.values():
            process.alive, process.lingers_until = False, None
            self.reaped.add(process.run)
        self.agent.inbox.clear()
        self.hooks.clear()
        self.prepared.clear()
        ended = [name for name, slot in self.agent.slots.items() if slot.phase not in (Phase.COMPLETED, Phase.GONE)]
        for name in ended:
            slot = self.agent.slots[name]
            rest = Slot(name=name, wish=slot.wish, restart_count=slot.restart_count, suspended=True)
            self.agent.slots[name] = replace(rest, phase=Phase.GONE) if slot.wish.removed else rest
        for name in ended:  # Only now: an agent that dies in the middle of it finds no half of before.
            self.feed(name, Resumed())

    # --- time ---

    def now(self) -> Now:
        return Now(mono=self.mono, wall=self.wall)

    def pass_time(self, seconds: float) -> None:
        """Let time pass; due deadlines, deaths of processes and the inbox are worked off."""
        until = self.mono + seconds
        while True:
            self.drain_inbox()
            self.probe()
            self.drain_inbox()
            due = [d for slot in self.agent.slots.values() if (d := machine.next_deadline(slot)) is not None]
            due += [p.dies_at for p in self.processes.values() if p.alive and p.dies_at is not None]
            due += [hook.ends_at for hook in self.hooks.values() if hook.over is None]
            due += [p.healthy_at for p in self.processes.values() if p.alive and p.healthy_at > self.mono]
            due += [p.lingers_until for p in self.processes.values() if p.lingers_until is not None]
            first = max(self.mono, min(due, default=until + 1.0))
            if first > until:
                break
            # Set, not added: a sum may fall short of the deadline by a rounding, for ever.
            self.wall += first - self.mono
            self.mono = first
            self.die()
            for name in list(self.agent.slots):
                deadline = machine.next_deadline(self.agent.slots[name])
                if deadline is not None and deadline <= self.mono:
                    self.feed(name, Ticked())
        self.wall += max(0.0, until - self.mono)
        self.mono = max(self.mono, until)
        self.drain_inbox()

    def die(self) -> None:
        for hook in list(self.hooks.values()):
            if hook.over is None and hook.ends_at <= self.mono:
                self.end_hook(hook, ok=hook.ok)
        for process in list(self.processes.values()):
            if process.alive and process.dies_at is not None and process.dies_at <= self.mono:
                self.end(process, code=None if process.signal else 1, signal=process.signal)
            elif process.lingers_until is not None and process.lingers_until <= self.mono:
                process.lingers_until = None
                self.agent.inbox.append((process.slot, GroupEmptied(process.run)))

    def drain_inbox(self) -> None:
        while self.agent.inbox:
            name, event = self.agent.inbox.pop(0)
            if name in self.agent.slots:
                self.feed(name, event)

    # --- what must always hold ---

    def watch_single(self) -> None:
        alive: dict[str, str] = {}
        for process in self.processes.values():
            if process.is_there:
                if process.slot in alive:
                    raise Broken(f"two live processes in {process.slot}: {alive[process.slot]} and {process.run}")
                alive[process.slot] = process.run

    def alive(self) -> dict[str, Process]:
        return {process.slot: process for process in self.processes.values() if process.alive}


def telling(plan: Plan) -> list[Hold]:
    """The holds that hold something up: a keep only tells."""
    return [hold for hold in plan.holds if hold.reason not in ("KeptStopped", "KeptRunning")]


def launch_fields(launch: Launch) -> dict[str, Any]:
    return {name: getattr(launch, name) for name in Launch.__dataclass_fields__}


def desired_worker(spec: WorkerSpec) -> DesiredWorker:
    revision = revision_of(spec, env_files={})
    argv = tuple(spec.command) if isinstance(spec.command, list) else ("demo", "plain")
    launch = Launch(
        argv=argv,
        working_dir="/",
        env={},
        port=None,
        restart_policy=spec.restart_policy,
        max_restart_attempts=spec.max_restart_attempts,
        restart_delay_ms=spec.restart_delay_ms,
        backoff_factor=spec.restart_backoff.factor,
        backoff_max_delay_ms=spec.restart_backoff.max_delay_ms,
        backoff_jitter=spec.restart_backoff.jitter,
        restart_window_ms=spec.restart_window_ms,
        start_grace_ms=spec.start_grace_ms,
        success_exit_codes=tuple(spec.success_exit_codes),
        stop_signal=spec.stop.signal,
        stop_grace_ms=spec.stop.grace_ms,
        stop_kill=spec.stop.kill,
        log_max_bytes=65_536,
        log_archives=5,
        log_store_rate=2000,
        log_retain_days=7,
    )
    digest = f"{revision}:{spec.restart_delay_ms}:{spec.max_restart_attempts}"
    instances = tuple(
        DesiredInstance(ordinal=n, revision=revision, digest=digest, launch=launch) for n in range(spec.replicas)
    )
    source = Source(file=f"{spec.worker_id}.yaml")
    return DesiredWorker(worker_id=spec.worker_id, spec=spec, source=source, revision=revision, instances=instances)


_STATUS = {
    Phase.IDLE: Status.STOPPED,
    Phase.PREPARING: Status.STARTING,
    Phase.LEAVING: Status.STOPPING,
    Phase.CLEANING: Status.STOPPING,
    Phase.SPAWNING: Status.STARTING,
    Phase.STARTING: Status.STARTING,
    Phase.RUNNING: Status.RUNNING,
    Phase.STOPPING: Status.STOPPING,
    Phase.DRAINING: Status.STOPPING,
    Phase.BACKOFF: Status.CRASHED,
    Phase.COMPLETED: Status.STOPPED,
    Phase.FAILED: Status.ERROR,
    Phase.GONE: Status.STOPPED,
}
