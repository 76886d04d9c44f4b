"""Two hundred busy workers for half an hour: what we take of memory and descriptors stays flat.

    pytest -m campaign tests/soak -n 0 -s [--minutes 30] [--soak-samples FILE]

CI does not run it. The figures are printed as one line of JSON. Below fifteen minutes the warm-up is not over after a
third of the time; such a run is a trial, and everything but flatness is judged.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.e2e.e2e_installation import Installation
from tests.soak.soak_life import Life
from tests.soak.soak_scale import BOUNDS, figures, not_flat, size_mib, spelled

# It lasts as long as it is told to; every wait in it has a deadline of its own.
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]

WORKERS = 200
JUDGED_MINUTES = 15


@pytest.fixture
def site() -> Iterator[Installation]:
    opened = Installation()
    opened.ask_s = 60.0
    yield opened
    wrong = opened.close()
    opened.remove()
    assert wrong == []


def test_memory_and_descriptors_stay_flat_while_two_hundred_workers_live_busily(
    site: Installation, request: pytest.FixtureRequest
) -> None:
    minutes, file = request.config.getoption("--minutes"), request.config.getoption("--soak-samples")
    life = Life(site, WORKERS, Random(request.config.getoption("--seed")))
    lasting = life.populate()
    site.serve()
    site.until_running(*lasting, patience_s=180)
    begun = time.monotonic()
    life.live(minutes * 60)
    took = time.monotonic() - begun
    print(f"\nsoak: {json.dumps(report(site, life, took))}")
    if file:
        text = json.dumps({role: spelled(weights) for role, weights in life.samples.items()})
        Path(file).write_text(text)
    site.until_running(*lasting, patience_s=60)
    assert minutes < JUDGED_MINUTES or not_flat(life.samples, BOUNDS) == []


def report(site: Installation, life: Life, took: float) -> dict[str, object]:
    """All that can be said in figures."""
    scraped = dict(line.rsplit(" ", 1) for line in str(site.ask("/metrics").body).splitlines() if line[:1] != "#")
    return {
        "minutes": round(took / 60, 1),
        "workers": life.workers,
        "samples": len(life.samples["controller"]),
        **{role: figures(weights) for role, weights in life.samples.items()},
        "lines_stored": int(float(scraped["worker_controller_log_lines_total"])),
        "gaps": int(float(scraped["worker_controller_log_gaps_total"])),
        "starts": sum(len(book.starts) for book in site.journals().values()),
        "done": life.done,
        "database_mib": size_mib(site.state / "workerctl.db"),
        "wal_mib": size_mib(site.state / "workerctl.db-wal"),
        "logs_mib": size_mib(site.state / "logs"),
        "state_mib": size_mib(site.state),
    }
