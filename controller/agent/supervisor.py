"""The agent: puts its parts together, lives with its keeper, and ends. `python -m controller.agent agent` runs `main`.

Order of a start: the lock, the records, the keeper's greeting (which runs there are), then the socket. So whoever
connects sees slots that were already brought together with what really runs.

The keeper gone means that nobody is left to start workers or to remember exits: the agent becomes the keeper at once,
by exec; the workers do not notice. An agent that adjourns ends with its keeper when no process is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import logging.handlers
import os
import random
import resource
import secrets
import time
from collections.abc import Callable
from typing import Any, Optional

from .adoption import Adoption
from .commands import Commands, Rooms
from .decisions import Dice
from .ending import Ending, Reach
from .errands import Errands
from .figures import PERIOD_S, Sweeper, figures_push, leaders_of
from .fleet import Fleet, Outside
from .flusher import Flusher
from .footing import Footing, Memory
from .heartbeats import Heartbeats
from .hosting import Host
from .journal import Event, Journal
from .limits import Limiter
from .link import Link
from .logs import Limits, Logs
from .marks import Marks
from .notify import Notifications
from .orders import Orders, Tools
from .orphans import Orphans
from .paths import AgentPaths
from .probes import Ground, Probes
from .procfs import boot_id
from .records import Records, Stamp
from .remarks import Remarks
from .run_tokens import RunTokens
from .secret_values import BroughtSecrets
from .server import Server
from .start import become_keeper
from .states import Now, Slot

LOCK_WAIT_S = 10.0
LOCK_RETRY_S = 0.05
CLOCK_SET_S = 1.0

LOG_BYTES = 1024 * 1024
_log = logging.getLogger("agent")


def read_clock() -> Now:
    """Both clocks. CLOCK_BOOTTIME goes on while the host sleeps and is the same for the next agent."""
    return Now(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def make_dice() -> Callable[[], Dice]:
    """Chance for each step. Seeded by the kernel once: a run id is a name that nobody has had, not a secret."""
    source = random.Random(secrets.randbits(128))  # noqa: S311 - no secret
    return lambda: Dice(f"{source.getrandbits(64):016x}", source.random())


class Agent:
    """All parts of one agent. `ended` is set when it has nothing more to do.

    `keeper_lost` is called when the keeper is gone. The real one never returns.
    """

    def __init__(
        self, paths: AgentPaths, keeper_fd: int, keeper_lost: Callable[[], None], limiter: Optional[Limiter] = None
    ) -> None:
        boot, now = boot_id() or "", read_clock()
        self._offset = now.wall - now.mono
        self.ended = asyncio.Event()
        self._keeper_lost = keeper_lost
        self._sweeper = Sweeper()
        self._flusher = Flusher()
        self._marks = Marks(paths.state, boot, self._flusher)
        self._journal = Journal(f"{paths.state}/journal", boot, self._flusher, self._publish)
        stamp = Stamp(boot, self._journal.journal_id)
        records = Records(f"{paths.state}/slots", paths.slots, stamp, self._flusher)
        self._link = Link(keeper_fd, self._hear, self._keeper_ended)
        self._logs = Logs(paths.logs, f"{paths.runtime}/log_index", self._push, self._tell_of_logs)
        self._dice = make_dice()
        outside = Outside(
            clock=read_clock,
            dice=self._dice,
            push=self._push,
            close_logs=self._logs.close_run,
            drop_logs=self._logs.drop_slot,
        )
        self._fleet = Fleet(outside, records, self._journal)
        self._host = Host(limiter)
        self._orphans = Orphans(self._fleet, records.clear)
        self._wire(paths)
        loaded = records.load()
        until = self._marks.adjourned_until(read_clock().mono)
        self._fleet.load(loaded, adjourned_until=until)
        self._adoption.newest = {name: remembered.newest for name, remembered in loaded.slots.items()}
        self._orphans.load(loaded.leftovers)
        self._logs.load(self._limits)
        self._server = Server(Commands(self._rooms()), self._journal)
        self._socket, self._state = paths.socket, paths.state
        again = Memory(
            fleet=self._fleet, records=records, marks=self._marks, journal=self._journal, listen=self._server.listen,
            notify_again=self._notify_again, send=self._link.send,
        )  # fmt: skip
        self._footing = Footing(paths, again)
        self._flusher.on_lost = self._footing.look_soon
        self._tell_of_start(loaded.quarantined)

    def _wire(self, paths: AgentPaths) -> None:
        """All that acts for the fleet, or follows it."""
        fleet = self._fleet
        self._secrets = BroughtSecrets(paths.runtime)
        self._notifications = Notifications(paths.runtime, fleet.slots.get, fleet.feed, self._tell_of_slot)
        self._tokens = RunTokens(paths.state)
        self._heartbeats = Heartbeats()
        self._notifications.beat = lambda run: self._heartbeats.spoke(run, asyncio.get_running_loop().time())
        self._errands = Errands(self._link.send, fleet.hook_owner, fleet.feed, self._logs.close_run)
        tools = Tools(
            clock=read_clock,
            send=self._link.send,
            feed=fleet.feed,
            slot=fleet.slots.get,
            open_logs=self._logs.open_run,
            notify=self._notifications.open,
            token=self._tokens.of,
        )
        self._orders = Orders(tools, self._host, self._secrets, self._errands)
        self._remarks = Remarks(fleet.show)
        fleet.remark = self._remarks.of
        folder = f"{paths.state}/probes"
        ground = Ground(
            fleet.slots.get, fleet.feed, self._dice, self._logs.read, folder, self._remarks, self._heartbeats
        )
        self._probes = Probes(ground, self._orders)
        self._logs.on_new = self._probes.new_output
        self._adoption = Adoption(fleet, self._errands, self._orphans, self._link.send)
        self._adoption.preparing = self._orders.preparing
        self._adoption.has_died_of_oom = self._host.has_died_of_oom
        reach = Reach(fleet, self._adoption, self._errands, self._marks, read_clock, self._link.send, self._push)
        self._ending = Ending(reach)
        fleet.on_quiet = self._ending.quiet
        self._adoption.on_busy = self._ending.busy
        fleet.perform = self._orders.perform
        fleet.followers += [self._notifications.follow, self._probes.follow, self._forget]
        fleet.on_new = self._adoption.offer

    def _rooms(self) -> Rooms:
        return Rooms(
            fleet=self._fleet,
            adoption=self._adoption,
            journal=self._journal,
            logs=self._logs,
            marks=self._marks,
            flusher=self._flusher,
            orders=self._orders,
            tokens=self._tokens,
            heartbeats=self._heartbeats,
            clock=read_clock,
            adjourn=self._ending.adjourn,
            leave=self._ending.leave,
            await_resume=self._ending.await_resume,
            kill_now=self._ending.kill_now,
            renew=self._renew,
            degraded=self._degraded,
            enforceable=self._host.enforceable,
            is_ending=lambda: self._ending.is_begun,
        )

    async def run(self) -> None:
        """Live until there is nothing more to do, or the keeper is gone."""
        greeted = asyncio.ensure_future(self._adoption.greeted.wait())
        over = asyncio.ensure_future(self.ended.wait())
        await asyncio.wait({greeted, over}, return_when=asyncio.FIRST_COMPLETED)
        greeted.cancel()
        if self.ended.is_set():
            return
        live = [(self._fleet.slots[name].name, run) for run, name in self._fleet.by_run.items()]
        live += [(info["slot"], run) for run, info in self._adoption.strays.items()]
        live += self._errands.runs()
        self._logs.resume(live)
        self._notifications.resume(self._fleet.slots.values())
        self._ending.resume()
        await self._footing.begin()
        chores = asyncio.ensure_future(self._chores())
        try:
            await over
        finally:
            chores.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await chores

    async def close(self) -> None:
        """Hand over what is left, let go of everything."""
        self._footing.close()
        self._fleet.stop()
        await self._probes.close()
        self._remarks.close()
        self._errands.stop()
        self._orders.close()
        self._notifications.close()
        await self._flusher.close()
        await self._server.close()
        self._journal.close()
        self._logs.close()
        self._link.close()
        with contextlib.suppress(OSError):
            os.unlink(self._socket)

    # --- the keeper ---

    def _hear(self, frame: dict[str, Any]) -> None:
        if frame.get("ev") == "bye":
            self.ended.set()
        else:
            self._adoption.hear(frame)

    def _keeper_ended(self) -> None:
        if not self._ending.is_begun:
            self._keeper_lost()
        self.ended.set()

    def _renew(self, program: list[str]) -> None:
        """Leave to another build; the keeper follows when it has seen us go."""
        _log.info("agent %d leaves to %s", os.getpid(), program)
        self._link.send({"op": "renew", "argv": [*program, "keeper", self._state]}, self.ended.set)

    # --- now and then ---

    async def _chores(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.look_after()
            except Exception:
                # One chore that fails must not end the others, which come again.
                _log.exception("internal error: chores")

    async def look_after(self) -> None:
        """One round of what nobody waits for: figures, folded events, leftovers."""
        now = read_clock()
        self._look_at_clock(now)
        leaders = leaders_of(self._fleet.slots, self._host.run_group)
        figures = await asyncio.get_running_loop().run_in_executor(None, self._sweeper.sweep, leaders, now.mono)
        runs = {name: leader.run for name, leader in leaders_of(self._fleet.slots).items()}
        self._fleet.figures = {name: found for name, found in figures.items() if runs.get(name) == leaders[name].run}
        if self._fleet.figures:
            self._push(figures_push(self._fleet.figures, runs))
        for name in self._host.outlived_oom(runs):
            text = "the kernel killed one of its processes for memory; the worker itself goes on"
            self._fleet.tell("child_oom_killed", text, slot=name)
        await self._footing.look()
        self._journal.retry()
        self._journal.unfold(mono=now.mono, wall=now.wall)
        self._logs.tidy()
        await self._logs.pack()
        self._probes.tidy()
        self._fleet.look_if_quiet()
        await self._fleet.tidy()

    def _look_at_clock(self, now: Now) -> None:
        """When the next try is due is shown by the wall clock: it is shown anew when that was set."""
        offset = now.wall - now.mono
        if abs(offset - self._offset) > CLOCK_SET_S:
            for name, slot in self._fleet.slots.items():
                if slot.retry_at is not None:
                    self._fleet.show(name)
        self._offset = offset

    def _degraded(self) -> list[str]:
        texts = (
            self._footing.failure,
            self._flusher.failure,
            self._journal.failure,
            self._fleet.failure,
            self._logs.degraded,
            self._notifications.failure,
        )
        return [text for text in texts if text]

    # --- wires ---

    def _publish(self, event: Event) -> None:
        self._server.publish(event)

    def _push(self, push: dict[str, Any]) -> None:
        self._server.broadcast(push)

    def _limits(self, slot: str) -> Optional[Limits]:
        found = self._fleet.slots.get(slot)
        if found is None:
            return None
        return Limits(found.wish.launch["log_max_bytes"], found.wish.launch["log_archives"])

    def _tell_of_slot(self, kind: str, message: str, slot: str, data: dict[str, Any]) -> None:
        self._fleet.tell(kind, message, slot=slot, data=data)

    def _forget(self, name: str, slot: Optional[Slot]) -> None:
        if slot is None:
            self._secrets.forget(name)
            self._host.forget(name)

    def _notify_again(self) -> None:
        self._notifications.close()
        self._notifications.resume(self._fleet.slots.values())

    def _tell_of_logs(self, kind: str, message: str, data: dict[str, Any]) -> None:
        self._fleet.tell(kind, message, slot=data["slot"], data=data)

    def _tell_of_start(self, quarantined: list[tuple[str, str]]) -> None:
        _log.info("agent %d starts, %d slots", os.getpid(), len(self._fleet.slots))
        if self._marks.was_rebooted:
            self._fleet.tell("host_rebooted", "the host was started anew; what is wanted is started again")
        for name, reason in quarantined:
            self._fleet.tell("record_quarantined", f"slots/{name} does not read and was set aside: {reason}")


def main(paths: AgentPaths, keeper_fd: int) -> int:
    """The agent's whole life in this process. Returns its exit status, or becomes the keeper."""
    os.umask(0o077)
    set_up_log(f"{paths.state}/agent.log")
    raise_descriptor_limit()
    lock = take_lock(paths.agent_lock, LOCK_WAIT_S)
    if lock is None:
        _log.error("another agent holds %s", paths.agent_lock)
        return 1
    asyncio.run(_live(paths, keeper_fd))
    os.close(lock)
    return 0


