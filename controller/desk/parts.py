"""What the desks stand on."""

from __future__ import annotations

from dataclasses import dataclass

from controller.desk.heartbeats import HeartbeatDesk
from controller.reconcile.archive import Archive
from controller.reconcile.clock import Clock
from controller.reconcile.loop import Loop
from controller.reconcile.specs import SpecFeed
from controller.reconcile.wishes import WishBook
from controller.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The rest of the program, as far as desks reach it."""

    store: Store
    loop: Loop
    specs: SpecFeed
    wishes: WishBook
    archive: Archive
    clock: Clock
    heartbeats: HeartbeatDesk
