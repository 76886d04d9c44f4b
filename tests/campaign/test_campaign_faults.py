"""Kill anything, lose nothing: seeded rounds of faults on a fleet of canaries, judged by three witnesses.

`pytest -m campaign --faults N --seed S --workers W`. A round has at most 12 faults and the seed S + its number; it
replays alone. What is drawn stands in campaign_faults.py, what must hold in campaign_witness.py, the rows of the
matrix in ROWS.md, what is left out in LEFT_OUT.md.
"""

from __future__ import annotations

import os

import pytest

from tests.campaign.campaign_round import Round

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]

ROUND = 12


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per round."""
    if "seed" in metafunc.fixturenames:
        first, faults = metafunc.config.getoption("--seed"), metafunc.config.getoption("--faults")
        rounds = [(first + begun // ROUND, min(ROUND, faults - begun)) for begun in range(0, faults, ROUND)]
        metafunc.parametrize(("seed", "faults"), rounds, ids=[f"seed-{seed}-{count}-faults" for seed, count in rounds])


def test_whatever_dies_no_worker_dies_of_it_and_nothing_is_lost(
    seed: int, faults: int, request: pytest.FixtureRequest
) -> None:
    only = tuple(filter(None, request.config.getoption("--only").split(",")))
    played = Round(seed, faults, request.config.getoption("--workers"), only)
    failure = ""
    try:
        played.run()
    except Exception as error:  # whatever it is: it is told with its seed
        failure = f"{played.told(error)}\n{played.ground.story()}"  # before the file system of the state is taken away
    wrong = played.ground.close()
    print(played.figures())
    if failure or wrong:
        story = "" if failure else played.ground.story()
        if "WORKERCTL_E2E_KEEP" not in os.environ:
            played.ground.remove()
        pytest.fail("\n".join([failure or played.told(AssertionError("; ".join(wrong))), *wrong, story]), pytrace=False)
    played.ground.remove()
