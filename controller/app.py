"""The composition root: the only place that constructs things and names concrete back ends.

`serve` runs one controller from the lock on its state directory to the last worker's end. Everything that runs does so
in one task group: a part that dies of a bug ends the program with its story, and the workers go on under their agent.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from controller.agent.paths import AgentPaths, PathsError
from controller.api.listen import ListenError, parse_listen
from controller.api.ports import Ports, Topic
from controller.api.server import ApiServer
from controller.api.tls import TlsError
from controller.backends.agent import AgentBackend
from controller.backends.base import Backend, Superseded
from controller.backends.doorstep import LocalDoorstep
from controller.config import Settings
from controller.core.config_views import shown_spec
from controller.desk.access import certificate_of, open_access, own_url
from controller.desk.batch_files import BatchFiles
from controller.desk.batches import BatchDesk
from controller.desk.drafts import DraftDesk
from controller.desk.figures import FigureDesk
from controller.desk.forwarding import TargetError, forwarders, targets_of
from controller.desk.heartbeats import HeartbeatDesk, heartbeat_key
from controller.desk.history import HistoryDesk
from controller.desk.parts import Parts
from controller.desk.past import PastDesk
from controller.desk.server import ServerDesk
from controller.desk.specs import SpecDesk
from controller.desk.tokens import TokenError
from controller.desk.workers import Desk
from controller.log import configure
from controller.outlets.forward import Forwarder
from controller.outlets.tally_file import TallyFile
from controller.reconcile.archive import Archive
from controller.reconcile.clock import Clock
from controller.reconcile.ingest import LogIngest
from controller.reconcile.loop import Loop, Turn
from controller.reconcile.observer import Observer
from controller.reconcile.queue import WorkQueue
from controller.reconcile.shutdown import keep_all, stop_all
from controller.reconcile.specs import SpecFeed
from controller.reconcile.state import StateDir, StateError, open_state_dir
from controller.reconcile.threads import open_pool
from controller.reconcile.upkeep import keep_house
from controller.reconcile.wishes import WishBook
from controller.sources.directory import DirectorySource
from controller.sources.git_writes import writes
from controller.sources.launching import Surroundings
from controller.sources.watch import hints
from controller.sources.writer import SpecWriter
from controller.store import Keep, Store, StoreError, locate, open_store
from controller.store.records import Event, Heads

HOST = "localhost"
SETTLE_S = 10.0
STARTED_S = 60.0
"""By then the workers have been started, listed and looked at."""
COLLECT_S = 120.0
"""Between two collections of what came since: some milliseconds."""

log = logging.getLogger("workerctl")


def serve(settings: Settings) -> int:
    """Run until told to end. The exit code: 0, 1 when something of ours failed, 6 when another controller is here."""
    configure(settings.log_format)
    try:
        certificate_of(settings)
        locate(settings.db)
        targets_of(settings)
    except (ListenError, TlsError, StoreError, TargetError) as error:
        log.error("%s", error)  # noqa: TRY400 - a setting that cannot be used, said before anything is made
        return 2
    if settings.specs.is_file():
        log.error("%s is a file; serve wants a directory of specs", settings.specs)
        return 2
    if not settings.specs.exists():
        log.warning("there is no directory %s yet; it is read as soon as it is there", settings.specs)
    try:
        state = open_state_dir(settings.state_dir)
    except StateError as error:
        log.error("%s", error)  # noqa: TRY400 - an expected outcome, said in one line
        return 6 if "another controller" in str(error) else 1
    try:
        store = open_store(settings.db, waits=True)
    except StoreError as error:
        log.error("%s", error)  # noqa: TRY400 - the same
        state.close()
        return 1
    try:
        return asyncio.run(_serve(settings, state, store))
    finally:
        if not store.close():
            log.warning("not all rows could be written; events and log lines are read again at the next start")
        state.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """All parts of a running controller."""

    settings: Settings
    store: Store
    clock: Clock
    backends: dict[str, Backend]
    agent: AgentBackend
    loop: Loop
    specs: SpecFeed
    ingest: LogIngest
    observer: Observer
    archive: Archive
    desk: Desk
    batches: BatchDesk
    forwarders: list[Forwarder]
    history: HistoryDesk
    api: ApiServer


def _assemble(settings: Settings, state: StateDir, store: Store) -> _Program:
    clock, queue, wishes = Clock(), WorkQueue(), WishBook(state.path / "intents")
    agent = AgentBackend(
        host=HOST,
        realm_id=state.realm_id,
        doorstep=LocalDoorstep(AgentPaths(str(state.agent_dir))),
        now=clock.now,
        heartbeat_key=heartbeat_key(state.key),
    )
    backends: dict[str, Backend] = {HOST: agent}
    archive = Archive(store, now=clock.now, ask_again=lambda _host: agent.reconnect())
    loop = Loop(backends=backends, wishes=wishes, queue=queue, clock=clock)
    source = DirectorySource(str(settings.specs), str(state.path), _surroundings(settings, state))
    specs = SpecFeed(source, clock=clock, archive=archive, accept=loop.accept)
    heartbeats = HeartbeatDesk(heartbeat_key(state.key), loop, clock)
    parts = Parts(
        store=store, loop=loop, specs=specs, wishes=wishes, archive=archive, clock=clock, heartbeats=heartbeats
    )  # fmt: skip
    way = writes(settings.writes, source.root, os.environ)
    writer = SpecWriter(source, shown=shown_spec, now=clock.now, writes=way)
    desk = Desk(parts, writer)
    heartbeats.changed = desk.changed
    heartbeats.store = archive.keep_records
    archive.told = heartbeats.told_of
    heartbeats.forward = lambda host, instance, run: backends[host].beat(instance, run)
    ingest = LogIngest(store=store, backends=backends, now=clock.now, store_rate=_store_rates(specs))
    observer = Observer(backends=backends, queue=queue, keeper=archive, log_grew=ingest.grew, changed=desk.changed)
    specs.tell_scans(lambda: _specs_read(specs, desk, loop))
    specs.tell_trouble(loop.cannot_read)
    figures = FigureDesk(parts, ingest, desk.health, memory=TallyFile(state.path / "tally.json"))
    observer.on_metered = figures.meter.tally.metered
    history = HistoryDesk(parts, desk.is_known)
    loop.publish_to(lambda turn: _published(turn, desk, specs, figures), desk.carried)
    configs = SpecDesk(parts, source, writer)
    batches = BatchDesk(parts, desk, BatchFiles(state.path))
    ports = Ports(
        snapshots=desk, records=desk, wishes=desk, configs=configs, changes=desk, heartbeats=heartbeats,
        batches=batches, figures=figures, history=history, server=ServerDesk(settings, store, clock.now()),
        drafts=DraftDesk(parts, source, configs), past=PastDesk(parts, source, os.environ, desk.is_known),
    )  # fmt: skip
    access = open_access(settings, certificate_of(settings), archive, clock.now)
    api = ApiServer(ports, parse_listen(settings.listen), allowed_hosts=settings.allowed_host, access=access)
    figures.guests = lambda: (api.follower_count, api.connection_count)
    sending = figures.forwarders = forwarders(targets_of(settings), parts, desk, state.path)
    return _Program(
        settings=settings, store=store, clock=clock, backends=backends, agent=agent, loop=loop, specs=specs,
        ingest=ingest, observer=observer, archive=archive, desk=desk, batches=batches,
        forwarders=sending, history=history, api=api,
    )  # fmt: skip


def _specs_read(specs: SpecFeed, desk: Desk, loop: Loop) -> None:
    desk.specs_read()
    if specs.settled:
        loop.let_start()


def _surroundings(settings: Settings, state: StateDir) -> Surroundings:
    return Surroundings(
        host=HOST,
        cpu_count=os.cpu_count() or 1,
        interpreter=sys.executable,
        key=state.key,
        url=own_url(settings),
        environment=dict(os.environ),
        allowed_env={name: os.environ.get(name) for name in settings.allow_env},
    )


def _store_rates(specs: SpecFeed) -> Callable[[str], int]:
    def rate(instance: str) -> int:
        worker = specs.desired.workers.get(instance.rpartition("/")[0])
        return worker.spec.logs.store_rate if worker else 2000

    return rate


def _published(turn: Turn, desk: Desk, specs: SpecFeed, figures: FigureDesk) -> None:
    desk.published(turn)
    figures.turned(turn)
    for worker_id in desk.without_slots(specs.desired.removed):
        specs.source.forget(worker_id)
        specs.hint()


async def _serve(settings: Settings, state: StateDir, store: Store) -> int:
    open_pool()
    try:
        program = _assemble(settings, state, store)
        await program.api.start()
    except (ListenError, TlsError, TokenError, PathsError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - an expected outcome, said in one line
        return 1
    told = _Told(asyncio.get_running_loop())
    _ring_on_commit(program)
    _begin_anew_with(program)
    await program.archive.recall()
    await program.desk.take_up()
    log.info(
        "serving", extra={"fields": {"url": program.api.url, "specs": settings.specs, "state": settings.state_dir}}
    )
    ended = asyncio.create_task(_run(program), name="program")
    stopping = asyncio.create_task(told.first.wait(), name="stopping")
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    code = 0
    if ended.done():
        code = _story(ended)
    else:
        program.loop.draining = True
        if settings.on_exit == "stop":
            limit, caught_up = settings.stop_timeout_s, program.ingest.caught_up
            code = 0 if await stop_all(program.agent, program.specs, limit, told.second, caught_up) else 1
        else:
            keep_all(program.agent)
    ended.cancel()
    stopping.cancel()
    await asyncio.gather(ended, stopping, return_exceptions=True)
    program.archive.flush()
    await program.api.stop()
    return code


async def _run(program: _Program) -> None:
    """Everything that goes on while the controller lives."""
    stop = asyncio.Event()
    said = program.settings
    kept = Keep(days=said.retain_days, lines=said.retain_lines, bytes=said.retain_bytes)
    # What was stopped as a whole starts as the specs are now; specs that do not settle cannot keep it from that.
    asyncio.get_running_loop().call_later(SETTLE_S, program.loop.let_start)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(program.agent.run(program.observer), name="agent")
            group.create_task(program.specs.run(), name="specs")
            group.create_task(program.specs.follow(_hints(program, stop)), name="watch")
            group.create_task(program.loop.run(), name="loop")
            group.create_task(program.batches.run(), name="batches")
            group.create_task(program.history.run(), name="history")
            group.create_task(program.ingest.run(), name="logs")
            group.create_task(_set_aside(program.specs), name="memory")
            for forwarder in program.forwarders:
                group.create_task(forwarder.run(), name=f"forward to {forwarder.target}")
            group.create_task(keep_house(program.store, program.specs, program.clock, kept), name="upkeep")
    finally:
        stop.set()


async def _set_aside(specs: SpecFeed) -> None:
    """What is made at the start mostly lives as long as we do: collections are rare meanwhile, and pass it over later.

    Of the time that ten thousand specs take to load, they would else be a sixth. Later ones look through what came
    since, and only what came last is looked through here: a look through everything keeps everybody waiting.
    """
    gc.set_threshold(50_000, 50, 50)
    await specs.consistent()
    gc.set_threshold(5_000, 20, 20)
    for wait_s in (0.0, STARTED_S):
        await asyncio.sleep(wait_s)
        gc.collect(1 if wait_s else 0)
        gc.freeze()
    while True:
        # By itself the oldest generation is looked through only once in hours: what is unreachable there would add up.
        await asyncio.sleep(COLLECT_S)
        gc.collect()


def _hints(program: _Program, stop: asyncio.Event) -> AsyncIterator[None]:
    return hints(program.specs.source.root, stop)


def _ring_on_commit(program: _Program) -> None:
    loop, tower = asyncio.get_running_loop(), program.desk.tower

    def ring(heads: Heads) -> None:
        for topic, number in ((Topic.EVENTS, heads.event_seq), (Topic.LOGS, heads.log_id)):
            if number:
                with suppress(RuntimeError):  # the event loop has ended; nobody follows any more
                    loop.call_soon_threadsafe(tower.ring, topic)

    program.store.writer.subscribe(ring)


def _begin_anew_with(program: _Program) -> None:
    """Another database than before (deleted, damaged, restored, recreated): fill it with what is known."""
    loop = asyncio.get_running_loop()

    def fill() -> None:
        program.archive.keep_own(
            Event(at=program.clock.now(), type="database_replaced", actor="controller", message=program.store.story)
        )
        program.ingest.begin_anew()
        program.archive.begin_anew()
        for worker in program.specs.desired.workers.values():
            program.archive.keep_spec(worker)

    def returned(away_s: float, why: str) -> None:
        message = f"the database could not be written to for {away_s:.0f} s: {why}"
        event = Event(at=program.clock.now(), type="database_returned", actor="controller", message=message)
        program.archive.keep_own(event)

    def in_loop(work: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(work, *arguments)

        return call

    program.store.on_recreated(in_loop(fill))
    program.store.on_returned(in_loop(returned))


def _story(ended: asyncio.Task[None]) -> int:
    """Why the program ended by itself."""
    failure = ended.exception()
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    if isinstance(failure, Superseded):
        log.error("%s; this controller ends, the workers go on", failure)
        return 6
    log.error("internal error: a part of the controller ended; the workers go on", exc_info=failure)
    return 1


class _Told:
    """SIGTERM and SIGINT: the first asks, the second insists."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._tell)

    def _tell(self) -> None:
        (self.second if self.first.is_set() else self.first).set()
