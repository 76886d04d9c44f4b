"""Claims: which documents speak for which worker, in one consistent look at all files.

Called by assembly.py. Pure. A worker may be claimed by a document now; or be kept by a file that once defined it and
cannot be understood now (unreadable, no YAML, or with a document whose worker nobody can tell). A worker with neither
is absent, which means nothing until removals.py says so.

Two claims on one worker are a fault of both, and so is a claim on a worker that another file keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from controller.core.problems import Problem
from controller.core.spec import KINDS_NOT_YET
from controller.sources.documents import DEFAULTS, WORKER, Document, SpecFile, folders_above
from controller.sources.places import Places
from controller.sources.removals import Suspect
from controller.sources.validation import judge_kind, judge_worker

EMPTY_HINT = "delete the file to remove its workers"


@dataclass(slots=True)
class Claims:
    """The outcome. `faults` are claims that cannot be accepted whatever they say; `kept` are held by path.

    `doubles` are all documents of those workers that have several. `suspects` are files in which any worker may stand
    unseen.
    """

    documents: dict[str, Document] = field(default_factory=dict)
    doubles: dict[str, list[Document]] = field(default_factory=dict)
    faults: dict[str, list[Problem]] = field(default_factory=dict)
    kept: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    suspects: dict[str, Suspect] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def claim(self, worker_id: str, document: Document) -> None:
        """A document speaks for the worker; the first one counts, should nothing forbid it."""
        first = self.documents.setdefault(worker_id, document)
        if first is not document:
            self.doubles.setdefault(worker_id, [first]).append(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One consistent look at a source. `folders`: directories that cannot be read."""

    files: Mapping[str, SpecFile]
    folders: Mapping[str, Problem] = field(default_factory=dict)


class _Homes:
    """For each worker with a last good spec, the file it came from; and the other way round, for the few that ask."""

    def __init__(self, by_worker: Mapping[str, str]) -> None:
        self.by_worker = by_worker

    @cached_property
    def by_file(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for worker_id in sorted(self.by_worker):
            found.setdefault(self.by_worker[worker_id], []).append(worker_id)
        return found

    def at(self, path: str) -> Sequence[str]:
        """The workers whose home is this file."""
        return self.by_file.get(path, ())


def find_claims(snapshot: Snapshot, homes: Mapping[str, str], places: Places) -> Claims:
    """Sorts out all documents. `homes`: for each worker with a last good spec, the file it came from."""
    claims, at_home = Claims(), _Homes(homes)
    for path in sorted(snapshot.files):
        _sort_file(snapshot.files[path], at_home, claims, places)
    for folder, problem in sorted(snapshot.folders.items()):
        claims.problems.append(problem)
        claims.suspects[problem.file] = Suspect(token=problem.message, is_broken=True)
        for path, worker_ids in at_home.by_file.items():
            if path not in snapshot.files and folder in folders_above(path):
                claims.kept.update(dict.fromkeys(worker_ids, (problem,)))
    for worker_id in claims.kept.keys() & claims.documents.keys():
        if claims.documents[worker_id].file == homes[worker_id]:
            del claims.kept[worker_id]  # its own document speaks for it, whatever else is wrong in the file
        elif worker_id not in claims.doubles:
            elsewhere = f"{homes[worker_id]}, which cannot be understood now"
            _note_duplicate(claims.documents[worker_id], elsewhere, claims, places)
    for documents in claims.doubles.values():
        _note_doubles(documents, claims, places)
    return claims


def _sort_file(file: SpecFile, homes: _Homes, claims: Claims, places: Places) -> None:
    problems = file.problems
    if file.content == b"" and file.is_settled and homes.at(file.path):
        # What an editor leaves behind when the disk is full.
        problems = (Problem(file=file.path, message="the file is empty", hint=EMPTY_HINT, code="empty_file"),)
    if problems or file.content is None:
        _keep_all(file, problems, homes.at(file.path), claims, places)
        return
    nameless: list[Problem] = []
    for document in file.documents:
        wrong_kind = judge_kind(document, places)
        if wrong_kind is not None:
            claims.problems.append(wrong_kind)
        worker_id = document.worker_id
        if document.kind == DEFAULTS or (document.kind in KINDS_NOT_YET and worker_id is None):
            continue
        if worker_id is None:
            nameless += (wrong_kind,) if wrong_kind is not None else judge_worker(document, (), places).problems
            continue
        claims.claim(worker_id, document)
        if wrong_kind is not None:
            claims.faults.setdefault(worker_id, []).append(wrong_kind)
    claims.problems += nameless
    if nameless:
        claims.kept.update(dict.fromkeys(homes.at(file.path), tuple(nameless)))
    if nameless or not file.is_settled:
        claims.suspects[file.path] = Suspect(token=file.content, is_broken=bool(nameless))


def _keep_all(
    file: SpecFile, problems: tuple[Problem, ...], at_home: Sequence[str], claims: Claims, places: Places
) -> None:
    """A file that cannot be understood keeps what it defined; what can be read of it is still checked."""
    claims.suspects[file.path] = Suspect(token=file.content or problems, is_broken=bool(problems))
    claims.problems += problems
    claims.kept.update(dict.fromkeys(at_home, problems))
    for document in file.documents:
        if document.kind != WORKER:
            continue
        if document.sound:
            claims.problems += judge_worker(document, (), places).problems
        if document.worker_id is not None and document.worker_id not in claims.kept:
            claims.faults.setdefault(document.worker_id, []).extend(problems)


def _note_doubles(documents: list[Document], claims: Claims, places: Places) -> None:
    for document in documents:
        other = documents[1] if document is documents[0] else documents[0]
        elsewhere = str(other.source) if len(documents) == 2 else f"{other.source} and {len(documents) - 2} more"
        _note_duplicate(document, elsewhere, claims, places)


def _note_duplicate(document: Document, elsewhere: str, claims: Claims, places: Places) -> None:
    worker_id = document.worker_id
    assert worker_id is not None
    place = places.find(document, ("worker_id",))
    problem = Problem(
        file=document.file,
        line=place.line if place is not None else document.line,
        column=place.column if place is not None else None,
        pointer="/worker_id",
        message=f"worker_id `{worker_id}` is also defined in {elsewhere}",
        hint="each worker stands in one place; remove or rename one",
        worker_id=worker_id,
        code="duplicate",
    )
    claims.faults.setdefault(worker_id, []).append(problem)
