"""Pids come round: strangers have those of a dead worker, of its keeper and of its agent. None is adopted, signalled or
waited for, and the worker is started once. The test that the power goes (test_e2e_power.py) has them after a reboot.
"""

from __future__ import annotations

import os

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_strangers import strangers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose the pid of a process"),
]


def test_strangers_with_the_pids_of_the_dead_are_neither_adopted_nor_signalled(site: Installation) -> None:
    site.add("calm")
    site.add("web", "--child-setsid", stop={"grace_ms": 500})
    site.add("gone")
    site.serve()
    before = site.until_running()
    ours = [site.pid_of(role) for role in ("keeper", "agent")]
    site.kill("controller", "agent", "keeper")
    dead = [site.kill_worker("web/0"), site.kill_worker("gone/0"), *ours]
    (site.specs / "gone.yaml").unlink()
    with strangers(dead) as harmed:
        site.serve()
        site.until_reborn("web/0", before["web/0"])
        after = site.until_running("calm", "web")
        assert after["calm/0"] == before["calm/0"]
        assert site.run("stop", "web", "--wait", "20").code == 0
        assert site.run("start", "web", "--wait", "20").code == 0
        site.stop()
    assert harmed == []
    assert [len(site.journal(f"{name}/0").starts) for name in ("calm", "web", "gone")] == [1, 3, 1]
