"""Tables: aligned columns, measured in what a terminal shows, cut to its width.

A cell is a string, or `Cell` where it is coloured; colour is applied after measuring, so it never disturbs the
alignment. On a narrow terminal the last column, which explains, goes on in further lines; before it becomes too short
to read, long names (`shrinkable`) are shortened in their middle and columns marked `droppable` go, and then it stands
beneath its row. Into a pipe nothing is wrapped, cut or dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.cli.terminal import Terminal, cut, cut_middle, one_line, pad, width_of, wrapped

GAP = "  "
BENEATH = "    "
READABLE = 28
SHORTEST = 20  # for the last column, where names must give way
SHORTEST_NAME = 12
ALL = 1000  # lines of a row: no limit in practice


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Text with a colour."""

    text: str
    colour: str | None = None
    bold: bool = False
    dim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading. Numbers stand at the right; what can be done without is droppable, a name may be shrinkable."""

    title: str
    right: bool = False
    droppable: bool = False
    shrinkable: bool = False


def render(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]], screen: Terminal, *, most: int = ALL
) -> list[str]:
    """The table as lines, heading first. Empty without rows. `most`: of a row; what takes more lines is cut."""
    if not rows:
        return []
    heading = [Cell(text=column.title, dim=True) for column in columns]
    grid = [heading, *([_cell(value) for value in row] for row in rows)]
    widths = [max(width_of(row[index].text) for row in grid) for index in range(len(columns))]
    if screen.tty:
        _shrink(columns, widths, screen, shortest=READABLE, rest=READABLE)
    kept = _fitting(columns, widths, screen) if screen.tty else list(range(len(columns)))
    columns, widths = [columns[index] for index in kept], [widths[index] for index in kept]
    grid = [[row[index] for index in kept] for row in grid]
    if screen.tty:
        _shrink(columns, widths, screen, shortest=SHORTEST_NAME, rest=SHORTEST)
    room = _room(widths, screen)
    if screen.tty and most > 1 and len(kept) > 1 and room < min(widths[-1], SHORTEST):
        return _stacked(grid, columns, widths, screen, most)
    if screen.tty:
        widths[-1] = max(min(widths[-1], room), width_of(columns[-1].title))
    blanks = " " * (sum(widths[:-1]) + len(GAP) * (len(widths) - 1))
    lines: list[str] = []
    for row in grid:
        first, *more = _folded(row[-1], widths[-1], screen, most)
        lines.append(_line([*row[:-1], first], columns, widths, screen))
        lines += [blanks + _painted(cell, screen) for cell in more]
    return lines


def _stacked(
    grid: Sequence[Sequence[Cell]], columns: Sequence[Column], widths: Sequence[int], screen: Terminal, most: int
) -> list[str]:
    """On a terminal so narrow that the last column has no room: it stands beneath its row, without a heading."""
    lines: list[str] = []
    for number, row in enumerate(grid):
        lines.append(_line(row[:-1], columns[:-1], widths[:-1], screen))
        if number and row[-1].text not in {"", "-"}:
            cells = _folded(row[-1], max(screen.columns - len(BENEATH), 1), screen, most)
            lines += [BENEATH + _painted(cell, screen) for cell in cells]
    return lines


def _painted(cell: Cell, screen: Terminal) -> str:
    return screen.paint(cell.text, cell.colour, bold=cell.bold, dim=cell.dim)


def _folded(cell: Cell, width: int, screen: Terminal, most: int) -> list[Cell]:
    """The last cell of a row, in the lines that it takes; the rest of a long one is cut off the last of them."""
    if not screen.tty or most == 1 or width_of(cell.text) <= width:
        return [cell]
    lines = wrapped(cell.text, width)
    if len(lines) > most:
        lines[most - 1 :] = [cut(" ".join(lines[most - 1 :]), width, screen.sign("…", "..."))]
    return [replace(cell, text=line) for line in lines]


def _shrink(columns: Sequence[Column], widths: list[int], screen: Terminal, *, shortest: int, rest: int) -> None:
    """Narrow the columns that may be, to `shortest` at most, until the last one has `rest`."""
    for index, column in enumerate(columns):
        missing = min(widths[-1], rest) - _room(widths, screen)
        if column.shrinkable and missing > 0:
            widths[index] = max(widths[index] - missing, min(widths[index], shortest))


def _fitting(columns: Sequence[Column], widths: Sequence[int], screen: Terminal) -> list[int]:
    """The columns that stay, so that the last one has room to be read."""
    kept = list(range(len(columns)))
    for index in (index for index in reversed(kept[:-1]) if columns[index].droppable):
        if _room([widths[index] for index in kept], screen) >= min(widths[-1], READABLE):
            break
        kept = [other for other in kept if other != index]
    return kept


def _room(widths: Sequence[int], screen: Terminal) -> int:
    """What the columns before leave for the last one."""
    return screen.columns - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)


def _cell(value: str | Cell) -> Cell:
    cell = value if isinstance(value, Cell) else Cell(text=value)
    return Cell(text=one_line(cell.text), colour=cell.colour, bold=cell.bold, dim=cell.dim)


def _line(row: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int], screen: Terminal) -> str:
    parts = []
    for cell, column, width in zip(row, columns, widths, strict=True):
        shorten = cut_middle if column.shrinkable else cut
        text = shorten(cell.text, width, screen.sign("…", "..."))
        painted = screen.paint(text, cell.colour, bold=cell.bold, dim=cell.dim)
        blanks = " " * (width - width_of(text))
        parts.append(blanks + painted if column.right else painted + blanks)
    return GAP.join(parts).rstrip()


def pairs(rows: Sequence[tuple[str, str]], screen: Terminal, *, indent: str = "") -> list[str]:
    """`Label  value` lines with the values aligned; rows without a value are left out. On a terminal values wrap."""
    kept = [(label, value) for label, value in rows if value]
    width = max((width_of(label) for label, _ in kept), default=0)
    blanks = " " * (len(indent) + width + len(GAP))
    lines: list[str] = []
    for label, value in kept:
        first, *more = hanging(value, screen, len(blanks))
        lines.append(f"{indent}{screen.paint(pad(label, width), dim=True)}{GAP}{first}")
        lines += [blanks + line for line in more]
    return lines


def hanging(text: str, screen: Terminal, indent: int) -> list[str]:
    """`text` in the lines that it takes behind `indent` columns; one line where it is not for a terminal."""
    room = screen.columns - indent
    return wrapped(text, room) if screen.tty and room >= SHORTEST else [text]
