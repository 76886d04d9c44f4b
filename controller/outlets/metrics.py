"""Which figures a scrape shows: of the workers as `GET /api/v1/workers` has them, and of the controller itself.

`Sheet` is pure: items in, in slices between which the caller may let others run, text out. `Meter` counts what is only
told while it happens; the composition root feeds it.
Names and units follow https://prometheus.io/docs/practices/naming: base units, ratios from 0 to 1, no pid, no run and
no revision as label, so that a restart begins no new series. A figure that is not known is left out, never 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.outlets.exposition import Family, Histogram, document, labels_of
from controller.outlets.forward import Progress
from controller.outlets.tally import Tally

Item = Mapping[str, Any]

_TURN_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The controller at one moment. Times in seconds since the epoch, sizes in bytes; None is not known."""

    version: str
    ready: bool
    database: bool
    agents: Mapping[str, bool]
    problems: int
    holds: int
    turns: int
    last_turn_at: float
    backlog_rows: int
    rejected_rows: int
    log_lines: int
    log_gaps: int
    streams: int
    connections: int
    started_at: float
    cpu_s: float
    memory_bytes: int | None
    open_files: int | None
    forwards: Mapping[str, Progress] = field(default_factory=dict)


@dataclass
class Meter:
    """What is counted as it happens."""

    tally: Tally = field(default_factory=Tally)
    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    turns: Histogram = field(
        default_factory=lambda: Histogram(
            "worker_controller_turn_duration_seconds",
            "How long a turn of the reconcile loop took: observe, plan, order.",
            _TURN_BOUNDS_S,
        )
    )

    def turned(self, took_s: float, outcomes: Iterable[tuple[str, str]]) -> None:
        """A turn is over. `outcomes`: (action, error), an empty error where it was done."""
        self.turns.observe(took_s)
        for action, error in outcomes:
            self.actions[action, error or "done"] += 1


