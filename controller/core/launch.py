"""From a spec to what its instances need to run: expanded, absolute, stamped.

Called by the sources once per accepted spec and change of its surroundings. Pure: contents of env files, the allowed
part of the controller's environment and all facts about the host come in the `LaunchContext`.

Whatever does not depend on the instance is expanded, merged and hashed once; per replica remains little more than one
small hash, so that a thousand replicas cost milliseconds. Faults are values, with a JSON pointer; all are found at
once. They are the same for every replica, so the first one is enough to find them, also with `replicas: 0`.

WORKER_RUN, NOTIFY_SOCKET and what the host adds (PATH HOME USER LANG TZ) are no part of a launch: the agent adds them.
Neither are values of secrets, which an instance carries beside its launch. What surrounds a process (user, probes,
hooks ...) is built by launch_processes.py.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from controller.core import launch_processes
from controller.core.desired import DesiredInstance, Launch
from controller.core.effects import Effect, by_effect
from controller.core.expansion import ExpansionError, Template, compile_template
from controller.core.problems import Fault
from controller.core.revision import revision_of
from controller.core.spec import WorkerSpec, explicit_fields

DIGEST_LENGTH = 16
SHELL = ("/bin/sh", "-c")
DEMO = ("-P", "-m", "controller.demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvFile:
    """One env file as read: its variables, and the HMAC of its bytes with the local key."""

    values: Mapping[str, str]
    hmac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchContext:
    """Everything outside the spec that a launch depends on.

    `directory`: absolute directory of the spec file. `allowed_env`: each name that --allow-env gives, with its value
    in the controller's environment, None where it is not set there. `env_files`: by the name that the spec uses.
    `interpreter`: of the demonstration worker. `url`: the API's, empty where none is served. `key`: the local HMAC
    key; the digest of a launch is made with it, because a launch may hold what must not be guessed from a hash.
    `secret_values`: each variable of the controller's environment that a secret names, None where it is not set there.
    """

    directory: str
    host: str
    cpu_count: int
    interpreter: str
    url: str = ""
    allowed_env: Mapping[str, str | None] = field(default_factory=dict)
    env_files: Mapping[str, EnvFile] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)
    secret_values: Mapping[str, str | None] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The outcome: instances in ordinal order, or faults (then there are no instances and no revision)."""

    revision: str = ""
    instances: tuple[DesiredInstance, ...] = ()
    faults: tuple[Fault, ...] = ()


def build(spec: WorkerSpec, context: LaunchContext) -> Built:
    """What each of the spec's replicas should be, or every fault that prevents it."""
    texts = _Texts(spec, context)
    faults = (*_faults_of_fields(spec, context), *texts.faults)
    if faults:
        return Built(faults=faults)
    builder = _Builder(spec, context, texts)
    return Built(
        revision=builder.revision, instances=tuple(builder.instance(ordinal) for ordinal in range(spec.replicas))
    )  # fmt: skip


# --- faults ------------------------------------------------------------------------------------------------------


def _faults_of_fields(spec: WorkerSpec, context: LaunchContext) -> Iterator[Fault]:
    if spec.deployment_type != "local":
        yield Fault(
            pointer="/deployment_type",
            message=f"deployment_type {spec.deployment_type} is not yet supported",
            hint="use local",
        )
    for index, name in enumerate(spec.env_files):
        if name not in context.env_files:
            yield Fault(pointer=f"/env_files/{index}", message=f"env file {name} was not read")
    yield from launch_processes.faults(spec, context.secret_values)


def _texts(spec: WorkerSpec) -> Iterator[tuple[str, str]]:
    """Every expandable text with its JSON pointer."""
    if isinstance(spec.command, str):
        yield "/command", spec.command
    elif spec.command is not None:
        for index, text in enumerate(spec.command):
            yield f"/command/{index}", text
    if spec.working_dir is not None:
        yield "/working_dir", spec.working_dir
    for name, text in spec.env.items():
        yield f"/env/{name}", text
    yield from launch_processes.texts(spec)


