"""The one thread that writes. Everyone hands it typed batches; nobody waits for it.

Theory of operation: `submit` puts a batch into the bounded backlog and returns at once. The thread takes a group of
all that waits (up to a cap), writes it in one transaction, and tells those who asked. While it commits, the next
group gathers, so the load sets the size of the groups: one batch alone is stored at once, a flood in thousands of
rows. An idle writer waits on a condition and costs nothing.

- When the database cannot be used, the same group is tried again, backing off up to 2 s, on a new engine each time.
  Order is never lost. The backlog fills up meanwhile and then refuses; see backlog for what that means to whom.
- When the database refuses the data itself, the group is written item by item and only the bad item is rejected.
- A connection to a server that breaks during COMMIT leaves open whether the group is stored; it is written again all
  the same. Lines and journal events know by their cursors, states are the same again, and the controller's own events
  have a cursor too: the number of the group, which is stored with them.
- A writer that has nothing to write looks now and then whether it could, so that readiness is honest in a quiet hour.
- Callbacks (`done`, subscribers, `when_room`) run in the writer's thread, outside its lock, and must return at once:
  an event loop is told through `call_soon_threadsafe`.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Engine

from controller.agent.failpoints import failpoint
from controller.store.apply import Applied, apply_group
from controller.store.backlog import Backlog, Done, Entry, Limits
from controller.store.errors import explained, is_retryable
from controller.store.ingest import OWN, Mark
from controller.store.records import Batch, Heads, JournalCursor, Outcome, Rejected

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.05
MAX_DELAY_S = 2.0


class Writer:
    """One writer thread over one database. Started by its constructor, ended by `close`."""

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        *,
        name: str = "the database",
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        probe_s: float = 15.0,
    ) -> None:
        """`open_engine` makes a new engine after each failure; `name` is what messages call the database."""
        self._open_engine = open_engine
        self._name = name
        self._clock = clock
        self._attempted: Callable[[Exception | None], None] = lambda _error: None
        self._probe_s = probe_s
        self._token = secrets.token_hex(8)
        self._group = 0
        self._backlog = Backlog(limits or Limits())
        # Guards the backlog and all below it that both sides touch.
        self._changed = threading.Condition()
        self._closing = False
        self._room: list[Callable[[], None]] = []
        self._subscribers: tuple[Callable[[Heads], None], ...] = ()
        self._error = ""
        self._trouble = ""
        self._rejected = 0
        self._abandoned = threading.Event()
        self._engine: Engine | None = None
        # A daemon: a database that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    # --- for everyone, from any thread ------------------------------------------------------------------------

    def submit(self, batch: Batch, done: Done | None = None) -> bool:
        """Take `batch` on, and call `done` with its outcome. False: no room (or closed), and `done` is never called.

        After False, a reader of log files or of a journal stops reading and comes back `when_room`.
        """
        with self._changed:
            taken = not self._closing and self._backlog.offer(batch, done)
            self._changed.notify_all()
            return taken

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, as soon as at most half of the room for lines and events is taken (perhaps now)."""
        with self._changed:
            if not self._backlog.has_room:
                self._room.append(callback)
                return
        callback()

    def subscribe(self, callback: Callable[[Heads], None]) -> Callable[[], None]:
        """Call `callback` with the newest numbers after each commit that stored lines or events; returns the end."""
        with self._changed:
            self._subscribers = (*self._subscribers, callback)

        def unsubscribe() -> None:
            with self._changed:
                self._subscribers = tuple(one for one in self._subscribers if one is not callback)

        return unsubscribe

    def tell_attempts(self, callback: Callable[[Exception | None], None]) -> None:
        """Call `callback` in the writer's thread after each attempt to write: with what failed, or None."""
        self._attempted = callback

    @property
    def healthy(self) -> bool:
        """Whether the last attempt to write succeeded (or there was none yet)."""
        return not self._error and self._thread.is_alive()

    @property
    def last_error(self) -> str:
        """Why it is not healthy, as one sentence; empty while it is."""
        return self._error

    @property
    def trouble(self) -> str:
        """The same in a few words that name nothing, for those who may not know more."""
        return self._trouble

    @property
    def backlog(self) -> int:
        """How many lines, events and other rows are waiting or under way."""
        with self._changed:
            return self._backlog.rows

    @property
    def rejected(self) -> int:
        """How many items the database refused for their data since the start."""
        return self._rejected

    def probe(self) -> None:
        """Look now whether it could write."""
        with self._changed:
            self._backlog.barrier(lambda _outcome: None)
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until all that was submitted before, chores aside, is stored or rejected."""
        stored = threading.Event()
        with self._changed:
            if self._closing:
                return not self._backlog.rows
            self._backlog.barrier(lambda _outcome: stored.set())
            self._changed.notify_all()
        return stored.wait(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Take nothing more, store what waits for up to `timeout` seconds, end the thread. False: something is left.

        What is left is told so (`Rejected`), and is written again by whoever has the original.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._abandoned.set()
            # Until a statement that waits for a lock returns; then it sees that it may stop.
            self._thread.join(1.0)
        return not self._abandoned.is_set()

    # --- the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while group := self._next_group():
            self._settle(group, self._store(group))
        self._drop_engine()

    def _next_group(self) -> list[Entry]:
        """The next group, empty when closed and all is done."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._backlog.waiting or self._closing, self._probe_s):
                self._backlog.barrier(lambda _outcome: None)
            return self._backlog.take()

    def _store(self, group: Sequence[Entry]) -> list[Outcome]:
        """Write `group`, for as long as it takes. One outcome per entry, in order."""
        delay = FIRST_DELAY_S
        self._group += 1
        mark = Mark(cursor=JournalCursor(host=OWN, journal_id=self._token, seq=self._group))
        while not self._abandoned.is_set():
            try:
                applied = self._transact(group, mark)
            except Exception as error:  # one group: whatever is wrong with it must not end the thread
                if not is_retryable(error):
                    return self._one_by_one(group, error)
                self._failed(error)
                mark = replace(mark, is_repeated=True)
                self._abandoned.wait(delay)
                delay = min(delay * 2, MAX_DELAY_S)
            else:
                # For kills only; an error here would be reported for rows that are stored.
                failpoint("store.after_commit")
                self._succeeded(applied.heads)
                return list(applied.outcomes)
        return [Rejected(message="the store was closed before this could be written")] * len(group)

    def _transact(self, group: Sequence[Entry], mark: Mark) -> Applied:
        if self._engine is None:
            self._engine = self._open_engine()
        with self._engine.begin() as connection:
            applied = apply_group(connection, [entry.item for entry in group], self._clock(), mark)
            failpoint("store.before_commit")
        return applied

    def _one_by_one(self, group: Sequence[Entry], error: Exception) -> list[Outcome]:
        if len(group) > 1:
            return [outcome for entry in group for outcome in self._store([entry])]
        message = str(explained(error, "write to", self._name))
        log.error("the database refused a row: %s", message)
        self._rejected += 1
        return [Rejected(message=message)]

    def _failed(self, error: Exception) -> None:
        told = explained(error, "write to", self._name)
        message = str(told)
        if message != self._error:
            log.warning("the database cannot be written to, trying again: %s", message)
        self._error, self._trouble = message, told.in_short
        self._attempted(error)
        # A connection that failed may be broken in ways that show only later; a new one is cheap.
        self._drop_engine()

    def _succeeded(self, heads: Heads) -> None:
        if self._error:
            log.info("the database can be written to again")
        self._error = self._trouble = ""
        self._attempted(None)
        if heads != Heads():
            for callback in self._subscribers:
                _call(partial(callback, heads))

    def _settle(self, group: list[Entry], outcomes: Sequence[Outcome]) -> None:
        with self._changed:
            self._backlog.settle(group)
            welcome = self._room if self._backlog.has_room else []
            if welcome:
                self._room = []
        for entry, outcome in zip(group, outcomes, strict=True):
            for done in entry.done:
                _call(partial(done, outcome))
        for callback in welcome:
            _call(callback)

    def _drop_engine(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:  # one callback: an event loop that was closed must not end the thread
        log.exception("internal error: a callback of the store failed")
