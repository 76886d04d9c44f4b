"""kill -9 between any two lines that matter: every failpoint of the product is armed with a kill. Those of controller,
agent and keeper while a worker is started, edited, crashed, restarted, stopped and removed; those of the database and
of the specs while specs are written over the API and the database fills.

The kill acts once over all processes (WORKERCTL_FAIL_LOG): whoever is started again with the same environment goes
through. A controller that died is started again, as its user would. Then: no slot ever had two processes, a worker that
nobody touched has its pid, all is as the specs ask within ten seconds of the last step, and a stop leaves nothing.
"""

from __future__ import annotations

import ast
import http.client
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import controller
from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.sliced]

PACKAGE = Path(controller.__file__).parent
CONVERGED_S = 10.0
WRITES = ("store.", "sources.", "controller.after_config_write")
ELSEWHERE = ("agent.log_", "controller.batch_", "sources.git_", "keeper.before_renewal")
"""Those of log files are armed in tests/agent/test_logs_kills.py: this life prints too little to reach them. Those of
commits need a repository: tests/sources. Those of batches: test_e2e_batches.py. That of a renewal needs another build:
test_e2e_upgrade.py."""


def names(*, of_writes: bool) -> list[str]:
    """Those of writes, or the others."""
    return [name for name in all_names() if name.startswith(WRITES) is of_writes and not name.startswith(ELSEWHERE)]


def all_names() -> list[str]:
    """All failpoints, as they stand in the calls."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint":
                found |= {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
    return sorted(found)


class Life:
    """One worker's life, step by step, under somebody who starts the controller again whenever it died."""

    def __init__(self, site: Installation, armed: str) -> None:
        self.site = site
        if armed.endswith("_migrate"):
            (site.state / "workerctl.db").unlink()  # a database that is new: its schema is made by the migrations
        self.environment = {"WORKERCTL_FAIL": f"{armed}=kill@once", "WORKERCTL_FAIL_LOG": str(site.root / "hits")}

    def serve(self) -> None:
        self.site.serve(ready=False, **self.environment)
        self.until(lambda: self.site.ask("/readyz").status == 200, "ready")

    def until(self, holds: Callable[[], object], told: str, patience_s: float = 2 * CONVERGED_S) -> None:
        """Wait for a step to be done."""

        def look() -> object:
            controller_process = self.site.controller
            assert controller_process is not None
            if controller_process.poll() is not None:
                assert controller_process.returncode == -9, "it ended by itself"
                self.site.serve(ready=False, **self.environment)
            try:
                return holds()
            except (OSError, http.client.HTTPException, KeyError):
                return None

        eventually(look, patience_s, told=told)

    def runs(self, worker_id: str, mark: str = "-", lives: int = 1) -> None:
        """Wait until a worker runs with `mark`, after at least so many lives, and the program says so."""

        def look() -> bool:
            book = self.site.journal(f"{worker_id}/0")
            pid = self.site.living().get(f"{worker_id}/0")
            item = self.site.workers()[worker_id]
            is_told = item["status"] == "running" and item["instances"][0]["pid"] == pid
            return is_told and pid is not None and book.marks[-1] == mark and len(book.starts) >= lives

        self.until(look, f"{worker_id} runs as {mark}")

    def wish(self, verb: str) -> None:
        """A wish over the API; one that got no answer is asked again, as a user would."""

        def asked() -> bool:
            return self.site.ask(f"/api/v1/workers/web/{verb}", "POST").status == 202

        self.until(asked, f"{verb} is accepted")

    def write(self, method: str, path: str, body: Any, done: tuple[int, int]) -> None:
        """A spec over the API, asked until the answer is one of `done`; the second one where an earlier try did it."""
        answers: list[int] = []

        def asked() -> bool:
            answers.append(0)
            answer = self.site.ask(f"/api/v1/worker-configs{path}", method, body)
            # While the specs are not sure after a start (`source_held`): a refusal that says when to come back.
            is_later = answer.status == 409 and answer.retry_after is not None
            answers[-1] = 503 if is_later else answer.status
            return answers[-1] == done[0] or (answers[-1] == done[1] and len(answers) > 1)

        self.until(asked, f"{method} {path} is acknowledged")
        assert set(answers) <= {0, 503, *done}, answers

    def was_killed(self, name: str) -> bool:
        """Whether the armed kill acted: whoever acts leaves this mark."""
        return (self.site.root / f"hits.{name}").exists()