def _fault_of_value(pointer: str, value: str) -> Fault | None:
    if "\0" in value:
        return Fault(pointer=pointer, message="a NUL character cannot be passed to a process")
    if pointer.startswith(("/command", "/env/", "/working_dir")):
        is_needed = pointer in ("/command/0", "/working_dir")
        return Fault(pointer=pointer, message="is empty after expansion") if is_needed and not value else None
    message, _, hint = launch_processes.fault_after_expansion(pointer, value).partition("; ")
    return Fault(pointer=pointer, message=message, hint=hint) if message else None


class _Texts:
    """The expandable texts of one spec: each is compiled once, and rendered once where all instances have one value.

    `faults` are those of texts that have no value, or none that a process can be given. Without any, `value` gives
    the value of every text of the spec. `shared` are the variables that are the same for all instances.
    """

    def __init__(self, spec: WorkerSpec, context: LaunchContext) -> None:
        self.shared = _shared_variables(spec, context)
        self._spec = spec
        self._values: dict[str, str] = {}
        self._varying: dict[str, Template] = {}
        first = {**self.shared, **_own_variables(spec, 0)}
        found = (self._take(pointer, text, first) for pointer, text in _texts(spec))
        self.faults = tuple(fault for fault in found if fault is not None)

    def value(self, text: str, variables: Mapping[str, str | None]) -> str:
        """What `text` is for the instance with these variables."""
        value = self._values.get(text)
        return self._varying[text].render(variables) if value is None else value

    def varies(self, text: str) -> bool:
        """Whether instances may differ in the value of `text`."""
        return text in self._varying

    def _take(self, pointer: str, text: str, variables: Mapping[str, str | None]) -> Fault | None:
        if "$" not in text:  # most texts; ten thousand specs have some hundred thousand of them
            self._values[text] = text
            return _fault_of_value(pointer, text)
        try:
            template = compile_template(text)
            secret = launch_processes.secret_in(self._spec, template)
            if secret is not None:
                return Fault(
                    pointer=pointer,
                    message=f"`${{env.{secret}}}` is a secret of this worker, and what stands here is shown and stored",
                    hint="its processes find the value in their environment",
                )
            value = template.render(variables)
        except ExpansionError as error:
            return Fault(pointer=pointer, message=f"{error.message} (character {error.position + 1})", hint=error.hint)
        if template.varies:
            self._varying[text] = template
        else:
            self._values[text] = value
        return _fault_of_value(pointer, value)


# --- building ----------------------------------------------------------------------------------------------------


def _shared_variables(spec: WorkerSpec, context: LaunchContext) -> dict[str, str | None]:
    return {
        "worker_id": spec.worker_id,
        "host": context.host,
        "cpu_count": str(context.cpu_count),
        **{f"env.{name}": value for name, value in context.allowed_env.items()},
    }


def _own_variables(spec: WorkerSpec, ordinal: int) -> dict[str, str | None]:
    return {
        "ordinal": str(ordinal),
        "instance": f"{spec.worker_id}/{ordinal}",
        "port": None if spec.port is None else str(spec.port + ordinal),
    }


def _settings(spec: WorkerSpec) -> dict[str, Any]:
    """The fields of a Launch that are the same for all replicas."""
    return {
        "restart_policy": spec.restart_policy,
        "max_restart_attempts": spec.max_restart_attempts,
        "restart_delay_ms": spec.restart_delay_ms,
        "backoff_factor": spec.restart_backoff.factor,
        "backoff_max_delay_ms": spec.restart_backoff.max_delay_ms,
        "backoff_jitter": spec.restart_backoff.jitter,
        "restart_window_ms": spec.restart_window_ms,
        "start_grace_ms": spec.start_grace_ms,
        "success_exit_codes": tuple(spec.success_exit_codes),
        "stop_signal": spec.stop.signal,
        "stop_grace_ms": spec.stop.grace_ms,
        "stop_kill": spec.stop.kill,
        "log_max_bytes": spec.logs.max_bytes,
        "log_archives": spec.logs.archives,
        "log_store_rate": spec.logs.store_rate,
        "log_retain_days": spec.logs.retain_days,
    }


