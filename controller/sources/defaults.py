"""Which `kind: Defaults` lie under which directory.

Called by assembly.py. Pure. One document per directory. A broken one keeps its last good content, like any file; when
none is known, the workers below cannot be accepted: without their Defaults they would be other workers.

A Defaults document that vanished stays in force until its removal is confirmed, as a worker does: a checkout in
progress must not restart a fleet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.core.problems import Problem
from controller.sources.documents import DEFAULTS, Document, SpecFile, folders_above
from controller.sources.places import Places
from controller.sources.validation import judge_defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The Defaults over one directory, nearest first. `problems`: why workers there cannot be accepted."""

    documents: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class DefaultsFound:
    """All Defaults of one assembly.

    `good` are those accepted now, by file. `absent` are files whose known Defaults are gone. `by_folder` is what is in
    force; `unusable` are directories whose Defaults are broken and have no last good version.
    """

    good: dict[str, Document] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    by_folder: dict[str, Document] = field(default_factory=dict)
    unusable: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    _layers: dict[str, Layers] = field(default_factory=dict)

    def over(self, folder: str) -> Layers:
        """What lies under the workers of `folder`."""
        if folder not in self._layers:
            above = folders_above(folder)
            self._layers[folder] = Layers(
                documents=tuple(self.by_folder[name] for name in above if name in self.by_folder),
                problems=tuple(problem for name in above for problem in self.unusable.get(name, ())),
            )
        return self._layers[folder]


def find_defaults(files: Mapping[str, SpecFile], known: Mapping[str, Document], places: Places) -> DefaultsFound:
    """Resolves the Defaults of all files. `known`: the last good ones, by file."""
    found = DefaultsFound()
    candidates: dict[str, list[Document]] = {}
    broken: dict[str, list[Problem]] = {}
    for path in sorted(files):
        file = files[path]
        documents = [document for document in file.documents if document.kind == DEFAULTS]
        for document in documents:
            problems = judge_defaults(document, places) if file.is_usable else file.problems
            if problems:
                broken.setdefault(document.folder, []).extend(problems)
            else:
                candidates.setdefault(document.folder, []).append(document)
        if path in known and not documents and file.is_usable:
            found.absent.add(path)
    for folder, documents in sorted(candidates.items()):
        if len(documents) == 1:
            found.good[documents[0].file] = found.by_folder[folder] = documents[0]
        else:
            broken.setdefault(folder, []).extend(_doubled(documents, places))
    found.absent |= known.keys() - files.keys()
    _fall_back(found, known, broken)
    return found


def _fall_back(found: DefaultsFound, known: Mapping[str, Document], broken: Mapping[str, list[Problem]]) -> None:
    """The last good Defaults stay in force where nothing took their place."""
    for _, document in sorted(known.items()):
        found.by_folder.setdefault(document.folder, document)
    for folder, problems in sorted(broken.items()):
        found.problems += problems
        if folder not in found.by_folder:
            found.unusable[folder] = tuple(problems)


def _doubled(documents: list[Document], places: Places) -> list[Problem]:
    problems = []
    for document in documents:
        other = next(other for other in documents if other is not document)
        place = places.find(document, ("kind",), key=True)
        problems.append(
            Problem(
                file=document.file,
                line=place.line if place is not None else document.line,
                column=place.column if place is not None else None,
                pointer="/kind",
                message=f"this directory has other Defaults in {other.source}",
                hint="keep one `kind: Defaults` per directory",
                code="duplicate",
            )
        )
    return problems
