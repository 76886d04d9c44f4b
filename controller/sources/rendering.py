"""One worker as it will be executed: Defaults merged, texts expanded, per instance. As plain data, for people.

Called by `workerctl render`. What looks like a secret is hidden, and so is every value that an env file brings: such
files are where secrets belong, whatever the names are. The revision of a worker with env files is not told, because it
is made with the key of the controller that runs it.

What the agent adds at each spawn (PATH HOME USER LANG TZ, WORKER_RUN) is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.core.desired import DesiredInstance, DesiredWorker, Launch
from controller.core.redaction import HIDDEN, redacted

_OURS = frozenset({"PYTHONUNBUFFERED", "WORKER_ID", "WORKER_INSTANCE", "WORKER_ORDINAL", "WORKER_REVISION"})


def rendered(worker: DesiredWorker) -> dict[str, Any]:
    """The document that `render` prints."""
    spec = worker.spec
    has_revision = not spec.env_files
    return {
        "worker_id": worker.worker_id,
        "source": str(worker.source),
        "revision": worker.revision if has_revision else None,
        "wanted": spec.wanted,
        "deployment_type": spec.deployment_type,
        "host": spec.host,
        "replicas": spec.replicas,
        "labels": dict(spec.labels),
        "env_files": list(spec.env_files),
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
    return shown


def _env(worker: DesiredWorker, launch: Launch) -> Mapping[str, str]:
    own = worker.spec.env.keys() | _OURS | ({"PORT"} if launch.port is not None else set())
    has_revision = not worker.spec.env_files
    return {
        name: redacted(f"env.{name}", value) if name in own else HIDDEN
        for name, value in sorted(launch.env.items())
        if name != "WORKER_REVISION" or has_revision
    }
