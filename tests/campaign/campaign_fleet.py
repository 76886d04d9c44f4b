"""What the campaign wants: the workers of a round, their specs, and what may have happened to each instance.

The model is the test's own account of every acknowledged wish. It is deterministic: names, kinds and targets follow
from the seed alone, so that a seed replays. `touched` says how often an instance may, and at least must, have been
started anew since the last look; who is not in it is to have the very process that it had.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.e2e.e2e_installation import CANARY, PYTHON

BURST = 150
STEADY_MS = 3000

KINDS: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    ("plain", (), {}),
    ("child", ("--child",), {}),
    ("own-session", ("--child-setsid",), {}),
    ("deaf", ("--ignore-term",), {"stop": {"grace_ms": 1000}}),
    ("slow", ("--slow-stop=600",), {"stop": {"grace_ms": 6000}}),
    ("daemon", ("--daemon",), {}),
    ("hooks", (), {"hooks": {"pre_start": {"exec": ["/bin/true"]}, "post_stop": {"exec": ["/bin/true"]}}}),
    ("probed", (), {"liveness": {"exec": ["/bin/true"], "period_ms": 5000}}),
    ("pair", (), {"replicas": 2}),
    ("secret", ("--child",), {"secrets": {"CANARY_SECRET": {"file": "SECRET"}}}),
)
"""Each with the canary's options and the fields of its spec. Taken in turn."""

QUICK: dict[str, Any] = {
    "start_grace_ms": 200,
    "restart_delay_ms": 200,
    "restart_backoff": {"factor": 1, "max_delay_ms": 1000, "jitter": 0},
    "max_restart_attempts": None,
    "stop": {"grace_ms": 1500},
}


@dataclass
class Wanted:
    """One worker as it should be."""

    worker_id: str
    options: tuple[str, ...]
    fields: dict[str, Any]
    replicas: int = 1
    mark: int = 0
    label: int = 0
    is_stopped: bool = False

    @property
    def mark_text(self) -> str:
        return f"v{self.mark}"

    @property
    def instances(self) -> list[str]:
        """Those that should live."""
        return [] if self.is_stopped else [f"{self.worker_id}/{ordinal}" for ordinal in range(self.replicas)]


@dataclass
class Touch:
    """New lives since the last look: at least, at most."""

    least: int = 0
    most: int = 0


@dataclass
class Fleet:
    """All workers of a round."""

    slots: Path
    secret_file: Path
    workers: dict[str, Wanted] = field(default_factory=dict)
    touched: dict[str, Touch] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    _count: int = 0

    def add(self) -> Wanted:
        """The next worker; its kind follows from its number."""
        number = self._count
        self._count += 1
        kind, options, fields = KINDS[number % len(KINDS)]
        replicas = int(fields.get("replicas", 1))
        wanted = Wanted(f"{kind}-{number:03}", options, {k: v for k, v in fields.items() if k != "replicas"}, replicas)
        self.workers[wanted.worker_id] = wanted
        for instance in wanted.instances:
            self.touch(instance, 1, 1)
        return wanted

    def fields(self, wanted: Wanted) -> dict[str, Any]:
        """Its spec."""
        lines = ("--lines=99999999", f"--every={STEADY_MS}", f"--burst={BURST}", f"--mark={wanted.mark_text}")
        command = [PYTHON, "-I", "-S", CANARY, str(self.slots), *lines, *wanted.options]
        own = json.loads(json.dumps(wanted.fields).replace('"SECRET"', json.dumps(str(self.secret_file))))
        found = {"worker_id": wanted.worker_id, "command": command, **QUICK, **own, "replicas": wanted.replicas}
        found["labels"] = {"round": str(wanted.label)}
        found["desired_state"] = "stopped" if wanted.is_stopped else "running"
        return found

    def text(self, wanted: Wanted) -> str:
        """Its spec as a person writes it: with a comment that every edit must leave alone."""
        lines = [f"{name}: {json.dumps(value)}" for name, value in self.fields(wanted).items()]
        return "\n".join([f"# {wanted.worker_id} of the campaign", *lines, ""])

    def touch(self, instance: str, least: int, most: int) -> None:
        """It may be started anew so often more; `least` counts once, however many reasons there are."""
        touch = self.touched.setdefault(instance, Touch())
        touch.least, touch.most = max(touch.least, least), touch.most + most

    def touch_all(self, least: int, most: int, beside: Iterable[str] = ()) -> None:
        """All that should live, and these."""
        for instance in {*self.expected(), *beside}:
            self.touch(instance, least, most)

    def expected(self) -> dict[str, str]:
        """The instances that should live, with their marks."""
        return {name: wanted.mark_text for wanted in self.workers.values() for name in wanted.instances}

    def idle(self, *, running: bool = True) -> Iterator[Wanted]:
        """Workers that nothing was done to in this episode."""
        for name, wanted in sorted(self.workers.items()):
            if name not in self.busy and wanted.is_stopped is not running:
                yield wanted

    def pick(self, chance: Random, *, running: bool = True) -> Wanted | None:
        """One of those; it is busy from now on."""
        choice = list(self.idle(running=running))
        if not choice:
            return None
        wanted = chance.choice(choice)
        self.busy.add(wanted.worker_id)
        return wanted

    def begin_episode(self) -> None:
        self.touched.clear()
        self.busy.clear()
