"""What the real program does with real control groups: run as root in a machine of `e2e_vm`, never on the host.

Three installations at once, as systemd would have put them: `root` in a group that is marked as given away, with a
stranger in it; `user` (uid 1000) in one of its own, without a mark, as its own systemd makes them; both with their
controllers in it. And `bare`, whose group is another's. Writes /mnt/answer.json: what was seen, by
installation and scenario, and under NAME_error why not all of it. test_e2e_cgroups.py judges it.
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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from controller.agent import cgroups
from controller.agent.limits import group_name
from tests.e2e.e2e_installation import PYTHON, Installation
from tests.e2e.e2e_processes import eventually, process

ROOT = Path("/sys/fs/cgroup")
GLUTTON = str(Path(__file__).with_name("glutton.py"))
MEMORY, MORE_MEMORY, TOO_MUCH = 64 << 20, 96 << 20, 200 << 20
PATIENCE_S = 90.0
GIVEN_AWAY = ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads")  # systemd's own list
Facts = dict[str, Any]


class Site(Installation):
    """One in the group /sys/fs/cgroup/NAME, as `uid`."""

    def __init__(self, name: str, uid: int) -> None:
        super().__init__()
        self.base = ROOT / name
        self.uid = uid
        self.base.mkdir()

    def give(self) -> None:
        """What systemd does for Delegate=yes; the mark is of the system's own only."""
        for name in GIVEN_AWAY:
            os.chown(self.base / name, self.uid, self.uid)
        if not self.uid:
            os.setxattr(self.base, "trusted.delegate", b"1")

    def serve_command(self, *flags: str) -> list[str]:
        """A shell joins the group and becomes the controller. The user may read what root may: the interpreter."""
        become: list[str] = []
        if self.uid:
            who = [f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
            become = ["setpriv", *who, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
            for folder, _, files in os.walk(self.root):
                for name in ["", *files]:
                    os.chown(os.path.join(folder, name), self.uid, self.uid)
        join = 'echo 0 >"$0"/cgroup.procs && exec "$@"'
        return ["/bin/sh", "-c", join, str(self.base), *become, *super().serve_command(*flags)]

    def glutton(self, worker_id: str, **fields: Any) -> None:
        """The spec of a worker that takes what it is told to."""
        command = [PYTHON, "-I", "-S", GLUTTON, str(self.slots)]
        self.add(worker_id, command=command, max_restart_attempts=None, **fields)

    def order(self, worker_id: str, deed: str) -> None:
        """Have instance 0 do it."""
        written = self.root / "beside" / "order"
        written.write_text(deed)
        written.rename(self.slots / f"{worker_id}-0.do")

    def said(self, worker_id: str) -> Facts:
        """The answer to the last order."""
        path = self.slots / f"{worker_id}-0.said"
        text = eventually(lambda: path.exists() and path.read_text(), PATIENCE_S, told=f"{worker_id} has answered")
        return dict(json.loads(str(text).splitlines()[-1]))

    def instance(self, worker_id: str) -> Facts:
        return dict(self.worker(worker_id)["instances"][0])

    def pid(self, worker_id: str) -> int:
        return self.until_running(worker_id, patience_s=PATIENCE_S)[f"{worker_id}/0"]

    def next_pid(self, worker_id: str, before: int) -> int:
        """Of the process that runs after `before`."""

        def other() -> int:
            pid = self.pid(worker_id)
            return 0 if pid == before else pid

        return eventually(other, PATIENCE_S, told=f"{worker_id} runs anew")

    def exit_after(self, worker_id: str, act: Callable[[int], object]) -> Facts:
        """How the run ends that is running now, when `act` was done to it; and what the event says."""
        before = self.pid(worker_id)
        run, last = self.instance(worker_id)["run"], self.instance(worker_id)["last_exit"]
        act(before)

        def ended() -> Facts | None:
            found = self.instance(worker_id)["last_exit"]
            return None if found == last else found

        found = eventually(ended, PATIENCE_S, told=f"{worker_id} has ended")
        self.next_pid(worker_id, before)
        events = [event for event in self.events(worker_id) if event["run"] == run and event["type"] == "exited"]
        return {
            "cause": found["cause"], "signal": found["signal"],
            "event": [[event["cause"], event["message"]] for event in events],
        }  # fmt: skip

    def top(self) -> Path:
        return next(self.base.glob("workerctl-*"))

    def group(self, worker_id: str) -> Path:
        return self.top() / group_name(f"{worker_id}/0")

    def control(self, worker_id: str, name: str) -> str:
        """A control file of the worker's group."""
        return (self.group(worker_id) / name).read_text().strip()

    def groups(self) -> list[str]:
        """Of all slots, and whatever else is there but the leaf of keeper and agent."""
        return sorted(path.name for path in self.base.glob("*/*") if path.is_dir() and path.name != "self")


def group_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")


# --- scenarios -------------------------------------------------------------------------------------------------------


def ready(site: Site) -> Facts:
    """It serves."""
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    return {}


def memory(site: Site) -> Facts:
    """Taken beyond the limit by the worker itself; killed by somebody else; and a child that was killed for it."""

    site.pid("eater")
    limit = site.control("eater", "memory.max"), site.control("eater", "memory.swap.max")
    own = site.exit_after("eater", lambda _pid: site.order("eater", f"eat {TOO_MUCH}"))
    kills = cgroups.value_of(site.control("eater", "memory.events"), "oom_kill")
    strangers = site.exit_after("eater", lambda pid: os.kill(pid, signal.SIGKILL))
    return {"limit": limit, "own": own, "kills": kills, "strangers": strangers}


def child(site: Site) -> Facts:
    """A child takes too much; the worker lives on, until somebody kills it."""
    before = site.pid("eater")
    site.order("eater", f"feed {TOO_MUCH}")
    said = site.said("eater")
    events = eventually(lambda: site.events("eater", "child_oom_killed"), PATIENCE_S, told="it is told of")
    survived = site.pid("eater") == before
    later = site.exit_after("eater", lambda pid: os.kill(pid, signal.SIGKILL))
    return {"said": said, "message": [event["message"] for event in events], "survived": survived, "later": later}


def changed(site: Site) -> Facts:
    """Another limit in the spec."""
    before, beside = site.pid("eater"), site.pid("calm")
    site.glutton("eater", limits={"memory_bytes": MORE_MEMORY})
    site.next_pid("eater", before)
    return {"limit": site.control("eater", "memory.max"), "beside_stays": site.pid("calm") == beside}


def processes(site: Site) -> Facts:
    """Many forks."""
    site.order("forker", "fork 50")
    site.order("calm", "fork 50")
    forker, calm = site.said("forker"), site.said("calm")
    count = int(site.control("forker", "pids.current"))
    return {"limit": site.control("forker", "pids.max"), "forker": forker, "calm": calm, "count": count}


def processor(site: Site) -> Facts:
    """A loop without end."""

    def throttled() -> int:
        return cgroups.value_of(site.control("spinner", "cpu.stat"), "throttled_usec")

    site.order("spinner", "spin")
    first = eventually(throttled, PATIENCE_S, told="the spinner is throttled")
    eventually(lambda: throttled() > first, PATIENCE_S, told="it is throttled on and on")
    return {"limit": site.control("spinner", "cpu.max"), "calm": site.control("calm", "cpu.max")}


def adopted(site: Site) -> Facts:
    """kill -9 of the agent; then the worker takes too much."""
    pids = {name: site.pid(name) for name in ("eater", "calm", "forker", "spinner")}
    group, agent = group_of(pids["eater"]), site.pid_of("agent")
    site.kill("agent")
    eventually(lambda: site.pid_of("agent") != agent, PATIENCE_S, told="another agent runs")
    after = {name: site.pid(name) for name in pids}
    stays = group_of(after["eater"]) == group
    limits = site.control("eater", "memory.max"), site.control("forker", "pids.max")
    own = site.exit_after("eater", lambda _pid: site.order("eater", f"eat {TOO_MUCH}"))

    def eat_unseen(_pid: int) -> None:
        site.order("eater", f"eat {TOO_MUCH}")
        site.kill("agent")

    unseen = site.exit_after("eater", eat_unseen)
    return {"same": after == pids, "stays": stays, "limits": limits, "own": own, "unseen": unseen}


def escaped(site: Site) -> Facts:
    """A daemon that nothing but its group can tell of, when its worker goes."""
    site.order("escaper", "escape")
    pid = int(site.said("escaper")["pid"])
    in_group = group_of(pid).startswith("/" + str(site.group("escaper").relative_to(ROOT)))
    stranger, main = process(pid), site.pid("escaper")
    (site.specs / "escaper.yaml").unlink()
    eventually(lambda: process(pid) is None, PATIENCE_S, told="the daemon is dead")
    group = group_name("escaper/0")
    eventually(lambda: group not in site.groups(), PATIENCE_S, told="the group of the worker is removed")
    elsewhere = stranger is not None and stranger.session != main and not stranger.environ
    return {"in_group": in_group, "elsewhere": elsewhere}


def no_more_processes(site: Site) -> Facts:
    """The keeper cannot fork."""
    beside, keeper, agent = site.pid("calm"), site.pid_of("keeper"), site.pid_of("agent")
    own = site.top() / "self"
    cgroups.write(str(own / "pids.max"), (own / "pids.current").read_text().strip())
    site.glutton("late")
    refused = eventually(lambda: site.events("late", "spawn_failed"), PATIENCE_S, told="a refusal is told")
    cgroups.write(str(own / "pids.max"), "max")
    site.pid("late")
    return {
        "message": refused[0]["message"],
        "stay": [site.pid("calm") == beside, site.pid_of("keeper") == keeper, site.pid_of("agent") == agent],
    }  # fmt: skip


def doctor(site: Site) -> Facts:
    """The line about limits."""
    checks = json.loads(site.run("doctor", "--state-dir", str(site.state), "-o", "json").out)["items"]
    return {"limits": [check["message"] for check in checks if check["name"] == "limits"]}


def not_given(site: Site) -> Facts:
    """Strict, and best effort."""
    group = group_of(site.pid("lax"))
    strict = site.worker("strict")
    pids = [instance["pid"] for instance in strict["instances"]]
    told = {name: site.run("status", name).out for name in ("strict", "lax")}
    return {"pids": pids, "status": strict["status"], "told": told, "group": group}


def ended(site: Site) -> Facts:
    """A graceful stop."""
    site.stop()
    return {"groups": site.groups(), "wrong": site.close()}


def marks() -> Facts:
    """Whose group it is where there is systemd: only what is marked as given away is ours."""
    group = ROOT / "marked"
    (group / "self").mkdir(parents=True)
    found: Facts = {}
    try:
        for place, where in {"group": group, "subgroup": group / "self"}.items():
            cgroups.write(str(where / "cgroup.procs"), "0")
            found[f"{place} unmarked"] = cgroups.find_base()
            os.setxattr(group, "trusted.delegate", b"1")
            found[f"{place} marked"] = cgroups.find_base()
            os.removexattr(group, "trusted.delegate")
    finally:
        cgroups.write(str(ROOT / "cgroup.procs"), "0")
    return found


# --- all of it -------------------------------------------------------------------------------------------------------


def play(answer: Facts, scenarios: Sequence[Callable[[Site], Facts]], site: Site) -> None:
    """One after the other. After a failed one the others would only wait for what does not come."""
    name = site.base.name
    for scenario in scenarios:
        try:
            answer[f"{name}_{scenario.__name__}"] = scenario(site)
        except Exception:
            answer[f"{name}_error"] = f"{scenario.__name__}: {traceback.format_exc()}\n{site.story()[-4000:]}"
            return


def lo_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x43))  # SIOCSIFFLAGS: up, running


