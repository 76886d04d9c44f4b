"""Workers that hang, hide, multiply, or saw off what they sit on. Rows of test_e2e_process_rows.py."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.e2e_installation import PYTHON, Installation, Item
from tests.e2e.e2e_processes import Process, eventually, pause, process, processes_of

pytestmark = pytest.mark.e2e
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this to a process")


def event(site: Installation, worker_id: str, kind: str) -> Item:
    """The newest event of a kind, once there is one."""
    return eventually(lambda: next(iter(site.events(worker_id, kind)[-1:]), None), told=f"{kind} of {worker_id}")


def python(code: str, *arguments: str) -> list[str]:
    return [PYTHON, "-I", "-S", "-c", code, *arguments]


def said(path: Path) -> list[int]:
    """The numbers that a worker wrote into a file, one a line."""
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- what does not die --------------------------------------------------------------------------------------------


def test_a_stopped_worker_can_be_stopped(site: Installation) -> None:
    site.add("web", stop={"signal": "TERM", "grace_ms": 500})
    site.serve()
    pid = site.until_running("web")["web/0"]
    os.kill(pid, signal.SIGSTOP)
    assert site.run("stop", "web", "--wait", "20").code == 0
    assert process(pid) is None
    assert event(site, "web", "exited")["cause"] == "killed"


@contextlib.contextmanager
def held_in_the_kernel(pid: int) -> Iterator[None]:
    """A process that no kill gets rid of, as one that waits for a dead disk: its tracer does not let its death out."""
    libc = ctypes.CDLL(None, use_errno=True)
    seize, wall = 0x4206, 0x40000000
    assert libc.ptrace(seize, pid, ctypes.c_void_p(0), ctypes.c_void_p(0)) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        while os.WIFSTOPPED(os.waitpid(pid, wall)[1]):
            os.kill(pid, signal.SIGKILL)


@only_root
def test_what_does_not_die_holds_its_slot_and_is_said_to(site: Installation) -> None:
    site.add("web", stop={"signal": "TERM", "grace_ms": 300})
    site.add("calm")
    site.serve()
    before = site.until_running()
    with held_in_the_kernel(before["web/0"]):
        site.add("web", "--mark=v2", stop={"signal": "TERM", "grace_ms": 300})
        text = event(site, "web", "unkillable")["message"]
        assert text.startswith("still there "), text
        assert (site.worker("web")["status"], text in site.worker("web")["why"]) == ("stopping", True)
        agent = site.pid_of("agent")
        spent = cpu_s(agent)
        pause(2.0)
        assert cpu_s(agent) - spent < 0.7, "no busy loop"
        assert site.journal("web/0").marks == ["-"]
        assert site.living()["calm/0"] == before["calm/0"]
    eventually(lambda: site.journal("web/0").marks == ["-", "v2"], told="the new one runs when the old one is gone")
    assert len(site.events("web", "unkillable")) == 1


def cpu_s(pid: int) -> float:
    """The processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- what multiplies and hides ------------------------------------------------------------------------------------

DAEMON = """
import os, signal, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "a") as file:
    print(os.getpid(), file=file)
time.sleep(1000)
"""


@pytest.mark.parametrize("manner", ["polite", "deaf"])
def test_a_worker_that_becomes_a_daemon_has_ended_and_its_daemon_is_ended_too(site: Installation, manner: str) -> None:
    pids = site.root / "beside/pids"
    site.write(
        "web.yaml",
        site.spec(
            "web",
            command=python(DAEMON, str(pids), manner),
            auto_restart="always",
            stop={"signal": "TERM", "grace_ms": 500},
            max_restart_attempts=None,
        ),
    )
    site.serve()
    daemons = eventually(lambda: found if len(found := said(pids)) >= 3 else None, told="it was started again")
    assert sum(process(pid) is not None for pid in daemons) <= 1
    assert "its process group is not known to be empty" in event(site, "web", "group_left")["message"]
    assert site.run("stop", "web", "--wait", "20").code == 0
    assert [pid for pid in said(pids) if process(pid)] == []


ZOMBIES = """
import os, signal, sys
for _ in range(50):
    if os.fork() == 0:
        os._exit(0)
print("done", flush=True)
signal.pause()
"""


def test_a_worker_that_reaps_nobody_stops_like_any_other(site: Installation) -> None:
    site.write("web.yaml", site.spec("web", command=python(ZOMBIES)))
    site.serve()
    pid = site.until_running("web")["web/0"]
    eventually(lambda: "done" in site.run("logs", "web").out, told="it has fifty zombies")
    assert site.run("stop", "web", "--wait", "20").code == 0
    assert (process(pid), event(site, "web", "exited")["cause"]) == (None, "stopped")


BOMB = """
import os, resource, signal, time
resource.setrlimit(resource.RLIMIT_NPROC, (40, 40))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
    time.sleep(0.01)
"""


