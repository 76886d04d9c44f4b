"""Places: where in its file a value of a document stands, found only when a problem needs it.

Called by validation.py and whoever else reports a problem. Pure. Documents keep plain data only; here the bytes of a
file are composed again, and the nodes are walked along a path, through merge keys too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from controller.sources.documents import Document, SpecFile
from controller.sources.strict_yaml import MERGE, LimitExceeded, Path, compose, without_bom


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stands (from 1), and a plain scalar's own text: `3.10`, where the data says 3.1."""

    line: int
    column: int
    text: str | None


Keys = dict[int, dict[str, tuple[Node, Node]]]
"""The own pairs of mappings by key, by the `id` of a node that lives as long as this: thousands of faults in one
mapping must not each walk through it."""


@dataclass(slots=True)
class Places:
    """Where values stand in files, found on demand: problems are rare, and nodes are large.

    `files` gives the bytes that the documents were read from.
    """

    files: Mapping[str, SpecFile]
    _roots: dict[str, list[Node]] = field(default_factory=dict)
    _keys: Keys = field(default_factory=dict)

    def find(self, document: Document, path: Path, *, key: bool = False) -> Place | None:
        """The place of a value or of its key; None where only the document's line is known."""
        if document.index < 0:
            return None
        if document.file not in self._roots:
            self._roots[document.file] = self._compose(document.file)
        roots = self._roots[document.file]
        return locate(roots[document.index], path, key=key, keys=self._keys) if document.index < len(roots) else None

    def _compose(self, path: str) -> list[Node]:
        found = self.files.get(path)
        roots: list[Node] = []
        if found is not None and found.content is not None:
            # A syntax error further down ends it; what came before is what documents were made of.
            with suppress(yaml.YAMLError, LimitExceeded):
                roots.extend(compose(without_bom(found.content)))
        return roots


def locate(root: Node, path: Sequence[str | int], *, key: bool = False, keys: Keys | None = None) -> Place:
    """The place of the value at `path`, or of its key; of the nearest parent where the path leads nowhere."""
    known: Keys = {} if keys is None else keys
    node, at = root, root
    for step in path:
        pair = _child(node, step, known)
        if pair is None:
            break
        at, node = pair
    chosen = at if key else node
    mark = chosen.start_mark
    # A block mapping has no visible start of its own: its key is where a person looks.
    if not key and at is not root and isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        mark = at.start_mark
    text = node.value if isinstance(node, ScalarNode) and not node.style else None
    return Place(line=mark.line + 1, column=mark.column + 1, text=text)


def _child(node: Node, step: str | int, keys: Keys) -> tuple[Node, Node] | None:
    """(key node, value node) of a mapping's key, also behind merge keys; (item, item) of a list's."""
    if isinstance(node, SequenceNode):
        if isinstance(step, int) and 0 <= step < len(node.value):
            return node.value[step], node.value[step]
        return None
    if not isinstance(node, MappingNode) or not isinstance(step, str):
        return None
    own = _own_pairs(node, keys)
    if step in own:
        return own[step]
    for key, value in node.value:
        if key.tag == MERGE:
            for part in value.value if isinstance(value, SequenceNode) else [value]:
                found = _child(part, step, keys)
                if found is not None:
                    return found
    return None


def _own_pairs(node: MappingNode, keys: Keys) -> dict[str, tuple[Node, Node]]:
    if id(node) not in keys:
        own: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if key.tag != MERGE and isinstance(key, ScalarNode):
                own.setdefault(key.value, (key, value))
        keys[id(node)] = own
    return keys[id(node)]
