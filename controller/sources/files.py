"""Spec files and env files of one tree, read as little as possible.

Called by directory.py and offline.py. Puts listing (tree.py), settling (looks.py) and parsing together; keeps what it
read from scan to scan, so that an unchanged file is the same object again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from controller.core.problems import Problem
from controller.sources.accidents import accident
from controller.sources.bursts import Burst
from controller.sources.documents import SpecFile, read_spec_file
from controller.sources.env_files import EnvFile, read_env_file
from controller.sources.looks import Looks
from controller.sources.tree import Found, Tree
from controller.sources.validation import with_faults_of_values


@dataclass(slots=True, kw_only=True)
class ReadTree:
    """All spec files of one look, by path and sorted; directories that cannot be read; when to look again."""

    files: dict[str, SpecFile] = field(default_factory=dict)
    folders: dict[str, Problem] = field(default_factory=dict)
    again_at: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing that could be a spec is there."""
        return not self.files and not self.folders


class FileReader:
    """The files of one specs directory over many scans. `settle_s`: how long a file must have been left alone."""

    def __init__(self, settle_s: float) -> None:
        self._specs: Looks[SpecFile] = Looks(settle_s, self._parse_spec)
        self._envs: Looks[EnvFile] = Looks(settle_s, _parse_env)
        self._burst = Burst()
        self._env_now: dict[str, EnvFile | None] = {}
        self._env_found: dict[str, Found | Problem] = {}
        self._root = (-1, -1, 0)
        self._env_again: list[float] = []

    def read(self, tree: Tree, now: float) -> ReadTree:
        """All spec files, each read only if it changed since."""
        root = (tree.status.st_dev, tree.status.st_ino, tree.born_ns)
        is_other, self._root = root != self._root, root
        self._envs.keep_only(frozenset(self._env_now))
        self._env_found = {path: tree.find(path) for path in self._env_now}
        self._env_now.clear()
        self._env_again.clear()
        listing = tree.listing()
        self._note_changes(listing.found, now, is_other_root=is_other)
        result = ReadTree(folders=dict(listing.folders))
        again: list[float] = []
        for found in listing.found:
            look = self._specs.look(tree, found, now, self._burst.counts_at(found.path))
            result.files[found.path] = _as_seen(found.path, look.content, is_settled=look.is_settled)
            if look.again_at is not None:
                again.append(look.again_at)
        self._specs.keep_only(frozenset(result.files))
        for path, problem in listing.files.items():
            result.files[path] = SpecFile(path=path, problems=(problem,))
        result.files = dict(sorted(result.files.items()))
        result.again_at = min(again, default=None)
        return result

    def _note_changes(self, specs: Iterable[Found], now: float, *, is_other_root: bool) -> None:
        """Before any of them is looked at: what is changed together counts together.

        Another directory is one change, whole as it stands there.
        """
        changed = [found.path for found in specs if self._specs.is_changed(found)]
        envs = self._env_found.items()
        changed += [path for path, found in envs if isinstance(found, Found) and self._envs.is_changed(found)]
        self._burst.step(frozenset(changed), now, is_whole=is_other_root)

    def believe(self, path: str, content: bytes) -> None:
        """A spec file that we wrote ourselves counts at once, where it holds just this."""
        self._specs.believe(path, content)

    def env_file(self, tree: Tree, path: str, now: float) -> EnvFile | None:
        """The env file at `path` beneath the root, looked at once per scan; None while it first settles."""
        if path not in self._env_now:
            self._env_now[path] = self._look_at_env(tree, path, now)
        return self._env_now[path]

    @property
    def env_again_at(self) -> float | None:
        """When an env file that is being written should be looked at again."""
        return min(self._env_again, default=None)

    def _look_at_env(self, tree: Tree, path: str, now: float) -> EnvFile | None:
        found = self._env_found.get(path) or tree.find(path)
        if isinstance(found, Problem):
            self._envs.drop(path)
            return read_env_file(path, found)
        look = self._envs.look(tree, found, now, self._burst.counts_at(path))
        if look.again_at is not None:
            self._env_again.append(look.again_at)
        return look.content

    def _parse_spec(self, found: Found, content: bytes | Problem) -> SpecFile:
        on_submount = found.identity.dev != self._root[0]
        if isinstance(content, Problem):
            return SpecFile(path=found.path, problems=(content,), on_submount=on_submount)
        try:
            return with_faults_of_values(read_spec_file(found.path, content, on_submount=on_submount))
        except Exception as error:  # one file; the others are read all the same
            return SpecFile(path=found.path, problems=(accident(error, found.path),), on_submount=on_submount)


def _as_seen(path: str, content: SpecFile | None, *, is_settled: bool) -> SpecFile:
    if content is None:
        return SpecFile(path=path, is_settled=False)
    return content if is_settled else replace(content, is_settled=False)


def _parse_env(found: Found, content: bytes | Problem) -> EnvFile:
    try:
        return read_env_file(found.path, content)
    except Exception as error:  # one file, as above
        return EnvFile(path=found.path, problems=(accident(error, found.path),))