@only_root
def test_a_fork_bomb_disturbs_nobody_and_stops(site: Installation) -> None:
    everybodys = "/usr/bin/python3"
    if not os.path.exists(everybodys):
        assert not os.environ.get("CI"), "CI must have a Python that everybody may run"
        pytest.skip("no Python that another user could run")
    uid = 200_000 + os.getpid()  # nobody else's: the limit counts all processes of a user
    bomb = {"command": [everybodys, "-I", "-S", "-c", BOMB], "user": str(uid), "working_dir": "/"}
    site.write("bomb.yaml", site.spec("bomb", stop={"signal": "TERM", "grace_ms": 500}, **bomb))
    site.add("calm")
    site.serve()
    before = site.until_running()
    token = f"WORKER_RUN={site.worker('bomb')['instances'][0]['run']}\n"
    eventually(lambda: sum(token in one.environ for one in bombs(site)) >= 35, told="it has gone off")
    site.until_reborn("calm/0", site.kill_worker("calm/0"))
    assert site.run("stop", "bomb", "--wait", "30").code == 0
    assert bombs(site) == []
    assert site.until_running("calm")["calm/0"] != before["calm/0"]


def bombs(site: Installation) -> list[Process]:
    return [one for one in processes_of("WORKER_ID=bomb\n") if f"WORKERCTL_URL=http://{site.listen}\n" in one.environ]


# --- what saws off its own branch ---------------------------------------------------------------------------------


def test_output_goes_on_over_the_death_of_ours_and_closed_outputs_hurt_nobody(site: Installation) -> None:
    site.write(
        "mute.yaml", site.spec("mute", command=python("import os, signal; os.closerange(0, 256); signal.pause()"))
    )
    ticking = "import time\nwhile True:\n print('tick', flush=True); time.sleep(0.05)"
    site.write("loud.yaml", site.spec("loud", command=python(ticking)))
    site.serve()
    before = site.until_running()
    site.kill("agent", "keeper")
    site.kill("controller")
    log = next(iter((site.state / "logs/loud/0").glob("*.stdout")))
    size = log.stat().st_size
    eventually(lambda: log.stat().st_size > size + 50, told="it goes on writing")
    site.serve()
    assert site.until_running() == before
    assert site.run("stop", "mute", "loud", "--wait", "20").code == 0


def test_a_worker_that_deletes_what_it_stands_on_is_told_why_it_cannot_come_back(site: Installation) -> None:
    place = site.root / "beside/place"
    place.mkdir()
    site.add(
        "web", working_dir=str(place), restart_delay_ms=300, restart_backoff={"factor": 1}, max_restart_attempts=99
    )
    site.serve()
    pid = site.until_running("web")["web/0"]
    place.rmdir()
    for log in (site.state / "logs/web/0").iterdir():
        log.unlink()
    assert site.until_running("web")["web/0"] == pid
    os.kill(pid, signal.SIGKILL)
    reason = f"Cannot change to directory {place}: No such file or directory"
    assert event(site, "web", "spawn_failed")["message"] == reason
    eventually(lambda: reason in site.worker("web")["why"], told="why it does not come back")
    place.mkdir()
    site.until_running("web")
    assert len(site.journal("web/0").starts) == 2


def test_a_binary_that_is_replaced_under_a_worker_counts_from_its_next_start(site: Installation) -> None:
    path = site.root / "beside/tool"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", path)
    site.write("web.yaml", site.spec("web", command=[str(path), "1000"]))
    site.serve()
    pid = site.until_running("web")["web/0"]
    path.unlink()
    path.write_text("#!/bin/sh\necho new; exec sleep 1000\n")
    path.chmod(0o755)
    site.kill("agent")
    assert site.until_running("web")["web/0"] == pid
    assert site.run("restart", "web", "--wait", "20").code == 0
    eventually(lambda: site.run("logs", "web").out == "new\n", told="the new one speaks")


def test_a_worker_that_lives_a_little_longer_than_its_grace_gives_up_too(site: Installation) -> None:
    fast = {"restart_delay_ms": 100, "restart_backoff": {"factor": 1}, "max_restart_attempts": 3}
    site.add("web", "--exit=1", "--after=450", start_grace_ms=300, **fast)
    site.serve()
    assert "gave up after 3 restarts" in site.until_status("web", "error")["why"]
    assert len(site.journal("web/0").starts) == 4
    assert len(site.events("web", "became_running")) == 4


def test_last_words_without_a_line_end_are_kept_and_progress_bars_cost_little(site: Installation) -> None:
    code = "import os\nfor n in range(20000): os.write(1, b'\\r%d of 20000' % n)\nos.write(1, b'\\r\\nlast words')"
    site.write("web.yaml", site.spec("web", command=python(code)))
    site.serve()
    site.until_status("web", "stopped")
    lines = eventually(lambda: found if (found := stored(site, "web"))[-1:] == ["last words"] else None)
    text = "".join(lines[:-1])
    assert (text.startswith(("\r0 of 20000", "0 of 20000")), "19999 of 20000" in text) == (True, True)
    assert len(lines) < 100


def stored(site: Installation, worker_id: str) -> list[str]:
    answer = site.ask(f"/api/v1/workers/{worker_id}/logs?tail=1000", Accept="application/json")
    return [item["text"] for item in answer.body["items"]]
