"""One round: a fleet of its own, so many faults, each between traffic, each followed by a look at everything.

A round replays from its seed alone. `Round.run` returns the figures; what must not be is an AssertionError whose text
holds the seed, the faults so far, the invariant, the witness and the command that replays it.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.campaign import campaign_faults_disk
from tests.campaign.campaign_faults import FAULTS, Absent, Scene
from tests.campaign.campaign_fleet import Fleet
from tests.campaign.campaign_ground import CONVERGED_S, Ground
from tests.campaign.campaign_traffic import Traffic
from tests.campaign.campaign_witness import Witness

assert campaign_faults_disk.__doc__, "imported for the faults that it registers"
SECRET = "canary-secret-5f1c9e"


class Round:
    """See the module. `only`: draw from these faults."""

    def __init__(self, seed: int, faults: int, workers: int, only: tuple[str, ...] = ()) -> None:
        self.seed, self.faults, self.workers = seed, faults, workers
        self.only = only
        self.chance = Random(f"campaign {seed} {workers}")
        self.ground = Ground()
        secret = self.ground.root / "beside/secret"
        secret.write_text(SECRET)
        self.fleet = Fleet(self.ground.slots, secret)
        self.traffic = Traffic(self.ground, self.fleet, self.chance)
        self.witness = Witness(self.ground, self.fleet)
        self.story: list[str] = []
        self.counted: Counter[str] = Counter()
        self.slowest_s = 0.0

    def run(self) -> None:
        """All of it."""
        for _ in range(self.workers):
            self.traffic.write(self.fleet.add())
        self.ground.begin()
        self._converge("the start")
        for number in range(1, self.faults + 1):
            self._episode(number)
        self._secrets()
        self.ground.until_ready()
        self.ground.stop()

    def _episode(self, number: int) -> None:
        self.fleet.begin_episode()
        self.traffic.told = []
        name = self._drawn()
        lost = self.witness.database_lost, self.witness.journal_lost
        scene = Scene(self.ground, self.fleet, self.traffic, self.chance, *lost)
        self.story.append(f"{number}. {name}")
        try:
            self._harm(scene, name)
            self.traffic.some(1)
            self.traffic.settle()
        finally:
            self.story[-1] += f" [{', '.join(self.traffic.told)}]"
        self._converge(name)

    def _harm(self, scene: Scene, name: str) -> None:
        """The fault, between traffic."""
        try:
            self.traffic.some(3)
            scene.dwell(0.3)
            with FAULTS[name][1](scene):
                self.ground.tend()
                self.traffic.some(2)
                scene.dwell(0.5)
            self.ground.tend()
            self.counted[name] += 1
        except Absent as error:
            self.counted[f"absent: {name} ({error})"] += 1

    def _drawn(self) -> str:
        names = list(self.only or FAULTS)
        return self.chance.choices(names, [max(FAULTS[name][0], bool(self.only)) for name in names])[0]

    def _converge(self, name: str) -> None:
        began = time.monotonic()
        waits: list[str] = ["nothing was seen"]

        def holds() -> bool:
            waits[:] = self.witness.look()
            return not waits

        try:
            self.ground.until(holds, told="all is as it should be")
        except AssertionError as error:
            if "not within" in str(error):
                raise AssertionError(f"not within {CONVERGED_S:g} s of {name}:\n  " + "\n  ".join(waits[:20])) from None
            raise
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.witness.settle()

    def _secrets(self) -> None:
        """I10: what a worker was given in secret stands nowhere but in its file and its own environment."""
        told = [json.dumps(self.ground.ask(f"/api/v1/{path}").body) for path in ("workers", "worker-configs", "events")]
        assert SECRET not in "".join(told), "I10: the API tells the secret"
        kept = self.ground.root / "beside"
        for folder, _, names in os.walk(self.ground.root):
            for name in names:
                path = Path(folder, name)
                if not path.is_relative_to(kept) and path.is_file() and SECRET.encode() in path.read_bytes():
                    raise AssertionError(f"I10: {path} holds the secret")

    def told(self, error: BaseException) -> str:
        """For a failed round: all that a person needs."""
        replay = (
            f"pytest -m campaign tests/campaign/test_campaign_faults.py --seed {self.seed} "
            f"--faults {len(self.story)} --workers {self.workers} -n 0"
        )
        parts = [f"seed {self.seed}: {error}", "faults so far:", *self.story[-30:], f"replay: {replay}"]
        if isinstance(error, Exception) and not isinstance(error, AssertionError):
            parts.insert(1, repr(error))
        return "\n".join(parts)

    def figures(self) -> str:
        """One line for the record."""
        most = {name: self.witness.most_seen[name] for name in sorted(self.witness.most_seen)}
        return json.dumps(
            {
                "seed": self.seed,
                "workers": self.workers,
                "faults": sum(self.counted.values()),
                "kinds": dict(sorted(self.counted.items())),
                "slowest_s": round(self.slowest_s, 1),
                "most": most,
            }
        )
