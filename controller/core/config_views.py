"""Specs as the API shows them: the accepted one, with what is wrong with its file. Pure.

What looks like a secret is hidden. `spec` holds every field, with Defaults and defaults filled in; `explicit` names
those that somebody set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from controller.core.desired import Desired, DesiredWorker
from controller.core.problems import Problem, Source
from controller.core.redaction import redacted
from controller.core.spec import WorkerSpec, explicit_fields
from controller.core.views import problem_view, source_view

Item = dict[str, Any]
MOST_FILE_PROBLEMS = 100


def shown_spec(spec: WorkerSpec) -> Item:
    """All fields as plain data, secrets hidden."""
    shown: Item = _shown("", spec.model_dump(mode="json"))
    return shown


def shown_fields(spec: WorkerSpec) -> Item:
    """Only what somebody set (with Defaults merged), secrets hidden."""
    shown: Item = _shown("", explicit_fields(spec))
    return shown


def _shown(path: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shown(f"{path}.{key}".lstrip("."), below) for key, below in value.items()}
    return redacted(path, value)


def config_view(worker: DesiredWorker, commit: str | None = None) -> Item:
    """One item of `GET /api/v1/worker-configs`; `commit` is that at which its file is."""
    return {
        "worker_id": worker.worker_id,
        "spec": shown_spec(worker.spec),
        "explicit": sorted(worker.spec.model_fields_set),
        "revision": worker.revision,
        "source": source_view(worker.source, commit),
        "valid": not worker.problems,
        "problems": [problem_view(problem) for problem in worker.problems],
    }


def broken_view(worker_id: str, problems: tuple[Problem, ...], commit: str | None = None) -> Item:
    """The item of a worker of which no good spec is known."""
    source = Source(file=problems[0].file, line=problems[0].line or 1) if problems else None
    return {
        "worker_id": worker_id,
        "spec": None,
        "explicit": [],
        "revision": None,
        "source": source_view(source, commit),
        "valid": False,
        "problems": [problem_view(problem) for problem in problems],
    }


def config_summary(desired: Desired) -> Item:
    """The answer of `GET /api/v1/worker-configs/stats/summary`: counts over all specs."""
    specs = [worker.spec for worker in desired.workers.values()]
    labels: dict[str, Counter[str]] = {}
    for spec in specs:
        for key, value in spec.labels.items():
            labels.setdefault(key, Counter())[value] += 1
    invalid = sum(bool(worker.problems) for worker in desired.workers.values()) + len(desired.broken)
    return {
        "total": len(specs) + len(desired.broken),
        "valid": len(specs) + len(desired.broken) - invalid,
        "invalid": invalid,
        "by_deployment_type": _counts(spec.deployment_type for spec in specs),
        "by_host": _counts(spec.host for spec in specs),
        "auto_start": {"true": sum(spec.auto_start for spec in specs), "false": sum(not s.auto_start for s in specs)},
        "auto_restart": _counts(spec.restart_policy for spec in specs),
        "desired_state": _counts("running" if spec.wanted == "running" else "stopped" for spec in specs),
        "replicas": sum(spec.replicas for spec in specs),
        "max_accounts": sum(spec.max_accounts or 0 for spec in specs),
        "labels": {key: dict(sorted(values.items())) for key, values in sorted(labels.items())},
        "problems": len(desired.problems),
        "file_problems": [problem_view(one) for one in _of_no_worker(desired)][:MOST_FILE_PROBLEMS],
        "hold": desired.hold_reason or None,
    }


def _of_no_worker(desired: Desired) -> list[Problem]:
    """Problems of files of which nobody knows whom they define: no item of the list tells them."""
    told = {_place(one) for worker in desired.workers.values() for one in worker.problems}
    told |= {_place(one) for problems in desired.broken.values() for one in problems}
    return [one for one in desired.problems if _place(one) not in told]


def _place(problem: Problem) -> tuple[object, ...]:
    """What makes it the same, told of a file or of each of its workers."""
    return problem.file, problem.line, problem.column, problem.message


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
