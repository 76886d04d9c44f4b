"""The keeper's one agent: started over a socket pair, listened to, and started anew when it dies.

The keeper gives what to do with a frame and what to greet with. All that a dead agent had sent still counts; the
next one is told how things stand. An agent that dies soon is waited for a little longer each time.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from .build import KEEPER_VARIABLE
from .child import NOFILE_VARIABLE, ChildSetup, close_from, reset_signals
from .failpoints import failpoint
from .keeper_link import Link
from .keeper_log import cap_log, guarded, log
from .poller import WRITABLE
from .protocol import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .poller import Poller

KEEPER_FD = 3
SETTLED_S = 5.0
HUNG_UP_S = 5.0
DELAYS_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.0)


class AgentChild:
    """The seat of the agent, taken or empty. `pid` is None while nobody sits there."""

    def __init__(
        self,
        argv: Sequence[str],
        setup: ChildSetup,
        poller: Poller,
        act: Callable[[dict[str, Any]], None],
        greeting: Callable[[], dict[str, Any]],
    ) -> None:
        self._argv = argv
        self._setup = setup
        self._poller = poller
        self._act = act
        self._greeting = greeting
        self._process: AgentProcess | None = None
        self._streak = 0
        self._due_at = 0.0
        self._kill_at: float | None = None
        self._waits_for_room = False

    @property
    def pid(self) -> int | None:
        """Our child, until its death was handled."""
        return None if self._process is None else self._process.pid

    def wait_s(self, now: float) -> float | None:
        """How long until `look` has something to do; None while an agent runs and listens. Monotonic seconds."""
        due_at = self._due_at if self._process is None else self._kill_at
        return None if due_at is None else due_at - now

    def look(self, now: float) -> None:
        """Start an agent where none runs and the wait is over; end one that has hung up and stays."""
        if self._process is not None:
            if self._kill_at is not None and now >= self._kill_at:
                self._kill_at = None
                self.kill()
        elif now >= self._due_at:
            self._start(now)

    def _start(self, now: float) -> None:
        cap_log()
        try:
            failpoint("keeper.before_agent_start")
            process = _fork_agent(self._argv, self._setup, now)
        except OSError as error:
            log(f"Cannot start the agent: {error}")
            self._plan_next(0.0, now)
            return
        self._process = process
        self._waits_for_room = False
        self._poller.watch(process.link.fileno(), self._talks, process)
        self._poller.watch(process.pidfd, self._died, process)
        failpoint("keeper.before_greeting")
        self.greet()

    def greet(self) -> None:
        """Say how things stand."""
        self.tell(self._greeting())

    def tell(self, event: dict[str, Any]) -> None:
        """Send it, if somebody is there. Nobody there is no loss: the next one is greeted."""
        if self._process is not None:
            self._process.link.send(event)

    def kill(self) -> None:
        """End it. Its death is then handled like any other."""
        if self._process is not None:
            signal.pidfd_send_signal(self._process.pidfd, signal.SIGKILL)

    def watch_output(self) -> None:
        """Ask for writability while something waits; after an overflow, say how things stand."""
        if self._process is None or self._process.link.closed:
            return
        link = self._process.link
        if link.overflowed and not link.has_output:
            link.overflowed = False
            self.greet()
        if link.has_output != self._waits_for_room:
            self._waits_for_room = link.has_output
            self._poller.expect_room(link.fileno(), wanted=link.has_output)

    def _talks(self, process: AgentProcess, events: int) -> None:
        if process is not self._process:
            return
        if events & WRITABLE:
            process.link.flush()
        if events & ~WRITABLE:
            self._hear(process, drain=False)

    def _hear(self, process: AgentProcess, *, drain: bool) -> None:
        frames: list[dict[str, Any]] = []
        try:
            frames = process.link.receive(drain=drain)
        except ProtocolError as error:
            log(f"agent {process.pid} is killed, it does not speak the protocol: {error}")
            process.link.closed = True
            self.kill()
        if process.link.closed:
            self._kill_at = time.monotonic() + HUNG_UP_S
            self._poller.forget(process.link.fileno())
        for frame in frames:
            guarded(self._act, frame)

    def _died(self, process: AgentProcess, _events: int) -> None:
        if process is not self._process:
            return
        failpoint("keeper.before_drain")
        self._hear(process, drain=True)
        self._poller.forget(process.link.fileno())
        self._poller.forget(process.pidfd)
        self._process = self._kill_at = None
        status = process.reap()
        now = time.monotonic()
        self._plan_next(now - process.started_at, now)
        log(f"agent {process.pid} ended with {os.waitstatus_to_exitcode(status)}")

    def _plan_next(self, lived_s: float, now: float) -> None:
        self._streak = 0 if lived_s >= SETTLED_S else self._streak + 1
        self._due_at = now + DELAYS_S[min(max(self._streak - 1, 0), len(DELAYS_S) - 1)]


class AgentProcess:
    """One agent. `pid` is our child until `reap`."""

    def __init__(self, pid: int, pidfd: int, link: Link, started_at: float) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.link = link
        self.started_at = started_at

    def reap(self) -> int:
        """Its wait status; it is dead. Closes all that is open."""
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.pidfd)
        self.link.close()
        return status


def _fork_agent(argv: Sequence[str], setup: ChildSetup, now: float) -> AgentProcess:
    """Fork and exec `argv --keeper-fd 3` in a session of its own, with our output. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:
        _become(argv, setup, theirs.fileno())
    theirs.close()
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)  # unreaped; the sweep of strays reaps it
        ours.close()
        raise
    return AgentProcess(pid, pidfd, Link(ours), now)


def _become(argv: Sequence[str], setup: ChildSetup, keeper: int) -> None:
    try:
        os.setsid()
        if keeper == KEEPER_FD:
            os.set_inheritable(keeper, True)
        else:
            os.dup2(keeper, KEEPER_FD)
        close_from(KEEPER_FD + 1)
        reset_signals(setup.signals)
        resource.setrlimit(resource.RLIMIT_NOFILE, setup.nofile)
        environ = {**os.environ, NOFILE_VARIABLE: f"{setup.nofile[0]}:{setup.nofile[1]}", KEEPER_VARIABLE: setup.build}
        os.execve(argv[0], [*argv, "--keeper-fd", str(KEEPER_FD)], environ)  # noqa: S606 - no shell is the point
    finally:
        os._exit(127)
