"""Real keepers under a test's hands: the test plays the agent through a stand-in that only relays bytes.

The keeper starts the stand-in (this file, run as a script) as its agent; the stand-in connects to the test's socket
and passes everything on both ways. It ends when the test hangs up. Whatever the test started is ended by pid.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

from controller.agent import keeper, procfs
from controller.agent.members import signal_process
from controller.agent.paths import AgentPaths
from controller.agent.protocol import LENGTHS_SIZE, decode, encode, lengths

PATIENCE_S = 10.0
PYTHON = sys.executable
PATH = "/usr/local/bin:/usr/bin:/bin"


class Peer:
    """The test's end of one agent. `pid` is the agent's."""

    def __init__(self, connected: socket.socket, bench: Bench) -> None:
        self._socket = connected
        self._inbox = b""
        self._bench = bench
        self.events: list[dict[str, Any]] = []
        self.pid: int = self._next(time.monotonic() + PATIENCE_S)["pid"]

    def send(self, op: str, **fields: Any) -> None:
        self._socket.sendall(encode({"op": op, **fields}))

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def expect(self, event: str, **fields: Any) -> dict[str, Any]:
        """The next event of this kind that has these fields; others are kept in `events` for later."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for at, found in enumerate(self.events):
                if found["ev"] == event and fields.items() <= found.items():
                    return self.events.pop(at)
            self.events.append(self._next(deadline))

    def expect_any(self, *kinds: str) -> dict[str, Any]:
        """The next event of one of these kinds."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for at, found in enumerate(self.events):
                if found["ev"] in kinds:
                    return self.events.pop(at)
            self.events.append(self._next(deadline))

    def runs(self) -> dict[str, dict[str, Any]]:
        """The keeper's answer to `list` by run."""
        self.events = [event for event in self.events if event["ev"] != "runs"]
        self.send("list")
        return {run["run"]: run for run in self.expect("runs")["runs"]}

    def spawn(self, run: str, *argv: str, **changes: Any) -> dict[str, Any]:
        """Ask for a run and wait until it is spawned."""
        self.ask(run, *argv, **changes)
        return self.expect("spawned", run=run)

    def ask(self, run: str, *argv: str, **changes: Any) -> None:
        self.send("spawn", **{**self._bench.request(run, *argv), **changes})

    def hang_up(self) -> None:
        self._socket.close()

    def _next(self, deadline: float) -> dict[str, Any]:
        head = self._take(LENGTHS_SIZE, deadline)
        header = decode(self._take(lengths(head)[0], deadline)).header
        for run in (header, *header.get("runs", ())):
            if isinstance(run, dict) and "start_time" in run:
                self._bench.processes.add(procfs.Identity(run["pid"], run["start_time"]))
        return header

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._inbox) < count:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            data = self._socket.recv(65536)
            if not data:
                raise EOFError(f"the agent is gone; unread events: {self.events}")
            self._inbox += data
        taken, self._inbox = self._inbox[:count], self._inbox[count:]
        return taken


