"""What people do before, during and after a fault: wishes and specs over the API, edits of files; what workers do.

A wish is issued once; without an answer it is asked again until it is acknowledged, as a user would. From its first
issue on the model wants it. One wish per worker and episode: of two wishes whose order nobody knows, nothing follows.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import yaml

from tests.campaign.campaign_fleet import Fleet, Wanted
from tests.campaign.campaign_ground import Ground

API = "/api/v1"
CONFIGS = f"{API}/worker-configs"
AGAIN = ("busy", "source_held")
"""Refusals that say so themselves: another writer is at it, or the directory was away a moment ago."""


@dataclass
class Request:
    """One wish, or one spec, over the API.

    `done` is the answer that acknowledges it, `done_before` those which say that an earlier try did it. `holds` says in
    words what is not in the file when a write is acknowledged, or nothing.
    """

    name: str
    path: str
    method: str = "POST"
    body: Any = None
    done: int = 202
    done_before: tuple[tuple[int, str], ...] = ()
    tries: int = 0
    answers: list[str] = field(default_factory=list)
    on_retry: Callable[[], None] = lambda: None
    holds: Callable[[], str] = lambda: ""

    def issue(self, ground: Ground) -> bool:
        """Whether it is acknowledged now. AssertionError for an answer that no fault excuses."""
        if self.tries:
            self.on_retry()
        self.tries += 1
        answer = ground.try_ask(self.path, self.method, self.body)
        self.answers.append("none" if answer is None else str(answer.status))
        if answer is None or answer.status >= 500 or answer.status == 429:
            return False
        code = "" if answer.status < 400 else answer.body["code"]
        if code in AGAIN:
            return False
        was_done = self.tries > 1 and (answer.status, code) in self.done_before
        is_done = answer.status == self.done or was_done
        assert is_done, f"I7: {self.name} was answered {answer.status}: {answer.body}"
        lacks = self.holds()
        assert not lacks, f"I7: {self.name} was acknowledged with {answer.status}, but {lacks}"
        return True


class Traffic:
    """Issues wishes and keeps the model. `chance` is the round's."""

    def __init__(self, ground: Ground, fleet: Fleet, chance: Random) -> None:
        self.ground, self.fleet, self.chance = ground, fleet, chance
        self.open: list[Request] = []
        self.told: list[str] = []
        self._actions: list[tuple[int, Callable[[], str]]] = [
            (3, self.restart),
            (3, self.stop),
            (4, self.start),
            (3, self.scale),
            (2, self.edit_env),
            (3, self.edit_command),
            (2, self.label),
            (3, self.add),
            (3, self.remove),
            (4, self.burst),
            (2, self.kill_one),
            (1, self.kill_group),
            (3, self.create),
            (4, self.patch),
            (2, self.delete),
        ]

    def some(self, most: int) -> None:
        """Between none and `most` of them."""
        weights = [weight for weight, _ in self._actions]
        for _ in range(self.chance.randint(0, most)):
            action = self.chance.choices(self._actions, weights)[0][1]
            text = action()
            if text:
                self.told.append(text)

    def settle(self) -> None:
        """Ask again for what was not acknowledged."""
        for request in list(self.open):
            self.ground.until(partial(request.issue, self.ground), told=f"{request.name} is acknowledged")
            self.open.remove(request)
            self.told.append(f"{request.name} was answered {' '.join(request.answers)}")

    def _ask(self, request: Request) -> None:
        if not request.issue(self.ground):
            self.open.append(request)

    # --- specs over the API ---

    def _is_written(self, wanted: Wanted) -> str:
        """What the file of a worker should say, and does not."""
        try:
            found = yaml.safe_load((self.ground.specs / f"{wanted.worker_id}.yaml").read_text())
        except FileNotFoundError:
            return f"there is no {wanted.worker_id}.yaml"
        fields = self.fleet.fields(wanted)
        differing = sorted(name for name in fields.keys() | found.keys() if found.get(name) != fields.get(name))
        return f"{wanted.worker_id}.yaml differs in {differing}" if differing else ""

    def create(self) -> str:
        wanted = self.fleet.add()
        self.fleet.busy.add(wanted.worker_id)
        request = Request(f"create {wanted.worker_id}", CONFIGS, body=self.fleet.fields(wanted))
        request.done, request.done_before = 201, ((409, "exists"),)
        request.holds = partial(self._is_written, wanted)
        self._ask(request)
        return request.name

    def patch(self) -> str:
        wanted = self.fleet.pick(self.chance)
        if wanted is None:
            return ""
        kind = self.chance.choice(["labels", "replicas", "command"])
        if kind == "labels":
            wanted.label += 1
        elif kind == "replicas":
            wanted.replicas = 1 if wanted.replicas > 1 else 2
        else:
            wanted.mark += 1
        if kind != "labels":
            for instance in wanted.instances if kind == "command" else wanted.instances[1:]:
                self.fleet.touch(instance, 1, 1)
        request = Request(f"patch {kind} of {wanted.worker_id}", f"{CONFIGS}/{wanted.worker_id}", method="PATCH")
        request.body, request.done = {kind: self.fleet.fields(wanted)[kind]}, 200
        request.holds = partial(self._is_written, wanted)
        self._ask(request)
        return request.name

    def delete(self) -> str:
        wanted = self.fleet.pick(self.chance) if len(self.fleet.workers) > 8 else None
        if wanted is None:
            return ""
        del self.fleet.workers[wanted.worker_id]
        path = self.ground.specs / f"{wanted.worker_id}.yaml"
        request = Request(f"delete {wanted.worker_id}", f"{CONFIGS}/{wanted.worker_id}", method="DELETE")
        request.done, request.done_before = 204, ((404, "unknown_worker"),)
        request.holds = lambda: f"{path.name} is there" if path.exists() else ""
        self._ask(request)
        return request.name

    # --- wishes ---

    def restart(self) -> str:
        wanted = self.fleet.pick(self.chance)
        if wanted is None:
            return ""
        for instance in wanted.instances:
            self.fleet.touch(instance, 1, 1)

        def twice() -> None:
            for instance in wanted.instances:
                self.fleet.touch(instance, 1, 1)

        path = f"{API}/workers/{wanted.worker_id}/restart"
        self._ask(Request(f"restart {wanted.worker_id}", path, on_retry=twice))
        return f"restart {wanted.worker_id}"

    def stop(self) -> str:
        wanted = self.fleet.pick(self.chance)
        if wanted is None or len(self.fleet.expected()) < 5:
            return ""
        wanted.is_stopped = True
        self._ask(Request(f"stop {wanted.worker_id}", f"{API}/workers/{wanted.worker_id}/stop"))
        return f"stop {wanted.worker_id}"

    def start(self) -> str:
        wanted = self.fleet.pick(self.chance, running=False)
        if wanted is None:
            return ""
        wanted.is_stopped = False
        for instance in wanted.instances:
            self.fleet.touch(instance, 1, 1)
        self._ask(Request(f"start {wanted.worker_id}", f"{API}/workers/{wanted.worker_id}/start"))
        return f"start {wanted.worker_id}"

    def scale(self) -> str:
        wanted = self.fleet.pick(self.chance)
        if wanted is None:
            return ""
        before = set(wanted.instances)
        wanted.replicas = self.chance.randint(1, 3)
        for instance in set(wanted.instances) - before:
            self.fleet.touch(instance, 1, 1)
        return self._edited(wanted, f"scale to {wanted.replicas}:")

    def edit_env(self) -> str:
        wanted = self.fleet.pick(self.chance)
        if wanted is None:
            return ""
        wanted.fields = {**wanted.fields, "env": {"NOTE": str(self.chance.randint(0, 10**9))}}
        for instance in wanted.instances:
            self.fleet.touch(instance, 1, 1)
        return self._edited(wanted, "edit env of")

    def label(self) -> str:
        wanted = self.fleet.pick(self.chance)
        if wanted is None:
            return ""
        wanted.label += 1
        return self._edited(wanted, "label")

    def edit_command(self) -> str:
        wanted = self.fleet.pick(self.chance)
        if wanted is None:
            return ""
        wanted.mark += 1
        for instance in wanted.instances:
            self.fleet.touch(instance, 1, 1)
        return self._edited(wanted, "edit command of")

    def _edited(self, wanted: Wanted, what: str) -> str:
        self.write(wanted)
        return f"{what} {wanted.worker_id}"

    def write(self, wanted: Wanted) -> None:
        """Its file, as it should be."""
        self.ground.write(f"{wanted.worker_id}.yaml", self.fleet.text(wanted))

    def add(self) -> str:
        wanted = self.fleet.add()
        self.fleet.busy.add(wanted.worker_id)
        self.write(wanted)
        return f"add {wanted.worker_id}"

    def remove(self) -> str:
        wanted = self.fleet.pick(self.chance) if len(self.fleet.workers) > 8 else None
        if wanted is None:
            return ""
        del self.fleet.workers[wanted.worker_id]
        (self.ground.specs / f"{wanted.worker_id}.yaml").unlink()
        return f"remove {wanted.worker_id}"

    # --- what workers do and suffer ---

    def burst(self) -> str:
        instance = self.victim()
        if instance is None:
            return ""
        pid = self.ground.living().get(instance)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
        return f"burst of {instance}"

    def kill_one(self) -> str:
        return self._kill(os.kill, "kill")

    def kill_group(self) -> str:
        return self._kill(os.killpg, "kill the group of")

    def victim(self) -> str | None:
        """An instance that should live and that nobody has to do with in this episode."""
        wanted = self.fleet.pick(self.chance)
        return None if wanted is None else self.chance.choice(wanted.instances)

    def _kill(self, kill: Callable[[int, int], None], what: str) -> str:
        instance = self.victim()
        if instance is None:
            return ""
        pid = self.ground.living().get(instance)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                kill(pid, signal.SIGKILL)
                self.fleet.touch(instance, 1, 1)
        return f"{what} {instance}"
