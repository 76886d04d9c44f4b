"""Workers and what they depend on, drawn as a tree: the lines of `workerctl tree --deps`. Pure.

Workers that nobody depends on stand at the left, what they depend on is drawn beneath them. A worker that several need
is drawn in full once and named again after that, so the drawing is never longer than there are workers and
dependencies. There are no circles among accepted specs; should one be given all the same, it is drawn once.

    web            running
    |-- database   starting   awaited ready
    |   `-- disk   running    awaited started
    `-- cache      running    awaited started
    worker         stopped
    `-- database   starting   awaited started, drawn above
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ABOVE = "drawn above"
NO_SPEC = "no spec has that name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One worker: its status in a word, and what it depends on: `started` or `ready` by worker_id."""

    worker_id: str
    status: str
    depends_on: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLine:
    """One line: the branches before the name, the name, the status (empty without a spec), and what else there is."""

    stem: str
    worker_id: str
    status: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Branch:
    """A line to come. `beneath` is what stands before everything below it."""

    worker_id: str
    stem: str
    beneath: str
    awaited: str


def dependency_tree(nodes: Iterable[Node], *, ascii_only: bool = False) -> tuple[TreeLine, ...]:
    """The lines of the drawing. Workers are in the order of their ids, at the left and beneath each other."""
    known = {node.worker_id: node for node in nodes}
    needed = {other for node in known.values() for other in node.depends_on if other != node.worker_id}
    roots = [*sorted(known.keys() - needed), *sorted(known.keys() & needed)]
    lines: list[TreeLine] = []
    drawn: set[str] = set()
    for root in roots:
        if root not in drawn:
            _draw(_Branch(root, "", "", ""), known, drawn, lines, _glyphs(ascii_only=ascii_only))
    return tuple(lines)


def _glyphs(*, ascii_only: bool) -> tuple[str, str, str]:
    """Before a branch, before the last one, and before what stands beneath one that is not the last."""
    return ("|-- ", "`-- ", "|   ") if ascii_only else ("├── ", "└── ", "│   ")


def _draw(
    first: _Branch, known: Mapping[str, Node], drawn: set[str], lines: list[TreeLine], glyphs: tuple[str, str, str]
) -> None:
    """Appends a worker and all beneath it. A stack of our own: dependencies may be chained deeper than Python calls."""
    waiting = [first]
    while waiting:
        branch = waiting.pop()
        node = known.get(branch.worker_id)
        others = sorted(node.depends_on.items()) if node is not None else []
        is_repeated = branch.worker_id in drawn and bool(others)
        lines.append(
            TreeLine(
                stem=branch.stem,
                worker_id=branch.worker_id,
                status="" if node is None else node.status,
                note=_note(branch, is_known=node is not None, is_repeated=is_repeated),
            )
        )
        drawn.add(branch.worker_id)
        if is_repeated:
            continue
        for index, (other, awaited) in reversed(list(enumerate(others))):
            is_last = index == len(others) - 1
            stem = branch.beneath + (glyphs[1] if is_last else glyphs[0])
            waiting.append(_Branch(other, stem, branch.beneath + ("    " if is_last else glyphs[2]), awaited))


def _note(branch: _Branch, *, is_known: bool, is_repeated: bool) -> str:
    notes = [f"awaited {branch.awaited}"] if branch.awaited else []
    notes += [] if is_known else [NO_SPEC]
    notes += [ABOVE] if is_repeated else []
    return ", ".join(notes)
