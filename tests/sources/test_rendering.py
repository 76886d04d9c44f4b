"""What would be executed, as a person may see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.sources.launching import Surroundings
from controller.sources.offline import validate
from controller.sources.rendering import rendered
from tests.sources.specs_builder import worker

AROUND = Surroundings(host="localhost", cpu_count=2, interpreter="/usr/bin/python3", key=b"")


def document(folder: Path, text: str, around: Surroundings = AROUND) -> dict[str, Any]:
    (folder / "web.yaml").write_text(text)
    found = validate(str(folder), around)
    assert found.problems == ()
    return rendered(found.workers["web"])


def test_defaults_are_merged_and_every_instance_is_told(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text("kind: Defaults\nreplicas: 2\nstop: {grace_ms: 5}\n")
    shown = document(
        tmp_path, "worker_id: web\ncommand: [run, '${ordinal}']\nport: 4000\nworking_dir: sub\nstop: {signal: INT}\n"
    )
    assert shown["policy"]["stop"] == {"signal": "INT", "grace_ms": 5, "kill": "group"}
    assert shown["policy"]["auto_restart"] == "on_failure"
    assert (shown["source"], shown["wanted"], shown["replicas"]) == ("web.yaml:1", "running", 2)
    assert [one["argv"] for one in shown["instances"]] == [["run", "0"], ["run", "1"]]
    assert shown["instances"][1] == {
        "instance": "web/1",
        "argv": ["run", "1"],
        "working_dir": f"{tmp_path}/sub",
        "env": {
            "PORT": "4001",
            "PYTHONUNBUFFERED": "1",
            "WORKER_ID": "web",
            "WORKER_INSTANCE": "web/1",
            "WORKER_ORDINAL": "1",
            "WORKER_REVISION": shown["revision"],
        },
        "port": 4001,
    }


def test_a_string_is_run_by_a_shell_and_nothing_by_the_demonstration_worker(tmp_path: Path) -> None:
    assert document(tmp_path, "worker_id: web\ncommand: sleep 1\n")["instances"][0]["argv"] == [
        "/bin/sh", "-c", "sleep 1",
    ]  # fmt: skip
    assert document(tmp_path, "worker_id: web\n")["instances"][0]["argv"][0] == "/usr/bin/python3"


def test_secrets_are_hidden_and_so_is_all_that_an_env_file_brings(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("LEVEL=info\nQUEUE=over\nPORT=1\n")
    text = "env: {API_KEY: hunter2, QUEUE: mail, URL: 'https://me:hunter2@host/'}\nenv_files: [a.env]\n"
    shown = document(tmp_path, "worker_id: web\ncommand: [run, --token, hunter2, '${env.T}']\n" + text, _with_t())
    one = shown["instances"][0]
    assert one["argv"] == ["run", "--token", "***", "--password=***"]
    env = {name: value for name, value in one["env"].items() if not name.startswith(("WORKER_", "PYTHON"))}
    assert env == {"API_KEY": "***", "LEVEL": "***", "PORT": "***", "QUEUE": "mail", "URL": "https://me:***@host/"}
    assert "hunter2" not in str(shown)


def _with_t() -> Surroundings:
    return Surroundings(host="h", cpu_count=1, interpreter="py", key=b"", allowed_env={"T": "--password=hunter2"})


def test_the_revision_of_a_worker_with_env_files_is_its_controllers_business(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=1\n")
    shown = document(tmp_path, worker("web", "env_files: [a.env]\n"))
    assert (shown["revision"], "WORKER_REVISION" in shown["instances"][0]["env"]) == (None, False)


def test_what_is_around_the_process_is_told_per_instance_and_only_where_it_is_set(tmp_path: Path) -> None:
    text = """worker_id: web
command: [run]
port: 4000
replicas: 2
user: www-data
umask: "027"
secrets: {DB: {file: secrets/db}, SMTP: {env: SMTP_PASSWORD}}
readiness: {http: {path: "/ready/${ordinal}", status: 204}}
hooks: {pre_start: {exec: [migrate, --token, hunter2]}}
limits: {memory_bytes: 536870912}
depends_on: {database: ready}
"""
    around = replace(AROUND, environment=None)
    shown = document(tmp_path, text, around)
    one = shown["instances"][1]
    assert (shown["depends_on"], shown["revision"]) == ({"database": "ready"}, None)
    assert {name: one[name] for name in ("user", "umask", "secrets", "readiness", "hooks", "limits")} == {
        "user": "www-data",
        "umask": "027",
        "secrets": {"DB": f"from file {tmp_path}/secrets/db", "SMTP": "from the controller's SMTP_PASSWORD"},
        "readiness": {
            "check": "http", "port": 4001, "path": "/ready/1", "status": [204, 204], "period_ms": 10_000,
            "timeout_ms": 3000, "failures": 3, "successes": 1,
        },
        "hooks": {"pre_start": {"argv": ["migrate", "--token", "***"], "timeout_ms": 30_000}},
        "limits": {"memory_bytes": 536_870_912, "enforce": "strict"},
    }  # fmt: skip
    assert "group" not in one
