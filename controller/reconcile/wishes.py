"""Intents on disk: one small fsynced file per live wish of a worker and per keep, and one per confirmed guard.

The database has their history; these files are the wishes themselves, so that losing the database loses none. A file
that cannot be read is moved aside (`.bad`) and told, the others count. Where the folder was removed under us, the next
write makes it anew with all that is live.

The ends of keeps follow the clocks (core/keeps.py): at the start and with every turn of the loop.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from controller.agent.failpoints import failpoint
from controller.core.intents import Intents, Keep, RunIntent
from controller.core.keeps import Clocks, bound, followed
from controller.reconcile.clock import read_clocks
from controller.reconcile.state import remove_leftovers, sync_directory, write_durably

CONFIRMATION_LIVES_S = 60.0
"""What was confirmed is forgotten after this long, should it not be certain before that nothing waits for it."""

log = logging.getLogger("workerctl.intents")


class WishBook:
    """The live intents, in memory and on disk. Any thread may use it; writes take one fsync.

    The lock keeps file and memory of one wish together: without it the loop could remove the file of a wish that a
    person makes at this moment, and take the new one for the old.
    """

    def __init__(self, directory: Path, clocks: Callable[[], Clocks] = read_clocks) -> None:
        self._directory, self._clocks = directory, clocks
        self._runs: dict[str, RunIntent] = {}
        self._keeps: dict[str, Keep] = {}
        self._confirmed: dict[str, float] = {}
        self._highest = 0
        self._lock = threading.Lock()
        remove_leftovers(directory)
        for path in sorted(directory.glob("*.json")):
            self._load(path)
        self.follow_clocks()

    @property
    def intents(self) -> Intents:
        """What the planner reads."""
        return Intents(runs=dict(self._runs), keeps=dict(self._keeps), confirmed=frozenset(self._confirmed))

    def next_number(self, worker_id: str, now: float, served: int = 0) -> int:
        """A number above every earlier one, also when the clock went back; `served`: the worker's highest so far."""
        before = self._runs.get(worker_id)
        floor = max(served, self._highest, before.number if before else 0)
        self._highest = max(int(now * 1000), floor + 1)
        return self._highest

    def wish(self, intent: RunIntent) -> None:
        """Durable before it returns."""
        with self._noting():
            newer = self._runs.get(intent.worker_id)
            if newer is not None and newer.number > intent.number:
                return  # It covers this one.
            self._write(f"run-{intent.worker_id}.json", {"run": asdict(intent)})
            self._runs[intent.worker_id] = intent

    def keep(self, keep: Keep) -> None:
        """From now on this decides, until its time is over. Durable before it returns."""
        keep = bound(keep, self._clocks())
        with self._noting():
            self._write(f"keep-{keep.worker_id}.json", {"keep": asdict(keep)})
            self._keeps[keep.worker_id] = keep

    def follow_clocks(self) -> None:
        """Where the wall clock was set, or this is another boot, keeps get the end that is theirs now."""
        clocks = self._clocks()
        moved = {one.worker_id: one for one in self._keeps.values() if followed(one, clocks) != one}
        for worker_id, before in moved.items():  # Rare; so no turn of the loop waits for the lock.
            with self._lock:
                if self._keeps.get(worker_id) is not before:
                    continue
                keep = self._keeps[worker_id] = followed(before, clocks)
                fields = {"worker": worker_id, "kept": str(keep)}
                if abs(keep.until - before.until) > 0:
                    log.warning("the clock was set: a keep ends at another time of it", extra={"fields": fields})
                try:
                    self._write(f"keep-{worker_id}.json", {"keep": asdict(keep)})
                except OSError as error:
                    log.warning("a keep could not be written anew", extra={"fields": {**fields, "error": str(error)}})

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        failpoint("controller.before_intent")
        with self._lock:
            yield
        failpoint("controller.after_intent")

    def end_keep(self, worker_id: str, only: Keep | None = None) -> Keep | None:
        """The spec decides again (with `only`: unless another keep came meanwhile); what was ended."""
        with self._lock:
            known = self._keeps.get(worker_id)
            if known is None or only not in (None, known):
                return None
            del self._keeps[worker_id]
            self._unlink(f"keep-{worker_id}.json")
            return known

    def confirm(self, digest: str, now: float) -> None:
        """A person let the guard with this digest pass. Durable before it returns."""
        if not (len(digest) <= 64 and digest.isalnum() and digest.isascii()):
            raise ValueError("a digest is letters and digits, as shown in the hold")
        with self._lock:
            self._write(f"confirm-{digest}.json", {"confirm": digest, "at": now})
            self._confirmed[digest] = now

    def forget_run(self, worker_id: str, number: int | None = None) -> None:
        """The wish (with `number`: this one, not a newer one) is served, or its worker is gone."""
        with self._lock:
            known = self._runs.get(worker_id)
            if known is not None and number in (None, known.number):
                del self._runs[worker_id]
                self._unlink(f"run-{worker_id}.json")

    def forget_confirmations(self, judged: frozenset[str], standing: frozenset[str], now: float | None = None) -> None:
        """Drop those of the `judged` ones that no guard stands for; with `now`, only where they are old."""
        with self._lock:
            for digest in judged - standing:
                at = self._confirmed.get(digest)
                if at is not None and (now is None or abs(now - at) > CONFIRMATION_LIVES_S):
                    del self._confirmed[digest]
                    self._unlink(f"confirm-{digest}.json")

    def _write(self, name: str, content: dict[str, Any]) -> None:
        if not self._directory.is_dir():
            self._begin_anew()
        write_durably(self._directory / name, json.dumps(content, ensure_ascii=False).encode())

    def _begin_anew(self) -> None:
        fields = {"folder": str(self._directory), "live": len(self._runs) + len(self._confirmed)}
        log.warning("the folder of intents was removed: made anew with all that are live", extra={"fields": fields})
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for worker_id, intent in self._runs.items():
            self._write(f"run-{worker_id}.json", {"run": asdict(intent)})
        for worker_id, keep in self._keeps.items():
            self._write(f"keep-{worker_id}.json", {"keep": asdict(keep)})
        for digest, at in self._confirmed.items():
            self._write(f"confirm-{digest}.json", {"confirm": digest, "at": at})

    def _unlink(self, name: str) -> None:
        try:
            (self._directory / name).unlink(missing_ok=True)
            sync_directory(self._directory)
        except OSError as error:
            # A wish that comes back at the next start is served already: its number is the slots' by then.
            log.warning("a served intent could not be removed", extra={"fields": {"file": name, "error": str(error)}})

    def _load(self, path: Path) -> None:
        try:
            content = json.loads(path.read_bytes())
            if path.name.startswith("run-"):
                intent = _read_intent(content["run"], path.stem.removeprefix("run-"))
                self._runs[intent.worker_id] = intent
                self._highest = max(self._highest, intent.number)
            elif path.name.startswith("keep-"):
                keep = _read_keep(content["keep"], path.stem.removeprefix("keep-"))
                self._keeps[keep.worker_id] = keep
            else:
                self._confirmed[str(content["confirm"])] = float(content["at"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("unreadable intent put aside", extra={"fields": {"file": path.name, "error": str(error)}})
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".bad"))


