"""How long ten thousand specs take, against a minimal program that only reads and parses the same files.

Run by hand, never as a test: `python -m tests.bench.bench_specs [--count N] [--rounds N]`. Times are CPU seconds of
this process, because machines are shared; what counts is the ratio, which the machine's speed does not change. In each
round the minimal program and ours take turns on the same files.

`--only read|load` does one of the two once, as a whole process for another tool to measure; `--keep DIR` keeps the
files.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from controller.core.desired import Desired
from controller.core.intents import Intents
from controller.core.observed import HostView, Observed, ObservedInstance, Status
from controller.core.planner import plan
from controller.core.spec import explicit_fields
from controller.reconcile.specs import difference
from controller.sources.directory import DirectorySource
from controller.sources.launching import Surroundings

FOLDERS = 20
AROUND = Surroundings(host="localhost", cpu_count=2, interpreter="/usr/bin/python3", key=b"k" * 32)
SPEC = """\
# Member {n} of the fleet
worker_id: fleet-{n:05d}
name: Fleet member {n}
labels: {{team: team-{team}, tier: background}}
command: [/usr/bin/python3, -m, fleet.member, --shard, "{n}", --port, "${{port}}"]
working_dir: /srv/fleet
env:
  QUEUE: {queue}
  LOG_LEVEL: info
  DATA_DIR: /var/lib/fleet/{n}
port: {port}
auto_restart: on_failure
max_restart_attempts: 5
restart_delay_ms: 1000
stop:
  signal: TERM
  grace_ms: 20000
"""


def path_of(root: Path, number: int) -> Path:
    return root / f"team-{number % FOLDERS}" / f"fleet-{number:05d}.yaml"


def write(root: Path, number: int, queue: str = "default") -> None:
    path = path_of(root, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SPEC.format(n=number, team=number % FOLDERS, queue=queue, port=2000 + number))


def read_minimally(root: Path) -> int:
    """What no program that reads YAML can do without."""
    count = 0
    for path in root.rglob("*.yaml"):
        # Without its constructor's safety: the least that there is to compare with.
        count += yaml.load(path.read_bytes(), yaml.CSafeLoader) is not None
    return count


def cpu_of(act: Callable[[], object]) -> float:
    before = time.process_time()
    act()
    return time.process_time() - before


class Ours:
    """One controller's view of the directory. `scan` is told a time at which every file has settled."""

    def __init__(self, root: Path, state: Path) -> None:
        self._source = DirectorySource(str(root), str(state), AROUND)
        self.desired = Desired()

    def scan(self) -> None:
        self.desired = self._source.scan(time.time() + 60).desired
        assert not self.desired.problems, self.desired.problems[0]


def obedient(desired: Desired) -> Observed:
    """A host on which everything runs as it is wanted."""
    slots = [
        ObservedInstance(
            worker_id=worker.worker_id,
            ordinal=instance.ordinal,
            generation=1,
            revision=worker.revision,
            digest=instance.digest,
            run_request=0,
            wanted="running",
            status=Status.RUNNING,
            fields=explicit_fields(worker.spec),
            running_revision=worker.revision,
        )
        for worker in desired.workers.values()
        for instance in worker.instances
    ]
    return Observed(hosts={"localhost": HostView(reachable=True, instances={slot.instance: slot for slot in slots})})


def measured(root: Path, count: int, state: Path) -> Iterator[tuple[str, float]]:
    """One round: what was done, and the CPU seconds that it took."""
    yield "minimal: read and parse all", cpu_of(lambda: read_minimally(root))
    ours = Ours(root, state)
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 50, 50)  # as the program does until its first scan is over
    yield "load", cpu_of(ours.scan)
    yield "load after a restart", cpu_of(lambda: Ours(root, state).scan())
    gc.set_threshold(*usual)
    assert len(ours.desired.workers) == count
    gc.collect()
    gc.freeze()  # as it does then
    yield "rescan, nothing new", cpu_of(ours.scan)
    before, observed = ours.desired, obedient(ours.desired)
    write(root, 7, queue=f"other-{time.monotonic_ns()}")
    yield "rescan, one file changed", cpu_of(ours.scan)
    yield "what changed", cpu_of(lambda: difference(before, ours.desired))
    changed = difference(before, ours.desired).touched
    yield "plan of the changed worker", cpu_of(
        lambda: plan(ours.desired, observed, Intents(), now=time.time(), only=changed)
    )  # fmt: skip
    yield "plan of all workers", cpu_of(lambda: plan(ours.desired, observed, Intents(), now=time.time()))
    gc.unfreeze()


def main() -> None:
    arguments = argparse.ArgumentParser(description="See the head of this file.")
    arguments.add_argument("--count", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", choices=["read", "load"])
    arguments.add_argument("--keep", type=Path)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-specs-") as folder:
        root = options.keep if options.keep is not None else Path(folder, "specs")
        if not path_of(root, options.count - 1).exists():
            for number in range(options.count):
                write(root, number)
        if options.only == "read":
            read_minimally(root)
        elif options.only == "load":
            gc.set_threshold(50_000, 50, 50)
            Ours(root, Path(folder, "state")).scan()
        else:
            rounds = [
                list(measured(root, options.count, Path(folder, f"state-{number}"))) for number in range(options.rounds)
            ]
            report(rounds)


def report(rounds: list[list[tuple[str, float]]]) -> None:
    print(f"{'':30}{'median s':>10}{'of minimal':>12}")
    for index, (name, _) in enumerate(rounds[0]):
        seconds = statistics.median(one[index][1] for one in rounds)
        ratio = statistics.median(one[index][1] / one[0][1] for one in rounds)
        print(f"{name:30}{seconds:10.3f}{ratio:12.3f}")


if __name__ == "__main__":
    main()
