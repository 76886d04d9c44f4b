"""`error-messages` against validation: each row is tried, and says what validation says now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.sources.offline import validate

PAGE = (Path(__file__).parents[2] / "controller" / "docs" / "error-messages.md").read_text("utf-8")
LINES, WHOLE_FILES = PAGE.split("## Whole files")


@dataclass(frozen=True)
class Row:
    """What somebody wrote, and what was said."""

    spec: str
    said: list[str]


def code_in(cell: str) -> list[str]:
    """The code of one cell, line by line. A tab is shown as an arrow, a bar is escaped."""
    lines = []
    for line in cell.split("<br>"):
        marks, text = re.fullmatch(r"(`+)(.*)\1", line.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
        plain = text[1:-1] if len(marks) > 1 else text
        lines.append(plain.replace("\\|", "|").replace("→", "\t"))
    return lines


def rows(section: str, above: str) -> list[Row]:
    found = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[0].startswith("`"):
            found.append(Row(spec=above + "\n".join(code_in(cells[0])) + "\n", said=code_in(cells[1])))
    return found


BASE = re.search(r"```yaml\n(.*?)```", LINES, re.DOTALL).group(1)  # type: ignore[union-attr]
ROWS = [*rows(LINES, BASE), *rows(WHOLE_FILES, "")]


def test_the_page_has_about_a_hundred_messages() -> None:
    assert len(ROWS) >= 95
    assert BASE == 'worker_id: web\ncommand: [sleep, "60"]\n'


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.said[0].partition(": ")[2][:40])
def test_a_message_is_the_one_that_validation_gives(row: Row, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(row.spec, "utf-8")
    assert [str(problem) for problem in validate(str(tmp_path)).problems] == row.said


def test_what_stands_above_every_row_is_a_good_spec(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(BASE, "utf-8")
    assert validate(str(tmp_path)).problems == ()
