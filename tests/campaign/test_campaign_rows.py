"""The rows of the fault matrix: each is covered by what exists, or left out with a reason.

What the page about reliability names exists as well.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.campaign import campaign_faults_disk
from tests.campaign.campaign_faults import FAULTS

HERE = Path(__file__).parent
TESTS = HERE.parent
MATRIX = [
    *(f"A{number}" for number in range(1, 19)),
    *(f"B{number}" for number in range(1, 15)),
    *(f"C{number}" for number in range(1, 13)),
    *(f"E{number}" for number in range(1, 8)),
    *(f"G{number}" for number in range(1, 7)),
]
"""The rows that apply to local workers."""
WORDS = {"failpoint", "syscalls", "tests/sim", "--all-syscalls"}
assert campaign_faults_disk.__doc__, "imported for the faults that it registers"


def rows(name: str) -> list[list[str]]:
    """The cells of a table, its head and line left out."""
    lines = [line for line in (HERE / name).read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def ids(cell: str) -> set[str]:
    return set(re.findall(r"\b[A-G]\d+\b", cell))


def test_every_row_is_covered_or_left_out_with_a_reason() -> None:
    covered = set().union(*(ids(row[0]) for row in rows("ROWS.md")))
    left_out = set().union(*(ids(row[0]) for row in rows("LEFT_OUT.md")))
    assert sorted(set(MATRIX) - covered - left_out) == []
    assert sorted(covered & left_out) == ["C3"], "of C3 one half can be had"
    assert all(len(row[1]) > 15 and re.fullmatch(r"\d{4}-\d\d-\d\d", row[2]) for row in rows("LEFT_OUT.md"))


def test_what_covers_a_row_exists() -> None:
    files = {path.stem for path in TESTS.rglob("test_*.py")}
    for name in ("ROWS.md", "LEFT_OUT.md"):
        for row in rows(name):
            named = set(re.findall(r"`([^`]+)`", " ".join(row))) - WORDS
            assert {one for one in named if one.startswith("test_")} <= files, row
    page = (TESTS.parent / "controller/docs/reliability.md").read_text()
    assert set(re.findall(r"\b(test_\w+)\b", page)) <= files
    faults = {one for row in rows("ROWS.md") for one in re.findall(r'"([^"]+)"', row[2]) if not one.startswith("...")}
    assert sorted(faults - FAULTS.keys()) == []
    assert sorted(name for name in FAULTS if name not in faults and not name.startswith("agent folder lost")) == [
        "failpoint"
    ]
