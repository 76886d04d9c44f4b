"""Three witnesses: the canaries' journals, /proc, and what the program says over its API and in its database.

None believes another. `Witness.look` compares all of them with the model: what is not so yet comes back as text, to be
waited for; what must never be raises `Violation` at once, with its invariant. The database is read incrementally.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.campaign.campaign_fleet import Fleet
from tests.campaign.campaign_ground import Ground
from tests.e2e.e2e_processes import Process, processes_of

USR1 = 10
CONTROLLER_MIB, AGENT_MIB, KEEPER_MIB = 300, 120, 40
LINE = re.compile(r"line (\d{8}) ([0-9a-f]{8})")


class Violation(AssertionError):
    """An invariant that does not hold, and who says so."""

    def __init__(self, invariant: str, witness: str, text: str) -> None:
        super().__init__(f"{invariant} does not hold; witness: {witness}: {text}")


@dataclass
class Life:
    """One process of a canary, from its own hand."""

    instance: str
    pid: int
    start_time: int
    mark: str
    run: str
    signals: list[int] = field(default_factory=list)
    wrote: int = 0
    has_left: bool = False
    children: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class _File:
    """How far a run's output is known to be in the database."""

    seq: int | None = None
    number: int | None = None


def read_lives(path: Path) -> list[Life]:
    """A slot's journal, in order. Raises Violation where two copies met."""
    instance = path.stem.rpartition("-")[0] + "/" + path.stem.rpartition("-")[2]
    lives: list[Life] = []
    for line in path.read_text().split("\n")[:-1]:
        row = line.split(" ")
        if row[1] == "start":
            lives.append(Life(instance, int(row[2]), int(row[3]), row[4], row[5]))
        elif row[1] == "double":
            raise Violation("I1", "canary journal", f"{instance} was started while another process held its slot")
        elif row[1] == "child":
            lives[-1].children.append((int(row[2]), int(row[3])))
        else:
            life = next(life for life in reversed(lives) if life.pid == int(row[3]))
            if row[1] == "signal":
                life.signals.append(int(row[2]))
            elif row[1] == "wrote":
                life.wrote = max(life.wrote, int(row[2]))
            else:
                life.has_left = True
    return lives


