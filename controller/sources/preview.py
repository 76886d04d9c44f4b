"""The plan for a directory without its controller: what would happen if it were given these specs.

Called by `workerctl plan --offline`. What "now" is, the last accepted specs of a state directory say: every worker in
them is taken to run as its spec asks, which is what the controller brings about. Without any, everything is new.

Nothing of the state directory is written or locked: the records are copied, and the very source that the controller
uses reads the specs over the copy. So guards, holds and removals are those that it would tell. The identity of the
accepted directory is left out of the copy: a checkout elsewhere is to be compared, not suspected.

What people keep stopped or running for a while counts, then as now. It cannot know what nobody says: whether a process
runs, what an env file held before.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from controller.core.desired import Desired, DesiredWorker
from controller.core.intents import Intents, Keep
from controller.core.keeps import with_keeps
from controller.core.observed import HostView, Observed, ObservedInstance, Status
from controller.core.plan import Plan
from controller.core.planner import plan
from controller.core.problems import Problem
from controller.core.spec import WorkerSpec, explicit_fields
from controller.sources.assembly import LastGood
from controller.sources.directory import DirectorySource
from controller.sources.env_files import EnvFile
from controller.sources.files import FileReader
from controller.sources.last_good import JOURNAL, LastGoodFiles
from controller.sources.launching import Launcher, Surroundings
from controller.sources.places import Places
from controller.sources.tree import opened_tree
from controller.sources.validation import judge_worker

RECORDS = "last_good"
_LATER = float("inf")  # every file has settled by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The plan, the problems of the directory, and how many accepted workers it was compared with."""

    plan: Plan
    problems: tuple[Problem, ...]
    known: int


def preview(
    root: str,
    state_dir: str | None,
    surroundings: Surroundings,
    *,
    now: float,
    keeps: Mapping[str, Keep] | None = None,
) -> Preview:
    """Plans the specs at `root` over the last accepted ones of `state_dir`. `now` in epoch seconds.

    `keeps` are those of `state_dir`, by worker.

    Raises OSError when the state directory is there and cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="workerctl-") as copy:
        if state_dir is not None:
            _copy_records(os.path.join(state_dir, RECORDS), os.path.join(copy, RECORDS))
        memory, _ = LastGoodFiles(os.path.join(copy, RECORDS)).load()
        known = _workers_before(root, memory.workers.values(), surroundings)
        source = DirectorySource(root, copy, surroundings, settle_ms=0)
        source.scan(_LATER)
        desired = source.scan(_LATER).desired  # a removal takes two looks
    intents = Intents(keeps=keeps or {})
    accepted = Desired(workers={worker.worker_id: worker for worker in known})
    before = tuple(with_keeps(accepted, intents, now).workers.values())
    hosts = {worker.spec.host for worker in (*before, *desired.workers.values())}
    observed = Observed(hosts={host: _host(host, before) for host in sorted(hosts)})
    return Preview(plan=plan(desired, observed, intents, now=now), problems=desired.problems, known=len(memory.workers))


def _copy_records(source: str, target: str) -> None:
    """The journal is only appended to, or replaced whole, while we read: what is cut off does not count yet."""
    os.makedirs(target, mode=0o700)
    with suppress(FileNotFoundError):
        if JOURNAL in os.listdir(source):
            shutil.copyfile(os.path.join(source, JOURNAL), os.path.join(target, JOURNAL))


def _workers_before(root: str, known: Iterable[LastGood], surroundings: Surroundings) -> tuple[DesiredWorker, ...]:
    """The last accepted workers, built as if their specs stood in the directory that is planned.

    So nothing but what the specs say can differ: neither where the directory lies, nor what an env file held. A spec
    that this version cannot judge, or whose env file is gone, has no revision: its worker would be replaced.
    """
    launcher, reader, places = Launcher(root, surroundings), FileReader(0), Places(files={})
    found: list[DesiredWorker] = []
    with opened_tree(root) as tree:

        def lookup(path: str) -> EnvFile | None:
            return reader.env_file(tree, path, _LATER)

        for one in known:
            judged = judge_worker(one.document, (), places)
            if judged.spec is None:
                continue
            worker = launcher.launch(judged, (one.document,), places, lookup).worker
            found.append(worker if worker is not None else _unbuilt(judged.spec, one))
    return tuple(found)


def _unbuilt(spec: WorkerSpec, known: LastGood) -> DesiredWorker:
    return DesiredWorker(
        worker_id=spec.worker_id, spec=spec, source=known.document.source, revision="", instances=()
    )  # fmt: skip


def _host(name: str, workers: Iterable[DesiredWorker]) -> HostView:
    slots = [
        _slot(worker, ordinal)
        for worker in workers
        if worker.spec.host == name
        for ordinal in range(worker.spec.replicas)
    ]
    return HostView(reachable=True, instances={slot.instance: slot for slot in slots})


def _slot(worker: DesiredWorker, ordinal: int) -> ObservedInstance:
    """One instance as the accepted spec, or a keep, brings it about; what nobody asked to run is taken for stopped."""
    is_running = worker.wanted == "running"
    return ObservedInstance(
        worker_id=worker.worker_id,
        ordinal=ordinal,
        generation=1,
        revision=worker.revision,
        digest=worker.instances[ordinal].digest if worker.instances else "",
        run_request=0,
        wanted="running" if is_running else "stopped",
        status=Status.RUNNING if is_running else Status.STOPPED,
        fields=explicit_fields(worker.spec),
        running_revision=worker.revision if is_running else None,
    )
