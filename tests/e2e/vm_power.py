"""An installation whose machine loses its power, twice: run inside a machine of `e2e_vm`, never on the host.

`vm_power.py first` starts a fleet, asks for this and that, and the power goes the moment the last answer is there.
`second` finds strangers on all pids of before, starts everything again, and the power goes in the middle of a graceful
end. `third` starts once more and ends well. State, specs and runtime folder lie on the disk; the canaries' journals lie
outside, where no power cut takes anything away. test_e2e_power.py judges what was seen.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually
from tests.e2e.e2e_strangers import strangers
from tests.e2e.vm_disk import MNT, answered, loopback, mounted, power_cut

PATIENCE_S = 90.0
AN_HOUR_MS = 3_600_000
RUN = ("api", "db", "deaf", "late", "web")
Facts = dict[str, Any]


class Site(Installation):
    """On the disk, with the canaries' journals outside."""

    def __init__(self) -> None:
        loopback()
        super().__init__(mounted(Path("/tmp/disk")))
        self.slots = MNT / "slots"
        self.slots.mkdir(exist_ok=True)
        self.began = {instance: len(book.starts) for instance, book in self.journals().items()}

    def safe(self, worker_id: str, *options: str, **fields: Any) -> None:
        """A spec as a careful editor leaves it: on the disk."""
        for path in (self.add(worker_id, *options, **fields), self.specs):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def begin(self) -> None:
        """Serve, with patience: this machine is slow."""
        self.serve(ready=False)
        eventually(self.is_ready, PATIENCE_S, told="it is ready")

    def settled(self) -> Facts:
        """How all are once all run that should, and how often each was started since the power came."""
        pids = self.until_running(*RUN, patience_s=PATIENCE_S)
        self.until_status("night", "stopped", PATIENCE_S)
        eventually(lambda: self.living() == pids, PATIENCE_S, told="each has said that it is there")
        workers = self.workers()
        reboots = eventually(lambda: self.events(None, "host_rebooted"), PATIENCE_S, told="a reboot is told of")
        return {
            "reboots": len(reboots),
            "status": {name: item["status"] for name, item in sorted(workers.items())},
            "starts": {name: len(book.starts) - self.began.get(name, 0) for name, book in self.journals().items()},
            "labels": workers["web"]["labels"],
            "late": yaml.safe_load((self.specs / "late.yaml").read_text()) == late(self),
            "specs": sorted(path.name for path in self.specs.iterdir()),
            "ends": {name: item["instances"][0]["last_exit"] for name, item in sorted(workers.items())},
        }


def late(site: Site) -> Facts:
    return dict(yaml.safe_load(site.spec("late")))


def first(site: Site) -> None:
    """What was acknowledged when the power went is durable."""
    site.safe("db")
    site.safe("web", "--lines=1000000", "--every=200", replicas=2, depends_on={"db": "started"})
    site.safe("api")
    site.safe("night")
    site.safe("deaf", "--ignore-term", stop={"grace_ms": 60_000})
    site.begin()
    pids = site.until_running(patience_s=PATIENCE_S)
    ours = [site.pid_of(role) for role in ("keeper", "agent")]
    answers = [
        site.ask("/api/v1/worker-configs", "POST", late(site)),
        site.ask("/api/v1/worker-configs/web", "PATCH", {"labels": {"a": "b"}}),
        site.ask("/api/v1/workers/night/stop", "POST", {"for_ms": AN_HOUR_MS, "reason": "work on the power"}),
        site.ask("/api/v1/workers/api/restart", "POST"),
    ]
    power_cut({"answers": [answer.status for answer in answers], "pids": [*pids.values(), *ours]})


def second(site: Site, *pids: str) -> None:
    """Strangers have the old pids; everything is started once; the power goes again in the middle of an end."""
    with strangers(map(int, pids)) as harmed:
        site.begin()
        facts = {**site.settled(), "harmed": harmed}
    site.tell()
    eventually(lambda: "api/0" not in site.living(), PATIENCE_S, told="some have ended")
    power_cut({**facts, "left": sorted(site.living())})


def third(site: Site) -> None:
    """All is there again, and ends as it should."""
    site.begin()
    facts = site.settled()
    site.ask("/api/v1/workers/deaf/stop", "POST", {"graceful": False})
    site.until_status("deaf", "stopped", PATIENCE_S)
    answered({**facts, "wrong": site.close()})


BOOTS: dict[str, Callable[..., None]] = {"first": first, "second": second, "third": third}

if __name__ == "__main__":
    site = Site()
    try:
        BOOTS[sys.argv[1]](site, *sys.argv[2:])
    except BaseException:
        answered({"error": f"{traceback.format_exc()}\n{site.story()}"})
