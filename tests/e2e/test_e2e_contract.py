"""The real program against its own contract: a generator of requests, and a stream over a restart."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.e2e_installation import Installation

pytestmark = pytest.mark.e2e

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
SEED = 20261124
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# A stream has no end and an operation may be waited for; both are tried elsewhere.
LEFT_OUT = {"follow", "wait_s"}


def finite(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what a generator of requests would wait for, and with names that mostly exist."""
    del document["paths"]["/api/v1/stream"]
    document["paths"].pop("/api/v1/workers/{id}/health", None)  # its 503 is an answer, which no check here can tell
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["parameters"] = [one for one in operation["parameters"] if one["name"] not in LEFT_OUT]
            for one in operation["parameters"]:
                if one["in"] == "path" and "/operations/" not in path:
                    one["schema"] = {"type": "string", "enum": ["web", "db", "api", "nobody"]}
    return document


@pytest.mark.long
@pytest.mark.skipif(not Path(SCHEMATHESIS).exists(), reason="schemathesis is not installed")
def test_no_generated_request_finds_an_answer_that_is_not_declared(site: Installation) -> None:
    site.add("web")
    site.add("db", replicas=2)
    site.add("api", "--lines=100000", "--every=100")
    site.serve()
    told = site.ask("/api/v1/openapi.json")
    assert told.status == 200
    schema = site.root / "openapi.json"
    schema.write_text(json.dumps(finite(told.body)))

    run = subprocess.run(
        [
            SCHEMATHESIS, "run", str(schema), "--url", f"http://{site.listen}", "--seed", str(SEED),
            "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-time", "45",
            "--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "10", "--no-color",
        ],
        cwd=site.root, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip

    print(f"seed {SEED}\n{run.stdout[-2000:]}")
    assert run.returncode == 0, f"seed {SEED}\n{run.stdout[-8000:]}\n{run.stderr[-2000:]}"


@contextmanager
def stream(site: Installation, query: str, last: str = "") -> Iterator[Iterator[tuple[str, str, Any]]]:
    """An open stream: id, topic and item of each event."""
    host, _, port = site.listen.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", f"/api/v1/stream?{query}", headers={"Last-Event-ID": last} if last else {})
    answer = connection.getresponse()
    assert answer.status == 200

    def frames() -> Iterator[tuple[str, str, Any]]:
        fields: dict[str, str] = {}
        while row := answer.readline():
            text = row.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                fields[name] = value
                continue
            if "id" in fields:
                yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}

    try:
        yield frames()
    finally:
        connection.close()


def test_a_stream_goes_on_over_a_restart_without_loss_or_repetition(site: Installation) -> None:
    site.add("web", "--lines=100000", "--every=50")
    site.serve()
    asked = "topics=events,logs&worker=web"
    seen: list[tuple[str, Any]] = []
    last = ""
    with stream(site, asked) as frames:
        for place, topic, item in frames:
            last = place
            seen.append((topic, item))
            if sum(topic == "logs" for topic, _ in seen) >= 20:
                break
    site.kill("controller")
    site.serve()
    restarts = 0
    with stream(site, asked, last) as frames:
        site.ask("/api/v1/workers/web/restart", "POST")
        for _, topic, item in frames:
            seen.append((topic, item))
            restarts += topic == "events" and item["type"] == "started"
            if restarts and sum(topic == "logs" for topic, _ in seen) >= 80:
                break

    lines = [(item["run"], item["stream"], item["seq"]) for topic, item in seen if topic == "logs"]
    numbers = [item["seq"] for topic, item in seen if topic == "events"]
    assert numbers == sorted(set(numbers))
    assert len(set(lines)) == len(lines)
    for run, name in {(run, name) for run, name, _ in lines}:
        own = [seq for one, other, seq in lines if (one, other) == (run, name)]
        assert own == list(range(own[0], own[0] + len(own))), f"lines of {run} {name} are missing"
