"""Looks: which content of a file counts, when files change while they are looked at.

Called by directory.py for spec files and env files alike. A watcher reports a file at its first write, and a half
written YAML usually parses: so a file that was modified within the settle window counts only once a second look, a
window later, finds it as it was. Until then its last content goes on.

A file is read once per identity (device, inode, size, times); a rescan costs one stat per file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from controller.core.problems import Problem
from controller.sources.tree import Found, Identity, Tree, Unreadable, Vanished, unreadable

Content = TypeVar("Content")


@dataclass(slots=True)
class _Seen(Generic[Content]):
    """What is known of one path. `waiting` is an identity that has not yet settled, since `since`."""

    content: Content | None = None
    identity: Identity | None = None
    waiting: Identity | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Generic[Content]):
    """`content` is the one that counts, None where none ever settled; `again_at` says when to look at a young file."""

    content: Content | None
    is_settled: bool = True
    again_at: float | None = None


class Looks(Generic[Content]):
    """The contents of many files. `parse(found, bytes or problem)` makes content, also of why there are no bytes."""

    def __init__(self, settle_s: float, parse: Callable[[Found, bytes | Problem], Content]) -> None:
        self._settle_s = settle_s
        self._parse = parse
        self._seen: dict[str, _Seen[Content]] = {}
        self._believed: dict[str, bytes] = {}

    def believe(self, path: str, content: bytes) -> None:
        """We wrote this, whole: it need not settle. Called in the thread that looks."""
        self._believed[path] = content

    def is_changed(self, found: Found) -> bool:
        """Whether another content of it counted before, and the new one was not written by us."""
        seen = self._seen.get(found.path)
        is_known = seen is not None and seen.content is not None and seen.identity != found.identity
        return is_known and found.path not in self._believed

    def look(self, tree: Tree, found: Found, now: float, counts_at: float = 0.0) -> Look[Content]:
        """The content of `found`, read only when it changed; before `counts_at` no other one than until now counts.

        Times in epoch seconds.
        """
        seen = self._seen.setdefault(found.path, _Seen())
        if seen.identity == found.identity:
            seen.waiting = None
            return Look(content=seen.content)
        believed = self._believed.pop(found.path, None)
        has_settled = self._has_settled(seen, found.identity, now)
        counts = has_settled and now >= counts_at
        young = Look(content=seen.content, is_settled=False,
                     again_at=max(now if has_settled else seen.since + self._settle_s, counts_at))  # fmt: skip
        if not counts and believed is None:
            return young
        try:
            read = tree.read(found)
            if not counts and read != believed:
                return young
            content = self._parse(found, read)
        except Vanished:
            seen.waiting = None
            return Look(content=seen.content, is_settled=False, again_at=now + self._settle_s)
        except Unreadable as error:
            content = self._parse(found, unreadable(found.path, str(error)))
        seen.content, seen.identity, seen.waiting = content, found.identity, None
        return Look(content=content)

    def _has_settled(self, seen: _Seen[Content], identity: Identity, now: float) -> bool:
        """Old enough by its own time; or unchanged for a window by ours, which a wrong clock cannot stretch."""
        if seen.waiting == identity:
            seen.since = min(seen.since, now)
            return now >= seen.since + self._settle_s
        seen.waiting, seen.since = identity, now
        return identity.mtime_ns / 1e9 <= now - self._settle_s

    def drop(self, path: str) -> None:
        """Forgets a path that cannot be looked at now: when it is back, it is read anew."""
        self._seen.pop(path, None)

    def keep_only(self, paths: frozenset[str]) -> None:
        """Forgets all other paths."""
        for path in self._seen.keys() - paths:
            del self._seen[path]