@pytest.mark.parametrize("name", names(of_writes=False))
def test_a_kill_there_costs_no_worker_and_makes_no_second(site: Installation, name: str) -> None:
    life = Life(site, name)
    site.add("calm")
    web: dict[str, Any] = {"restart_delay_ms": 100, "hooks": {"pre_start": {"exec": ["/bin/true"]}}}
    site.add("web", "--lines=3", **web)
    life.serve()
    life.runs("calm")
    life.runs("web")
    calm = site.living()["calm/0"]
    site.add("web", "--lines=3", "--mark=v2", "--child", stop={"grace_ms": 500}, **web)
    life.runs("web", "v2", 2)
    site.kill_worker("web/0")
    life.runs("web", "v2", 3)
    site.kill("agent")
    life.wish("restart")
    life.runs("web", "v2", 4)
    life.wish("stop")
    life.until(lambda: "web/0" not in site.living() and site.workers()["web"]["status"] == "stopped", "web has stopped")
    site.write("bad.yaml", site.spec("bad", command=["/bin/sh"]).replace("/bin/sh", str(no_program(site))))
    life.until(lambda: site.workers()["bad"]["status"] == "error", "bad cannot start")
    (site.specs / "web.yaml").unlink()
    life.until(lambda: "web" not in site.workers() and "web/0" not in site.living(), "web is gone", CONVERGED_S)
    life.until(lambda: site.pids() == {"calm/0": calm} == site.living(), "calm is untouched", CONVERGED_S)
    assert len(site.journal("calm/0").starts) == 1
    assert not site.journal("calm/0").signals
    end_gracefully(life)
    assert life.was_killed(name), "no step of this life reached it"


@pytest.mark.parametrize("name", names(of_writes=True))
def test_a_kill_in_a_write_loses_nothing_that_was_acknowledged(site: Installation, name: str) -> None:
    life = Life(site, name)
    site.add("calm", "--lines=3")
    life.serve()
    life.runs("calm")
    calm = site.living()["calm/0"]
    spec = yaml.safe_load(site.spec("web", "--lines=3"))
    life.write("POST", "", spec, (201, 409))
    assert yaml.safe_load((site.specs / "web.yaml").read_text()) == spec
    life.runs("web")
    life.write("PATCH", "/web", {"labels": {"a": "b"}}, (200, 200))
    life.write("PATCH", "/calm", {"labels": {"c": "d"}}, (200, 200))
    assert yaml.safe_load((site.specs / "web.yaml").read_text()) == {**spec, "labels": {"a": "b"}}
    life.until(lambda: site.workers()["web"]["labels"] == {"a": "b"}, "the label is shown")
    life.until(lambda: site.ask("/api/v1/events?type=started").body["items"], "events are kept")
    life.write("DELETE", "/web", None, (204, 404))
    assert sorted(path.name for path in site.specs.iterdir()) == ["calm.yaml"]
    life.until(lambda: "web" not in site.workers() and "web/0" not in site.living(), "web is gone", CONVERGED_S)
    life.until(lambda: site.pids() == {"calm/0": calm} == site.living(), "calm is untouched", CONVERGED_S)
    end_gracefully(life)
    assert life.was_killed(name), "no step of this life reached it"


@pytest.mark.long
@pytest.mark.parametrize("hit", [2, 3])
def test_agents_that_die_between_record_and_journal_again_and_again_lose_no_start_and_no_end(
    site: Installation, hit: int
) -> None:
    """Each agent is killed at its second, or third, record of a life, before it has journalled what happened."""
    site.add("web")
    site.add("api", "--child")
    site.serve(WORKERCTL_FAIL=f"agent.after_persist=kill@{hit}", WORKERCTL_FAIL_LOG=str(site.root / "hits"))
    before = site.until_running()
    for instance in before:
        site.kill_worker(instance)
        site.until_reborn(instance, before[instance])
    site.until_running()
    site.kill("controller", "agent", "keeper")
    site.serve()
    site.until_running()
    runs = [
        (start.run, number == len(book.starts))
        for book in site.journals().values()
        for number, start in enumerate(book.starts, 1)
    ]
    expected = Counter({(run, "started"): 1 for run, _ in runs})
    expected.update({(run, "exited"): 1 for run, is_last in runs if not is_last})

    def told() -> Counter[tuple[str, str]]:
        items = site.ask("/api/v1/events?limit=1000").body["items"]
        return Counter((item["run"], item["type"]) for item in items if item["type"] in ("started", "exited"))

    eventually(lambda: expected - told() == Counter(), told="each start and each end is told")
    assert told() == expected


@pytest.mark.parametrize("name", ["agent.before_order_written", "keeper.before_frame_sent"])
def test_an_order_that_cannot_be_written_now_is_written_a_moment_later(site: Installation, name: str) -> None:
    site.add("web")
    site.serve(WORKERCTL_FAIL=f"{name}=enospc@2", WORKERCTL_FAIL_LOG=str(site.root / "hits"))
    first = site.until_running()["web/0"]
    site.kill_worker("web/0")
    site.until_reborn("web/0", first)
    site.until_running()
    assert len(site.journal("web/0").starts) == 2
    hits = [line for line in (site.root / "hits").read_text().splitlines() if line.startswith(f"{name} ")]
    assert len(hits) > 2


def no_program(site: Installation) -> Path:
    """A file that may be executed and is no program: only exec finds that out."""
    path = site.root / "no-program"
    path.write_bytes(b"\x7fELF, it says")
    path.chmod(0o755)
    return path


def end_gracefully(life: Life) -> None:
    """A controller that dies while it stops is started and asked again."""
    site = life.site
    assert site.controller is not None
    site.tell()
    if site.controller.wait(20) == -9:
        life.serve()
        life.runs("calm", "-", 1)
        site.tell()
        site.controller.wait(20)
    assert site.controller.returncode == 0
    eventually(lambda: not site.leftovers(), 10, told="nothing is left")
