"""Specs over HTTP on the real program: the reference's examples as they stand, and writes beside editors and git."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e

CREATE = """\
curl -X POST http://localhost:3000/api/v1/worker-configs \\
  -H "Content-Type: application/json" \\
  -d '{
    "worker_id": "worker-1",
    "name": "主 Worker",
    "deployment_type": "local",
    "host": "localhost",
    "port": 4001,
    "max_accounts": 10,
    "auto_start": true,
    "auto_restart": true
  }'
"""
START = "curl -X POST http://localhost:3000/api/v1/workers/worker-1/start"
BATCH = """\
curl -X POST http://localhost:3000/api/v1/workers/batch \\
  -H "Content-Type: application/json" \\
  -d '{
    "action": "restart",
    "worker_ids": ["worker-1", "worker-2"],
    "options": {
      "graceful": true
    }
  }'
"""
STATUS = "curl http://localhost:3000/api/v1/workers/worker-1/status"
LOGS = 'curl "http://localhost:3000/api/v1/workers/worker-1/logs?tail=100&stream=stdout"'


def pasted(site: Installation, command: str) -> Any:
    """What the command answers, pasted as it stands but for the address."""
    text = re.sub(r"http://localhost:3000", f"http://{site.listen}", command).replace("curl ", "curl -s ")
    done = subprocess.run(["bash", "-c", text], capture_output=True, check=True, timeout=30)
    return json.loads(done.stdout)


def ask(site: Installation, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Status and JSON, by curl."""
    command = ["curl", "-s", "-X", method, "-w", "\\n%{http_code}", f"http://{site.listen}{path}"]
    for name, value in headers.items():
        command += ["-H", f"{name.replace('_', '-')}: {value}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    text, _, status = subprocess.run(command, capture_output=True, check=True, timeout=30, text=True).stdout.rpartition(
        "\n"
    )
    return int(status), json.loads(text) if text.strip() else None


def test_the_examples_of_the_reference_work_as_they_stand(site: Installation) -> None:
    site.serve()
    created = pasted(site, CREATE)
    assert (created["worker_id"], created["spec"]["name"], created["spec"]["port"]) == ("worker-1", "主 Worker", 4001)
    eventually(lambda: pasted(site, STATUS)["status"] == "running", told="the demonstration worker runs")
    assert pasted(site, START)["action"] == "start"
    eventually(lambda: pasted(site, LOGS)["items"], told="it has said something")
    batch = pasted(site, BATCH)
    assert [(one["worker_id"], one["state"]) for one in batch["results"]] == [
        ("worker-1", "pending"),
        ("worker-2", "not_found"),
    ]
    where = f"/api/v1/batches/{batch['batch_id']}"
    eventually(lambda: ask(site, "GET", where)[1]["state"] == "succeeded", told="the batch is over")
    assert ask(site, "GET", where)[1]["detail"] == "1 restarted, 1 not found"
    assert (site.specs / "worker-1.yaml").read_text().startswith("worker_id: worker-1\nname:")


def test_what_was_written_is_known_to_the_very_next_request(site: Installation) -> None:
    site.serve()
    configs, one = "/api/v1/worker-configs", "/api/v1/worker-configs/worker-1"
    for _ in range(3):
        assert ask(site, "POST", configs, {"worker_id": "worker-1"})[0] == 201
        assert ask(site, "POST", "/api/v1/workers/worker-1/start")[0] == 202
        assert ask(site, "GET", "/api/v1/workers/worker-1/status")[0] == 200
        assert ask(site, "PATCH", one, {"name": "x"})[0] == 200
        assert ask(site, "GET", one)[1]["spec"]["name"] == "x"
        assert ask(site, "DELETE", one)[0] == 204
        assert ask(site, "GET", one)[0] == 404


def test_a_spec_is_changed_in_a_persons_file_and_nothing_else_is(site: Installation) -> None:
    site.add("web", env={"A": "1"})
    path = site.specs / "web.yaml"
    path.write_text("# mine\n" + path.read_text())
    before = path.read_text()
    site.serve()
    site.until_running()
    pid = site.workers()["web"]["instances"][0]["pid"]
    status, item = ask(site, "PATCH", "/api/v1/worker-configs/web", {"replicas": 2})
    assert (status, item["spec"]["replicas"]) == (200, 2)
    eventually(lambda: len([i for i in site.workers()["web"]["instances"] if i["pid"]]) == 2, told="two run")
    assert site.workers()["web"]["instances"][0]["pid"] == pid
    assert set(before.splitlines()) <= set(path.read_text().splitlines())
    assert ask(site, "DELETE", "/api/v1/worker-configs/web") == (204, None)
    eventually(lambda: "web" not in site.workers(), told="it is gone")
    assert not path.exists()


def test_writes_go_on_beside_an_editor_and_lose_nothing(site: Installation) -> None:
    site.add("web")
    path = site.specs / "web.yaml"
    site.serve()
    site.until_running()
    for number in range(20):
        text = path.read_text()
        saved = path.with_name(".web.yaml.swp")
        saved.write_text(text + f"# edit {number}\n")
        status, _ = ask(site, "PATCH", "/api/v1/worker-configs/web", {"labels": {f"n{number}": "x"}})
        assert status == 200
        if path.read_text() == text:
            saved.rename(path)
        else:
            saved.unlink()
    _, item = ask(site, "GET", "/api/v1/worker-configs/web")
    eventually(
        lambda: (
            ask(site, "GET", "/api/v1/worker-configs/web")[1]["spec"]["labels"]
            == {f"n{number}": "x" for number in range(20)}
        ),
        told="every label is there",
    )
    assert item["valid"]


@pytest.mark.parametrize("point", ["before_write", "after_temp", "after_fsync", "after_rename"])
def test_a_controller_that_dies_while_it_writes_leaves_the_old_file_or_the_new_one(
    site: Installation, point: str, tmp_path: Path
) -> None:
    site.add("web")
    path = site.specs / "web.yaml"
    before = path.read_bytes()
    site.serve(WORKERCTL_FAIL=f"sources.{point}=kill")
    site.until_running()
    body = json.dumps({"labels": {"a": "b"}})
    command = ["curl", "-s", "-X", "PATCH", "-H", "Content-Type: application/json", "-d", body]
    url = f"http://{site.listen}/api/v1/worker-configs/web"
    assert subprocess.run([*command, url], check=False, timeout=30, cwd=tmp_path, capture_output=True).returncode != 0
    assert site.controller is not None
    site.controller.wait(20)
    after = path.read_bytes()
    assert after == (before if point != "after_rename" else before + b"labels:\n  a: b\n")
    site.serve()
    assert ask(site, "PATCH", "/api/v1/worker-configs/web", {"labels": {"a": "c"}})[0] == 200
    assert path.read_bytes() == before + b"labels:\n  a: c\n"
    assert [name.name for name in site.specs.iterdir() if name.name.endswith(".workerctl")] == []
