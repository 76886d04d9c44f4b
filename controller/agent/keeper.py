"""The keeper: parent of the workers. Small, single-threaded, with a frozen protocol; all logic is the agent's.

It forks what the agent asks for, records it before it runs, remembers exits until the agent reaps them, and starts
the agent anew when it dies. Killed itself, it leaves its records; the agent sees the end of the socket and becomes
the next keeper, which adopts the workers by identity. Nothing here decides whether a worker should run.

Agent to keeper (frames of `protocol`, no payload):
  spawn {run, slot, argv, env, cwd, umask, stdout, stderr, uid?, gid?, groups?, rlimits? {nofile}, nice?, cgroup?}
        uid comes with gid; cgroup is the folder of the slot's control group, in which the run gets one of its own
  reap {run, force?}   list {}   shutdown {}
  renew {argv}   when the agent has left, become this command by exec: another build of ours, which finds the records
  signal {run, signal, scope: main|group}
Keeper to agent:
  runs {runs: [RUN]} first, on `list`, and after events had to be dropped because the agent did not read: it is the
  whole truth, so a run that was asked for and is not in it does not exist ·
  spawned {run, slot, pid, start_time, at} · spawn_failed {run, slot, stage, errno, message, at}, the run is gone ·
  exited {run, slot, pid, code, signal, core, known, at} · group_empty {run} · busy {runs} · bye
Per run the order is (spawned | spawn_failed), exited, group_empty. What is not understood is logged and left alone.

Rules: one select loop, no call in it blocks; a state change is made and recorded before it is told; a failing handler
is logged and the loop goes on. Groups and membership are `groups`, the child's side is `spawn`.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import procfs
from .agent_process import AgentChild
from .child import ChildSetup, noticed, prepare_keeper
from .failpoints import failpoint
from .groups import Groups
from .keeper_log import guarded, log
from .members import signal_leader, signal_leader_group
from .poller import Poller
from .renewal import Renewal
from .request import SpawnError, SpawnRequest, failure
from .runs import Exit, Records, Run, adopt, leader_exit, new_run
from .spawn import (
    abandon,
    fork_waiting,
    read_report,
    release,
)
from .start import LOCK_WAIT_S, has_runs, is_over, lock_holder, role_argv, take_locks
from .unrecorded import record_anew

if TYPE_CHECKING:
    from collections.abc import Callable

    from .paths import AgentPaths

POLL_S = 0.2
"""For leaders that no pidfd could be had for."""

BYE_S = 10.0
"""How long an agent that was told `bye` may take to go."""

SPARE_AFTER_S = 0.1
"""A keeper that waited longer for the lock was started beside another one, which may have ended its work meanwhile."""

TURNS_BETWEEN_COLLECTIONS = 10_000


class Options(NamedTuple):
    """How to run. `agent_argv` gets `--keeper-fd N` appended."""

    agent_argv: tuple[str, ...]
    lock_wait_s: float = LOCK_WAIT_S


class Keeper:
    """The loop. Built with the locks held; `run` returns the exit status."""

    def __init__(self, paths: AgentPaths, options: Options, setup: ChildSetup) -> None:
        self._options = options
        self._setup = setup
        self._runs: dict[str, Run] = {}
        self._records, self._logs = Records(paths.runs, procfs.boot_id() or ""), paths.logs
        self._polled: dict[str, Run] = {}
        self._poll_at = 0.0
        self._live: dict[str, Run] = {}
        self._poller = Poller()
        self._agent = AgentChild(options.agent_argv, setup, self._poller, self._act, self._greeting)
        self._groups = Groups(self._runs, lambda: self._agent.pid)
        self._renewal = Renewal(setup)
        self._closing_until: float | None = None
        self._is_done = False

    def run(self) -> int:
        """Adopt, start an agent, serve until it was told to shut down."""
        self._listen_for_children()
        self._adopt_all()
        # What is loaded stays, and there is little to collect. Who walks it has its pages copied for a waiting child.
        gc.disable()
        gc.freeze()
        turns = 0
        while not self._is_done:
            for action, arguments, events in self._poller.wait(self._timeout()):
                guarded(action, *arguments, events)
            guarded(self._settle)
            turns += 1
            if turns >= TURNS_BETWEEN_COLLECTIONS:
                turns = 0
                gc.collect()
        return 0

    # --- the loop's own events ---------------------------------------------

    def _listen_for_children(self) -> None:
        wake, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, noticed)
        self._poller.watch(wake, self._child_changed, wake)

    def _child_changed(self, wake: int, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(wake, 4096):
                pass
        self._groups.touch()

    def _timeout(self) -> float | None:
        now = time.monotonic()
        due = [self._groups.wait_s(now)]
        due.append(self._agent.wait_s(now) if self._closing_until is None else self._closing_until - now)
        if self._polled:
            due.append(self._poll_at - now)
        due.append(self._renewal.wait_s(now))
        waits = [max(0.0, wait) for wait in due if wait is not None]
        return min(waits) if waits else None

    def _settle(self) -> None:
        """What is due by time or follows from what just happened."""
        now = time.monotonic()
        if self._closing_until is None:
            self._renewal.step(self._agent.pid, self._runs, now)
            if not self._renewal.is_asked:
                self._agent.look(now)
        elif self._agent.pid is None:
            self._is_done = True
        elif now >= self._closing_until:
            self._closing_until = now + BYE_S
            self._agent.kill()
        if self._polled and now >= self._poll_at:
            self._poll_at = now + POLL_S
            for run in list(self._polled.values()):
                self._leader_changed(run, 0)
        for run in self._groups.step(now):
            if not failpoint("keeper.before_group_empty_event"):
                self._agent.tell({"ev": "group_empty", "run": run.run})
        self._agent.watch_output()

    def _greeting(self) -> dict[str, Any]:
        return {"ev": "runs", "runs": [run.view() for run in self._runs.values()]}

    # --- what the agent asks for --------------------------------------------

    def _act(self, header: dict[str, Any]) -> None:
        operation = header.get("op")
        if operation == "spawn":
            try:
                self._spawn(header)
            except SpawnError as error:
                self._tell_failed(str(header.get("run")), str(header.get("slot")), error)
        elif operation == "list":
            # Asked for also when the agent found records removed. Where they stay so, it is told all the same.
            with contextlib.suppress(OSError):
                self._records.restore(self._runs.values())
            self._agent.greet()
        elif operation == "shutdown":
            self._shut_down()
        elif operation == "renew":
            self._renewal.ask(header)
        elif operation in ("signal", "reap"):
            run = self._runs.get(str(header.get("run")))
            if run is None:
                log(f"{operation} of an unknown run {header.get('run')!r}")
            elif operation == "signal":
                self._signal(run, int(header["signal"]), group=header["scope"] == "group")
            else:
                self._reap(run, force=header.get("force") is True)
        else:
            log(f"unknown operation {operation!r}")

    def _spawn(self, header: dict[str, Any]) -> None:
        request = SpawnRequest.parse(header)
        if self._closing_until is not None:
            raise failure("request", errno.ESHUTDOWN)
        if request.run in self._runs:
            raise failure("request", errno.EEXIST)
        other = self._live.get(request.slot)
        if other is not None:
            raise failure("slot", errno.EBUSY, f"{request.slot} has a live process, {other.pid} of run {other.run}")
        failpoint("keeper.before_fork")
        child = fork_waiting(request, self._setup)
        try:
            failpoint("keeper.after_fork")
            run = new_run(request, child.pid)
            failpoint("keeper.before_record")
            self._records.write(run)
            failpoint("keeper.after_record")
            release(child)
        except OSError as error:
            abandon(child)
            self._groups.leave(request.cgroup)
            self._forget_record(request.run)
            raise failure("record", error.errno or errno.EIO, error.strerror or "") from None
        run.pidfd, run.errors, run.request = child.pidfd, child.errors, request
        self._add(run)
        self._poller.watch(run.errors, self._exec_decided, run)
        self._poller.watch(run.pidfd, self._leader_changed, run)
        failpoint("keeper.after_go")

    def _signal(self, run: Run, number: int, *, group: bool) -> None:
        failpoint("keeper.before_signal")
        if not group:
            signal_leader(run, number)
        elif number == signal.SIGKILL:
            # Members that are known only as descendants of the leader are found while it lives: kill all in one look.
            run.killing = True
            self._groups.watch(run)
        elif self._groups.needs_look(run):
            run.member_signals.append(number)
            self._groups.watch(run)
        else:
            signal_leader_group(run, number)
        failpoint("keeper.after_signal")

    def _reap(self, run: Run, *, force: bool) -> None:
        if run.exited is None or not (run.group_empty or force):
            log(f"reap of run {run.run}, which is not over, is left undone")
            return
        failpoint("keeper.before_reap")
        self._forget_record(run.run)
        failpoint("keeper.after_record_removed")
        self._drop(run)
        if run.owned:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(run.pid, os.WNOHANG)

    def _shut_down(self) -> None:
        if self._runs:
            self._agent.tell({"ev": "busy", "runs": list(self._runs)})
            return
        failpoint("keeper.before_bye")
        self._closing_until = time.monotonic() + BYE_S
        self._agent.tell({"ev": "bye"})

    # --- what happens to runs -----------------------------------------------

    def _exec_decided(self, run: Run, _events: int) -> None:
        """The child's error pipe has a report, or ended because exec closed it."""
        if run.errors < 0 or run.request is None:
            return
        try:
            error = read_report(run.errors, run.request)
        except BlockingIOError:
            return
        self._poller.forget(run.errors)
        os.close(run.errors)
        run.errors, run.request = -1, None
        if error is not None:
            self._forget_record(run.run)
            self._drop(run)
            self._tell_failed(run.run, run.slot, error)
        elif not failpoint("keeper.before_spawned_event"):
            event = {"ev": "spawned", "run": run.run, "slot": run.slot, "pid": run.pid}
            self._agent.tell({**event, "start_time": run.identity.start_time, "at": run.spawned_at})

    def _tell_failed(self, run: str, slot: str, error: SpawnError) -> None:
        if failpoint("keeper.before_spawn_failed_event"):
            return
        event = {"ev": "spawn_failed", "run": run, "slot": slot, "stage": error.stage, "errno": error.number}
        self._agent.tell({**event, "message": error.message, "at": time.time()})

    def _leader_changed(self, run: Run, events: int) -> None:
        if self._runs.get(run.run) is not run or run.exited is not None:
            return
        exited = leader_exit(run)
        if exited is None:
            # A tracer sees the death first. A pidfd stays readable until then: poll instead of spinning.
            if run.pidfd >= 0 and events:
                self._poll(run)
            return
        self._exec_decided(run, 0)
        if run.run in self._runs:
            self._leader_exited(run, exited)

    def _leader_exited(self, run: Run, exited: Exit) -> None:
        run.exited = exited
        self._no_longer_live(run)
        self._polled.pop(run.run, None)
        self._close_pidfd(run)
        self._groups.watch(run)
        failpoint("keeper.before_exit_recorded")
        # Without room for it the next keeper calls the exit unknown; nothing else hangs on it.
        with contextlib.suppress(OSError):
            self._records.write_exit(run)
        if not failpoint("keeper.before_exited_event"):
            event = {"ev": "exited", "run": run.run, "slot": run.slot, "pid": run.pid}
            self._agent.tell({**event, **exited._asdict()})

    def _adopt_all(self) -> None:
        failpoint("keeper.before_adopt")
        complaints = record_anew(self._records, self._logs)
        runs, bad = self._records.load()
        for complaint in complaints + bad:
            log(complaint)
        for run in runs:
            adopt(run)
            self._add(run)
            if run.exited is not None:
                self._groups.watch(run)
            elif run.pidfd >= 0:
                self._poller.watch(run.pidfd, self._leader_changed, run)
            else:
                self._polled[run.run] = run
        log(f"keeper {os.getpid()} serves; runs adopted: {len(runs)}")
        failpoint("keeper.after_adopt")

    def _add(self, run: Run) -> None:
        self._runs[run.run] = run
        if run.exited is None:
            self._live[run.slot] = run
        self._groups.add(run)

    def _drop(self, run: Run) -> None:
        self._close_pidfd(run)
        self._polled.pop(run.run, None)
        del self._runs[run.run]
        self._no_longer_live(run)
        self._groups.forget(run)

    def _no_longer_live(self, run: Run) -> None:
        if self._live.get(run.slot) is run:
            del self._live[run.slot]

    def _poll(self, run: Run) -> None:
        self._close_pidfd(run)
        self._polled[run.run] = run

    def _close_pidfd(self, run: Run) -> None:
        if run.pidfd >= 0:
            self._poller.forget(run.pidfd)
            os.close(run.pidfd)
            run.pidfd = -1

    def _forget_record(self, run: str) -> None:
        try:
            self._records.remove(run)
        except OSError as error:
            log(f"Cannot remove the record of run {run}: {error}")


def main(find_paths: Callable[[], AgentPaths], options: Options) -> int:
    """A keeper's whole life in this process.

    Exit status: 0 done, or another keeper serves; 1 the lock is stuck, or nothing can be written and nothing runs.
    """
    setup = prepare_keeper()
    asked_at = time.monotonic()
    try:
        paths, _locks = take_locks(find_paths, options.lock_wait_s)
    except BlockingIOError:
        holder = lock_holder(find_paths())
        serves = holder is not None and procfs.is_alive(holder)
        log(f"keeper {os.getpid()} ends: the lock is held by {holder}, which is {'alive' if serves else 'not alive'}")
        return 0 if serves else 1
    if time.monotonic() - asked_at > SPARE_AFTER_S and is_over(paths):
        log(f"keeper {os.getpid()} ends: everything was stopped while it waited for the lock")
        return 0
    try:
        paths.publish()
    except OSError as error:
        log(f"Cannot say in {paths.state} which runtime folder is in use: {error}")
        if not has_runs(paths):
            return 1
        # Whoever lives is to be looked after, whatever can be written.
    return Keeper(paths, options, setup).run()


def default_options(state: str) -> Options:
    """The real agent over this state folder."""
    return Options(tuple(role_argv("agent", state)))
