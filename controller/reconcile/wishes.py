"""Intents on disk: one small fsynced file per worker with a live wish, and one per confirmed guard.

The database has their history; these files are the wishes themselves, so that losing the database loses none. A file
that cannot be read is moved aside (`.bad`) and told, the others count.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.agent.failpoints import failpoint
from controller.core.intents import Intents, RunIntent
from controller.reconcile.state import sync_directory, write_durably

CONFIRMATION_LIVES_S = 3600.0
"""A confirmation that matched nothing is forgotten after this long."""

log = logging.getLogger("workerctl.intents")


class WishBook:
    """The live intents, in memory and on disk. Used from the event loop; writes take one fsync."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs: dict[str, RunIntent] = {}
        self._confirmed: dict[str, float] = {}
        for path in sorted(directory.glob("*.json")):
            self._load(path)

    @property
    def intents(self) -> Intents:
        """What the planner reads."""
        return Intents(runs=dict(self._runs), confirmed=frozenset(self._confirmed))

    def next_number(self, worker_id: str, now: float) -> int:
        """A number above every earlier one of this worker, also when the clock went back."""
        before = self._runs.get(worker_id)
        return max(int(now * 1000), before.number + 1 if before else 0)

    def wish(self, intent: RunIntent) -> None:
        """Durable before it returns."""
        failpoint("controller.before_intent")
        self._write(f"run-{intent.worker_id}.json", {"run": asdict(intent)})
        failpoint("controller.after_intent")
        self._runs[intent.worker_id] = intent

    def confirm(self, digest: str, now: float) -> None:
        """A person let the guard with this digest pass. Durable before it returns."""
        if not (len(digest) <= 64 and digest.isalnum()):
            raise ValueError("a digest is letters and digits, as shown in the hold")
        self._write(f"confirm-{digest}.json", {"confirm": digest, "at": now})
        self._confirmed[digest] = now

    def forget_run(self, worker_id: str) -> None:
        """The wish is served, or its worker is gone."""
        if self._runs.pop(worker_id, None):
            self._unlink(f"run-{worker_id}.json")

    def forget_confirmations(self, live: frozenset[str], now: float) -> None:
        """Drop confirmations that no hold asks for any more and that are old."""
        for digest, at in list(self._confirmed.items()):
            if digest not in live and now - at > CONFIRMATION_LIVES_S:
                del self._confirmed[digest]
                self._unlink(f"confirm-{digest}.json")

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_durably(self._directory / name, json.dumps(content, ensure_ascii=False).encode())

    def _unlink(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)
        sync_directory(self._directory)

    def _load(self, path: Path) -> None:
        try:
            content = json.loads(path.read_bytes())
            if "run" in content:
                intent = RunIntent(**content["run"])
                self._runs[intent.worker_id] = intent
            else:
                self._confirmed[str(content["confirm"])] = float(content["at"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("unreadable intent put aside", extra={"fields": {"file": path.name, "error": str(error)}})
            path.rename(path.with_suffix(".bad"))