class _Builder:
    """The shared part of one spec's launches, made once, and the small rest per replica."""

    def __init__(self, spec: WorkerSpec, context: LaunchContext, texts: _Texts) -> None:
        self._spec, self._context, self._texts = spec, context, texts
        fields = by_effect(explicit_fields(spec))
        self._secrets = launch_processes.secrets_of(spec, context.secret_values)
        self.revision = revision_of(
            fields[Effect.RESTART],
            env_files=[context.env_files[name].hmac for name in spec.env_files],
            secrets=launch_processes.macs_of(self._secrets, context.key),
        )
        self._settings = _settings(spec)
        self._env = self._shared_env()
        self._varying_env = {name: text for name, text in spec.env.items() if texts.varies(text)}
        self._ours = {"WORKER_ID": spec.worker_id, "WORKER_REVISION": self.revision}
        if context.url:
            self._ours["WORKERCTL_URL"] = context.url
        self._hash = hmac.new(context.key, self._shared_text(fields[Effect.IN_PLACE]), hashlib.sha256)

    def instance(self, ordinal: int) -> DesiredInstance:
        """Replica `ordinal` as it should be."""
        spec, context = self._spec, self._context
        variables = {**self._texts.shared, **_own_variables(spec, ordinal)}
        expanded = partial(self._texts.value, variables=variables)
        argv = self._argv(expanded)
        working_dir = context.directory
        if spec.working_dir is not None:
            working_dir = posixpath.join(working_dir, expanded(spec.working_dir))
        working_dir = posixpath.normpath(working_dir)
        own_env = {name: expanded(text) for name, text in self._varying_env.items()}
        own_env |= self._ours  # last: a spec cannot give its instances another name
        own_env["WORKER_INSTANCE"] = f"{spec.worker_id}/{ordinal}"
        own_env["WORKER_ORDINAL"] = str(ordinal)
        port = None if spec.port is None else spec.port + ordinal
        if port is not None:
            own_env["PORT"] = str(port)
        more = launch_processes.launch_fields(spec, expanded, working_dir=working_dir, port=port)
        launch = Launch(
            argv=argv, working_dir=working_dir, env={**self._env, **own_env}, port=port, **self._settings, **more
        )  # fmt: skip
        digest = self._digest([argv, working_dir, own_env, port, *([more] if more else [])])
        return DesiredInstance(
            ordinal=ordinal, revision=self.revision, digest=digest, launch=launch, secrets=self._secrets
        )  # fmt: skip

    def _argv(self, expanded: Callable[[str], str]) -> tuple[str, ...]:
        command = self._spec.command
        if command is None:
            return (self._context.interpreter, *DEMO)
        if isinstance(command, str):
            return (*SHELL, expanded(command))
        return tuple(expanded(text) for text in command)

    def _shared_env(self) -> dict[str, str]:
        """What all replicas share: env files in their order, the spec's own over them."""
        spec, texts = self._spec, self._texts
        env = {"PYTHONUNBUFFERED": "1"}
        for name in spec.env_files:
            env.update(self._context.env_files[name].values)
        env.update({name: texts.value(text, {}) for name, text in spec.env.items() if not texts.varies(text)})
        # A secret wins over an env file, and its former value there is not kept.
        return {name: value for name, value in env.items() if name not in spec.secrets}

    def _shared_text(self, in_place: Mapping[str, Any]) -> bytes:
        return _encoded([self.revision, self._settings, in_place, self._env])

    def _digest(self, own: list[Any]) -> str:
        made = self._hash.copy()
        made.update(_encoded(own))
        return made.hexdigest()[:DIGEST_LENGTH]


_encoder = json.JSONEncoder(sort_keys=True, default=asdict)


def _encoded(value: list[Any]) -> bytes:
    return _encoder.encode(value).encode("utf-8", "surrogatepass")
