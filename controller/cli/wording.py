"""What a worker's state is called, how it is shown, and why it is as it is: the words of `get`, `status`, `describe`.

Pure functions over the items of `GET /api/v1/workers`; `now` in seconds since the epoch. These words are the short
form that fits a table; `status` and `describe` show the controller's own explanation (`why`, `next`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from controller.cli.client import Item
from controller.cli.human import age, count, duration, seconds_of
from controller.cli.table import Cell
from controller.cli.terminal import Terminal

# Worst first: the order in which workers are listed.
SEVERITY = ("unknown", "error", "crashed", "stopping", "starting", "running", "stopped")

_LOOK: dict[str, tuple[str, str, str]] = {
    "unknown": ("?", "?", "magenta"),
    "error": ("✗", "x", "red"),
    "crashed": ("↻", "!", "yellow"),
    "stopping": ("◑", "-", "cyan"),
    "starting": ("◐", "+", "cyan"),
    "running": ("●", "*", "green"),
    "stopped": ("○", "o", ""),
}

_CAUSES: dict[str, str] = {
    "completed": "completed",
    "stopped": "stopped",
    "killed": "killed after its grace",
    "spawn_failed": "could not start",
    "host_rebooted": "the host rebooted",
    "unknown": "ended unseen",
    "start_timeout": "did not start in time",
    "liveness": "its liveness probe failed",
    "hook": "its hook pre_start failed",
    "oom_killed": "killed, out of memory",
}

_WAITING = frozenset({"SecretsMissing", "WaitingForDependency"})
"""Reasons of an instance that is stopped because it waits for something."""

_ON_THE_WAY = frozenset({"Starting", "Stopping", "WaitingToRestart"})


def severity(status: str) -> int:
    """0 is worst. A word we do not know counts as unknown."""
    return SEVERITY.index(status) if status in SEVERITY else 0


def failed_first(items: Sequence[Item]) -> list[Item]:
    """Workers in the order people want: worst status first, then those with problems, then by name."""
    return sorted(items, key=lambda item: (severity(item["status"]), not item.get("problems"), str(item["worker_id"])))


def status_cell(status: str, screen: Terminal) -> Cell:
    """The status as a word, with its sign on a terminal."""
    fancy, plain, colour = _LOOK.get(status, _LOOK["unknown"])
    text = f"{screen.sign(fancy, plain)} {status}" if screen.tty else status
    return Cell(text=text, colour=colour or None, bold=status == "error", dim=status == "stopped")


def painted_status(status: str, screen: Terminal) -> str:
    """The same, ready to print."""
    cell = status_cell(status, screen)
    return screen.paint(cell.text, cell.colour, bold=cell.bold, dim=cell.dim)


def instances_of(item: Item) -> list[Item]:
    """Its instances in ordinal order."""
    return sorted(item.get("instances") or (), key=lambda instance: int(instance.get("ordinal") or 0))


def running_of(item: Item) -> str:
    """`2/3`: running instances of all."""
    instances = instances_of(item)
    return f"{sum(1 for instance in instances if instance['status'] == 'running')}/{len(instances)}"


def condition(item: Item, kind: str) -> Item | None:
    """The condition of that type, or None."""
    return next((entry for entry in item.get("conditions") or () if entry.get("type") == kind), None)


def is_true(item: Item, kind: str) -> bool:
    """Whether that condition stands and is True."""
    found = condition(item, kind)
    return found is not None and found.get("status") == "True"


def as_desired(item: Item) -> bool:
    """Whether it is as its spec asks: running and ready, or stopped because it should be or has completed.

    An edit that cannot be carried out is not what the spec asks for, however well the old revision runs.
    """
    ready = condition(item, "Ready") or {}
    if is_true(item, "Stalled"):
        return False
    if item["status"] == "running":
        return ready.get("status") != "False" or ready.get("reason") == "Completed"
    if item["status"] != "stopped":
        return False
    if is_true(item, "Completed") or item.get("desired_state") in {"stopped", "absent"}:
        return True
    return item.get("desired_state") == "running" and ready.get("reason") == "NotWanted"  # replicas: 0


def exit_words(last_exit: Item | None) -> str:
    """`exited with code 3`, `killed by SEGV`, `could not start`; empty without an exit."""
    if last_exit is None:
        return ""
    cause = str(last_exit.get("cause") or "unknown")
    code, signal = last_exit.get("code"), last_exit.get("signal")
    if cause == "exited":
        return f"exited with code {code}" if code is not None else "exited"
    if cause == "signaled":
        return f"killed by {signal_name(signal)}"
    return _CAUSES.get(cause, cause.replace("_", " "))


def signal_name(signal: str | int | None) -> str:
    """`SIGSEGV` for 11, "SEGV" or "SIGSEGV"."""
    if signal is None:
        return "a signal"
    if isinstance(signal, int):
        from signal import Signals  # noqa: PLC0415 - only where a number must be named

        try:
            return Signals(signal).name
        except ValueError:
            return f"signal {signal}"
    return signal if signal.startswith("SIG") else f"SIG{signal}"


def next_try(instance: Item, now: float) -> str:
    """`next try in 12s`, or nothing."""
    at = seconds_of(instance.get("next_retry_at"))
    if at is None:
        return ""
    return f"next try in {age(at - now)}" if at > now else "next try now"


def instance_reason(instance: Item, now: float) -> str:
    """Why an instance is not simply running: what it was told, how it ended, when it is tried again."""
    status, died = instance["status"], exit_words(instance.get("last_exit"))
    said = str(instance.get("message") or "") or plain_words(str(instance.get("reason") or ""))
    match status:
        case "running":
            return _readiness_words(instance)
        case "stopped" if instance.get("reason") in _WAITING:
            return said
        case "stopped":
            return died if died not in {"", "stopped"} else ""
        case "crashed":
            return ", ".join(part for part in (died or said, next_try(instance, now)) if part)
        case "error":
            # What the agent said mostly begins with how it died.
            return (said if died in said else "; ".join(part for part in (died, said) if part)) or "gave up"
        case _:
            return said


def _readiness_words(instance: Item) -> str:
    """Of one that runs: that it is not ready, and what is said of it, or what it says of itself."""
    told = str(instance.get("message") or instance.get("notify_status") or "")
    if instance.get("ready") is not False:
        return told
    return f"not ready: {told}" if told else "not ready"


def plain_words(reason: str) -> str:
    """`CannotStart` as `cannot start`; a sentence stays as it is."""
    return reason if " " in reason else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", reason).lower()


def worst_instance(item: Item) -> Item | None:
    """The first of the instances with the worst status."""
    return min(instances_of(item), key=lambda instance: severity(instance["status"]), default=None)


def reason(item: Item, now: float) -> str:
    """One short sentence for a table; empty where all is well."""
    words, kept = _stalled_words(item), _kept_words(item)
    if not words and item["status"] == "stopped":
        words = kept
    worst = worst_instance(item)
    if worst is not None and not words:
        words = instance_reason(worst, now)
    if not words and not as_desired(item):
        words = _condition_words(item)
    words = words or kept
    if item.get("desired_state") == "absent":
        words = "; ".join(part for part in ("its spec is gone", words) if part)
    problems = item.get("problems") or ()
    if not problems:
        return words
    # The problem itself stands beneath the table; what a row must say is what it means for the worker.
    meaning = "the last good spec is used" if item.get("revision") else "no good spec is known"
    note = f"{count(len(problems), 'problem')} in its file; {meaning}"
    is_told = (
        item["status"] not in {"running", "stopped"} or (condition(item, "Ready") or {}).get("reason") == "NotReady"
    )
    return f"{words}; {note}" if words and is_told else note


def _stalled_words(item: Item) -> str:
    """What keeps it from going on by itself: it gave up, or an edit of it cannot be carried out."""
    stalled = condition(item, "Stalled") or {}
    return str(stalled.get("message") or "") if stalled.get("status") == "True" else ""


def _kept_words(item: Item) -> str:
    """By whom, until when and why it is kept stopped, or running, whatever its spec says."""
    suspended = condition(item, "Suspended") or {}
    return str(suspended.get("message") or "") if str(suspended.get("reason")).startswith("Kept") else ""


def _condition_words(item: Item) -> str:
    """The message of the first condition that explains."""
    for kind, telling in (("Valid", "False"), ("Progressing", "True"), ("Ready", "False")):
        found = condition(item, kind) or {}
        if found.get("status") == telling and found.get("message"):
            message, of = str(found["message"]), str(found.get("reason") or "")
            # The message of these is the names of the instances alone.
            return f"{plain_words(of)}: {message}" if of in _ON_THE_WAY else message
    return ""


def since(item: Item) -> float | None:
    """When its present state began: the youngest run's start, or the last exit. Seconds since the epoch."""
    worst = worst_instance(item)
    if worst is None:
        return None
    if worst["status"] in {"running", "starting", "stopping"}:
        starts = [seconds_of(entry.get("started_at")) for entry in instances_of(item)]
        return max((start for start in starts if start is not None), default=None)
    return seconds_of((worst.get("last_exit") or {}).get("at"))


def age_of(item: Item, now: float) -> str:
    """`3m`: how long its present state lasts."""
    start = since(item)
    return age(None if start is None else now - start)


def lasting(item: Item, now: float) -> str:
    """`for 2h 3m`, or nothing."""
    start = since(item)
    return "" if start is None else f"for {duration(now - start)}"


def place_of(item: Item) -> str:
    """`web.yaml:3`, or nothing."""
    source = item.get("source") or {}
    if not source.get("file"):
        return ""
    return f"{source['file']}:{source['line']}" if source.get("line") else str(source["file"])
