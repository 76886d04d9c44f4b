"""What the keeper's loop waits on: descriptors, each with the action to call. A thin layer over epoll.

The selectors module does the same with several objects for each descriptor. Here each of them counts: a page of
memory that the keeper writes to while a child waits for its exec is a page to copy.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WRITABLE = select.EPOLLOUT


class Poller:
    """`watch` calls an action with its arguments and the events, a mask of epoll's."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._actions: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}

    def watch(self, descriptor: int, action: Callable[..., object], *arguments: Any) -> None:
        """Call the action while there is something to read, or the other end is gone."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._actions[descriptor] = (action, arguments)

    def expect_room(self, descriptor: int, *, wanted: bool) -> None:
        """Call it also (or no longer) while it can be written to."""
        self._epoll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def forget(self, descriptor: int) -> None:
        """No more. Before it is closed; harmless for one that is not watched."""
        if self._actions.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def wait(self, timeout_s: float | None) -> list[tuple[Callable[..., object], tuple[Any, ...], int]]:
        """What to call now, in the kernel's order. A call may make a later one pointless: actions check for it."""
        found = self._epoll.poll(timeout_s)
        actions = self._actions
        return [(*actions[descriptor], events) for descriptor, events in found if descriptor in actions]
