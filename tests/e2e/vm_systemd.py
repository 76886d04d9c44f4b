"""What the shipped units do under systemd as PID 1: run as root in a machine of `e2e_vm`, never on the host.

The units are those of deploy/systemd, as they are. Writes /mnt/answer.json: what was seen, by scenario, and under
`error` why not all of it. test_e2e_systemd.py judges it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import Process, eventually, process, processes_of

PATIENCE_S = 60.0
CONTROLLER, AGENT = "workerctl.service", "workerctl-agent.service"
Facts = dict[str, Any]


class Unit(Installation):
    """The installation that the units describe, in the places that they name."""

    def __init__(self) -> None:
        super().__init__()
        self.listen = "127.0.0.1:3000"
        self.state = Path("/var/lib/workerctl")
        self.program = ["/opt/workerctl/bin/workerctl"]
        self.specs.rmdir()
        self.specs = Path("/etc/workerctl/specs")

    def environment(self, **more: str) -> dict[str, str]:
        """As units have it: no session's runtime folder."""
        found = super().environment(**more)
        del found["XDG_RUNTIME_DIR"]
        return found

    def _ours(self) -> list[Process]:
        """Nothing of the program names the folder of the test: it lies in /opt/workerctl."""
        return sorted({*super()._ours(), *processes_of("/opt/workerctl/")})

    def write(self, name: str, text: str) -> Path:
        """Nothing reads them yet."""
        path = self.specs / name
        path.write_text(text)
        return path


def systemctl(*arguments: str) -> str:
    """What it said; how it left is not asked."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return (done.stdout + done.stderr).strip()


def show(unit: str, what: str) -> str:
    return systemctl("show", "--value", "--property", what, unit)


def main_pid(unit: str) -> int:
    return eventually(lambda: int(show(unit, "MainPID")), PATIENCE_S, told=f"{unit} has a main process")


def unit_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().split("/")[2]


def role_of(pid: int) -> str:
    found = process(pid)
    return "" if found is None else found.command


def began(site: Unit) -> Facts:
    """Only the controller's unit is started."""
    systemctl("start", CONTROLLER)
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    pids = site.until_running("web", "idle", patience_s=PATIENCE_S)
    units = sorted({unit_of(pid) for pid in pids.values()})
    score = Path(f"/proc/{pids['web/0']}/oom_score_adj").read_text().strip()
    keeper = role_of(main_pid(AGENT)).split()[4]
    renewed = (site.state / "agent/agent.log").read_text().count(" leaves to ")
    return {"renewed": renewed, "units": units, "main": keeper, "agent": show(AGENT, "ActiveState"), "oom": score}


def controller_killed(site: Unit) -> Facts:
    """kill -9 of the controller."""
    before, pids = main_pid(CONTROLLER), site.pids()
    os.kill(before, signal.SIGKILL)
    eventually(lambda: main_pid(CONTROLLER) != before, PATIENCE_S, told="systemd starts another controller")
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    same = site.until_running("web", "idle", patience_s=PATIENCE_S) == pids
    return {"same": same, "restarts": show(CONTROLLER, "NRestarts")}


def controller_stopped(site: Unit) -> Facts:
    """`systemctl stop` of the controller, and start."""
    pids = site.pids()
    systemctl("stop", CONTROLLER)
    living, state = site.living(), show(CONTROLLER, "ActiveState")
    os.kill(pids["idle/0"], signal.SIGKILL)
    reborn = site.until_reborn("idle/0", pids["idle/0"], PATIENCE_S)
    systemctl("start", CONTROLLER)
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    after = site.until_running("web", "idle", patience_s=PATIENCE_S)
    return {"state": state, "same": living == pids, "after": after == {**pids, "idle/0": reborn}}


def agent_killed(site: Unit) -> Facts:
    """kill -9 of the agent, then of its keeper, which is the unit's main process."""
    pids, keeper, agent = site.pids(), main_pid(AGENT), site.pid_of("agent")
    os.kill(agent, signal.SIGKILL)
    eventually(lambda: site.pid_of("agent") != agent, PATIENCE_S, told="another agent runs")
    first = main_pid(AGENT) == keeper, site.until_running("web", "idle", patience_s=PATIENCE_S) == pids
    os.kill(keeper, signal.SIGKILL)
    eventually(lambda: site.pid_of("keeper") != keeper, PATIENCE_S, told="another keeper serves")
    site.pid_of("agent")
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    return {"agent": first, "keeper": site.until_running("web", "idle", patience_s=PATIENCE_S) == pids}


def agent_stopped(site: Unit) -> Facts:
    """`systemctl stop` of the agent's unit."""
    pids = site.pids()
    systemctl("stop", AGENT)
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    same = site.until_running("web", "idle", patience_s=PATIENCE_S) == pids
    reborn = site.until_reborn("idle/0", site.kill_worker("idle/0"), PATIENCE_S)
    return {"same": same, "supervised": site.until_running("idle", patience_s=PATIENCE_S) == {"idle/0": reborn}}


def pair_killed(site: Unit) -> Facts:
    """kill -9 of keeper and agent at once."""
    pids = site.pids()
    site.kill("agent", "keeper")
    site.pid_of("agent")
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    same = site.until_running("web", "idle", patience_s=PATIENCE_S) == pids
    site.until_reborn("idle/0", site.kill_worker("idle/0"), PATIENCE_S)
    site.until_running("idle", patience_s=PATIENCE_S)
    return {"same": same}


def group_killed(site: Unit) -> Facts:
    """`systemctl kill` of a unit means all processes in its group: the workers too. They are started again."""
    pids = site.pids()
    units = sorted({unit_of(pid) for pid in pids.values()})
    systemctl("kill", "--signal=KILL", *units)
    systemctl("reset-failed")
    for unit in (AGENT, CONTROLLER):
        systemctl("start", unit)
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    for name, pid in pids.items():
        site.until_reborn(name, pid, PATIENCE_S)
    after = site.until_running("web", "idle", patience_s=PATIENCE_S)
    return {"units": units, "others": not set(after.values()) & set(pids.values())}


def ended(site: Unit) -> Facts:
    """Workers are stopped by whoever runs the controller with `--on-exit stop`: here by hand, on the same state."""
    systemctl("stop", CONTROLLER)
    site.serve("--on-exit", "stop")
    site.until_running("web", "idle", patience_s=PATIENCE_S)
    site.stop()
    exits = {code for book in site.journals().values() for _, code in book.exits[-1:]}
    return {"wrong": site.close(), "codes": sorted(exits)}


def lo_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x43))  # SIOCSIFFLAGS: up, running


def main() -> None:
    """One scenario after the other; after a failed one the others would only wait."""
    lo_up()
    site = Unit()
    for name in ("web", "idle"):
        site.add(name, max_restart_attempts=None)
    answer: Facts = {"version": systemctl("--version").split()[1]}
    scenarios: list[Callable[[Unit], Facts]] = [
        began, controller_killed, controller_stopped, agent_killed, agent_stopped, pair_killed, group_killed, ended,
    ]  # fmt: skip
    for scenario in scenarios:
        try:
            answer[scenario.__name__] = scenario(site)
        except Exception:
            units = systemctl("status", "--no-pager", "--lines=0", CONTROLLER, AGENT)
            told = Path("/mnt/told").read_text(errors="replace")[-6000:]
            answer["error"] = f"{scenario.__name__}: {traceback.format_exc()}\n{units}\n{told}\n{site.story()[-6000:]}"
            break
    Path("/mnt/answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