class Sheet:
    """The answer to one scrape, filled worker by worker."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._families = _WorkerFamilies()

    def add(self, items: Iterable[Item]) -> None:
        """Some more workers."""
        for item in items:
            _add(self._families, item, self._meter.tally)

    def text(self, facts: Facts) -> str:
        """All of it."""
        return document([*_controller(facts, self._meter), *vars(self._families).values()])


def _controller(facts: Facts, meter: Meter) -> list[Family | Histogram]:
    families: list[Family | Histogram] = []

    def one(family: Family, value: float | None, labels: str = "") -> None:
        family.add(value, labels)
        families.append(family)

    prefix = "worker_controller"
    one(Family(f"{prefix}_build", "info", "Which workerctl this is."), 1, labels_of({"version": facts.version}))
    one(Family(f"{prefix}_ready", "gauge", "1: ready, as /readyz says."), facts.ready)
    one(Family(f"{prefix}_database_up", "gauge", "1: the database can be written."), facts.database)
    agents = Family(f"{prefix}_agent_up", "gauge", "1: the agent of this host is connected.")
    for host, reachable in facts.agents.items():
        agents.add(reachable, labels_of({"host": host}))
    families.append(agents)
    one(Family(f"{prefix}_spec_problems", "gauge", "Problems in specs, as `workerctl get` shows them."), facts.problems)
    one(Family(f"{prefix}_holds", "gauge", "Changes that are held back, as `workerctl plan` shows them."), facts.holds)
    one(Family(f"{prefix}_turns", "counter", "Turns of the reconcile loop."), facts.turns)
    stamp = Family(f"{prefix}_last_turn_timestamp_seconds", "gauge", "When the loop last turned.", "seconds")
    one(stamp, facts.last_turn_at or None)
    families.append(meter.turns)
    actions = Family(f"{prefix}_actions", "counter", "What the loop ordered, and what became of it.")
    for (action, result), count in sorted(meter.actions.items()):
        actions.add(count, labels_of({"action": action, "result": result}))
    families.append(actions)
    one(Family(f"{prefix}_backlog_rows", "gauge", "Rows that wait to be written to the database."), facts.backlog_rows)
    one(Family(f"{prefix}_rejected_rows", "counter", "Rows that the database did not take."), facts.rejected_rows)
    one(Family(f"{prefix}_log_lines", "counter", "Log lines stored in the database."), facts.log_lines)
    one(Family(f"{prefix}_log_gaps", "counter", "Records of lines that are not in the database."), facts.log_gaps)
    families += _forwards(facts.forwards)
    one(Family(f"{prefix}_streams", "gauge", "Streams of the API that are open."), facts.streams)
    one(Family(f"{prefix}_connections", "gauge", "Connections to the API that are open."), facts.connections)
    one(Family("process_start_time_seconds", "gauge", "When the controller started.", "seconds"), facts.started_at)
    one(Family("process_cpu_seconds", "counter", "CPU time of the controller.", "seconds"), facts.cpu_s)
    memory = Family("process_resident_memory_bytes", "gauge", "Resident memory of the controller.", "bytes")
    one(memory, facts.memory_bytes)
    one(Family("process_open_fds", "gauge", "Open file descriptors of the controller."), facts.open_files)
    return families


def _forwards(forwards: Mapping[str, Progress]) -> list[Family]:
    prefix = "worker_controller_forward"
    up = Family(f"{prefix}_up", "gauge", "1: the target takes log lines.")
    sent = Family(f"{prefix}_lines", "counter", "Log lines that the target has taken.")
    passed = Family(f"{prefix}_passed_over_lines", "counter", "Log lines that the target will not get.")
    behind = Family(f"{prefix}_behind_lines", "gauge", "Log lines that wait for the target.")
    for target, progress in forwards.items():
        labels = labels_of({"target": target})
        up.add(not progress.trouble, labels)
        sent.add(progress.sent, labels)
        passed.add(progress.passed_over, labels)
        behind.add(progress.behind, labels)
    return [up, sent, passed, behind]


class _WorkerFamilies:
    """One attribute per metric of a worker, filled worker by worker."""

    def __init__(self) -> None:
        self.info = Family("worker", "info", "What a worker is, with its labels as label_NAME.")
        self.status = Family("worker_status", "gauge", "1 for the status that the worker has.")
        self.up = Family("worker_up", "gauge", "1: its status is running.")
        self.desired = Family("worker_desired_replicas", "gauge", "Instances that should run now, as its spec says.")
        self.observed = Family("worker_observed_replicas", "gauge", "Instances that run.")
        self.restarts = Family("worker_restarts", "counter", "Restarts of all instances, also of those that went.")
        self.errors = Family("worker_errors", "gauge", "Errors that the worker tells of itself.")
        self.cpu = Family("worker_cpu_ratio", "gauge", "CPU that all its processes use; 1 is one core.", "ratio")
        self.cpu_seconds = Family(
            "worker_cpu_seconds", "counter", "CPU time of all its processes since the controller began.", "seconds"
        )
        self.memory = Family("worker_memory_rss_bytes", "gauge", "Resident memory of all its processes.", "bytes")
        self.accounts = Family("worker_assigned_accounts", "gauge", "Accounts that it tells it has.")
        self.tasks = Family("worker_active_tasks", "gauge", "Tasks that it tells it works on.")
        self.heartbeat = Family("worker_last_heartbeat_timestamp_seconds", "gauge", "Its newest heartbeat.", "seconds")
        self.started = Family("worker_start_time_seconds", "gauge", "When its newest process started.", "seconds")
        self.problems = Family("worker_spec_problems", "gauge", "Problems of its spec.")


def _add(families: _WorkerFamilies, item: Item, tally: Tally) -> None:
    kind = item["deployment_type"] or ""
    worker = labels_of({"worker": item["worker_id"], "deployment_type": kind})
    instances = item["instances"]
    about = {"worker": item["worker_id"], "deployment_type": kind, "name": item["name"]}
    families.info.add(1, labels_of(about | _person_labels(item["labels"])))
    families.status.add(1, labels_of({"worker": item["worker_id"], "deployment_type": kind, "status": item["status"]}))
    families.up.add(item["status"] == "running", worker)
    families.desired.add(item["desired_replicas"], worker)
    families.observed.add(sum(one["status"] == "running" for one in instances), worker)
    families.restarts.add(tally.restarts(item["worker_id"], instances), worker)
    families.errors.add(item["error_count"], worker)
    percent = item["cpu_percent"]
    families.cpu.add(None if percent is None else round(percent / 100, 6), worker)
    families.cpu_seconds.add(tally.cpu_seconds(item["worker_id"]), worker)
    families.memory.add(item["memory_bytes"], worker)
    families.accounts.add(item["assigned_accounts"], worker)
    families.tasks.add(item["active_tasks"], worker)
    families.heartbeat.add(_seconds(item["last_heartbeat_at"]), worker)
    newest = max((one["started_at"] for one in instances if one["started_at"] is not None), default=None)
    families.started.add(_seconds(newest), worker)
    families.problems.add(len(item["problems"]), worker)


def _person_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """A spec's labels under names that the format allows; of two that would be one, the first."""
    named: dict[str, str] = {}
    for name, value in labels.items():
        named.setdefault("label_" + _NO_NAME.sub("_", name), value)
    return named


def _seconds(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()
