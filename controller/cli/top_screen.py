"""What `workerctl top` shows and what its keys do. Pure: items, history and a view in, lines or another view out.

A sparkline has one mark per sample (the agent samples every 10 s), scaled to the largest one it shows, so its form says
how a figure moves and the number beside it how large it is; the noise of an idle worker is none of it. A column in
which no worker has anything to tell is left out, and on a narrow screen those that say least go first. What is wrong is
told behind each row where there is room, else of the topmost one below.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.cli import fleet, wording
from controller.cli.client import Item
from controller.cli.human import clock, cpu, memory, rfc3339, seconds_of
from controller.cli.table import Cell
from controller.cli.terminal import Terminal, cut, cut_middle, one_line, width_of

FIGURES = ("cpu_percent", "memory_bytes")
SAMPLE_S = 10.0
SHOWN = 8
"""Marks of a sparkline."""
_MARKS = "▁▂▃▄▅▆▇█"
_FULL_CPU = 10.0
"""CPU below which no mark is high."""
_NAME_SHORTEST, _NAME_LONGEST = 12, 32
_REASON_SHORTEST = 30
_TALL = 4
"""Lines around the rows: totals, heading, an empty one, keys."""


@dataclass
class History:
    """The newest FIGURES of each worker, one every SAMPLE_S."""

    _samples: dict[str, deque[tuple[float | None, ...]]] = field(default_factory=dict)
    _past: dict[str, list[list[float | None]]] = field(default_factory=dict)
    _next_at: float = 0.0

    def take(self, items: Sequence[Item], now: float) -> None:
        """Keep what they show, when it is time again; of a worker that is new, at once."""
        is_time = not now < self._next_at <= now + SAMPLE_S
        if is_time:
            self._next_at = now + SAMPLE_S
            for gone in self._samples.keys() - {str(item["worker_id"]) for item in items}:
                del self._samples[gone]
        for item in items:
            name = str(item["worker_id"])
            if is_time or name not in self._samples:
                kept = self._samples.setdefault(name, deque(maxlen=SHOWN))
                kept.append(tuple(item.get(figure) for figure in FIGURES))

    def fill(self, past: Item) -> None:
        """Put what an answer of `metrics-history` knows before what is seen here; its newest sample is in both.

        An empty one, or one of samples at other distances, changes nothing.
        """
        until = seconds_of(past.get("until"))
        if until is None or past.get("step_s") != SAMPLE_S:
            return
        places = [int((until - at) // SAMPLE_S) for at in past.get("times") or ()]
        for one in past.get("series") or ():
            lines = self._past.setdefault(str(one.get("worker_id")), [[None] * SHOWN for _ in FIGURES])
            if one.get("metric") in FIGURES:
                line = lines[FIGURES.index(one["metric"])]
                for place, value in zip(places, one["values"], strict=False):
                    if 0 < place < SHOWN:
                        line[-place] = value

    def of(self, item: Item, which: int) -> Sequence[float | None]:
        """One worker's cpu (0) or memory (1), oldest first."""
        name = str(item["worker_id"])
        seen = [sample[which] for sample in self._samples.get(name, ())]
        before = self._past[name][which] if name in self._past else []
        return [*before, *seen][-SHOWN:]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a person looks at it. `typing`: the keys go to the filter. `first`: the row at the top.

    `note` is told in place of the keys: why nothing comes.
    """

    sort: str = "status"
    is_reversed: bool = False
    filter: str = ""
    typing: bool = False
    paused: bool = False
    first: int = 0
    note: str = ""


def sparkline(values: Sequence[float | None], screen: Terminal, *, full: float = 0.0) -> str:
    """SHOWN marks, blank where nothing is known. Empty where the terminal cannot show them.

    The highest mark is the largest of the values, `full` where they are all smaller.
    """
    if not screen.unicode:
        return ""
    known = [value for value in values if value is not None]
    most = max(known, default=0.0) and max(full, *known)

    def mark(value: float | None) -> str:
        if value is None:
            return " "
        return _MARKS[min(int(value / most * len(_MARKS)), len(_MARKS) - 1)] if most else _MARKS[0]

    return "".join(mark(value) for value in values).rjust(SHOWN)


# --- columns ---------------------------------------------------------------------------------------------------------

_Show = Callable[[Item, History, Terminal, float], str | Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """`drops`: the column with the largest goes first where there is no room; 0 stays. `width` is what it needs.

    `figure`: what it tells of; where no worker tells that, it is left out.
    """

    title: str
    show: _Show
    width: int
    right: bool = True
    drops: int = 0
    figure: str = ""


def _restarts(item: Item) -> Cell:
    number = int(item.get("restart_count") or 0)
    return Cell(text=str(number), colour="yellow" if number else None)


def _figure(item: Item, name: str) -> str:
    value = item.get(name)
    return "-" if value is None else str(value)


_TASKS, _ERRORS = "active_tasks", "error_count"
_COLUMNS = (
    _Column(title="STATUS", show=lambda i, _h, s, _n: wording.status_cell(i["status"], s), width=10, right=False),
    _Column(title="INST", show=lambda i, _h, _s, _n: wording.running_of(i), width=5),
    _Column(title="CPU", show=lambda i, _h, _s, _n: cpu(i.get("cpu_percent")), width=5),
    _Column(
        title="",
        show=lambda i, h, s, _n: Cell(text=sparkline(h.of(i, 0), s, full=_FULL_CPU), colour="cyan"),
        width=SHOWN,
        drops=3,
    ),
    _Column(title="MEMORY", show=lambda i, _h, _s, _n: memory(i.get("memory_bytes")), width=8),
    _Column(
        title="", show=lambda i, h, s, _n: Cell(text=sparkline(h.of(i, 1), s), colour="blue"), width=SHOWN, drops=4
    ),
    _Column(title="RST", show=lambda i, _h, _s, _n: _restarts(i), width=4, drops=1),
    _Column(
        title="TASKS", show=lambda i, _h, _s, _n: _figure(i, "active_tasks"), width=5, drops=5, figure="active_tasks"
    ),
    _Column(title="ERRS", show=lambda i, _h, _s, _n: _figure(i, _ERRORS), width=4, drops=6, figure=_ERRORS),
    _Column(title="AGE", show=lambda i, _h, _s, n: wording.age_of(i, n), width=4, drops=2),
)

# --- order -----------------------------------------------------------------------------------------------------------

_Key = Callable[[Item], tuple[object, ...]]


def _largest(name: str) -> _Key:
    return lambda item: (-(item.get(name) or 0), str(item["worker_id"]))


_BY_STATUS: _Key = lambda item: (wording.severity(item["status"]), not item.get("problems"), str(item["worker_id"]))  # noqa: E731 - one of a table
SORTS: Mapping[str, tuple[str, _Key]] = {
    "status": ("s", _BY_STATUS),
    "cpu": ("c", _largest("cpu_percent")),
    "memory": ("m", _largest("memory_bytes")),
    "restarts": ("r", _largest("restart_count")),
    "tasks": ("t", _largest("active_tasks")),
    "errors": ("e", _largest("error_count")),
    "name": ("n", lambda item: (str(item["worker_id"]),)),
}
"""What rows may be sorted by, each with its key. Figures: the largest first."""


def chosen(items: Sequence[Item], view: View) -> list[Item]:
    """The rows of the view, in its order."""
    wanted = [item for item in items if view.filter.casefold() in str(item["worker_id"]).casefold()]
    _, key = SORTS[view.sort]
    return sorted(wanted, key=key, reverse=view.is_reversed)


# --- keys ------------------------------------------------------------------------------------------------------------


def pressed(view: View, key: str, *, rows: int, room: int) -> View | None:
    """The view after a key (a character, or a name such as `up`); None ends. `rows` there are, `room` for so many."""
    if view.typing:
        return _typed(view, key)
    for name, (letter, _) in SORTS.items():
        if key == letter:
            return replace(view, sort=name, is_reversed=not view.is_reversed if name == view.sort else False, first=0)
    last = max(rows - room, 0)
    moved = {
        "up": view.first - 1, "down": view.first + 1, "k": view.first - 1, "j": view.first + 1,
        "page_up": view.first - room, "page_down": view.first + room, "home": 0, "end": last,
    }  # fmt: skip
    if key in moved:
        return replace(view, first=min(max(moved[key], 0), last))
    match key:
        case "q":
            return None
        case "/":
            return replace(view, typing=True, first=0)
        case " ":
            return replace(view, paused=not view.paused)
        case "escape":
            return replace(view, filter="", first=0)
        case _:
            return view


def _typed(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, typing=False)
    if key == "escape":
        return replace(view, typing=False, filter="")
    if key == "backspace":
        return replace(view, filter=view.filter[:-1])
    return replace(view, filter=view.filter + key) if len(key) == 1 and key.isprintable() else view


# --- the screen ------------------------------------------------------------------------------------------------------


def room_of(screen: Terminal) -> int:
    """How many rows fit."""
    return max(screen.lines - _TALL, 1)


def screen_lines(items: Sequence[Item], history: History, view: View, screen: Terminal, *, now: float) -> list[str]:
    """The whole screen: totals, heading, rows, keys. Never higher than the terminal."""
    rows = chosen(items, view)
    room = room_of(screen)
    first = min(view.first, max(len(rows) - room, 0))
    shown = rows[first : first + room]
    table = table_lines(shown, rows, history, screen, now)
    why = "" if _room_for_reason(rows, screen) else _why(shown, now)
    state = _state(view, len(rows) - first - len(shown), why, screen)
    return [_totals(items, screen, now), *table, state, _foot(view, screen)]


def table_lines(
    shown: Sequence[Item], measured: Sequence[Item], history: History, screen: Terminal, now: float
) -> list[str]:
    """Heading and rows. Names are as wide as the longest of `measured`, so that scrolling moves no column."""
    columns, width, room = *_layout(measured, screen), _room_for_reason(measured, screen)
    heading = " ".join(["NAME".ljust(width), *(_fit(column.title, column, screen) for column in columns)])
    heading += "  REASON" if room and any(wording.reason(item, now) for item in shown) else ""
    lines = [screen.paint(heading.rstrip(), dim=True)]
    for item in shown:
        name = cut_middle(one_line(str(item["worker_id"])), width, screen.sign("…", "..."))
        cells = [screen.paint(name, bold=True) + " " * (width - width_of(name))]
        cells += [_fit(column.show(item, history, screen, now), column, screen) for column in columns]
        reason = cut(_reason(item, screen, now), room, screen.sign("…", "...")) if room else ""
        lines.append(" ".join([*cells, *([f" {reason}"] if reason else ())]).rstrip())
    return lines


def _layout(measured: Sequence[Item], screen: Terminal) -> tuple[list[_Column], int]:
    """The columns behind the name, and how wide that is."""
    columns = [
        column
        for column in _COLUMNS
        if (screen.unicode or column.width != SHOWN or column.title)
        and (not column.figure or any(item.get(column.figure) is not None for item in measured))
    ]
    while _taken(columns) + _NAME_SHORTEST > screen.columns:
        least = max(columns, key=lambda column: column.drops)
        if not least.drops:
            break
        columns.remove(least)
    longest = max((width_of(one_line(str(item["worker_id"]))) for item in measured), default=4)
    return columns, max(min(longest, _NAME_LONGEST, screen.columns - _taken(columns)), _NAME_SHORTEST)


def _taken(columns: Sequence[_Column]) -> int:
    return sum(column.width + 1 for column in columns)


def _room_for_reason(measured: Sequence[Item], screen: Terminal) -> int:
    """How wide a reason may be behind its row; 0 where that is too little."""
    columns, width = _layout(measured, screen)
    room = screen.columns - width - _taken(columns) - 2
    return room if room >= _REASON_SHORTEST else 0


def _reason(item: Item, screen: Terminal, now: float) -> str:
    """What is wrong with it; its row has the name already."""
    return one_line(wording.reason(item, now)).replace(f"{item['worker_id']}/", screen.sign("…/", ".../"))


def _why(shown: Sequence[Item], now: float) -> str:
    """Why the first of the rows is there, as far as something is wrong with it."""
    if not shown:
        return ""
    name, reason = str(shown[0]["worker_id"]), one_line(wording.reason(shown[0], now))
    return f"{name}: {reason}" if reason and name not in reason else reason


def _fit(value: str | Cell, column: _Column, screen: Terminal) -> str:
    cell = value if isinstance(value, Cell) else Cell(text=value)
    text = cut(cell.text, column.width, screen.sign("…", "."))
    blanks = " " * (column.width - width_of(text))
    painted = screen.paint(text, cell.colour, bold=cell.bold, dim=cell.dim)
    return blanks + painted if column.right else painted + blanks


def _totals(items: Sequence[Item], screen: Terminal, now: float) -> str:
    used = [item["cpu_percent"] for item in items if item.get("cpu_percent") is not None]
    held = [item["memory_bytes"] for item in items if item.get("memory_bytes") is not None]
    figures = f"CPU {cpu(sum(used) if used else None)}  memory {memory(sum(held) if held else None)}"
    plain = replace(screen, colour=False)
    right = f"{figures}  {clock(rfc3339(now), now)}"
    left = fleet.summary(items, screen)
    room = screen.columns - width_of(fleet.summary(items, plain)) - width_of(right)
    return left + " " * room + right if room > 1 else left


def _foot(view: View, screen: Terminal) -> str:
    if view.note:
        return screen.paint(cut(one_line(view.note), screen.columns), "yellow")
    if view.typing:
        return cut(f"filter: {view.filter}_   enter: keep  esc: none", screen.columns)
    names = " ".join(screen.paint(name, bold=name == view.sort, dim=name != view.sort) for name in SORTS)
    return screen.paint("q quit  / filter  sort by letter: ", dim=True) + names


def _state(view: View, more: int, why: str, screen: Terminal) -> str:
    """What makes this another screen than the usual one, and what is wrong with the worker on top."""
    told = [
        f"filter {view.filter!r}" if view.filter else "",
        "paused" if view.paused else "",
        "upside down" if view.is_reversed else "",
        f"{more} more below" if more else "",
        why,
    ]
    return screen.paint(cut("  ".join(part for part in told if part), screen.columns), "yellow")
