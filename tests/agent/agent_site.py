"""A real keeper with its real agent over a folder of its own, and a controller's end of the socket.

Whatever was started is ended by `Site.close`: by asking first, then by pid with the identity checked.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from controller.agent import procfs
from controller.agent.paths import AgentPaths
from controller.agent.protocol import LENGTHS_SIZE, VERSION, decode, encode, lengths
from controller.agent.start import start_keeper

PATIENCE_S = 15.0
T = TypeVar("T")


class Client:
    """A controller's connection, blocking. Pushes are kept in `pushes`."""

    def __init__(self, path: str, realm: str = "r1") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._number = 0
        self.pushes: list[dict[str, Any]] = []
        self.payload = b""
        self.epoch = 0
        try:
            self._socket.connect(path)
            self.hello = self.call("hello", version=VERSION, realm=realm)
        except BaseException:
            self._socket.close()
            raise

    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.sendall(encode({"id": self._number, "op": op, **fields}))
        while True:
            header = self.receive()
            if header.get("id") == self._number:
                return header
            self.pushes.append(header)

    def claim(self) -> int:
        self.epoch = self.call("claim")["epoch"]
        return self.epoch

    def apply(self, *slots: dict[str, Any]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self.call("apply", epoch=self.epoch, slots=list(slots))["results"]
        return results

    def views(self) -> dict[str, dict[str, Any]]:
        return {view["slot"]: view for view in self.call("list")["slots"]}

    def receive(self) -> dict[str, Any]:
        header, payload = lengths(self._take(LENGTHS_SIZE))
        found = decode(self._take(header)).header
        self.payload = self._take(payload)
        return found

    def events(self) -> list[dict[str, Any]]:
        """All events that are kept, by a connection's replay."""
        self.call("watch")
        last = self.call("list")  # a round trip; replay is then on its way
        assert last["ok"]
        deadline = time.monotonic() + 0.3
        self._socket.settimeout(0.3)
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                self.pushes.append(self.receive())
        self._socket.settimeout(PATIENCE_S)
        return [push["event"] for push in self.pushes if push.get("push") == "event"]

    def drain(self) -> None:
        """Receive until the agent hangs up."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self.receive()

    def close(self) -> None:
        self._socket.close()

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


class Site:
    """One agent's folders. `client()` connects, as often as it takes."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="wa-", dir="/tmp")
        # Where it belongs: on a tmpfs, if there is one.
        self.run = tempfile.mkdtemp(prefix="wa-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
        self.paths = AgentPaths(f"{self.root}/state/agent", {"XDG_RUNTIME_DIR": self.run})
        self._clients: list[Client] = []
        self._seen: set[procfs.Identity] = set()

    def start(self, **environment: str) -> Client:
        """Start a keeper and connect."""
        before = dict(os.environ)
        os.environ.update(environment, XDG_RUNTIME_DIR=self.run)
        try:
            start_keeper(self.paths)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return self.client()

    def client(self, *, not_agent: int = 0) -> Client:
        """Connect, to an agent other than `not_agent`, and claim."""

        def connect() -> Client | None:
            try:
                client = Client(self.paths.socket)
            except (OSError, EOFError):
                return None
            self._clients.append(client)
            for pid in (client.hello["agent_pid"], client.hello["keeper_pid"]):
                self._remember(pid)
            if client.hello["agent_pid"] == not_agent:
                return None
            # An agent that ends or becomes the keeper just now is not the one that is looked for.
            try:
                client.claim()
            except (OSError, EOFError, KeyError):
                return None
            return client

        return eventually(connect)

    def kill(self, pid: int) -> None:
        """Kill one of ours for good, at once."""
        self._remember(pid)
        os.kill(pid, signal.SIGKILL)

    def starts(self) -> list[str]:
        """The lines that workers wrote into the file `starts`."""
        try:
            with open(f"{self.root}/starts", encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def pids(self) -> dict[str, int]:
        """Slot and pid of every live run, by the keeper's records."""
        found: dict[str, int] = {}
        for record in self._records():
            if record["exited"] is None:
                assert record["slot"] not in found, f"two live runs of {record['slot']}"
                found[record["slot"]] = record["pid"]
        return found

    def close(self) -> None:
        """End all that runs here: by asking, then by killing ours. Each could raise the other: all are frozen first."""
        for record in self._records():
            self._seen.add(procfs.Identity(record["pid"], record["start_time"]))
        with contextlib.suppress(OSError, EOFError, KeyError):
            client = Client(self.paths.socket)
            self._clients.append(client)
            client.claim()
            client.call("adjourn", epoch=client.epoch, deadline_s=0)
            client.drain()
        for client in self._clients:
            client.close()
        with contextlib.suppress(AssertionError):
            eventually(lambda: not self._ours(), patience_s=3.0)
        while ours := self._ours():
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for identity in ours:
                    if procfs.is_alive(identity):
                        os.kill(identity.pid, number)
            eventually(partial(_are_over, ours))
        for record in self._records():
            self._seen.add(procfs.Identity(record["pid"], record["start_time"]))
        for identity in self._seen:
            if procfs.is_alive(identity):
                os.kill(identity.pid, signal.SIGKILL)
        shutil.rmtree(self.root)
        shutil.rmtree(self.run)

    def _ours(self) -> list[procfs.Identity]:
        """Keepers and agents over this very folder."""
        found: list[procfs.Identity] = []
        for stat in (procfs.scan() or {}).values():
            with contextlib.suppress(OSError), open(f"/proc/{stat.pid}/cmdline", "rb") as file:
                if os.fsencode(self.paths.state) in file.read().split(b"\0"):
                    found.append(stat.identity)
        return found

    def _remember(self, pid: int) -> None:
        started = procfs.start_time(pid)
        if started is not None:
            self._seen.add(procfs.Identity(pid, started))

    def _records(self) -> Iterator[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.paths.runs):
                if name.endswith(".json"):
                    with contextlib.suppress(FileNotFoundError), open(f"{self.paths.runs}/{name}") as file:
                        yield json.load(file)


def eventually(look: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """What `look` returns once it is neither None nor False."""
    deadline = time.monotonic() + patience_s
    pause = 0.005
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline, "it never came about"
        select.select([], [], [], pause)
        pause = min(0.05, pause * 1.5)


def _are_over(identities: list[procfs.Identity]) -> bool:
    return not any(procfs.is_alive(identity) for identity in identities)
