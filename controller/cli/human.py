"""Figures for people: ages, sizes, shares, times. Pure functions; `now` is an argument, in seconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

_STEPS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds_of(moment: str | None) -> float | None:
    """An RFC 3339 time as seconds since the epoch; None where there is none or it cannot be read."""
    if not moment:
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def age(seconds: float | None) -> str:
    """One unit: `8s`, `3m`, `2h`, `5d`. `-` where unknown."""
    if seconds is None:
        return "-"
    left = max(int(seconds), 0)
    for size, unit in _STEPS:
        if left >= size:
            return f"{left // size}{unit}"
    return "0s"


def duration(seconds: float) -> str:
    """Two units: `2h 3m`, `45s`, `1d 0h`."""
    left = max(int(seconds), 0)
    for (size, unit), (smaller, small_unit) in pairwise(_STEPS):
        if left >= size:
            return f"{left // size}{unit} {left % size // smaller}{small_unit}"
    return f"{left}s"


def memory(size: int | None) -> str:
    """`512 B`, `45 MiB`, `1.3 GiB`. `-` where not yet sampled."""
    if size is None:
        return "-"
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.1f} {unit}" if unit == "GiB" or (unit == "MiB" and value < 10) else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def cpu(percent: float | None) -> str:
    """`0.3%`, `104%`. 100 is one core. `-` where not yet sampled."""
    if percent is None:
        return "-"
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.1f}%"


def clock(moment: str | None, now: float) -> str:
    """Local time: `12:03:04` for today, with the date before that for another day. `-` where there is none."""
    seconds = seconds_of(moment)
    if seconds is None:
        return "-"
    local, today = datetime.fromtimestamp(seconds).astimezone(), datetime.fromtimestamp(now).astimezone()
    return local.strftime("%H:%M:%S" if local.date() == today.date() else "%Y-%m-%d %H:%M:%S")


def moment(seconds: float) -> str:
    """A moment to come, in local time with its date: `2026-11-24 12:03:04`."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def parse_duration(text: str) -> float | None:
    """`90s`, `10m`, `1h30m`, `2d` or plain seconds, as seconds. None where it is no duration."""
    compact = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        return float(compact)
    if not compact or not re.fullmatch(f"(?:{_DURATION.pattern})+", compact):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(compact))


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as the API writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 worker`, `3 workers`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
