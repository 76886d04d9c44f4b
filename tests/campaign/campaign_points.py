"""Which failpoints the campaign arms, and with what. Names are read from the source: a new one is drawn at once.

A kill acts anywhere. A sleep acts anywhere but in the keeper's loop for long. An error is what the line could meet by
itself, so only the places before a system call that may fail are given one. `drop` where the caller looks at it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import controller

PACKAGE = Path(controller.__file__).parent
ERRORS = (
    "agent.before_apply_durable", "agent.before_persist", "controller.before_intent", "controller.before_log_batch",
    "controller.before_state_rename", "keeper.before_record", "keeper.record_written", "sources.after_fsync",
    "sources.after_temp", "sources.before_write", "store.before_commit",
)  # fmt: skip
ROLES = {"agent": ("agent", "keeper"), "keeper": ("agent", "keeper"), "controller": (), "store": (), "sources": ()}


@cache
def points() -> dict[str, bool]:
    """All failpoints of the product; whether the caller looks at the answer."""
    found: dict[str, bool] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        found[str(argument.value)] = id(node) not in bare
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Arming:
    """One armed failpoint. `roles`: who has to be started anew to have it."""

    name: str
    action: str

    @property
    def rule(self) -> str:
        return f"{self.name}={self.action}{'@once' if self.is_once else ''}"

    @property
    def is_once(self) -> bool:
        return not self.action.startswith("sleep")

    @property
    def is_error(self) -> bool:
        return self.action in ("raise", "enospc")

    @property
    def roles(self) -> tuple[str, ...]:
        return ROLES[self.name.partition(".")[0]]


def arming(chance: Random) -> Arming:
    """Any of them; half of the time a kill."""
    name = chance.choice(list(points()))
    others = ["sleep(0.3)"]
    if points()[name]:
        others.append("drop")
    if name in ERRORS:
        others += ["raise", "enospc"]
    return Arming(name, chance.choice(["kill"] * len(others) + others))
