"""Assembly: files and last good specs in, workers and problems out. The heart of the sources; no IO.

Called by directory.py and offline.py; a source that reads from somewhere else (a commit, a database) brings its own
files and calls the same function. What lies outside is passed in: env files through a lookup, time not at all.

For each worker exactly one of these holds afterwards:
- accepted: its document is good now. It becomes the last good one.
- stale: something is wrong; the last good spec goes on, with the problems.
- broken: something is wrong, and no good spec is known.
- absent: nothing speaks for it, but it is known. It goes on unchanged; removals.py decides when it is gone.

The rescan of a large directory after a small change must cost little, so judgements and launches are remembered, by
document, Defaults and env files (`Memo`); the same input is the same objects again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import is_

from controller.core.dependencies import circular_dependencies
from controller.core.desired import DesiredWorker
from controller.core.ports import overlapping_ports
from controller.core.problems import Problem
from controller.core.spec import WorkerSpec
from controller.sources.claims import Claims, Snapshot, find_claims
from controller.sources.defaults import DefaultsFound, find_defaults
from controller.sources.documents import Document
from controller.sources.launching import EnvLookup, Launched, Launcher
from controller.sources.places import Places
from controller.sources.removals import Suspect
from controller.sources.validation import Finding, Judged, judge_worker, placed


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """A worker as last accepted: its fields with Defaults merged, as a document with a line but no places.

    `worker` is what was built from it, None after a start, when only the document is known.
    """

    document: Document
    on_submount: bool = False
    worker: DesiredWorker | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is known from before: last good workers by worker_id, last good Defaults by file."""

    workers: Mapping[str, LastGood] = field(default_factory=dict)
    defaults: Mapping[str, Document] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Assembly:
    """The outcome. `workers` are accepted, stale and absent ones; `accepted` and `defaults` are to be remembered.

    `absent` workers come with the proof that their document is gone; it counts once removals.py agrees.
    """

    workers: dict[str, DesiredWorker] = field(default_factory=dict)
    accepted: dict[str, LastGood] = field(default_factory=dict)
    defaults: dict[str, Document] = field(default_factory=dict)
    broken: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    absent_defaults: frozenset[str] = frozenset()
    suspects: dict[str, Suspect] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Remembered:
    document: Document
    defaults: tuple[Document, ...]
    judged: Judged
    launched: Launched | None = None
    last_good: LastGood | None = None


class Memo:
    """Judgements and launches of earlier assemblies, by worker. Forgets what the latest one did not use."""

    def __init__(self) -> None:
        self._before: dict[str, _Remembered] = {}
        self._now: dict[str, _Remembered] = {}

    def copy(self) -> Memo:
        """One to try something with: what that adds is not remembered here."""
        other = Memo()
        other._now = dict(self._now)
        return other

    def turn(self) -> None:
        """Begins an assembly."""
        self._before, self._now = self._now, {}

    def recall(self, key: str, document: Document, defaults: tuple[Document, ...]) -> _Remembered | None:
        """What is known of this very document over these very Defaults."""
        found = self._before.get(key)
        if found is None or found.document is not document or len(found.defaults) != len(defaults):
            return None
        if not all(map(is_, found.defaults, defaults)):
            return None
        self._now[key] = found
        return found

    def keep(self, key: str, remembered: _Remembered) -> _Remembered:
        """Remembers a new judgement."""
        self._now[key] = remembered
        return remembered


def assemble(snapshot: Snapshot, memory: Memory, launcher: Launcher, lookup: EnvLookup, memo: Memo) -> Assembly:
    """Puts a consistent snapshot and what is known from before together."""
    memo.turn()
    return _Assembler(snapshot, memory, launcher, lookup, memo).run()


