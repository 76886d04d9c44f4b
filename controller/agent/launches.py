"""The fields of a LAUNCH that not every launch has, checked on the way in: user, secrets, probes, hooks, limits.

Called by shapes.py. An absent field is its default everywhere in the agent, so that a controller of an older version is
served as before. Every fault raises ValueError with the name of the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

PROBE_KINDS = ("startup", "readiness", "liveness")
CHECKS = ("http", "tcp", "exec", "log_line", "heartbeat")
HOOKS = ("pre_start", "post_start", "pre_stop", "post_stop")


def check_extras(launch: Mapping[str, Any]) -> None:
    """Raise ValueError for the first field that is not what the agent can work with."""
    for name in ("user", "group"):
        _check(isinstance(launch.get(name), (str, type(None))), name)
    umask = launch.get("umask", 0)
    _check(type(umask) is int and 0 <= umask <= 0o777, "umask")
    files = launch.get("secret_files") or {}
    _check(isinstance(files, dict) and all(map(_is_variable, files)), "secret_files")
    _check(all(isinstance(path, str) and path.startswith("/") and "\0" not in path for path in files.values()),
           "secret_files")  # fmt: skip
    names = launch.get("secret_names") or ()
    _check(isinstance(names, (list, tuple)) and all(map(_is_variable, names)), "secret_names")
    depends_on = launch.get("depends_on") or ()
    _check(isinstance(depends_on, (list, tuple)) and all(isinstance(name, str) for name in depends_on), "depends_on")
    _check(isinstance(launch.get("limits"), (dict, type(None))), "limits")
    probes = launch.get("probes") or ()
    _check(isinstance(probes, (list, tuple)), "probes")
    for probe in probes:
        _check_probe(probe)
    hooks = launch.get("hooks") or {}
    _check(isinstance(hooks, dict), "hooks")
    for name, hook in hooks.items():
        _check(name in HOOKS and isinstance(hook, dict), f"hooks.{name}")
        _check(_is_command(hook.get("argv")) and _is_above_zero(hook.get("timeout_ms")), f"hooks.{name}")


def secrets_of(value: Mapping[str, Any]) -> Optional[dict[str, str]]:
    """The `secrets` of a SLOT; None where it brings none. Never shown in an error."""
    found = value.get("secrets")
    if found is None:
        return None
    is_good = isinstance(found, dict) and all(map(_is_variable, found))
    _check(is_good and all(isinstance(text, str) and "\0" not in text for text in found.values()), "secrets", "")
    return dict(found)


def _check_probe(probe: Any) -> None:
    _check(isinstance(probe, dict) and probe.get("kind") in PROBE_KINDS, "probes.kind")
    kind, check = probe["kind"], probe.get("check")
    _check(check in CHECKS and (check != "heartbeat" or kind == "liveness"), f"probes.{kind}.check")
    numbers = ("period_ms", "timeout_ms", "failures", "successes")
    _check(all(_is_above_zero(probe.get(name)) for name in numbers), f"probes.{kind}")
    if check in ("http", "tcp"):
        port = probe.get("port")
        _check(type(port) is int and 0 < port < 65536, f"probes.{kind}.port")
    if check == "http":
        path, status = probe.get("path"), probe.get("status")
        _check(isinstance(path, str) and re.fullmatch(r"/[!-~]*", path) is not None, f"probes.{kind}.path")
        is_range = isinstance(status, (list, tuple)) and len(status) == 2 and all(type(n) is int for n in status)
        _check(status is None or is_range, f"probes.{kind}.status")
    elif check == "exec":
        _check(_is_command(probe.get("argv")), f"probes.{kind}.argv")
    elif check == "log_line":
        try:
            re.compile(probe.get("pattern"))
        except (re.error, TypeError, RecursionError) as error:
            raise ValueError(f"launch.probes.{kind}.pattern: {error}") from None


def _check(is_good: bool, name: str, where: str = "launch.") -> None:
    if not is_good:
        raise ValueError(f"{where}{name}: is not what is expected there")


def _is_command(argv: Any) -> bool:
    is_list = isinstance(argv, (list, tuple)) and len(argv) > 0
    return is_list and all(isinstance(word, str) and "\0" not in word for word in argv) and bool(argv[0])


def _is_above_zero(number: Any) -> bool:
    return type(number) is int and number > 0


def _is_variable(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and "=" not in name and "\0" not in name