class Witness:
    """Of one round."""

    def __init__(self, ground: Ground, fleet: Fleet) -> None:
        self.ground, self.fleet = ground, fleet
        self.before: dict[str, list[Life]] = {}
        self._files: dict[str, _File] = {}
        self._parsed: dict[Path, tuple[str, dict[str, Any]]] = {}
        self._log_id = self._event_seq = 0
        self._events: Counter[tuple[str, str]] = Counter()
        self._folded: set[str] = set()
        self._has_gap = False
        self._old_runs: set[str] = set()
        self.most_seen: Counter[str] = Counter()

    def database_lost(self) -> None:
        """It was deleted on purpose: of runs so far, only what is there now must be right."""
        self._old_runs |= {life.run for lives in self.lives().values() for life in lives}
        self._files.clear()
        self._events.clear()
        self._log_id = self._event_seq = 0

    def journal_lost(self) -> None:
        """The agent's journal goes: of runs so far, events may be missing, or told anew."""
        self._old_runs |= {life.run for lives in self.lives().values() for life in lives}
        self._events.clear()

    def lives(self) -> dict[str, list[Life]]:
        """All lives of all slots."""
        found = (read_lives(path) for path in sorted(self.ground.slots.glob("*.journal")))
        return {lives[0].instance: lives for lives in found if lives}

    # --- all at once ---

    def look(self) -> list[str]:
        """What does not hold yet, said in words; [] once everything is as it should be."""
        lives = self.lives()
        waits = self._processes(lives)
        waits += self._told(lives)
        waits += self._specs()
        if self.ground.database.exists():
            with contextlib.suppress(sqlite3.OperationalError):
                return waits + self._database(lives)
        return [*waits, "I6: there is no database to read"]

    def settle(self) -> None:
        """After all has converged: who was not to be touched was not, and nobody was touched too often."""
        lives = self.lives()
        for instance, found in lives.items():
            before = self.before.get(instance, [])
            fresh = found[len(before) :]
            self._count(instance, before, fresh)
        self._bystander()
        self._sizes()
        self.before = lives

    def _count(self, instance: str, before: list[Life], fresh: list[Life]) -> None:
        touch = self.fleet.touched.get(instance)
        is_expected = instance in self.fleet.expected()
        most = 0 if touch is None else touch.most
        least = touch.least if touch is not None and is_expected else 0
        if len(fresh) > most:
            why = "I2" if most == 0 else "I4"
            raise Violation(
                why, "canary journal", f"{instance} was started {len(fresh)} times, at most {most} asked for"
            )
        if len(fresh) < least:
            raise Violation("I7", "canary journal", f"{instance} was started {len(fresh)} times, {least} asked for")
        if touch is None and is_expected and before:
            strange = [number for number in before[-1].signals if number != USR1]
            if strange:
                raise Violation("I2", "canary journal", f"{instance}, untouched, got signals {strange}")

    # --- /proc ---

    def _processes(self, lives: dict[str, list[Life]]) -> list[str]:
        expected = self.fleet.expected()
        alive = {(one.pid, one.start_time): one for one in processes_of(str(self.ground.root))}
        own = {self.ground.pid_if("controller"), self.ground._bystander.pid}
        waits: list[str] = []
        for instance, found in lives.items():
            leaders = [life for life in found if (life.pid, life.start_time) in alive]
            if len(leaders) > 1:
                raise Violation("I1", "/proc", f"{instance} has the processes {[life.pid for life in leaders]}")
            for life in leaders:
                own |= {life.pid, *(pid for pid, _ in life.children)}
            waits += self._slot(instance, leaders, expected)
            waits += [self._environment(instance, alive[one.pid, one.start_time]) for one in leaders]
        waits += [f"I4: {name} was never started" for name in expected.keys() - lives.keys()]
        rest = [one for one in alive.values() if one.pid not in own]
        return [wait for wait in waits if wait] + self._roles(rest)

    def _environment(self, instance: str, leader: Process) -> str:
        """An edit of `env` is in force when the process has it."""
        wanted = self.fleet.workers.get(instance.rpartition("/")[0])
        note = "" if wanted is None else wanted.fields.get("env", {}).get("NOTE", "")
        return f"I4: {instance} runs without NOTE={note}" if note and f"NOTE={note}\n" not in leader.environ else ""

    def _slot(self, instance: str, leaders: list[Life], expected: dict[str, str]) -> list[str]:
        if instance not in expected:
            return [f"I5: {instance} still has the process {life.pid}" for life in leaders]
        if not leaders:
            return [f"I4: {instance} has no process"]
        if leaders[0].mark != expected[instance]:
            return [f"I4: {instance} runs as {leaders[0].mark}, wanted is {expected[instance]}"]
        return []

    def _roles(self, rest: list[Process]) -> list[str]:
        waits = []
        for role in ("keeper", "agent"):
            found = [one for one in rest if f"controller.agent {role} {self.ground.state}/agent" in one.command]
            rest = [one for one in rest if one not in found]
            if len(found) != 1:
                waits.append(f"I4: {len(found)} processes are the {role}")
        return waits + [f"I5: nobody accounts for process {one.pid} ({one.command[:200]})" for one in rest]

    def _bystander(self) -> None:
        book = self.ground.root / "beside/beside-0.journal"
        lives = read_lives(book)
        if self.ground._bystander.poll() is not None or any(life.signals for life in lives):
            raise Violation("I3", "bystander's journal", book.read_text())

    def _sizes(self) -> None:
        count = len(self.fleet.expected())
        caps = {
            "controller": (CONTROLLER_MIB, 150),
            "agent": (AGENT_MIB, 80 + 8 * count),
            "keeper": (KEEPER_MIB, 60 + 5 * count),
        }
        for role, (most_mib, most_fds) in caps.items():
            pid = self.ground.pid_if(role)
            with contextlib.suppress(OSError, TypeError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                mib, fds = pages * os.sysconf("SC_PAGE_SIZE") >> 20, len(os.listdir(f"/proc/{pid}/fd"))
                self.most_seen[f"{role} MiB"] = max(self.most_seen[f"{role} MiB"], mib)
                self.most_seen[f"{role} fds"] = max(self.most_seen[f"{role} fds"], fds)
                if mib > most_mib or fds > most_fds:
                    raise Violation("I8", "/proc", f"the {role} has {mib} MiB and {fds} descriptors, {count} instances")

    # --- the API ---

    def _told(self, lives: dict[str, list[Life]]) -> list[str]:
        # The plan first: what it has done by now is seen in the workers, asked after it.
        plan = self.ground.ask("/api/v1/plan").body
        workers = self.ground.workers()
        waits = [f"I4: {name} is shown, and is gone" for name in workers.keys() - self.fleet.workers.keys()]
        known = {life.pid for found in lives.values() for life in found}
        for name, wanted in self.fleet.workers.items():
            item = workers.get(name)
            if item is None:
                waits.append(f"I4: {name} is not shown")
                continue
            status = "stopped" if wanted.is_stopped else "running"
            if item["status"] != status:
                waits.append(f"I4: {name} is shown as {item['status']}, wanted is {status}")
            if item["labels"] != {"round": str(wanted.label)}:
                waits.append(f"I4: {name} is shown with the labels {item['labels']}")
            shown = {i["instance"]: i["pid"] for i in item["instances"] if i["status"] == "running"}
            invented = {pid for pid in shown.values() if pid not in known}
            if invented:
                waits.append(f"I9: {name} is shown with pids {invented} that no canary had")
            real = {i: lives[i][-1].pid for i in wanted.instances if lives.get(i)}
            if shown != real:
                waits.append(f"I9: {name} is shown as {shown}, and runs as {real}")
        waits += [
            f"I4: the plan would {one['action']} {one.get('instance')}: {one['cause']}" for one in plan["actions"]
        ]
        return waits + [f"I4: held: {one['worker_id']} {one['reason']}: {one['message']}" for one in plan["holds"]]

    def _read(self, path: Path) -> dict[str, Any]:
        """A spec file; parsed once for each text."""
        text = path.read_text()
        known = self._parsed.get(path)
        if known is None or known[0] != text:
            known = self._parsed[path] = text, yaml.load(text, yaml.CSafeLoader)
        return known[1]

    def _specs(self) -> list[str]:
        """Every acknowledged write stands in its file, whole."""
        waits = []
        names = {path.name for path in self.ground.specs.iterdir()}
        expected = {f"{name}.yaml" for name in self.fleet.workers}
        if names != expected:
            waits.append(f"I7: the specs are {sorted(names ^ expected)} away from what was acknowledged")
        for name, wanted in self.fleet.workers.items():
            if f"{name}.yaml" not in names:
                continue
            found = self._read(self.ground.specs / f"{name}.yaml")
            if found != self.fleet.fields(wanted):
                differing = sorted(k for k, v in self.fleet.fields(wanted).items() if found.get(k) != v)
                waits.append(f"I7: {name}.yaml differs in {differing} from what was acknowledged")
        return waits

    # --- the database ---

    def _database(self, lives: dict[str, list[Life]]) -> list[str]:
        with contextlib.closing(sqlite3.connect(f"file:{self.ground.database}?mode=ro", uri=True, timeout=5)) as rows:
            lines = rows.execute(
                "SELECT id, run, kind, seq, text FROM worker_logs WHERE id > ? AND stream = 'stdout' ORDER BY id",
                (self._log_id,),
            ).fetchall()
            events = rows.execute(
                "SELECT seq, type, instance, run, cause FROM events WHERE seq > ? ORDER BY seq", (self._event_seq,)
            ).fetchall()
        for line in lines:
            self._line(*line)
        for event in events:
            self._event(*event)
        waits = []
        for instance, found in lives.items():
            for life in found:
                if life.run not in self._old_runs:
                    waits += self._recorded(instance, life, is_over=life is not found[-1])
        return waits

    def _line(self, number: int, run: str, kind: str, seq: int, text: str) -> None:
        self._log_id = number
        if run.endswith(("-pre_start", "-post_stop")):
            return
        file = self._files.setdefault(run, _File())
        first = 1 if run not in self._old_runs else seq
        if seq != (first if file.seq is None else file.seq + 1):
            raise Violation("I6", "database", f"run {run}: line {seq} follows {file.seq}")
        file.seq = seq
        if kind == "gap":
            file.number = None
            return
        found = LINE.fullmatch(text)
        if found is None:
            # After a gap the first line may lack its beginning; the last one of a life may lack its end.
            if file.number is not None or not re.fullmatch(r"[line]{0,4} ?\d{0,8} ?[0-9a-f]{0,8}", text):
                _check_last_words(run, text)
            return
        if f"{zlib.crc32(text[:13].encode()):08x}" != found[2]:
            raise Violation("I6", "database", f"run {run}: {text!r} is not what was written")
        told = int(found[1])
        if file.number is not None and told != file.number + 1:
            raise Violation("I6", "database", f"run {run}: line {told} follows {file.number}, without a gap record")
        if file.number is None and seq == 1 and told != 1:
            raise Violation("I6", "database", f"run {run}: begins with line {told}")
        file.number = told

    def _event(self, seq: int, kind: str, instance: str | None, run: str | None, cause: str) -> None:
        self._event_seq = seq
        if kind == "repeated" and instance:
            self._folded.add(instance)
        if kind == "gap":
            self._has_gap = True
        if run is None or kind not in ("started", "exited"):
            if run is not None:
                self._events[run, kind] += 1
            return
        self._events[run, kind] += 1
        if self._events[run, kind] > 1 and run not in self._old_runs:
            raise Violation("I12", "database", f"run {run} of {instance} {kind} twice")
        if kind == "exited" and not cause:
            raise Violation("I12", "database", f"run {run} of {instance} exited without a cause")

    def _recorded(self, instance: str, life: Life, *, is_over: bool) -> list[str]:
        waits = []
        file = self._files.get(life.run, _File())
        if life.wrote and (file.number or 0) < life.wrote and file.seq is None:
            waits.append(f"I6: run {life.run} of {instance} wrote {life.wrote} lines, none is stored")
        elif file.number is not None and file.number < life.wrote:
            waits.append(f"I6: run {life.run} of {instance} wrote {life.wrote} lines, {file.number} are stored")
        if instance in self._folded or self._has_gap:
            return waits
        if not self._events[life.run, "started"] and not self._events[life.run, "adopted"]:
            waits.append(f"I12: no event tells of the start of run {life.run} of {instance}")
        if is_over and not self._events[life.run, "exited"]:
            waits.append(f"I12: no event tells of the end of run {life.run} of {instance}")
        return waits


def _check_last_words(run: str, text: str) -> None:
    """A line that death cut short."""
    if not re.fullmatch(r"(line( \d{0,8}( [0-9a-f]{0,7})?)?|l|li|lin)?", text):
        raise Violation("I6", "database", f"run {run}: {text!r} was never written")