class _Assembler:
    """One assembly. `faults` grow per worker; a worker with none is accepted."""

    def __init__(self, snapshot: Snapshot, memory: Memory, launcher: Launcher, lookup: EnvLookup, memo: Memo) -> None:
        self._snapshot = snapshot
        self._memory = memory
        self._launcher = launcher
        self._lookup = lookup
        self._memo = memo
        self._places = Places(files=snapshot.files)
        homes = {worker_id: known.document.file for worker_id, known in memory.workers.items()}
        self._claims: Claims = find_claims(snapshot, homes, self._places)
        self._defaults: DefaultsFound = find_defaults(snapshot.files, memory.defaults, self._places)
        self._faults: dict[str, list[Problem]] = {
            worker_id: list(problems) for worker_id, problems in self._claims.faults.items()
        }
        self._result = Assembly()

    def run(self) -> Assembly:
        documents = self._claims.documents
        candidates = {worker_id: self._judged(worker_id, documents[worker_id]) for worker_id in sorted(documents)}
        self._check_ports(candidates)
        for worker_id, remembered in candidates.items():
            launched = self._launched(remembered) if remembered.judged.spec is not None else None
            if launched is not None and launched.problems:
                self._faults.setdefault(worker_id, []).extend(launched.problems)
        self._check_dependencies(candidates)
        for worker_id, remembered in candidates.items():
            self._settle(worker_id, remembered)
        for worker_id, problems in self._claims.kept.items():
            if worker_id not in candidates:
                self._keep(worker_id, problems)
        for worker_id in self._memory.workers.keys() - candidates.keys() - self._claims.kept.keys():
            self._note_absent(worker_id)
        self._finish()
        return self._result

    def _judged(self, worker_id: str, document: Document) -> _Remembered:
        layers = self._defaults.over(document.folder)
        found = self._memo.recall(worker_id, document, layers.documents)
        if found is None:
            judged = judge_worker(document, layers.documents, self._places)
            found = self._memo.keep(worker_id, _Remembered(document=document, defaults=layers.documents, judged=judged))
        if found.judged.problems or layers.problems:
            own = self._faults.setdefault(worker_id, [])
            own += found.judged.problems
            own += [replace(one, worker_id=worker_id) for one in layers.problems]
        return found

    def _check_ports(self, candidates: Mapping[str, _Remembered]) -> None:
        """Over what the files say now, and the last good specs of those whose files say nothing usable."""
        specs: dict[str, WorkerSpec] = {}
        for worker_id in self._claims.kept:
            known = self._known(worker_id)
            if known is not None:
                specs[worker_id] = known.spec
        for worker_id, found in candidates.items():
            if found.judged.spec is not None:
                specs[worker_id] = found.judged.spec
        for worker_id, fault in overlapping_ports(specs.values()).items():
            remembered = candidates.get(worker_id)
            if remembered is None:
                continue
            finding = Finding(path=("port",), message=fault.message, hint=fault.hint, code="port_overlap")
            owners = (remembered.document, *remembered.defaults)
            problem = placed(finding, owners, remembered.judged.data, self._places, worker_id)
            self._faults.setdefault(worker_id, []).append(problem)

    def _check_dependencies(self, candidates: Mapping[str, _Remembered]) -> None:
        """Refuses every spec in a circle: first of what the files say, then of what goes on where one was refused.

        Ends because each round refuses a candidate more. Last good specs alone were never in a circle.
        """
        said = {worker_id: found.judged.spec for worker_id, found in candidates.items()}
        kept = [known.spec for worker_id in self._claims.kept if (known := self._kept(worker_id, candidates))]
        self._refuse_circles([*said.values(), *kept], candidates, frozenset())
        again = bool(self._faults)
        while again:
            before = frozenset(self._faults)
            in_force = [self._in_force(worker_id, spec) for worker_id, spec in said.items()]
            again = self._refuse_circles([*in_force, *kept], candidates, before)

    def _refuse_circles(
        self, specs: Iterable[WorkerSpec | None], candidates: Mapping[str, _Remembered], done: frozenset[str]
    ) -> bool:
        """Notes a fault for each candidate in a circle that is not `done`, and whether there was one."""
        circular = circular_dependencies(spec for spec in specs if spec is not None)
        news = [worker_id for worker_id in circular if worker_id in candidates and worker_id not in done]
        for worker_id in news:
            fault, remembered = circular[worker_id], candidates[worker_id]
            path = ("depends_on", fault.pointer.rpartition("/")[2])
            finding = Finding(path=path, message=fault.message, hint=fault.hint, code="circle")
            owners = (remembered.document, *remembered.defaults)
            problem = placed(finding, owners, remembered.judged.data, self._places, worker_id)
            self._faults.setdefault(worker_id, []).append(problem)
        return bool(news)

    def _in_force(self, worker_id: str, spec: WorkerSpec | None) -> WorkerSpec | None:
        """The spec that a candidate will have as things stand: its own, or the last good one where it has a fault."""
        if spec is not None and worker_id not in self._faults:
            return spec
        known = self._known(worker_id)
        return None if known is None else known.spec

    def _kept(self, worker_id: str, candidates: Mapping[str, _Remembered]) -> DesiredWorker | None:
        return None if worker_id in candidates else self._known(worker_id)

    def _settle(self, worker_id: str, remembered: _Remembered) -> None:
        """Accepts the candidate, or keeps what is known of it."""
        launched = remembered.launched
        problems = self._faults.get(worker_id)
        if problems:
            self._keep(worker_id, in_order(problems))
        elif launched is not None and launched.worker is not None:
            if remembered.last_good is None:
                remembered.last_good = self._last_good(remembered, launched.worker)
            self._result.workers[worker_id] = launched.worker
            self._result.accepted[worker_id] = remembered.last_good
        elif worker_id in self._memory.workers:
            self._keep(worker_id, ())  # an env file has yet to settle

    def _launched(self, remembered: _Remembered) -> Launched:
        before = remembered.launched
        if before is not None and all(self._lookup(path) is file for path, file in before.env.items()):
            return before
        owners = (remembered.document, *remembered.defaults)
        remembered.launched = self._launcher.launch(remembered.judged, owners, self._places, self._lookup)
        remembered.last_good = None
        return remembered.launched

    def _last_good(self, remembered: _Remembered, worker: DesiredWorker) -> LastGood:
        document = remembered.document
        file = self._snapshot.files[document.file]
        merged = Document(file=document.file, index=-1, line=document.line, data=remembered.judged.data)
        return LastGood(document=merged, on_submount=file.on_submount, worker=worker)

    def _keep(self, worker_id: str, problems: tuple[Problem, ...]) -> None:
        """The last good spec goes on, with what is wrong now; without one the worker is broken."""
        worker = self._known(worker_id)
        if worker is None:
            self._result.broken[worker_id] = in_order([*problems, *self._faults.get(worker_id, ())])
        elif problems:
            own = tuple(replace(problem, worker_id=worker_id) for problem in problems)
            self._result.workers[worker_id] = replace(worker, problems=own, stale=True)
        else:
            self._result.workers[worker_id] = worker

    def _known(self, worker_id: str) -> DesiredWorker | None:
        """The worker by its last good spec, built again after a start; notes why it cannot be built."""
        known = self._memory.workers.get(worker_id)
        if known is None or known.worker is not None:
            return known.worker if known is not None else None
        key = f"last good {worker_id}"
        found = self._memo.recall(key, known.document, ())
        if found is None:
            judged = judge_worker(known.document, (), self._places)
            found = self._memo.keep(key, _Remembered(document=known.document, defaults=(), judged=judged))
        problems = found.judged.problems
        launched = self._launched(found) if found.judged.spec is not None else None
        if launched is not None and launched.worker is None:
            problems = launched.problems
        if problems:
            self._faults.setdefault(worker_id, []).extend(problems)
        return launched.worker if launched is not None else None

    def _note_absent(self, worker_id: str) -> None:
        home = self._memory.workers[worker_id].document.file
        where = "no longer defines it" if home in self._snapshot.files else "is gone"
        self._result.absent[worker_id] = f"{home} {where}"
        self._keep(worker_id, ())
        kept = self._result.workers.get(worker_id)
        if kept is not None:
            self._result.workers[worker_id] = replace(kept, absent=f"{home} {where}")

    def _finish(self) -> None:
        result = self._result
        for worker_id, problems in self._faults.items():
            if worker_id not in result.workers and worker_id not in result.broken:
                result.broken[worker_id] = in_order(problems)
        result.defaults = dict(self._defaults.good)
        result.absent_defaults = frozenset(self._defaults.absent)
        result.suspects = self._claims.suspects
        everything = [*self._claims.problems, *self._defaults.problems]
        for own in self._faults.values():
            everything += own
        result.problems = in_order(everything)


def in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    """Sorted by place, without repeats: the same fault may be told per worker and per file."""
    unique: dict[tuple[str, int, int, str], Problem] = {}
    for problem in problems:
        key = (problem.file, problem.line or 0, problem.column or 0, problem.message)
        unique.setdefault(key, problem)
    return tuple(unique[key] for key in sorted(unique))
