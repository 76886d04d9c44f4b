"""A folder that looks like cgroupfs: groups come with their control files and go with them, as the kernel does it.

What is written to a control file stays in it as text. A group passes on what it was told to: any text in its
`cgroup.subtree_control`. Nothing is enforced; `oom_kill` and `populated` say what a test writes there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from controller.agent.cgroups import Cgroupfs

CONTROL = {
    "cgroup.procs": "",
    "cgroup.subtree_control": "",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.kill": "",
}
LIMITS = {
    "memory": {"memory.max": "max", "memory.swap.max": "max", "memory.events": "low 0\noom_kill 0\n"},
    "cpu": {"cpu.max": "max 100000"},
    "pids": {"pids.max": "max"},
}


class FakeCgroupfs(Cgroupfs):
    """`offered` is what the base has; `refused` are controllers that it does not let go."""

    def __init__(self, base: Path, offered: Iterable[str] = ("memory", "cpu", "pids"), refused: str = "") -> None:
        self.offered = tuple(offered)
        self.refused = refused
        self._base = base
        base.mkdir()
        self._fill(base, self.offered)

    def make(self, path: str) -> None:
        os.mkdir(path)
        self._sync(Path(path))

    def remove(self, path: str) -> None:
        group = Path(path)
        if (group / "cgroup.procs").read_text() or any(each.is_dir() for each in group.iterdir()):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        for file in group.iterdir():
            file.unlink()
        group.rmdir()

    def _sync(self, group: Path) -> None:
        """Control files come when the group above passes its controllers on, also in a group that was there before."""
        if group == self._base:
            return
        above = group.parent
        self._sync(above)
        there = (above / "cgroup.controllers").read_text().split()
        passes_on = (above / "cgroup.subtree_control").read_text() != ""
        self._fill(group, [name for name in there if passes_on and name != self.refused])

    def _fill(self, group: Path, controllers: Iterable[str]) -> None:
        files = dict(CONTROL)
        for name in controllers:
            files.update(LIMITS[name])
        for name, text in files.items():
            if not (group / name).exists():
                (group / name).write_text(text)
        (group / "cgroup.controllers").write_text(" ".join(controllers))