class Bench:
    """One state folder with its keepers, agents and workers. `close` ends all of them."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="wk-", dir="/tmp")
        self.state = os.path.join(self.root, "state", "agent")
        self.logs = os.path.join(self.root, "logs")
        self.keepers: list[subprocess.Popen[bytes]] = []
        self.processes: set[procfs.Identity] = set()
        self._peers: list[Peer] = []
        os.mkdir(self.logs)
        os.mkdir(os.path.join(self.root, "run"), 0o700)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._relay)
        self._listener.listen(64)

    @property
    def _relay(self) -> str:
        return os.path.join(self.root, "relay")

    @property
    def token(self) -> str:
        """A run id that no test beside this one uses: for looking over the whole process table."""
        return os.path.basename(self.root)

    @property
    def paths(self) -> AgentPaths:
        return AgentPaths(self.state, {"XDG_RUNTIME_DIR": os.path.join(self.root, "run")})

    @property
    def fail_log(self) -> str:
        return os.path.join(self.root, "failpoints")

    def start(self, *, fail: str = "", becomes_keeper: bool = False, **more: Any) -> subprocess.Popen[bytes]:
        """A keeper as our child."""
        environ = {"PATH": PATH, "XDG_RUNTIME_DIR": os.path.join(self.root, "run")}
        environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        if fail:
            environ.update(WORKERCTL_FAIL=fail, WORKERCTL_FAIL_LOG=self.fail_log)
        if becomes_keeper:
            environ["HARNESS_BECOME"] = "1"
        argv = [PYTHON, __file__, "keeper", self.state, self._relay]
        with open(self.keeper_log, "ab") as log:
            started = subprocess.Popen(argv, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **more)
        self.keepers.append(started)
        return started

    @property
    def keeper_log(self) -> str:
        return os.path.join(self.root, "keeper.log")

    def agent(self) -> Peer:
        """The next agent that connects."""
        self._listener.settimeout(PATIENCE_S)
        peer = Peer(self._listener.accept()[0], self)
        self._peers.append(peer)
        return peer

    def request(self, run: str, *argv: str) -> dict[str, Any]:
        output = os.path.join(self.logs, run)
        return {
            "run": run,
            "slot": run,
            "argv": list(argv) or ["sleep", "60"],
            "env": {"PATH": PATH},
            "cwd": "/",
            "umask": 0o22,
            "stdout": output + ".stdout",
            "stderr": output + ".stderr",
        }

    def output(self, run: str, stream: str = "stdout") -> str:
        with open(os.path.join(self.logs, f"{run}.{stream}"), encoding="utf-8") as file:
            return file.read()

    def kill_keeper(self) -> None:
        """SIGKILL to the newest keeper that we started."""
        self.keepers[-1].kill()
        self.keepers[-1].wait()

    def remember(self, pid: int) -> procfs.Identity:
        """A process that a worker started: it is ended with the bench."""
        stat = procfs.read_stat(pid)
        assert stat is not None
        self.processes.add(stat.identity)
        return stat.identity

    def reached(self, name: str) -> bool:
        """Whether any process passed this failpoint."""
        with open(self.fail_log, encoding="ascii") as file:
            return any(line.split()[0] == name for line in file)

    def close(self) -> None:
        """End all that names our state folder (unique to this bench), then the workers."""
        with open(os.path.join(self.root, "closing"), "x", encoding="ascii"):
            pass
        # In the middle of exec a process has no command line: one empty look is not enough.
        looks: list[bool] = [True]
        while any(looks[-5:]):
            looks.append(self._end_ours())
            select.select([], [], [], 0.005)
            assert len(looks) < 2000
        for started in self.keepers:
            started.wait()
        for peer in self._peers:
            peer.hang_up()
        self._listener.close()
        for identity in self.processes:
            signal_process(identity, signal.SIGKILL)
        shutil.rmtree(self.root)

    def ours(self, role: str = "") -> list[procfs.Identity]:
        """Living keepers, agents and children before exec: by their command line, which holds the state folder."""
        wanted = f"\0{role}\0" if role else "\0"
        table = procfs.scan() or {}
        found = [stat.identity for stat in table.values() if not stat.is_dead]
        return [each for each in found if self.state in (text := _command_line(each.pid)) and wanted in text]

    def _end_ours(self) -> bool:
        """Whether there were any. An agent may be on its way to become a keeper: look again."""
        found = self.ours()
        for identity in found:
            signal_process(identity, signal.SIGKILL)
        return bool(found)


def _command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def everybodys_python() -> str:
    """A Python that another user may execute: the one that runs the tests may live in a private folder."""
    candidates = (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3")
    return next(path for path in candidates if os.path.isfile(path) and _may_everybody(path))


def _may_everybody(path: str) -> bool:
    path = os.path.realpath(path)
    return path == "/" or (os.stat(path).st_mode & 0o005 == 0o005 and _may_everybody(os.path.dirname(path)))


def wait_until(condition: Any, patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition of the world; each look is a few microseconds."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        select.select([], [], [], 0.005)


def _relay_frames(relay: str, state: str, keeper_fd: int) -> None:
    """The stand-in: bytes pass both ways until one side ends."""
    to_test = socket.socket(socket.AF_UNIX)
    to_test.connect(relay)
    to_test.sendall(encode({"pid": os.getpid()}))
    to_keeper = socket.socket(fileno=keeper_fd)
    to_keeper.set_inheritable(False)
    while True:
        for ready in select.select([to_test, to_keeper], [], [])[0]:
            data = b""
            with contextlib.suppress(OSError):
                data = ready.recv(65536)
            is_closing = os.path.exists(os.path.join(os.path.dirname(relay), "closing"))
            if not data and ready is to_keeper and os.environ.get("HARNESS_BECOME") and not is_closing:
                os.execv(PYTHON, [PYTHON, __file__, "keeper", state, relay])
            if not data:
                return
            with contextlib.suppress(OSError):
                (to_keeper if ready is to_test else to_test).sendall(data)


def main(arguments: list[str]) -> int:
    """`keeper STATE RELAY` or `agent RELAY STATE --keeper-fd N`."""
    if arguments[0] == "agent":
        _relay_frames(arguments[1], arguments[2], int(arguments[4]))
        return 0
    state, relay = arguments[1:]
    options = keeper.Options((PYTHON, __file__, "agent", relay, state), lock_wait_s=0.3)
    return keeper.main(lambda: AgentPaths(state), options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
