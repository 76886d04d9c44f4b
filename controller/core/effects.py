"""What a change of each spec field does to a running instance: one table, shown in plans and in the documentation.

`restart`   the process must be replaced to have it: the field enters the revision.
`in_place`  the supervisor takes it over for its next decision; the process is not touched.
`none`      nothing that an instance notices; counts, names, and what only the controller reads.

Called by revision.py (what enters), launch.py (what enters the digest) and the planner (what a plan says changed).
A field of a group stands here with its dotted path, unless all of its group has one effect. A test holds the table
against the models: a new field without a row fails. Moving a row between `restart` and another effect changes the
revision of every spec that sets the field, so an upgrade would restart workers: the golden file of revisions is there
to stop that.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from controller.core.plan import FieldChange
from controller.core.redaction import redacted


class Effect(StrEnum):
    """What a change does to a running instance."""

    RESTART = "restart"
    IN_PLACE = "in_place"
    NONE = "none"


EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "worker_id": Effect.NONE,  # another name is another worker
        "kind": Effect.NONE,
        "name": Effect.NONE,
        "description": Effect.NONE,
        "labels": Effect.NONE,
        "deployment_type": Effect.RESTART,
        "host": Effect.RESTART,
        "command": Effect.RESTART,
        "working_dir": Effect.RESTART,
        "env": Effect.RESTART,
        "env_files": Effect.RESTART,
        "secrets": Effect.RESTART,
        "user": Effect.RESTART,
        "group": Effect.RESTART,
        "umask": Effect.RESTART,
        "port": Effect.RESTART,
        "max_accounts": Effect.NONE,
        "replicas": Effect.NONE,
        "auto_start": Effect.NONE,
        "desired_state": Effect.NONE,
        "auto_restart": Effect.IN_PLACE,
        "max_restart_attempts": Effect.IN_PLACE,
        "restart_delay_ms": Effect.IN_PLACE,
        "restart_backoff.factor": Effect.IN_PLACE,
        "restart_backoff.max_delay_ms": Effect.IN_PLACE,
        "restart_backoff.jitter": Effect.IN_PLACE,
        "restart_window_ms": Effect.IN_PLACE,
        "start_grace_ms": Effect.IN_PLACE,
        "success_exit_codes": Effect.IN_PLACE,
        "stop.signal": Effect.IN_PLACE,
        "stop.grace_ms": Effect.IN_PLACE,
        "stop.kill": Effect.IN_PLACE,
        "startup": Effect.IN_PLACE,
        "readiness": Effect.IN_PLACE,
        "liveness": Effect.IN_PLACE,
        "hooks": Effect.IN_PLACE,
        # A run has one set of limits from its first instruction on: that is what its end is judged by (was it the
        # memory?), and half of them can only be set before it begins.
        "limits.memory_bytes": Effect.RESTART,
        "limits.cpu": Effect.RESTART,
        "limits.nofile": Effect.RESTART,
        "limits.pids": Effect.RESTART,
        "limits.nice": Effect.RESTART,
        "limits.enforce": Effect.IN_PLACE,
        "depends_on": Effect.IN_PLACE,  # the supervisor keeps it for the order of stopping
        "logs.max_bytes": Effect.IN_PLACE,
        "logs.archives": Effect.IN_PLACE,
        "logs.store_rate": Effect.IN_PLACE,
        "logs.retain_days": Effect.IN_PLACE,
        "logs.retain_lines": Effect.IN_PLACE,
        "logs.retain_bytes": Effect.IN_PLACE,
        "logs.capture": Effect.IN_PLACE,
    }
)


def effect_of(path: str) -> Effect:
    """The effect of the field at `path`. `env.QUEUE` and `labels.team` have that of their whole.

    A path that this version does not know comes from a record that another version wrote. It is called a restart,
    because a plan must not promise less than what may happen.
    """
    found = EFFECTS.get(path) or EFFECTS.get(path.partition(".")[0])
    return Effect.RESTART if found is None else found


def flatten(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Explicit fields as dotted path -> value: groups and mappings per entry, lists whole."""
    found: dict[str, Any] = {}
    _add_flat("", fields, found)
    return found


def _add_flat(prefix: str, fields: Mapping[str, Any], found: dict[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            _add_flat(f"{prefix}{name}.", value, found)
        else:
            found[f"{prefix}{name}"] = value


def by_effect(fields: Mapping[str, Any]) -> Mapping[Effect, dict[str, Any]]:
    """Explicit fields, flattened and told apart by their effect."""
    found: dict[Effect, dict[str, Any]] = {effect: {} for effect in Effect}
    for path, value in flatten(fields).items():
        found[effect_of(path)][path] = value
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """How two sets of explicit fields differ, by path. Secrets are hidden; None is a field that is not set.

    An explicit null that a person wrote or took away shows as the word `null`, so that both sides differ.
    """
    old, new = flatten(before), flatten(after)
    paths = sorted(path for path in old.keys() | new.keys() if _differs(path, old, new))
    return tuple(
        FieldChange(path=path, before=_shown(path, old), after=_shown(path, new), effect=effect_of(path).value)
        for path in paths
    )


def _differs(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return (path in old) != (path in new) or old[path] != new[path]


def _shown(path: str, fields: Mapping[str, Any]) -> Any:
    if path not in fields:
        return None
    value = fields[path]
    return "null" if value is None else redacted(path, value)