async def _live(paths: AgentPaths, keeper_fd: int) -> None:
    agent = Agent(paths, keeper_fd, lambda: _succeed(paths), Limiter(paths))
    try:
        await agent.run()
    finally:
        await agent.close()


def _succeed(paths: AgentPaths) -> None:
    """Become the keeper, out of the middle of the loop: nothing that may hang (a thread, a dead disk) is waited for."""
    _log.warning("the keeper is gone: agent %d becomes the keeper", os.getpid())
    try:
        become_keeper(paths)
    except OSError:
        # Whoever starts a keeper next adopts the workers by their records.
        _log.exception("cannot become the keeper")


def take_lock(path: str, wait_s: float, pause: Callable[[float], None] = time.sleep) -> Optional[int]:  # noqa: TID251 - no loop runs yet
    """The agent's lock, held while the descriptor is open; None when another agent keeps it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            pause(LOCK_RETRY_S)
        else:
            # For people, and worth no failure: the disk may be full.
            with contextlib.suppress(OSError):
                os.pwrite(descriptor, f"{os.getpid()}\n".ljust(16).encode(), 0)
            return descriptor


def raise_descriptor_limit() -> None:
    """A slot costs us a watch and a socket. What workers get was written down before (`agent_process`)."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def set_up_log(path: str) -> None:
    """Plain lines to STATE/agent/agent.log, bounded. A full disk silences it and nothing else."""
    logging.raiseExceptions = False
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
