"""Death again and again: an agent that dies at each start of its work, and a kill of everything that a user has.

Workers do not notice the first, and what is shown meanwhile is that nothing is known; the second costs that user's
workers one life, and nobody else anything.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually, process

pytestmark = pytest.mark.e2e

DEATHS = 4
SLEEPER = ["/bin/sleep", "3600"]


def test_an_agent_in_a_crash_loop_costs_no_worker_and_is_shown_as_unknown(site: Installation) -> None:
    site.add("web", replicas=2)
    site.add("api")
    site.serve()
    before = site.until_running()
    site.kill("controller", "agent", "keeper")
    site.serve(ready=False, WORKERCTL_FAIL="agent.after_claim=kill", WORKERCTL_FAIL_LOG=str(site.root / "hits"))

    def deaths() -> int:
        path = site.root / "hits"
        return path.read_text().count("agent.after_claim ") if path.exists() else 0

    began = deaths()
    eventually(lambda: deaths() >= began + DEATHS, 60, told="it died again and again")
    assert {item["status"] for item in site.workers().values()} == {"unknown"}
    told = site.ask("/readyz")
    assert (told.status, "agent" in str(told.body)) == (503, True)
    assert site.living() == before
    site.kill("controller", "agent", "keeper")
    site.serve()
    assert site.until_running() == before == site.living()
    assert all(len(book.starts) == 1 and not book.signals for book in site.journals().values())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_kill_of_all_processes_of_a_user_costs_its_workers_one_life_and_nobody_else_anything(
    site: Installation,
) -> None:
    user = 300_000 + os.getpid()  # nobody else's: the kill is for all processes of a user
    for name in ("one", "two"):
        site.add(name, command=SLEEPER, user=str(user), working_dir="/")
    site.add("calm")
    site.serve()
    before = site.until_running()
    ours = [site.pid_of(role) for role in ("keeper", "agent")]
    killed = {name: before[f"{name}/0"] for name in ("one", "two")}
    kill = f"import os, signal; os.setgid({user}); os.setuid({user}); os.kill(-1, signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", kill], check=True, timeout=30)

    def reborn() -> dict[str, int]:
        now = site.until_running()
        return now if all(now.get(f"{name}/0", pid) != pid for name, pid in killed.items()) else {}

    after = eventually(reborn, told="both run anew")
    assert after["calm/0"] == before["calm/0"]
    assert [site.pid_of(role) for role in ("keeper", "agent")] == ours
    assert [item["restart_count"] for name, item in sorted(site.workers().items())] == [0, 1, 1]
    assert [process(pid) for pid in killed.values()] == [None, None]
