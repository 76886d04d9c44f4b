"""Sends every stored log line on to another system: in order, at least once, without ever delaying a worker or a line.

The database is the spool. Per target there is one cursor, the number of the last line that arrived, in a small file of
the state directory; so what waits costs nothing, outlives us, and is bounded: by retention, and by MOST_BEHIND lines,
beyond which the oldest are passed over with a record in the target itself. A death between sending and noting repeats
one batch at most. A target that is added begins with what comes from then on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.outlets.senders import Away, Refused, Sender
from controller.outlets.targets import Target
from controller.store.errors import StoreError
from controller.store.records import StoredLine

BATCH = 1000
BATCH_BYTES = 1024 * 1024
"""About; a line alone may be more. What is larger never gets over a slow way in time, or is above a target's rate."""
MOST_BEHIND = 1_000_000
"""Lines; about a day of ten a second."""
AGAIN_S = (1.0, 60.0)
"""The first pause after a failure, and the longest."""

log = logging.getLogger("workerctl.forward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """Where lines come from. `head` and `after` may raise StoreError.

    `head()`: the newest number. `after(number, limit)`: the first lines behind it, of all workers, in the order of
    their numbers. `news()` returns when there may be lines that were not there when it returned last.
    """

    head: Callable[[], Awaitable[int]]
    after: Callable[[int, int], Awaitable[Sequence[StoredLine]]]
    news: Callable[[], Awaitable[None]]
    now: Callable[[], float]


@dataclass
class Progress:
    """How it goes, for figures and people. `trouble` is empty while the target takes lines."""

    sent: int = 0
    passed_over: int = 0
    behind: int = 0
    trouble: str = ""


@dataclass
class Forwarder:
    """One target. `run` it until cancelled."""

    target: Target
    sender: Sender
    spool: Spool
    folder: Path
    most_behind: int = MOST_BEHIND
    again_s: tuple[float, float] = AGAIN_S
    progress: Progress = field(default_factory=Progress)
    _line: int | None = None

    async def run(self) -> None:
        """Send until cancelled."""
        failures = 0
        self._line = self._noted()
        try:
            while True:
                try:
                    await self._send_due()
                    failures = 0
                except Exception as error:  # of a target, the database or ours: none may end the controller
                    failures += 1
                    self._tell(error)
                    await asyncio.sleep(self.pause(failures, error))
        finally:
            await self.sender.close()

    async def _send_due(self) -> None:
        """One batch, or the wait for a line."""
        head = await self.spool.head()
        if self._line is None or self._line > head:
            # New here; or another database than before, whose lines of these numbers are others.
            self._note(head)
        line = self._line or 0
        self.progress.behind = head - line
        first: list[StoredLine] = []
        if head - line > self.most_behind:
            passed = head - line - self.most_behind // 2
            first, line = [_gap(passed, self.target, self.spool.now())], line + passed
        lines = [*first, *_first_bytes(await self.spool.after(line, BATCH))]
        if not lines:
            if head > line:
                self._note(head)  # records that are not forwarded, and nothing else
                self.progress.behind = 0
            await self.spool.news()
            return
        await self._send(lines)
        self.progress.behind = max(0, head - max(line, lines[-1].id))  # there may be newer ones than the head was
        if first:
            self.progress.passed_over += passed
            log.warning("%s: %d lines were passed over: it took none for too long", self.target, passed)
        self._note(max(line, lines[-1].id))

    async def _send(self, lines: Sequence[StoredLine]) -> None:
        try:
            unwanted = await self.sender.send(lines)
        except Refused as error:
            if len(lines) == 1:
                self.progress.passed_over += 1
                log.warning("%s refuses line %d: %s", self.target, lines[0].id, error)
                return
            # One line that it does not take must not cost the others: halves find it.
            middle = len(lines) // 2
            await self._send(lines[:middle])
            await self._send(lines[middle:])
            return
        left_out = 0 if unwanted is None else min(unwanted.count, len(lines))
        self.progress.sent += len(lines) - left_out
        if unwanted is not None:
            self.progress.passed_over += left_out
            log.warning("%s has left out %d of %d lines: %s", self.target, left_out, len(lines), unwanted.why)
        if self.progress.trouble:
            log.info("%s takes log lines again", self.target)
            self.progress.trouble = ""

    def _tell(self, error: Exception) -> None:
        if str(error) == self.progress.trouble:
            return
        self.progress.trouble = str(error) or type(error).__name__
        bug = not isinstance(error, Away | StoreError | OSError)
        log.warning(
            "%s takes no log lines: %s; they wait in the database and are tried again at least every %d s",
            self.target, error, self.again_s[1], exc_info=bug,
        )  # fmt: skip

    def pause(self, failures: int, error: Exception) -> float:
        """Seconds to wait after so many failures in a row."""
        first, longest = self.again_s
        asked = error.retry_after_s if isinstance(error, Away) else None
        # Who says "now" does not mean as often as it can be asked.
        pause = min(longest, max(first, asked) if asked is not None else first * 2 ** min(failures - 1, 16))
        return pause * random.uniform(0.8, 1.2)  # noqa: S311 - so that many controllers do not come back at once

    # --- the number of the last line that arrived ---

    @property
    def _file(self) -> Path:
        return self.folder / f"{hashlib.sha256(str(self.target).encode()).hexdigest()[:12]}.json"

    def _noted(self) -> int | None:
        """What the file says; None where it says nothing."""
        try:
            return int(json.loads(self._file.read_text())["line"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _note(self, line: int) -> None:
        """Not made durable: after a power cut an older number repeats lines, and none is lost."""
        self._line = line
        self.folder.mkdir(mode=0o700, exist_ok=True)
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps({"target": str(self.target), "line": line}))
        temporary.replace(self._file)


def _first_bytes(lines: Sequence[StoredLine]) -> Sequence[StoredLine]:
    """As many of them as one batch takes, and one at least."""
    left = BATCH_BYTES
    for count, line in enumerate(lines):
        left -= len(line.text)
        if left < 0:
            return lines[: max(count, 1)]
    return lines


def _gap(count: int, target: Target, now: float) -> StoredLine:
    """What the target is told in place of lines that it does not get."""
    text = f"{count} lines were not forwarded: {target} took none for too long; they are in the database"
    return StoredLine(
        id=0, worker_id="workerctl", instance="workerctl", run="", stream="stderr", kind="gap", seq=0, byte_offset=0,
        at=now, approximate=True, level="warning", text=text, partial=False,
    )  # fmt: skip
