"""The part of a launch that surrounds its process: user, secrets, probes, hooks, limits, dependencies.

Called by launch.py, which expands all texts, collects all faults, and puts the parts together. A spec without any of
these fields costs nothing here, and its digest is what it was before they existed.

Values of secrets pass through `SecretValues` only: into HMACs and into `DesiredInstance.secrets`. No message, record or
launch holds one.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from controller.core.desired import Hook, Limits, Probe
from controller.core.expansion import Reference, Template
from controller.core.problems import Fault
from controller.core.spec import WorkerSpec
from controller.core.spec_processes import HOOKS, HTTP_PATH, LIMITS, HookSpec, LivenessSpec, ProbeSpec

OURS = frozenset(
    {
        "WORKER_ID", "WORKER_INSTANCE", "WORKER_ORDINAL", "WORKER_REVISION", "WORKER_RUN", "PORT", "NOTIFY_SOCKET",
        "WATCHDOG_USEC", "WORKERCTL_URL", "WORKERCTL_HEARTBEAT_TOKEN",
    }
)  # fmt: skip
"""Variables that we set: no secret can be called so."""

MAX_ID = 2**32 - 2
"""The highest id; one more is the system's word for none."""

_ACCOUNT = re.compile(r"(?!-)[^\s:/,\x00-\x1f\x7f]+")


# --- texts that are expanded --------------------------------------------------------------------------------------


def texts(spec: WorkerSpec) -> Iterator[tuple[str, str]]:
    """Every expandable text of these fields with its JSON pointer."""
    for name, account in (("user", spec.user), ("group", spec.group)):
        if account is not None:
            yield f"/{name}", account
    for name, source in spec.secrets.items():
        if source.file is not None:
            yield f"/secrets/{name}/file", source.file
    for kind, probe in probes_of(spec):
        if probe.http is not None:
            yield f"/{kind}/http/path", probe.http.path
        for index, text in enumerate(probe.exec or ()):
            yield f"/{kind}/exec/{index}", text
    for moment, hook in hooks_of(spec):
        for index, text in enumerate(hook.exec):
            yield f"/hooks/{moment}/exec/{index}", text


def fault_after_expansion(pointer: str, value: str) -> str:
    """What is wrong with the expanded text at `pointer`; empty where nothing is."""
    if not value and (pointer in ("/user", "/group") or pointer.startswith("/secrets/") or pointer.endswith("/exec/0")):
        return "is empty after expansion"
    if pointer.endswith("/http/path") and not re.fullmatch(HTTP_PATH, value):
        return "holds more than visible ASCII characters after expansion"
    if pointer in ("/user", "/group"):
        return _fault_of_account(pointer[1:], value)
    return ""


def _fault_of_account(field: str, value: str) -> str:
    if ":" in value:
        return f"`{field}` is one name or number; write `user` and `group` apart"
    if value.isascii() and value.isdigit():
        return "" if int(value) <= MAX_ID else f"a {field}'s number is at most {MAX_ID}"
    return "" if _ACCOUNT.fullmatch(value) else f"cannot be the name of a {field}"


def secret_in(spec: WorkerSpec, template: Template) -> str | None:
    """The name of a variable in `template` that is a secret of the spec: it would be stored and shown."""
    if not spec.secrets:
        return None
    names = {*spec.secrets, *(source.env for source in spec.secrets.values())}
    used = (part.name[4:] for part in template.parts if isinstance(part, Reference) and part.name.startswith("env."))
    return next((name for name in used if name in names), None)


# --- faults of fields ---------------------------------------------------------------------------------------------


def faults(spec: WorkerSpec, values: Mapping[str, str | None]) -> Iterator[Fault]:
    """What these fields lack. `values`: of the controller's variables that secrets name, None where one is not set."""
    for name, source in spec.secrets.items():
        if name in OURS:
            yield Fault(pointer=f"/secrets/{name}", message=f"{name} is set by workerctl", hint="use another name")
        if name in spec.env:
            yield Fault(
                pointer=f"/secrets/{name}", message=f"{name} is in `env` too", hint="keep it in one of the two"
            )  # fmt: skip
        if source.env is not None and values.get(source.env) is None:
            yield Fault(
                pointer=f"/secrets/{name}/env",
                message=f"{source.env} is not set where the controller runs",
                hint="set it there and start the controller again, or use `{file: PATH}`",
            )
    for kind, probe in probes_of(spec):
        check = probe.http or probe.tcp
        if check is not None and check.port is None and spec.port is None:
            yield Fault(
                pointer=f"/{kind}/{probe.check}",
                message="needs a port, and the worker has none",
                hint="set `port` here or for the worker",
            )


