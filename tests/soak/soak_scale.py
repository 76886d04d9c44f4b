"""What a soak weighs, and whether it stayed flat.

Memory is PSS, because keeper and agent share pages with others; a descriptor is an entry of /proc/PID/fd. The first
third of all samples is the warm-up. After it a leak shows as a rise: the median of the last third lies above the
median of the second. Medians, because one sample may meet a turn of the loop, a search or the collector at work.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MIB = 1024 * 1024
PARTS = 12
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Weight:
    """One process at one moment. Memory in MiB, `cpu_s` since its start."""

    pid: int
    pss: float
    rss: float
    descriptors: int
    threads: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How much more the median of the last third may be than that of the second."""

    mib: float
    descriptors: float


BOUNDS = {"controller": Bound(5, 4), "agent": Bound(1.5, 4), "keeper": Bound(0.5, 4)}


def weigh(pid: int) -> Weight:
    """One process, now."""
    rollup = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return Weight(
        pid=pid,
        pss=int(rollup["Pss"].split()[0]) / 1024,
        rss=int(rollup["Rss"].split()[0]) / 1024,
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(stat[17]),
        cpu_s=(int(stat[11]) + int(stat[12])) / TICKS,
    )


def rise(values: Sequence[float]) -> float:
    """The median of the last third less that of the second."""
    third = len(values) // 3
    return statistics.median(values[-third:]) - statistics.median(values[third : 2 * third])


def course(values: Sequence[float]) -> list[float]:
    """Medians of so many equal parts, to see the shape."""
    edges = [len(values) * part // PARTS for part in range(PARTS + 1)]
    return [round(statistics.median(values[a:b]), 1) for a, b in itertools.pairwise(edges) if b > a]


def figures(samples: Sequence[Weight]) -> dict[str, object]:
    """Of one process, for the report."""
    pss, descriptors = [one.pss for one in samples], [float(one.descriptors) for one in samples]
    return {
        "pss_mib": course(pss),
        "pss_rise_mib": round(rise(pss), 2),
        "rss_max_mib": round(max(one.rss for one in samples), 1),
        "descriptors": course(descriptors),
        "descriptors_rise": rise(descriptors),
        "threads_max": max(one.threads for one in samples),
        "cpu_s": round(samples[-1].cpu_s, 1),
    }


def not_flat(samples: Mapping[str, Sequence[Weight]], bounds: Mapping[str, Bound]) -> list[str]:
    """What rose beyond its bound, and who is another process than before, in words."""
    wrong = []
    for role, bound in bounds.items():
        weights = samples[role]
        memory, descriptors = rise([one.pss for one in weights]), rise([float(one.descriptors) for one in weights])
        if memory > bound.mib:
            wrong.append(f"the {role}'s memory rose by {memory:.1f} MiB, more than {bound.mib:g}")
        if descriptors > bound.descriptors:
            wrong.append(f"the {role}'s descriptors rose by {descriptors:g}, more than {bound.descriptors:g}")
        if len({one.pid for one in weights}) > 1:
            wrong.append(f"the {role} did not live through: {sorted({one.pid for one in weights})}")
    return wrong


def size_mib(path: Path) -> float:
    """What is allocated for a file, or for all below a folder."""
    files = [path] if path.is_file() else [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    total = 0
    for one in files:
        try:
            total += one.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return round(total / MIB, 1)


def spelled(samples: Sequence[Weight]) -> list[dict[str, object]]:
    """All samples, for a file."""
    return [asdict(one) for one in samples]
