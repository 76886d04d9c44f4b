"""A plan is data that prints: actions with their causes, holds with their reasons, and when to look again.

One deterministic line per entry. The CLI, the API, serve's log and the tests show this same text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ActionKind(StrEnum):
    """What is done to one slot. Imperatives; each is one `apply` or `remove` at the back end.

    CREATE   a slot that does not exist yet (and starts it, where it is wanted running)
    START    wanted stopped -> running
    STOP     wanted running -> stopped; the slot stays
    REPLACE  another revision: preflight, stop the old run, start the new
    UPDATE   in place: new settings for the next decision, the run is untouched
    RESTART  a person asked for it; same revision, and the restart budget is cleared
    REMOVE   stop, hand over the last log bytes, forget
    """

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REPLACE = "replace"
    UPDATE = "update"
    RESTART = "restart"
    REMOVE = "remove"


def shown(value: Any) -> str:
    """A field's value in a line of a plan: `unset`, `true`, `3`, `'text'`, `['a', 'b']`. Never Python's own words."""
    match value:
        case None:
            return "unset"
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return f"[{', '.join(_inner(entry) for entry in value)}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_inner(entry)}' for key, entry in value.items())}}}"
        case _:
            return repr(value)


def _inner(value: Any) -> str:
    return "null" if value is None else shown(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One changed field of a spec: dotted path, old and new value (None: unset), and what that does."""

    path: str
    before: Any
    after: Any
    effect: str

    def __str__(self) -> str:
        return f"{self.path}: {shown(self.before)} -> {shown(self.after)} ({self.effect})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step for one slot. `generation` and `run_request` are those to send; the executor adds nothing."""

    worker_id: str
    ordinal: int
    host: str
    kind: ActionKind
    cause: str
    generation: int
    wanted: str = "running"
    run_request: int = 0
    fields: tuple[FieldChange, ...] = ()
    at_once: bool = False

    @property
    def instance(self) -> str:
        """The name people see: `web/0`."""
        return f"{self.worker_id}/{self.ordinal}"

    def __str__(self) -> str:
        details = "".join(f"; {change}" for change in self.fields)
        return f"{self.kind.value:<8} {self.instance}: {self.cause}{details}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something that is deliberately not done, and why. `until` in seconds since the epoch, None: until it changes.

    `confirm` is the digest that lets it happen (`workerctl reconcile --confirm DIGEST`), empty where none can.
    `worker_id` is None for a hold that concerns the whole source or a host. `fields` are those of the spec that its
    instances do not have yet and no action of the plan brings: what waits is told like what is done.
    """

    worker_id: str | None
    reason: str
    message: str
    until: float | None = None
    confirm: str = ""
    fields: tuple[FieldChange, ...] = field(default=(), hash=False)

    def __str__(self) -> str:
        details = "".join(f"; {change}" for change in self.fields)
        confirm = f" [confirm {self.confirm}]" if self.confirm else ""
        return f"hold     {self.worker_id or '*'}: {self.reason}: {self.message}{details}{confirm}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now, what not and why, and the earliest time to look again (seconds since the epoch, or None)."""

    actions: tuple[Action, ...] = ()
    holds: tuple[Hold, ...] = ()
    next_wake: float | None = None

    def __str__(self) -> str:
        return "\n".join([str(entry) for entry in (*self.actions, *self.holds)])
