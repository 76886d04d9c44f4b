"""The revision of a spec: a short versioned hash over what a restart is worth.

Called once per accepted spec by launch.py. It is stamped on everything started from the spec and compared with what
runs; a difference replaces processes. So the rules are strict:

- Only restart-relevant fields enter (effects.py), before expansion: `${env.X}` with another X restarts nothing.
- Only what a person set enters (Defaults merged). A default of ours may then change in a later version without a
  restart anywhere; the price is that writing a default out is a change like any other.
- `null` and an empty list are ways to say "not set", so `port: null` equals leaving it out.
- Contents of env files, and values of secrets that the controller knows, enter as HMACs that the caller made with the
  local key, never as text.
- The hash carries its version. Golden files pin it; another way to compute it needs another version, beside this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from controller.core.effects import Effect, by_effect
from controller.core.spec import WorkerSpec, explicit_fields

VERSION = "1"
LENGTH = 10
"""Hex digits. Two revisions of one worker are compared, never all of a fleet: 40 bits are plenty."""

_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def revision(
    spec: WorkerSpec, *, env_files: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None
) -> str:
    """`1-0123456789` of `spec`. `env_files` maps each name in `spec.env_files` to the HMAC of its contents.

    `secrets` maps each secret whose value comes from the controller to the HMAC of that value. Raises KeyError where
    an env file is missing: a file that was not read has no revision.
    """
    contents = env_files or {}
    fields = by_effect(explicit_fields(spec))[Effect.RESTART]
    return revision_of(fields, env_files=[contents[name] for name in spec.env_files], secrets=secrets or {})


def revision_of(fields: Mapping[str, Any], *, env_files: Sequence[str], secrets: Mapping[str, str]) -> str:
    """The same, of the fields that are worth a restart (see effects.by_effect). `env_files`: HMACs in their order."""
    relevant: dict[str, object] = {
        "fields": {path: value for path, value in fields.items() if value is not None and value != []},
        "env_files": env_files,
    }
    if secrets:
        relevant["secrets"] = dict(secrets)
    return f"{VERSION}-{hashlib.sha256(_encoder.encode(relevant).encode('ascii')).hexdigest()[:LENGTH]}"
