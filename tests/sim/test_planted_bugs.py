"""The simulation can fail: each of these bugs, planted into a copy of the program, makes some history break.

A property suite that never fails proves nothing. The copy is edited as text, so this test also tells when the code it
aims at has moved.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
HISTORIES = "400"


class Bug(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str


BUGS = (
    Bug(
        "a lost generation check",
        "agent/machine.py",
        "if slot is None or wish.generation > slot.wish.generation:",
        "if slot is None or wish.generation != slot.wish.generation:",
    ),
    Bug(
        "a missing tombstone",
        "agent/machine.py",
        "        self.set(wish=replace(self.slot.wish, generation=event.generation, removed=True))\n",
        "        self.set(wish=replace(self.slot.wish, removed=True))\n",
    ),
    Bug(
        "acting on unknown",
        "core/planner.py",
        "        if not picture.is_reachable:\n",
        "        if picture.view is None:\n",
    ),
    Bug(
        "a budget that is never counted",
        "agent/decisions.py",
        "        self.set(attempts=(*attempts, self.now.mono))\n",
        "        self.set(attempts=attempts)\n",
    ),
    Bug(
        "a resync that restarts",
        "core/steps.py",
        "    if seen.revision != instance.revision:\n",
        "    if seen.revision != instance.revision or seen.status == Status.RUNNING:\n",
    ),
    Bug(
        "a keep that is not laid over the spec",
        "core/desired.py",
        "        return self.spec.wanted if self.keep is None else self.keep.wanted\n",
        "        return self.spec.wanted\n",
    ),
    Bug(
        "a keep that ends by a clock that people set",
        "core/keeps.py",
        "    if keep.boot_id and keep.boot_id == clocks.boot_id:\n",
        "    if not keep.boot_id:\n",
    ),
    Bug(
        "a keep that ends late",
        "core/keeps.py",
        "if keep.until > now}",
        "if keep.until > now - 30}",
    ),
    Bug(
        "a second process while the first may live",
        "agent/decisions.py",
        "        elif slot.phase not in BUSY:\n",
        "        elif slot.phase not in BUSY or slot.phase.value == 'draining':\n",
    ),
    Bug(
        "a pre_start that is run again after a death of ours",
        "agent/machine.py",
        "            return self.order() if self.slot.running_revision == self.slot.wish.revision else self.spawn()\n",
        "            return self.spawn()\n",
    ),
    Bug(
        "a start whose pre_start failed",
        "agent/hooks.py",
        "        if event.ok:\n            return self.order()\n",
        "        if event.ok or event.code is None:\n            return self.order()\n",
    ),
    Bug(
        "a post_stop beside the rest of the group",
        "agent/machine.py",
        '        self.move(Phase.DRAINING)\n        if self.slot.wish.launch["stop_kill"] == "main":\n',
        "        self.move(Phase.DRAINING)\n        if True:\n",
    ),
    Bug(
        "a hook that is waited for for ever",
        "agent/machine.py",
        "    dues += [hook.deadline for hook in (slot.hook, slot.aside) if hook is not None]\n",
        "",
    ),
)


@pytest.mark.e2e
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_breaks_a_history(bug: Bug, tmp_path: Path) -> None:
    package = tmp_path / "controller"
    shutil.copytree(ROOT / "controller", package, ignore=shutil.ignore_patterns("__pycache__"))
    target = package / bug.file
    text = target.read_text()
    assert text.count(bug.right) == 1, f"{bug.file} no longer holds what this bug replaces"
    target.write_text(text.replace(bug.right, bug.wrong))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.sim.sim_history", "1", HISTORIES]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=110
    )
    assert result.returncode != 0, f"{HISTORIES} histories did not notice {bug.name}"
    assert "Broken" in result.stderr or "IllegalMoveError" in result.stderr, result.stderr[-2000:]
