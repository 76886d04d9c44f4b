"""What leaves the real program: the figures of a scrape, and log lines on their way to another system."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e

COUNTS = ["sh", "-c", "n=0; while :; do n=$((n + 1)); echo number $n; sleep 0.05; done"]
"""Numbers its lines, in each run from 1."""


class Loki(ThreadingHTTPServer):
    """Takes pushes while it `is_there`, and keeps the lines with the run that each is of."""

    daemon_threads = True

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.is_there = True
        self.refused = 0
        super().__init__(("127.0.0.1", 0), _Push)

    @property
    def url(self) -> str:
        return f"loki+http://127.0.0.1:{self.server_port}"

    def numbers(self) -> list[int]:
        """What was counted in the run that told most lately."""
        newest = self.lines[-1][0] if self.lines else ""
        return [int(text.removeprefix("number ")) for run, text in list(self.lines) if run == newest]


class _Push(BaseHTTPRequestHandler):
    server: Loki

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.is_there:
            told = [value for stream in body["streams"] for value in stream["values"]]
            self.server.lines += [(about["run"], text) for _, text, about in told]
        else:
            self.server.refused += 1
        self.send_response(204 if self.server.is_there else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        pass


@pytest.fixture
def loki() -> Iterator[Loki]:
    server = Loki()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_line_is_forwarded_through_an_absence_of_the_target_and_a_death_of_the_controller(
    site: Installation, loki: Loki
) -> None:
    site.add("web", command=COUNTS)
    site.serve("--forward", loki.url)
    site.until_running("web")
    eventually(lambda: len(loki.numbers()) > 5, told="lines were forwarded")

    loki.is_there = False
    eventually(lambda: loki.refused > 1, told="lines were refused")
    site.kill("controller")
    site.serve("--forward", loki.url)
    eventually(lambda: loki.refused > 3, told="the next controller tries")
    loki.is_there = True
    before = max(loki.numbers())
    eventually(lambda: max(loki.numbers()) > before + 50, told="lines are forwarded again")

    found = loki.numbers()
    once = list(dict.fromkeys(found))
    assert once == list(range(once[0], once[0] + len(once)))
    assert len(found) - len(once) <= 1000  # a batch that was under way may come twice


def test_a_target_that_cannot_be_is_refused_before_anything_begins(site: Installation) -> None:
    told = site.run("serve", str(site.specs), "--forward", "loki+http://me:secret@")
    assert (told.code, "secret" in told.text) == (2, False)
    assert "--forward: cannot forward to loki+http://...: expected a host" in told.text


def test_figures_are_shown_to_a_scrape_and_kept_as_history(site: Installation) -> None:
    site.add("web", replicas=2, labels={"team": "growth"})
    site.add("rest", desired_state="stopped")
    site.serve()
    site.until_running("web")
    site.until_status("rest", "stopped")

    def scraped() -> dict[tuple[str, str], float] | None:
        answer = site.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert answer.status == 200
        found = {
            (sample.name, sample.labels.get("worker", "")): sample.value
            for family in text_string_to_metric_families(answer.body)  # type: ignore[no-untyped-call]
            for sample in family.samples
        }
        return found if ("worker_memory_rss_bytes", "web") in found else None

    found = eventually(scraped, told="figures were sampled")
    assert {name: found["worker_" + name, "web"] for name in ("up", "desired_replicas", "observed_replicas")} == {
        "up": 1, "desired_replicas": 2, "observed_replicas": 2,
    }  # fmt: skip
    assert found["worker_cpu_seconds_total", "web"] >= 0
    assert ("worker_cpu_seconds_total", "rest") not in found
    assert (found["worker_up", "rest"], found["worker_desired_replicas", "rest"]) == (0, 0)
    assert found["worker_controller_ready", ""] == 1
    assert found["worker_controller_turns_total", ""] > 0
    assert found["process_resident_memory_bytes", ""] > 1_000_000

    def drawn() -> dict[str, Any] | None:
        answer = site.ask("/api/v1/metrics-history?worker=web&metric=memory_bytes&by=instance")
        assert answer.status == 200
        return answer.body if len(answer.body["series"]) == 2 else None

    history = eventually(drawn, told="history was kept")
    assert [one["instance"] for one in history["series"]] == ["web/0", "web/1"]
    assert all(value > 100_000 for one in history["series"] for value in one["values"] if value is not None)
    assert {"spec_accepted", "started"} <= {one["type"] for one in history["annotations"]}
