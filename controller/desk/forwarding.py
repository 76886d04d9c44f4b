"""The forwarders that the settings ask for, each with the database as its spool."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from controller.api.ports import Changes, Topic
from controller.config import Settings
from controller.desk.parts import Parts
from controller.outlets.forward import Forwarder, Spool
from controller.outlets.senders import sender_for
from controller.outlets.targets import Target, parse_target
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
    store, bell = parts.store, changes.subscribe(Topic.LOGS)

    async def head() -> int:
        return (await store.ask(store.reader.heads)).log_id

    async def after(line: int, limit: int) -> Sequence[StoredLine]:
        return await store.ask(lambda: store.reader.log_feed(after_id=line, limit=limit))

    return Spool(head=head, after=after, news=bell.wait, now=parts.clock.now)