def main() -> None:
    """All of it, each installation for itself."""
    lo_up()
    os.makedirs("/run/systemd/system")
    cgroups.write(str(ROOT / "cgroup.subtree_control"), "+memory +cpu +pids")
    root, user, bare = Site("root", 0), Site("user", 1000), Site("bare", 1001)
    root.give()
    user.give()
    join = ["/bin/sh", "-c", 'echo 0 >"$0"/cgroup.procs && exec sleep 3600', str(root.base)]
    stranger = subprocess.Popen(join)
    limited = {"limits": {"memory_bytes": MEMORY}}
    for site in (root, user):
        site.glutton("eater", **limited)
        site.glutton("calm")
    for name, limits in {"forker": {"pids": 8}, "spinner": {"cpu": 0.1}}.items():
        root.glutton(name, limits=limits)
    root.glutton("escaper")
    bare.glutton("strict", **limited)
    bare.glutton("lax", limits={"memory_bytes": MEMORY, "enforce": "best_effort"})
    answer: Facts = {"marks": marks()}
    for site in (root, user, bare):
        site.serve(ready=False)
    own = (
        ready, memory, child, changed, processes, processor, adopted, escaped, no_more_processes, doctor, ended,
    )  # fmt: skip
    parts = {root: own, user: (ready, memory, ended), bare: (ready, not_given, ended)}
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(lambda site: play(answer, parts[site], site), parts))
    answer["stranger"] = {"lives": stranger.poll() is None, "group": group_of(stranger.pid).rpartition("/")[2]}
    stranger.kill()
    Path("/mnt/answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
