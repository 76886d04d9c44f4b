"""A keeper without processes, over a socket pair: says what the real one would, and remembers its orders.

Workers are obedient: they execute at once, and end at a signal that they do not ignore (`ignored`). Tests end them by
`exit`, hold back answers with `is_mute`, and look at `orders`. Pids lie above what the kernel hands out.
With a `folder` each run has a file there, as the real one's records.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from signal import SIGKILL
from typing import Any

from controller.agent.protocol import LENGTHS_SIZE, decode, encode, lengths

FIRST_PID = 5_000_000


class FakeKeeper:
    """One keeper. `runs` holds its RUN values by run id, as they would be greeted with."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.failures: dict[str, tuple[str, int, str]] = {}
        self.ignored: set[int] = set()
        self.is_mute = False
        self.folder = ""
        self._next_pid = FIRST_PID
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Greet. Returns the descriptor for the agent."""
        ours, theirs = socket.socketpair()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._task = asyncio.ensure_future(self._serve(reader))
        self.tell(self.greeting())
        return theirs.detach()

    async def stop(self) -> None:
        """Be gone."""
        assert self._writer is not None
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def add(self, run: str, slot: str, **changes: Any) -> dict[str, Any]:
        """A run that is there already."""
        self._next_pid += 1
        value = {
            "run": run, "slot": slot, "pid": self._next_pid, "start_time": 1, "spawned_at": time.time(),
            "adopted": False, "spawning": False, "exited": None, "group_empty": False,
        }  # fmt: skip
        self.runs[run] = {**value, **changes}
        self._record()
        return self.runs[run]

    def greeting(self) -> dict[str, Any]:
        return {"ev": "runs", "runs": list(self.runs.values())}

    def live(self) -> dict[str, str]:
        """Slot and run of every live run; asserts that no slot has two."""
        found: dict[str, str] = {}
        for run, value in self.runs.items():
            if value["exited"] is None:
                assert value["slot"] not in found, f"two live runs of {value['slot']}"
                found[value["slot"]] = run
        return found

    def exit(self, run: str, *, code: int | None = None, signal: int | None = None, empties: bool = True) -> None:
        """The leader of a run ends, and its group with it unless said otherwise."""
        ended = {"code": code, "signal": signal, "core": False, "known": True, "at": time.time()}
        value = self.runs[run]
        value["exited"] = ended
        self.tell({"ev": "exited", "run": run, "slot": value["slot"], "pid": value["pid"], **ended})
        if empties:
            value["group_empty"] = True
            self.tell({"ev": "group_empty", "run": run})

    def tell(self, event: dict[str, Any]) -> None:
        assert self._writer is not None
        if not self.is_mute:
            self._writer.write(encode(event))

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header, _ = lengths(await reader.readexactly(LENGTHS_SIZE))
                order = decode(await reader.readexactly(header)).header
                self.orders.append(order)
                getattr(self, f"_{order['op']}")(order)

    def _spawn(self, order: dict[str, Any]) -> None:
        run, slot = order["run"], order["slot"]
        failure = self.failures.get(order["argv"][0])
        if failure is not None:
            stage, number, message = failure
            told = {"stage": stage, "errno": number, "message": message, "at": time.time()}
            self.tell({"ev": "spawn_failed", "run": run, "slot": slot, **told})
            return
        assert slot not in self.live(), f"a second live run of {slot} was ordered"
        for path in (order["stdout"], order["stderr"]):
            with open(path, "xb"):
                pass
        value = self.add(run, slot)
        told = {"pid": value["pid"], "start_time": 1, "at": value["spawned_at"]}
        self.tell({"ev": "spawned", "run": run, "slot": slot, **told})

    def _signal(self, order: dict[str, Any]) -> None:
        value = self.runs.get(order["run"])
        if value is None or value["group_empty"]:
            return
        if order["signal"] in self.ignored and order["signal"] != SIGKILL:
            return
        if value["exited"] is None:
            self.exit(order["run"], signal=order["signal"])
        else:
            value["group_empty"] = True
            self.tell({"ev": "group_empty", "run": order["run"]})

    def _reap(self, order: dict[str, Any]) -> None:
        value = self.runs.get(order["run"])
        if value is not None and value["exited"] is not None and (value["group_empty"] or order.get("force")):
            del self.runs[order["run"]]
            self._record()

    def _record(self) -> None:
        if os.path.isdir(self.folder):
            for name in os.listdir(self.folder):
                os.unlink(f"{self.folder}/{name}")
            for run in self.runs:
                with open(f"{self.folder}/{run}.json", "x", encoding="ascii"):
                    pass

    def _list(self, _order: dict[str, Any]) -> None:
        self._record()
        self.tell(self.greeting())

    def _renew(self, _order: dict[str, Any]) -> None:
        """It would be another by now."""

    def _shutdown(self, _order: dict[str, Any]) -> None:
        self.tell({"ev": "busy", "runs": list(self.runs)} if self.runs else {"ev": "bye"})