def read_keeps(directory: Path) -> Mapping[str, Keep]:
    """The keeps in another one's folder. Nothing is changed there; what cannot be read does not count."""
    found: dict[str, Keep] = {}
    for path in sorted(directory.glob("keep-*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            worker_id = path.stem.removeprefix("keep-")
            found[worker_id] = _read_keep(json.loads(path.read_bytes())["keep"], worker_id)
    return found


def _read_keep(value: dict[str, Any], worker_id: str) -> Keep:
    keep = Keep(**value)
    is_text = all(isinstance(value.get(name, ""), str) for name in ("actor", "reason", "boot_id"))
    if keep.worker_id != worker_id or keep.wanted not in ("running", "stopped") or not is_text:
        raise ValueError("a field is wrong")
    return replace(keep, until=float(keep.until), at=float(keep.at), boot_until=float(keep.boot_until))


def _read_intent(value: dict[str, Any], worker_id: str) -> RunIntent:
    intent = RunIntent(**value)
    is_text = all(isinstance(value.get(name, ""), str) for name in ("actor", "reason"))
    if intent.worker_id != worker_id or intent.kind not in ("restart", "start", "stop") or not is_text:
        raise ValueError("a field is wrong")
    return replace(intent, number=int(intent.number), at=float(intent.at), at_once=intent.at_once is True)
