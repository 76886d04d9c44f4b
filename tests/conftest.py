"""What takes long is first, and no example has a time limit: machines are loaded. And options of the fault campaign,
which must be known before tests/campaign is collected.

The seed is drawn once, by the process that starts xdist's workers.
"""

from __future__ import annotations

import os
import secrets

import pytest

from tests import examples  # noqa: F401 - its profiles are needed before any test is collected

CI_FAULTS = 24
SEED = "WORKERCTL_CAMPAIGN_SEED"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Of `pytest -m campaign`."""
    group = parser.getgroup("campaign", "fault campaign (pytest -m campaign)")
    group.addoption("--faults", type=int, default=CI_FAULTS, help="how many faults (default: a slice for CI)")
    group.addoption("--seed", type=int, default=None, help="of the first round; drawn and printed where not given")
    group.addoption("--workers", type=int, default=50, help="how many workers a round begins with")
    group.addoption("--only", default="", help="draw from these faults only (comma-separated names)")
    group.addoption("--all-syscalls", action="store_true", help="crash at every system call, not at a sample")
    group.addoption("--slice", type=int, default=1, help="of tests marked `sliced` run one in so many, by the seed")
    group.addoption("--minutes", type=float, default=30, help="how long a soak lasts (tests/soak)")
    group.addoption("--soak-samples", default="", metavar="FILE", help="write all samples of a soak there, as JSON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first, in the random order that all have: at the end no processor waits for the other."""
    each, seed = config.option.slice, config.option.seed
    sliced = sorted((item for item in items if item.get_closest_marker("sliced")), key=lambda item: item.nodeid)
    left_out = {item for number, item in enumerate(sliced) if (number + seed) % each}
    if left_out:
        config.hook.pytest_deselected(items=sorted(left_out, key=lambda item: item.nodeid))
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed. xdist's workers read the same command line, and inherit the environment."""
    if config.option.seed is None:
        config.option.seed = int(os.environ.setdefault(SEED, str(secrets.randbelow(1_000_000))))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Print it."""
    if "campaign" in (config.option.markexpr or "") and "not campaign" not in config.option.markexpr:
        return (
            f"campaign: --seed {config.option.seed} --faults {config.option.faults} --workers {config.option.workers}"
        )
    return f"one of {config.option.slice}: --seed {config.option.seed}" if config.option.slice > 1 else None
