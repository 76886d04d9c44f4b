"""A life of log files that a fault may end anywhere. `python -m tests.agent.logs_life FOLDER` goes on where it ended.

It plays worker, agent and reader: it prints, cuts a file off, reads everything from its cursor, says what is stored,
lets old runs be compressed, punched and dropped. What the reader got stands in FOLDER/read, one JSON line a piece: run,
from, to, and its bytes or the reason why there are none. A death loses none of those lines, as a database would not.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.agent.logs_shelf import LIMITS, Shelf, until, write

RUNS = 6
CUT_RUNS = ("r2", "r5")


def printed(run: str, part: str, count: int) -> bytes:
    """What a run prints: numbered lines that say whose they are."""
    return b"".join(b"%s %s %06d\n" % (run.encode(), part.encode(), number) for number in range(count))


def first(run: str) -> bytes:
    """Before its cut, if it has one. All even runs print more than they may keep unread."""
    return printed(run, "first", 12_000 if int(run[1:]) % 2 == 0 else 6000)


def second(run: str) -> bytes:
    """After it."""
    return printed(run, "second", 2500)


class Life:
    """See the module."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shelf = Shelf(folder)
        self.shelf.logs.resume([("web/0", run) for run in self._runs() if self._is_done(run, "begun", "ended")])

    @staticmethod
    def _runs() -> list[str]:
        return [f"r{number}" for number in range(1, RUNS + 1)]

    def _is_done(self, run: str, step: str, unless: str = "") -> bool:
        return (self.folder / f"{run}.{step}").exists() and not (self.folder / f"{run}.{unless}").exists()

    def _note(self, run: str, step: str) -> None:
        (self.folder / f"{run}.{step}").touch()

    async def live(self) -> None:
        """From where it ended."""
        for run in self._runs():
            if not self._is_done(run, "begun"):
                await self._begin(run)
            self._read(run, 3)
            if run in CUT_RUNS and not self._is_done(run, "cut"):
                path = self.folder / f"logs/web/0/{run}.stdout"
                path.write_bytes(b"")
                write(path, second(run))
                self._note(run, "cut")
            self._read(run)
            if not self._is_done(run, "ended"):
                self.shelf.logs.close_run("web/0", run)
                self._note(run, "ended")
            self._read(run)
            await self.shelf.logs.pack()
            self.shelf.logs.tidy()
        self.shelf.logs.close()

    async def _begin(self, run: str) -> None:
        path = self.shelf.run(run)
        self._note(run, "begun")
        if int(run[1:]) % 3 == 0:
            # Nobody but the reader looks at what this one prints.
            write(path, first(run))
            return
        size = len(first(run))
        write(path, first(run)[: size // 2])
        await self._until_told(run, size // 2)
        self._read(run)
        write(path, first(run)[size // 2 :])
        await self._until_told(run, size)

    async def _until_told(self, run: str, size: int) -> None:
        await until(lambda: any(push["run"] == run and push["size"] >= size for push in self.shelf.pushes))

    def _read(self, run: str, most: int = 1000) -> None:
        for _ in range(most):
            at = max((piece["to"] for piece in pieces(self.folder) if piece["run"] == run), default=0)
            self.shelf.logs.stored(run, "stdout", at)
            try:
                start, data, gap = self.shelf.read(run, at, LIMITS.max_bytes // 2)
            except LookupError:
                return
            if gap is not None:
                self._keep(run=run, to=start, reason=gap["reason"], **{"from": at})
            if data:
                self._keep(run=run, to=start + len(data), data=data.decode(), **{"from": start})
            if gap is None and not data:
                return

    def _keep(self, **piece: Any) -> None:
        with (self.folder / "read").open("a") as file:
            file.write(json.dumps(piece) + "\n")


def pieces(folder: Path) -> list[dict[str, Any]]:
    """All that the reader got."""
    path = folder / "read"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def _main(folder: Path) -> None:
    await Life(folder).live()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
