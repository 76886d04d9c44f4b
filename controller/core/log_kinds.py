"""What kinds of records a worker's log has, and which of its events become one. Pure.

`line` is what it printed, `gap` what is missing of that; both come from its files. The others are told of it: its
`lifecycle` and its `error`s by who supervises it, its `task`s and more `error`s by itself. Who asks for a log gets what
was printed; the others where they are asked for.

An event is one record, never two: an exit that was no fault is of its lifecycle, any other is an error. What is not in
the table (figures, files, hosts) has no place in a log; it is an event all the same.
"""

from __future__ import annotations

from controller.agent import protocol

PRINTED = ("line", "gap")
TOLD = ("task", "error")
"""What a worker may tell of itself."""

KINDS = ("line", "gap", "lifecycle", "task", "error")

_FAULTLESS = {protocol.CAUSE_COMPLETED: "info", protocol.CAUSE_STOPPED: "info", protocol.CAUSE_KILLED: "warning"}

_OF_EVENTS = {
    "adopted": ("lifecycle", "info"),
    "became_ready": ("lifecycle", "info"),
    "became_running": ("lifecycle", "info"),
    "became_unready": ("lifecycle", "warning"),
    "completed": ("lifecycle", "info"),
    "gave_up": ("lifecycle", "error"),
    "group_left": ("lifecycle", "warning"),
    "hook_failed": ("error", "error"),
    "hook_succeeded": ("lifecycle", "info"),
    "killed": ("lifecycle", "warning"),
    "liveness_lost": ("error", "error"),
    "readiness_failed": ("lifecycle", "warning"),
    "removed": ("lifecycle", "info"),
    "repeated": ("lifecycle", "warning"),
    "restart_scheduled": ("lifecycle", "warning"),
    "secrets_missing": ("error", "error"),
    "spawn_failed": ("error", "error"),
    "start_timed_out": ("error", "error"),
    "started": ("lifecycle", "info"),
    "stop_requested": ("lifecycle", "info"),
    "stopped": ("lifecycle", "info"),
    "stopping_announced": ("lifecycle", "info"),
    "unkillable": ("error", "error"),
}


def kind_of_event(event: str, cause: str) -> tuple[str, str] | None:
    """Kind and level of the record that an event of an instance becomes; None: it becomes none."""
    if event == "exited":
        level = _FAULTLESS.get(cause)
        return ("error", "error") if level is None else ("lifecycle", level)
    return _OF_EVENTS.get(event)


def text_of_event(event: str, message: str) -> str:
    """What the record says: the message, led by the event's name where it does not begin with that itself."""
    words = event.replace("_", " ")
    return message if message.startswith(words) else f"{words}: {message}"
