"""Wishes, slots and exits as JSON values, and back: checked on the way in, because files rot and clients err.

Used by records.py (files) and commands.py (requests). Nothing here reads or writes anything. Every function that
takes a foreign value raises ValueError with the name of the field that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from signal import Signals
from typing import Any, Optional

from .launches import check_extras
from .states import Exit, HookRun, Phase, Slot, Wish

SLOT_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?/(?:0|[1-9][0-9]{0,4})")
RUN_ID = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_]{0,63}")

_NUMBER = (int, float)
_TYPES: Mapping[str, Any] = {
    "working_dir": str,
    "restart_delay_ms": int,
    "backoff_factor": _NUMBER,
    "backoff_max_delay_ms": int,
    "backoff_jitter": _NUMBER,
    "restart_window_ms": int,
    "start_grace_ms": int,
    "stop_grace_ms": int,
    "log_max_bytes": int,
    "log_archives": int,
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "restart_policy": ("on_failure", "always", "never"),
    "stop_kill": ("group", "main"),
}
_STATE: Mapping[str, Any] = {
    "run": (str, type(None)),
    "run_number": int,
    "running_revision": (str, type(None)),
    "ran_revision": (str, type(None)),
    "pid": (int, type(None)),
    "started_mono": _NUMBER,
    "started_wall": (*_NUMBER, type(None)),
    "since": _NUMBER,
    "why_stopping": str,
    "asked": bool,
    "killed": bool,
    "deadline": (*_NUMBER, type(None)),
    "retry_at": (*_NUMBER, type(None)),
    "last_delay": _NUMBER,
    "streak": int,
    "restart_count": int,
    "reason": str,
    "message": str,
    "suspended": bool,
}
_LATER: Mapping[str, Any] = {
    "ready": (bool, type(None)),
    "notify_status": str,
    "ended_mono": _NUMBER,
    "asked_mono": (*_NUMBER, type(None)),
    "killed_mono": (*_NUMBER, type(None)),
    "watchdog_ms": (int, type(None)),
}
"""What records of the first version do not hold: an agent that replaces it finds their defaults."""
_HOOKS = ("hook", "aside")


def field_of(value: Mapping[str, Any], name: str, kind: Any) -> Any:
    """`value[name]`, which must be of `kind`."""
    found = value.get(name)
    takes_bool = kind is bool or (isinstance(kind, tuple) and bool in kind)
    if not isinstance(found, kind) or (isinstance(found, bool) and not takes_bool):
        raise ValueError(f"{name}: {found!r} is not what is expected there")
    return found


def object_of(value: Any, name: str) -> dict[str, Any]:
    """`value`, which must be a JSON object."""
    if isinstance(value, dict):
        return value
    raise ValueError(f"{name}: not an object")


def slot_name(value: Mapping[str, Any]) -> str:
    """The name of a slot: `worker/ordinal`. It becomes a path, so nothing else passes."""
    name: str = field_of(value, "slot", str)
    if not SLOT_NAME.fullmatch(name):
        raise ValueError(f"slot: {name!r} is not of the form worker/ordinal")
    return name


def launch_from(value: Any) -> dict[str, Any]:
    """A LAUNCH of the protocol, checked as far as the agent depends on it."""
    launch = object_of(value, "launch")
    _check_exec(launch)
    for name, kind in _TYPES.items():
        field_of(launch, name, kind)
    for name, choices in _CHOICES.items():
        if launch.get(name) not in choices:
            raise ValueError(f"launch.{name}: {launch.get(name)!r} is none of {', '.join(choices)}")
    if launch.get("max_restart_attempts") is not None:
        field_of(launch, "max_restart_attempts", int)
    if not all(isinstance(code, int) for code in field_of(launch, "success_exit_codes", list)):
        raise ValueError("launch.success_exit_codes: not a list of numbers")
    if f"SIG{launch.get('stop_signal')}" not in Signals.__members__:
        raise ValueError(f"launch.stop_signal: {launch.get('stop_signal')!r} is no signal")
    check_extras(launch)
    return launch


def _check_exec(launch: Mapping[str, Any]) -> None:
    argv = field_of(launch, "argv", list)
    if not argv or not all(isinstance(word, str) and "\0" not in word for word in argv):
        raise ValueError("launch.argv: not a list of words")
    if not launch.get("working_dir", "").startswith("/"):
        raise ValueError("launch.working_dir: not an absolute path")
    for name, text in field_of(launch, "env", dict).items():
        if not isinstance(text, str) or "\0" in text or not name or "=" in name or "\0" in name:
            raise ValueError(f"launch.env: {name!r} cannot be set")


def wish_from(value: Mapping[str, Any]) -> Wish:
    """A SLOT of the protocol (or of a record) as a wish."""
    if value.get("wanted") not in ("running", "stopped"):
        raise ValueError(f"wanted: {value.get('wanted')!r} is neither running nor stopped")
    fields = value.get("fields")
    return Wish(
        generation=field_of(value, "generation", int),
        revision=field_of(value, "revision", str),
        digest=field_of(value, "digest", str),
        run_request=field_of(value, "run_request", int),
        wanted=value["wanted"],
        launch=launch_from(value.get("launch")),
        fields=fields if isinstance(fields, dict) else {},
        removed=value.get("removed") is True,
        at_once=value.get("at_once") is True,
    )


def wish_value(wish: Wish) -> dict[str, Any]:
    """A wish as a JSON value."""
    return {
        "generation": wish.generation,
        "revision": wish.revision,
        "digest": wish.digest,
        "run_request": wish.run_request,
        "wanted": wish.wanted,
        "launch": wish.launch,
        "fields": wish.fields,
        "removed": wish.removed,
        "at_once": wish.at_once,
    }


def exit_value(ended: Optional[Exit]) -> Optional[dict[str, Any]]:
    """How a run ended, as the protocol shows it."""
    if ended is None:
        return None
    return {"cause": ended.cause, "code": ended.code, "signal": ended.signal, "at": ended.at, "run": ended.run}


def exit_from(value: Any) -> Optional[Exit]:
    """The way back of `exit_value`."""
    if value is None:
        return None
    ended = object_of(value, "last_exit")
    return Exit(
        cause=field_of(ended, "cause", str),
        code=field_of(ended, "code", (int, type(None))),
        signal=field_of(ended, "signal", (int, type(None))),
        at=field_of(ended, "at", _NUMBER),
        run=field_of(ended, "run", str),
    )


def state_value(slot: Slot) -> dict[str, Any]:
    """All of a slot but its name and wish."""
    state: dict[str, Any] = {name: getattr(slot, name) for name in (*_STATE, *_LATER)}
    for name in _HOOKS:
        hook: Optional[HookRun] = getattr(slot, name)
        state[name] = None if hook is None else [hook.name, hook.run, hook.deadline, hook.killed]
    state["phase"] = slot.phase.value
    state["attempts"] = list(slot.attempts)
    state["last_exit"] = exit_value(slot.last_exit)
    return state


def slot_from(name: str, wish: Wish, value: Any) -> Slot:
    """A slot from its wish and the value that `state_value` made."""
    found = object_of(value, "state")
    attempts = field_of(found, "attempts", list)
    if not all(isinstance(at, _NUMBER) for at in attempts):
        raise ValueError("attempts: not a list of times")
    state = {key: field_of(found, key, kind) for key, kind in _STATE.items()}
    state.update((key, field_of(found, key, kind)) for key, kind in _LATER.items() if key in found)
    state.update((key, _hook_from(found.get(key))) for key in _HOOKS)
    return Slot(
        name=name,
        wish=wish,
        phase=Phase(found.get("phase")),
        attempts=tuple(attempts),
        last_exit=exit_from(found.get("last_exit")),
        **state,
    )


def _hook_from(value: Any) -> Optional[HookRun]:
    if value is None:
        return None
    name, run, deadline, killed = value
    if not all(isinstance(text, str) for text in (name, run, killed)) or not isinstance(deadline, _NUMBER):
        raise ValueError("hook: is not what is expected there")
    return HookRun(name, run, deadline, killed)
