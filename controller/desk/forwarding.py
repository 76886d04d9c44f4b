"""The forwarders that the settings ask for, each with the database as its spool."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from controller.api.ports import Changes, Topic
from controller.config import Settings
from controller.desk.parts import Parts
from controller.outlets.forward import Forwarder, Spool
from controller.outlets.senders import sender_for
from controller.outlets.targets import Target, parse_target
from controller.store import Store
from controller.store.records import StoredLine


class TargetError(Exception):
    """A target that cannot be used; the message names the setting and what was expected."""


def targets_of(settings: Settings) -> list[Target]:
    """The targets that the settings name. Raises TargetError."""
    origin = settings.origins.get("forward", "forward")
    targets: list[Target] = []
    for text in settings.forward:
        try:
            targets.append(parse_target(text))
        except ValueError as error:
            # Of the text only what comes before a login is repeated.
            raise TargetError(f"{origin}: cannot forward to {text.partition('//')[0]}//...: {error}") from None
    if len({str(target) for target in targets}) < len(targets):
        raise TargetError(f"{origin}: the same target stands there twice")
    return targets


def forwarders(targets: Sequence[Target], parts: Parts, changes: Changes, state_dir: Path) -> list[Forwarder]:
    """One for each target. Their senders open nothing before they run."""
    host = socket.gethostname()
    return [
        Forwarder(target, sender_for(target, host), _spool(parts, changes), state_dir / "forward") for target in targets
    ]


def _spool(parts: Parts, changes: Changes) -> Spool:
    stored, bell = StoredLines(parts.store, parts.clock.now), changes.subscribe(Topic.LOGS)
    return Spool(head=stored.head, after=stored.after, news=bell.wait, now=parts.clock.now)


class StoredLines:
    """The database as one target reads it. What retention removes before it was read is a record, told once."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store, self._now = store, now
        self._told = 0

    async def head(self) -> int:
        """The newest number, also where retention has removed that line: what had it is no other database."""
        return await self._store.ask(self._newest)

    def _newest(self) -> int:
        reader = self._store.reader
        return max(reader.heads().log_id, *(one.removed_to for one in reader.log_totals()), 0)

    async def after(self, line: int, limit: int) -> Sequence[StoredLine]:
        """The first lines behind `line`."""
        reader = self._store.reader
        found = await self._store.ask(lambda: reader.log_feed(after_id=line, limit=limit))
        if found and found[0].id == line + 1:
            return found
        removed = max((one.removed_to for one in await self._store.ask(reader.log_totals)), default=0)
        if removed <= max(line, self._told):
            return found
        self._told = removed
        return [self._gap(removed), *found]

    def _gap(self, removed: int) -> StoredLine:
        text = f"lines up to number {removed} were removed from the database (retain_...) before they were forwarded"
        return StoredLine(
            id=0, worker_id="workerctl", instance="workerctl", run="", stream="stderr", kind="gap", seq=0,
            byte_offset=0, at=self._now(), approximate=True, level="warning", text=text, partial=False,
        )  # fmt: skip
