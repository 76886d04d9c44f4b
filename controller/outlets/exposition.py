"""The OpenMetrics text format, version 1.0: families, samples, histograms. Pure; called by metrics.py.

https://prometheus.io/docs/specs/om/open_metrics_spec/ is the source of every rule here. A test reads what is written
with the parser of Prometheus' own client. Our own writer, because a scrape of a thousand workers must cost the event
loop a few milliseconds.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = Mapping[str, str]
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def escaped(value: str) -> str:
    """A label value, or a help text, as it stands between quotation marks."""
    return value.translate(_ESCAPED)


class Family:
    """One metric with its samples. `name` is without what the samples of a type have behind it (`_total`, `_info`)."""

    def __init__(self, name: str, kind: Literal["gauge", "counter", "info"], about: str, unit: str = "") -> None:
        """`unit`: of the base units, which the name must end in then."""
        self._head = [f"# TYPE {name} {kind}"]
        if unit:
            self._head.append(f"# UNIT {name} {unit}")
        self._head.append(f"# HELP {name} {escaped(about)}")
        self._name = name + {"counter": "_total", "info": "_info"}.get(kind, "")
        self._samples: list[str] = []

    def add(self, value: float | None, labels: str = "") -> None:
        """One sample. `labels` as `labels_of` writes them; None is not known, which is told by leaving it out."""
        if value is not None:
            self._samples.append(f"{self._name}{labels} {number(value)}")

    def lines(self) -> Sequence[str]:
        """All of it."""
        return [*self._head, *self._samples]


def labels_of(labels: Labels) -> str:
    """`{worker="web"}`."""
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"


def number(value: float) -> str:
    """A whole number without a point, else the shortest text that is this number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


class Histogram:
    """How often something took how long. `observe` from one thread."""

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        """`bounds`: upper bounds of the buckets in seconds, ascending, each included in its bucket."""
        self._name, self._about, self._bounds = name, about, tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect.bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def lines(self) -> Sequence[str]:
        """All of it; each bucket holds those below it, as the format wants it."""
        name, counts = self._name, self._counts
        lines = [f"# TYPE {name} histogram", f"# UNIT {name} seconds", f"# HELP {name} {escaped(self._about)}"]
        reached = 0
        for bound, count in zip(self._bounds, counts, strict=False):
            reached += count
            lines.append(f'{name}_bucket{{le="{float(bound)!r}"}} {reached}')
        total = sum(counts)
        return [*lines, f'{name}_bucket{{le="+Inf"}} {total}', f"{name}_count {total}", f"{name}_sum {self._sum!r}"]


def document(families: Iterable[Family | Histogram]) -> str:
    """The whole answer."""
    return "\n".join([line for family in families for line in family.lines()] + ["# EOF", ""])
