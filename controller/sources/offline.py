"""Validation without a controller: what `workerctl validate DIR` and a pipeline's check run.

Reads a specs directory once and says what a controller would make of it. Nothing is remembered, nothing is waited for:
no state directory, no settle window, no last good specs; so a worker with a problem is not among the workers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from controller.core.desired import DesiredWorker
from controller.core.problems import Problem
from controller.sources.assembly import Memo, Memory, assemble, in_order
from controller.sources.claims import Snapshot
from controller.sources.env_files import EnvFile
from controller.sources.files import FileReader
from controller.sources.launching import Launcher, Surroundings
from controller.sources.tree import opened_tree, unreadable

# Later than any file was written: a file that is there is taken as it is.
_LATER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """All problems, sorted, and the workers that a controller would accept, by worker_id; how many files were read."""

    problems: tuple[Problem, ...]
    workers: Mapping[str, DesiredWorker]
    files: int = 0


def validate(root: str, surroundings: Surroundings | None = None) -> Validated:
    """Checks the specs directory at `root`.

    Without `surroundings`: this host, no allowed environment names, and no word about the values of secrets.
    """
    around = surroundings if surroundings is not None else _of_this_host()
    reader = FileReader(0)
    try:
        with opened_tree(root) as tree:
            read = reader.read(tree, _LATER)

            def lookup(path: str) -> EnvFile | None:
                return reader.env_file(tree, path, _LATER)

            snapshot = Snapshot(files=read.files, folders=read.folders)
            assembly = assemble(snapshot, Memory(), Launcher(root, around), lookup, Memo())
    except OSError as error:
        why = "it is no directory" if isinstance(error, NotADirectoryError) else error.strerror or "unknown error"
        return Validated(problems=(unreadable(root, why),), workers={})
    problems = list(assembly.problems)
    problems += [
        unreadable(path, "it changed while it was read") for path, file in read.files.items() if not file.is_settled
    ]
    return Validated(problems=in_order(problems), workers=assembly.workers, files=len(read.files))


def _of_this_host() -> Surroundings:
    return Surroundings(
        host="localhost", cpu_count=os.cpu_count() or 1, interpreter=sys.executable, key=b"", environment=None
    )