# --- values of secrets --------------------------------------------------------------------------------------------


def secrets_of(spec: WorkerSpec, values: Mapping[str, str | None]) -> dict[str, str]:
    """The values of those secrets that the controller brings, by the name that the process sees."""
    found = {name: values[source.env] for name, source in sorted(spec.secrets.items()) if source.env is not None}
    return {name: value for name, value in found.items() if value is not None}


def macs_of(secrets: Mapping[str, str], key: bytes) -> dict[str, str]:
    """An HMAC of each value, to tell another one without knowing either."""
    return {name: _mac(key, f"secret\0{name}\0{value}") for name, value in secrets.items()}


def _mac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


# --- building -----------------------------------------------------------------------------------------------------


def launch_fields(
    spec: WorkerSpec, expanded: Callable[[str], str], *, working_dir: str, port: int | None
) -> dict[str, Any]:  # fmt: skip
    """The fields of one instance's Launch that its spec sets; `expanded` fills a text in for that instance."""
    fields: dict[str, Any] = {
        "user": None if spec.user is None else expanded(spec.user),
        "group": None if spec.group is None else expanded(spec.group),
        "umask": None if spec.umask is None else int(spec.umask, 8),
        "secret_files": {
            name: posixpath.normpath(posixpath.join(working_dir, expanded(source.file)))
            for name, source in sorted(spec.secrets.items())
            if source.file is not None
        },
        "secret_names": tuple(sorted(name for name, source in spec.secrets.items() if source.env is not None)),
        "probes": tuple(_probe(kind, probe, expanded, port) for kind, probe in probes_of(spec)),
        "hooks": {moment: _hook(hook, expanded) for moment, hook in hooks_of(spec)},
        "limits": None if spec.limits is None else _limits(spec),
        "depends_on": tuple(sorted(spec.depends_on)),
    }
    return {name: value for name, value in fields.items() if value not in (None, {}, ())}


def probes_of(spec: WorkerSpec) -> list[tuple[Literal["startup", "readiness", "liveness"], ProbeSpec]]:
    """The probes that are set, in the order of their first use."""
    found: list[tuple[Literal["startup", "readiness", "liveness"], ProbeSpec]] = []
    if spec.startup is not None:
        found.append(("startup", spec.startup))
    if spec.readiness is not None:
        found.append(("readiness", spec.readiness))
    if spec.liveness is not None:
        found.append(("liveness", spec.liveness))
    return found


def hooks_of(spec: WorkerSpec) -> list[tuple[str, HookSpec]]:
    """The hooks that are set, in the order of an instance's life."""
    if spec.hooks is None:
        return []
    found = ((moment, getattr(spec.hooks, moment)) for moment in HOOKS)
    return [(moment, hook) for moment, hook in found if hook is not None]


def _probe(
    kind: Literal["startup", "readiness", "liveness"], probe: ProbeSpec, expanded: Callable[[str], str],
    port: int | None,
) -> Probe:  # fmt: skip
    check = probe.http or probe.tcp
    heartbeat = probe.heartbeat if isinstance(probe, LivenessSpec) else None
    if heartbeat is not None:
        limit = heartbeat.timeout_ms
        return Probe(kind=kind, check="heartbeat", period_ms=limit, timeout_ms=limit, failures=1, successes=1)
    return Probe(
        kind=kind,
        check=probe.check,
        port=None if check is None else check.port or port,
        path=None if probe.http is None else expanded(probe.http.path),
        status=None if probe.http is None else probe.http.status,
        argv=tuple(expanded(text) for text in probe.exec or ()),
        pattern=probe.log_line,
        period_ms=probe.period_ms,
        timeout_ms=probe.timeout_ms,
        failures=probe.failures,
        successes=probe.successes,
    )


def _hook(hook: HookSpec, expanded: Callable[[str], str]) -> Hook:
    return Hook(argv=tuple(expanded(text) for text in hook.exec), timeout_ms=hook.timeout_ms)


def _limits(spec: WorkerSpec) -> Limits:
    assert spec.limits is not None
    return Limits(enforce=spec.limits.enforce, **{name: getattr(spec.limits, name) for name in LIMITS})
