"""Many at once, and those that wait for others. Rows of test_e2e_process_rows.py."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually, process

pytestmark = pytest.mark.e2e


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


MOST = 100


def test_scaling_up_down_and_up_ends_at_the_number_and_never_above(site: Installation) -> None:
    site.add("web", replicas=1)
    site.serve()
    first = site.until_running("web")["web/0"]
    site.add("web", replicas=MOST)
    eventually(lambda: len(living := site.living()) > MOST // 3 and living, told="many of them run")
    assert site.living()["web/0"] == first
    site.add("web", replicas=0)
    eventually(lambda: len(site.living()) <= MOST // 3, told="they go")
    site.add("web", replicas=3)
    names = [f"web/{number}" for number in range(3)]
    eventually(lambda: sorted(site.living()) == names, 60, told="three are left")
    # Where the edits came close together, some of the others ran on until now, and the worker with them.
    assert sorted(site.until_running("web", patience_s=60)) == names
    assert set(site.journals()) <= {f"web/{number}" for number in range(MOST)}
    assert sorted(instance["instance"] for instance in site.worker("web")["instances"]) == names


def test_a_circle_of_dependencies_is_refused_by_its_name(site: Installation) -> None:
    site.add("calm")
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        site.add(name, depends_on={other: "started"})
    told = site.run("validate", str(site.specs))
    assert (told.code, "a -> b -> c -> a" in told.text or "circle" in told.text) == (2, True), told
    site.serve()
    site.until_running("calm")
    assert sorted(site.living()) == ["calm/0"]


def test_a_dependency_that_is_never_ready_holds_its_dependents_and_says_why(site: Installation, port: int) -> None:
    site.add("base", port=port, readiness={"tcp": {}, "period_ms": 200, "failures": 2})
    site.add("web", depends_on={"base": "ready"})
    site.serve()
    refused = f"the readiness probe fails: 127.0.0.1:{port}: connection refused"
    eventually(lambda: refused in site.worker("base")["why"], told="why it is not ready")
    for verb in ("status", "describe"):
        assert refused in " ".join(site.run(verb, "base").out.split())
    eventually(lambda: "readiness_failed" in [entry["type"] for entry in site.events("base")], told="the event")
    assert site.journal("web/0").starts == ()
    assert "base" in site.worker("web")["why"]
    assert site.run("status", "web").code == 3
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", port))
        listening.listen()
        site.until_running("base", "web")
    assert len(site.events("base", "readiness_failed")) == 1


def test_a_dependency_that_dies_takes_nobody_with_it(site: Installation) -> None:
    site.add("base", restart_delay_ms=1500)
    site.add("web", depends_on={"base": "started"})
    site.serve()
    before = site.until_running()
    site.kill_worker("base/0")
    site.until_status("base", "crashed")
    site.until_reborn("web/0", site.kill_worker("web/0"))  # a crash restart waits for nobody
    site.until_reborn("base/0", before["base/0"])
    assert len(site.journal("web/0").starts) == 2


def test_a_stop_while_a_hook_and_a_probe_hang_is_done_in_their_time(site: Installation) -> None:
    hang = ["/bin/sh", "-c", f"sleep 1000 & echo $! >> {site.root}/beside/hanging; wait"]
    site.add(
        "web",
        hooks={"pre_stop": {"exec": hang, "timeout_ms": 1000}, "post_start": {"exec": hang, "timeout_ms": 60000}},
        liveness={"exec": hang, "period_ms": 1000, "timeout_ms": 60000},
    )
    site.serve()
    pid = site.until_running("web")["web/0"]
    path = site.root / "beside/hanging"
    eventually(lambda: path.exists() and len(path.read_text().split()) >= 2, told="probe and post_start hang")
    assert site.run("stop", "web", "--wait", "20").code == 0
    assert process(pid) is None
    hanging = path.read_text().split()
    assert len(hanging) >= 3
    eventually(lambda: [one for one in hanging if process(int(one))] == [], told="nothing of them is left")


@pytest.mark.parametrize("count", [3, 5])
def test_what_has_completed_is_run_again_by_a_change_of_defaults_only_as_a_plan_says(
    site: Installation, count: int
) -> None:
    ran = site.root / "beside/ran"
    site.write("defaults.yaml", "kind: Defaults\nenv: {LEVEL: info}\n")
    for number in range(count):
        site.write(f"w{number}.yaml", site.spec(f"w{number}", command=f"echo $WORKER_ID >> {ran}"))
    ran.touch()
    site.serve()
    completed = [f"w{number}" for number in range(count)]
    eventually(lambda: sorted(ran.read_text().split()) == completed, told="each has run once")
    for name in completed:
        site.until_status(name, "stopped")
    site.write("defaults.yaml", "kind: Defaults\nenv: {LEVEL: debug}\n")
    if count > 3:
        held = eventually(lambda: site.events("w0", "held"), told="the guard holds")
        assert "MassRestartGuard" in str(held)
        plan = site.run("plan")
        assert "MassRestartGuard" in plan.text
        assert sorted(ran.read_text().split()) == completed
        digest = plan.text.partition("[confirm ")[2].partition("]")[0]
        assert site.run("reconcile", "--confirm", digest).code == 0
    eventually(lambda: sorted(ran.read_text().split()) == sorted(completed * 2), told="each has run twice")
