"""The JSON Schema for editors says what `validate` says, as far as one document can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.core.schema import SUPPORTED, editor_schema
from controller.core.spec import NOT_YET, WorkerSpec
from controller.sources.offline import validate
from controller.sources.strict_yaml import parse
from tests.core.draft7 import faults

SPECS = Path(__file__).parents[2] / "specs"
BASE = "worker_id: web\ncommand: [run]\n"


def refused(text: str) -> list[str]:
    """What the schema says of all documents of a file."""
    return [
        fault for document in parse(text.encode(), "f").documents for fault in faults(editor_schema(), document.data)
    ]


def is_valid(folder: Path, text: str) -> bool:
    (folder / "f.yaml").write_text(text)
    return validate(str(folder)).problems == ()


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_pass(path: Path) -> None:
    assert refused(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "worker_id: web\n",
        "kind: Defaults\nreplicas: 2\n",
        "kind: Defaults\nstop: {grace_ms: 5}\n---\nkind: Worker\nworker_id: web\nstop: {signal: INT}\n",
        BASE + "port: null\nmax_restart_attempts: null\nworking_dir: null\ndesired_state: null\n",
        "worker_id: web\ncommand: null\n",
        "worker_id: web\ncommand: sleep 1\nauto_restart: always\n",
        BASE + "auto_restart: false\nrestart_backoff: {factor: 1.5, jitter: 0}\n",
        BASE + "labels: {team.example.org/name: growth, 团队: 平台}\nenv: {A_1: '1'}\n",
        BASE + "secrets: {A: {file: /run/a}}\nuser: 1000\ngroup: mail\numask: '027'\n",
        BASE + "port: 80\nstartup: {log_line: ready}\nreadiness: {http: {status: 204}, failures: 1}\nliveness: null\n",
        BASE + "readiness: {http: {path: /x, port: 81, status: [200, 299]}}\nliveness: {exec: [check], http: null}\n",
        BASE + "hooks: {pre_start: {exec: [a]}, post_stop: {exec: [b], timeout_ms: 5}}\n",
        BASE + "limits: {memory_bytes: 4194304, cpu: 0.5, nofile: 64, pids: 5, nice: -1, enforce: best_effort}\n",
        BASE + "depends_on: {db: ready, cache: started}\n",
        BASE + "success_exit_codes: [0, 255]\nlogs: {capture: file}\nhost: localhost\ndeployment_type: local\n",
    ],
)
def test_what_is_valid_passes(tmp_path: Path, text: str) -> None:
    assert refused(text) == []
    assert is_valid(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: x\n", ": required"),
        ("[web]\n", ": type"),
        ("worker_id: Web\n", "/worker_id: pattern"),
        ("worker_id: 5\n", "/worker_id: type"),
        ("kind: Defaults\nworker_id: web\n", "/worker_id: false"),
        ("kind: Host\nworker_id: web\n", "/kind: enum"),
        (BASE + "replica: 2\n", "/replica: false"),
        (BASE + "replicas: '2'\n", "/replicas: type"),
        (BASE + "replicas: true\n", "/replicas: type"),
        (BASE + "replicas: 1001\n", "/replicas: maximum"),
        (BASE + "replicas: null\n", "/replicas: type"),
        (BASE + "port: 0\n", "/port: minimum"),
        (BASE + "auto_start: yes\n", "/auto_start: type"),
        (BASE + "auto_restart: sometimes\n", "/auto_restart: anyOf"),
        (BASE + "env: {A: 1}\n", "/env/A: type"),
        (BASE + "env: {1A: x}\n", "/env/1A: false"),
        (BASE + "env: [A]\n", "/env: type"),
        (BASE + "labels: {'': x}\n", "/labels/: minLength"),
        (BASE + "stop: {signal: SIGTERM}\n", "/stop/signal: enum"),
        (BASE + "stop: {grace: 5}\n", "/stop/grace: false"),
        (BASE + "stop: 5\n", "/stop: type"),
        (BASE + "env_files: a.env\n", "/env_files: type"),
        (BASE + "env_files: ['']\n", "/env_files/0: minLength"),
        (BASE + "success_exit_codes: [256]\n", "/success_exit_codes/0: maximum"),
        (BASE + "restart_backoff: {factor: fast}\n", "/restart_backoff/factor: type"),
        ("worker_id: web\ncommand: []\n", "/command: anyOf"),
        ("worker_id: web\ncommand: ['']\n", None),
        ("worker_id: web\ncommand: ''\n", "/command: anyOf"),
        (BASE + "secrets: {A: /run/a}\n", "/secrets/A: type"),
        (BASE + "secrets: {A: {value: x}}\n", "/secrets/A/value: false"),
        (BASE + "secrets: {A: {}}\n", None),
        (BASE + "user: true\n", "/user: anyOf"),
        (BASE + "umask: 22\n", "/umask: type"),
        (BASE + "umask: '999'\n", "/umask: pattern"),
        (BASE + "readiness: /ready\n", "/readiness: type"),
        (BASE + "readiness: {tcp: {port: 0}}\n", "/readiness/tcp/port: minimum"),
        (BASE + "readiness: {tcp: 80}\n", "/readiness/tcp: type"),
        (BASE + "readiness: {http: {port: 1, status: 99}}\n", "/readiness/http/status: anyOf"),
        (BASE + "readiness: {http: {port: 1, status: [200]}}\n", "/readiness/http/status: anyOf"),
        (BASE + "liveness: {heartbeat: {timeout_ms: 5}}\n", "/liveness/heartbeat/timeout_ms: minimum"),
        (BASE + "readiness: {heartbeat: {}}\n", "/readiness/heartbeat: false"),
        (BASE + "hooks: {pre_start: [a]}\n", "/hooks/pre_start: type"),
        (BASE + "hooks: {prestart: {exec: [a]}}\n", "/hooks/prestart: false"),
        (BASE + "limits: {cpu: 0}\n", "/limits/cpu: exclusiveMinimum"),
        (BASE + "limits: {memory_bytes: 512M}\n", "/limits/memory_bytes: type"),
        (BASE + "depends_on: [db]\n", "/depends_on: type"),
        (BASE + "depends_on: {Db: ready}\n", "/depends_on/Db: false"),
        (BASE + "depends_on: {db: healthy}\n", "/depends_on/db: enum"),
        (BASE + "depends_on: {db: completed}\n", "/depends_on/db: enum"),
        (BASE + "deployment_type: docker\n", "/deployment_type: enum"),
        (BASE + "host: elsewhere\n", "/host: enum"),
        (BASE + "logs: {capture: pipe}\n", "/logs/capture: enum"),
    ],
)
def test_what_the_schema_refuses_is_refused_by_validate_too(tmp_path: Path, text: str, fault: str | None) -> None:
    assert refused(text) == ([] if fault is None else [fault])
    assert not is_valid(tmp_path, text)


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_a_reserved_field_is_refused_with_its_reason_and_never_offered(name: str) -> None:
    node = editor_schema()["properties"][name]
    assert refused(f"{BASE}{name}: x\n") == [f"/{name}: not"]
    assert (node["doNotSuggest"], node["errorMessage"]) == (
        True,
        f"`{name}` is not yet supported: leave it out.",
    )


@pytest.mark.parametrize("path", sorted(SUPPORTED))
def test_a_value_is_left_out_only_as_long_as_it_is_not_yet_supported(tmp_path: Path, path: str) -> None:
    lines = {
        "deployment_type": "deployment_type: ssh",
        "host": "host: elsewhere",
        "depends_on.*": "depends_on: {db: completed}",
        "logs.capture": "logs: {capture: pipe}",
    }
    (tmp_path / "f.yaml").write_text(f"{BASE}{lines[path]}\n")
    assert [problem.code for problem in validate(str(tmp_path)).problems] == ["not_yet"]


def test_every_field_has_a_description_and_the_effect_of_a_change() -> None:
    properties = editor_schema()["properties"]
    assert properties["name"]["description"] == "A name for people, in any language.\n\nA change touches no process."
    assert properties["desired_state"]["description"].endswith("\n\nA change starts or stops it.")
    assert properties["stop"]["description"] == "How it is asked to end."
    assert properties["startup"]["properties"]["http"]["type"] == ["object", "null"]
    assert properties["schedule"]["errorMessage"] == "`schedule` is not yet supported: leave it out."
    assert properties["stop"]["properties"]["grace_ms"]["description"].endswith(
        "\n\nA change counts from the next decision on; the process is not touched."
    )
    assert [name for name in WorkerSpec.model_fields if not properties[name].get("description")] == []


def test_defaults_are_told_and_null_is_none_of_them() -> None:
    properties = editor_schema()["properties"]
    assert (properties["replicas"]["default"], properties["success_exit_codes"]["default"]) == (1, [0])
    assert "default" not in properties["port"]


def test_it_is_plain_json_without_references() -> None:
    assert json.loads(json.dumps(editor_schema())) == editor_schema()
    assert [key for key in keywords(editor_schema()) if key in ("$ref", "$defs", "anyOf/$ref")] == []


def keywords(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node
        for inner in node.values():
            yield from keywords(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from keywords(inner)
