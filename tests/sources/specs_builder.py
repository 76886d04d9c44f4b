"""A real specs directory on disk, with a clock of its own: what the directory tests write to and scan.

Files are written old enough to have settled unless a test says otherwise; time moves only by `later`.
"""

from __future__ import annotations

import os
from pathlib import Path

from controller.core.desired import Desired
from controller.sources.directory import DirectorySource, ScanResult
from controller.sources.launching import Surroundings

START = 1_700_000_000.0
SETTLE_S = 0.2
SURROUNDINGS = Surroundings(host="localhost", cpu_count=2, interpreter="/usr/bin/python3", key=b"k" * 32)


def worker(worker_id: str, more: str = "") -> str:
    """The text of a small valid spec, with further lines."""
    return f"worker_id: {worker_id}\ncommand: [sleep, '60']\n{more}"


class SpecsDirectory:
    """One specs directory, its state directory, and the source that scans it."""

    def __init__(self, folder: Path, surroundings: Surroundings = SURROUNDINGS) -> None:
        self.root = folder / "specs"
        self.root.mkdir()
        self.state = folder / "state"
        self.now = START
        self.surroundings = surroundings
        self.start()

    def start(self) -> None:
        """A new source on the same state directory, as after a restart of the controller."""
        self.source = DirectorySource(str(self.root), str(self.state), self.surroundings)

    def write(self, name: str, text: str | bytes, *, age_s: float = 10.0, root: Path | None = None) -> Path:
        """Writes a file that was last modified `age_s` ago."""
        path = (self.root if root is None else root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (self.now - age_s, self.now - age_s))
        return path

    def remove(self, name: str) -> None:
        """Removes a file."""
        (self.root / name).unlink()

    def later(self, seconds: float = SETTLE_S) -> SpecsDirectory:
        """Lets time pass."""
        self.now += seconds
        return self

    def result(self) -> ScanResult:
        """One scan."""
        return self.source.scan(self.now)

    def scan(self) -> Desired:
        """One scan's Desired."""
        return self.result().desired

    def settled(self) -> Desired:
        """Two scans, a settle window apart: what is certain by then."""
        self.scan()
        return self.later().scan()


def states(desired: Desired) -> dict[str, str]:
    """Each worker's state in one word: good, stale, broken or removed."""
    found = {worker_id: "stale" if one.stale else "good" for worker_id, one in desired.workers.items()}
    found.update(dict.fromkeys(desired.broken, "broken"))
    found.update(dict.fromkeys(desired.removed, "removed"))
    return dict(sorted(found.items()))


def told(desired: Desired) -> list[str]:
    """All problems as they are printed."""
    return [str(problem) for problem in desired.problems]


def revisions(desired: Desired) -> dict[str, str]:
    """Each worker's revision."""
    return {worker_id: one.revision for worker_id, one in desired.workers.items()}
