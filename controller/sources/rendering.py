"""One worker as it will be executed: Defaults merged, texts expanded, per instance. As plain data, for people.

Called by `workerctl render`. What looks like a secret is hidden, and so is every value that an env file brings: such
files are where secrets belong, whatever the names are. Of `secrets` only the place is told. The revision of a worker
with env files or secrets from the controller's environment is not told, because it is made with the key of the
controller that runs it.

What the agent adds at each spawn (PATH HOME USER LANG TZ, WORKER_RUN, NOTIFY_SOCKET) is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from controller.core.desired import DesiredInstance, DesiredWorker, Launch, Probe
from controller.core.redaction import HIDDEN, redacted

_OURS = frozenset({"PYTHONUNBUFFERED", "WORKER_ID", "WORKER_INSTANCE", "WORKER_ORDINAL", "WORKER_REVISION"})


def rendered(worker: DesiredWorker) -> dict[str, Any]:
    """The document that `render` prints."""
    spec = worker.spec
    return {
        "worker_id": worker.worker_id,
        "source": str(worker.source),
        "revision": worker.revision if _has_revision(worker) else None,
        "wanted": spec.wanted,
        "deployment_type": spec.deployment_type,
        "host": spec.host,
        "replicas": spec.replicas,
        "labels": dict(spec.labels),
        "env_files": list(spec.env_files),
        "depends_on": dict(spec.depends_on),
        "policy": _policy(worker),
        "instances": [_instance(worker, one) for one in worker.instances],
    }


def _policy(worker: DesiredWorker) -> dict[str, Any]:
    """Everything that decides how instances are kept alive, defaults filled in."""
    spec = worker.spec
    fields = spec.model_dump(mode="json")
    names = (
        "max_restart_attempts", "restart_delay_ms", "restart_backoff", "restart_window_ms", "start_grace_ms",
        "success_exit_codes", "stop", "logs",
    )  # fmt: skip
    return {"auto_restart": spec.restart_policy, **{name: fields[name] for name in names}}


def _has_revision(worker: DesiredWorker) -> bool:
    """Whether its revision is the same wherever it is made."""
    return not worker.spec.env_files and all(source.env is None for source in worker.spec.secrets.values())


def _instance(worker: DesiredWorker, one: DesiredInstance) -> dict[str, Any]:
    launch = one.launch
    shown: dict[str, Any] = {
        "instance": f"{worker.worker_id}/{one.ordinal}",
        "argv": redacted("command", list(launch.argv)),
        "working_dir": launch.working_dir,
        "env": _env(worker, launch),
    }
    if launch.port is not None:
        shown["port"] = launch.port
    return shown | {name: value for name, value in _surroundings(worker, launch).items() if value}


def _surroundings(worker: DesiredWorker, launch: Launch) -> dict[str, Any]:
    """What is around the process, as far as its spec says anything of it."""
    secrets = worker.spec.secrets
    return {
        "user": launch.user,
        "group": launch.group,
        "umask": worker.spec.umask and f"{launch.umask:03o}",
        "secrets": {
            name: f"from file {launch.secret_files[name]}"
            if name in launch.secret_files
            else f"from the controller's {source.env}"
            for name, source in sorted(secrets.items())
        },
        **{probe.kind: _probe(probe) for probe in launch.probes},
        "hooks": {
            moment: {"argv": redacted("command", list(hook.argv)), "timeout_ms": hook.timeout_ms}
            for moment, hook in launch.hooks.items()
        },
        "limits": {} if launch.limits is None else _without_none(asdict(launch.limits)),
    }


def _probe(probe: Probe) -> dict[str, Any]:
    fields = _without_none(asdict(probe))
    del fields["kind"]
    return {
        **fields,
        **({"argv": redacted("command", list(probe.argv))} if probe.argv else {}),
        **({"status": list(probe.status)} if probe.status is not None else {}),
    }


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, ())}


def _env(worker: DesiredWorker, launch: Launch) -> Mapping[str, str]:
    own = worker.spec.env.keys() | _OURS | ({"PORT"} if launch.port is not None else set())
    return {
        name: redacted(f"env.{name}", value) if name in own else HIDDEN
        for name, value in sorted(launch.env.items())
        if name != "WORKER_REVISION" or _has_revision(worker)
    }
