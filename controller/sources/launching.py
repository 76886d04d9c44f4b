"""Launching: an accepted spec to a `DesiredWorker`, with its env files and the surroundings of this controller.

Called by assembly.py. What a launch is, core/launch.py decides; this file brings what lies outside the spec to it, and
brings its faults back to their places in the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.core.desired import DesiredInstance, DesiredWorker
from controller.core.launch import EnvFile as LaunchEnvFile
from controller.core.launch import LaunchContext, build
from controller.core.problems import Fault, Problem
from controller.core.spec import WorkerSpec
from controller.sources.accidents import accident
from controller.sources.documents import Document
from controller.sources.env_files import EnvFile, env_path
from controller.sources.places import Places
from controller.sources.strict_yaml import Path
from controller.sources.syntax import excerpt
from controller.sources.validation import Finding, Judged, placed

EnvLookup = Callable[[str], EnvFile | None]
"""The env file at a path beneath the specs directory; None while it is being written for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a launch depends on outside the specs directory. `key` is the local HMAC key of the state directory.

    `allowed_env`: each name that --allow-env gives, with its value in the controller's environment, None where it is
    not set there. `url`: the API's, empty where none is served. `interpreter`: of the demonstration worker.
    `environment`: the controller's, from which secrets are taken, and nothing else; None where a check knows of no
    controller, so that it cannot say what is missing: what is built then is not to be run.
    """

    host: str
    cpu_count: int
    interpreter: str
    key: bytes = field(repr=False)
    url: str = ""
    allowed_env: Mapping[str, str | None] = field(default_factory=dict)
    environment: Mapping[str, str] | None = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A worker ready to run, or problems; neither while an env file of it has yet to settle.

    `env` are the env files that it was built from: as long as they are the same, so is the result.
    """

    worker: DesiredWorker | None = None
    problems: tuple[Problem, ...] = ()
    env: Mapping[str, EnvFile | None] = field(default_factory=dict)


class Launcher:
    """Builds workers for one specs directory.

    `root` is taken as configured: what a link leads to may change under a running worker, its name does not.
    """

    def __init__(self, root: str, surroundings: Surroundings) -> None:
        self._root = os.path.abspath(root)
        self._surroundings = surroundings

    def launch(self, judged: Judged, owners: Sequence[Document], places: Places, lookup: EnvLookup) -> Launched:
        """Builds the worker of `owners[0]`, whose Defaults are the others, nearest first."""
        spec, document = judged.spec, owners[0]
        assert spec is not None
        paths = [env_path(document.folder, name) for name in spec.env_files]
        env = {path: lookup(path) for path in paths if path is not None}
        try:
            return self._launched(judged, owners, places, env)
        except Exception as error:  # one worker; the others are built all the same
            problem = accident(error, document.file, line=document.line, worker_id=spec.worker_id)
            return Launched(problems=(problem,), env=env)

    def _launched(
        self, judged: Judged, owners: Sequence[Document], places: Places, env: Mapping[str, EnvFile | None]
    ) -> Launched:  # fmt: skip
        spec, document = judged.spec, owners[0]
        assert spec is not None
        paths = [env_path(document.folder, name) for name in spec.env_files]
        findings: list[Finding] = []
        problems: list[Problem] = []
        contents: dict[str, LaunchEnvFile] = {}
        for index, (name, path) in enumerate(zip(spec.env_files, paths, strict=True)):
            file = env[path] if path is not None else None
            if path is None:
                findings.append(_leads_out(index, name))
            elif file is not None and not file.problems:
                contents[name] = LaunchEnvFile(values=file.values, hmac=file.digest(self._surroundings.key))
            elif file is not None:
                # A fault inside the file stands there; a file that cannot be read is a fault of the spec naming it.
                problems += [replace(one, worker_id=spec.worker_id) for one in file.problems if one.line is not None]
                findings += [_unread(one, index) for one in file.problems if one.line is None]
        if len(contents) == len(set(spec.env_files)):
            built = build(spec, self._context(spec, document, contents))
            if not built.faults:
                return Launched(worker=_worker(spec, document, built.revision, built.instances), env=env)
            findings = [_finding(fault) for fault in built.faults]
        problems += [placed(finding, owners, judged.data, places, spec.worker_id) for finding in findings]
        return Launched(problems=tuple(problems), env=env)

    def _context(
        self, spec: WorkerSpec, document: Document, env_files: Mapping[str, LaunchEnvFile]
    ) -> LaunchContext:  # fmt: skip
        around = self._surroundings
        names = [source.env for source in spec.secrets.values() if source.env is not None]
        return LaunchContext(
            directory=os.path.join(self._root, document.folder) if document.folder else self._root,
            host=around.host,
            cpu_count=around.cpu_count,
            interpreter=around.interpreter,
            url=around.url,
            allowed_env=around.allowed_env,
            env_files=env_files,
            key=around.key,
            secret_values={name: "" if around.environment is None else around.environment.get(name) for name in names},
        )


def _leads_out(index: int, name: str) -> Finding:
    message = f'env file "{excerpt(name)}" leads out of the specs directory'
    hint = "env files are relative to the spec file and stay inside the specs directory"
    return Finding(path=("env_files", index), message=message, hint=hint, code="env_file")


def _unread(problem: Problem, index: int) -> Finding:
    message = f"env file {problem.file} {problem.message}"
    return Finding(path=("env_files", index), message=message, hint=problem.hint, code="env_file")


def _worker(
    spec: WorkerSpec, document: Document, revision: str, instances: tuple[DesiredInstance, ...]
) -> DesiredWorker:
    return DesiredWorker(
        worker_id=spec.worker_id, spec=spec, source=document.source, revision=revision, instances=instances
    )


def _finding(fault: Fault) -> Finding:
    """A fault of the core, whose pointer indexes lists by number."""
    # Names of variables cannot start with a digit, so a number is always an index.
    path: Path = tuple(int(step) if step.isdigit() else step for step in fault.pointer.split("/")[1:])
    return Finding(path=path, message=fault.message, hint=fault.hint)
