"""`why-not-running` against the code: every reason, status and cause that the program gives has its section."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from controller.agent import protocol
from controller.core.observed import Status

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "controller" / "docs" / "why-not-running.md").read_text("utf-8")
SOURCES = (
    "core/explain.py", "core/planner.py", "core/rollout.py", "core/guards.py", "core/status.py",
    "agent/machine.py", "agent/decisions.py", "reconcile/loop.py",
)  # fmt: skip
WORD = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")
# Types of conditions, and their values.
NO_REASONS = {"Valid", "Ready", "Progressing", "Stalled", "Suspended", "Drifted", "True", "False", "Unknown"}


def reasons_in(source: str) -> set[str]:
    """All one-word constants of a file that look like a reason: `GaveUp`, `Settled`."""
    tree = ast.parse((ROOT / "controller" / source).read_text("utf-8"))
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {value for value in constants if isinstance(value, str) and WORD.fullmatch(value)} - NO_REASONS


def sections() -> set[str]:
    """The words that have a section; one heading may name several."""
    headings = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    return {word for heading in headings for word in heading.split(", ")}


def test_every_reason_has_its_section_and_every_section_its_reason() -> None:
    reasons = set().union(*(reasons_in(source) for source in SOURCES))
    assert {"GaveUp", "CannotStart", "PruneGuard", "RolloutPaced", "Settled"} <= reasons
    assert sections() - set(Status) == reasons


def test_every_status_has_its_section() -> None:
    assert [status for status in Status if status not in sections()] == []


def test_every_cause_of_an_exit_is_explained() -> None:
    causes = {value for name, value in vars(protocol).items() if name.startswith("CAUSE_")}
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE.partition("## Causes of an exit")[2], re.MULTILINE))
    assert listed == causes
