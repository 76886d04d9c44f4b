"""What can go wrong with a process, row by row: each row of the table is a fault that was thought of beforehand.

A row names the tests that prove it, wherever they stand; a test below checks that all of them are there. What no other
test proved stands here and in the two files beside this one.

C1   fork refused (EAGAIN, ENOMEM)
     test_a_fork_that_the_kernel_refuses_is_named_and_tried_again
     test_a_keeper_that_cannot_fork_says_so_and_starts_when_it_can
C2   exec refused
     test_each_failure_of_exec_is_named_exactly
     test_what_cannot_be_executed_is_named_and_never_shown_as_started
     test_an_executable_that_is_being_written_is_waited_for
C3   no descriptors left
     test_without_descriptors_the_agent_serves_on_and_starts_when_there_are_some
     test_without_descriptors_spawns_fail_and_the_rest_is_still_kept
C4   a thousand workers
     test_a_thousand_slots_in_one_request_all_run
     test_more_runs_than_descriptors_are_adopted_by_polling
C5   no room for logs
     test_a_run_whose_output_finds_no_room_is_tried_again
     test_supervision_goes_on_without_room_for_runtime_records_and_says_so
     test_a_flood_on_a_small_disk_goes_on_and_leaves_a_gap
D1   SIGTERM ignored
     test_a_stop_of_a_worker_that_ignores_term_takes_its_grace
     test_a_kill_tells_how_long_it_really_waited
D2   stopped by SIGSTOP
     test_a_lost_liveness_restarts_a_stopped_process_by_kill
     test_a_stopped_worker_can_be_stopped
D3   unkillable (D state)
     test_what_does_not_die_holds_its_slot_and_is_said_to
     test_what_cannot_be_killed_is_told_once_holds_its_slot_and_is_killed_more_and_more_seldom
D4   grandchildren are left
     test_children_of_a_crashed_worker_are_gone_before_the_next_one_starts
     test_what_is_left_of_a_run_may_stay_when_the_reap_is_forced
D5   double fork, a daemon
     test_a_worker_that_becomes_a_daemon_has_ended_and_its_daemon_is_ended_too
D6   setsid, another process group
     test_a_child_in_a_session_of_its_own_dies_with_its_worker
     test_a_polite_signal_reaches_who_left_the_process_group_and_the_session
D7   escape by re-parenting
     test_a_child_without_session_and_token_is_killed_with_the_adopted_run_that_it_descended_from
     test_a_child_without_session_token_and_parent_is_taken_for_a_stranger_and_lives
     test_a_kill_reaches_who_left_session_tree_and_environment
     test_a_daemon_without_session_parent_and_environment_goes_with_its_worker
D8   zombies, floods of orphans
     test_thousands_of_orphans_are_reaped_and_no_exit_is_taken_for_anothers
     test_a_worker_that_reaps_nobody_stops_like_any_other
D9   ends at once, again and again
     test_a_crash_loop_backs_off_and_ends_in_error_with_its_reason
     test_the_delay_doubles_while_runs_are_short_and_starts_anew_after_a_long_one
     test_a_slot_that_floods_is_folded_to_counts_and_others_are_not
D10  flaps just over its grace
     test_a_worker_that_lives_a_little_longer_than_its_grace_gives_up_too
D11  exit codes and policies
     test_what_follows_an_exit_depends_on_policy_and_cause
D12  fork bomb
     test_a_fork_bomb_at_the_limit_of_its_user_is_ended
     test_a_fork_bomb_disturbs_nobody_and_stops
     test_a_worker_at_its_limit_of_processes_forks_no_more_and_others_do
D13  memory over the limit
     test_who_takes_more_memory_than_its_limit_is_killed_and_only_then_out_of_memory_is_told
     test_an_out_of_memory_kill_is_believed_only_when_the_counter_grew_during_the_run
     test_an_out_of_memory_kill_needs_proof_and_a_stop_of_ours_is_none
D14  title, name and argv changed
     test_one_that_changes_its_name_and_has_a_huge_command_line_is_found
D15  deletes its directory, its log
     test_a_worker_that_deletes_what_it_stands_on_is_told_why_it_cannot_come_back
     test_a_binary_that_is_replaced_under_a_worker_counts_from_its_next_start
D16  closes its outputs; ours die
     test_output_goes_on_over_the_death_of_ours_and_closed_outputs_hurt_nobody
     test_lines_are_stored_once_and_in_order_over_repeated_deaths
D17  forged, late and double notifications
     test_a_grandchild_with_a_session_of_its_own_is_heard_and_a_stranger_is_not
     test_ready_ends_starting_and_status_is_shown
     test_what_a_run_says_of_itself_is_kept_until_it_ends
D18  edits while starting and stopping
     test_a_burst_of_edits_ends_at_the_last_one
     test_an_edit_that_is_taken_back_at_once_ends_at_the_old_revision
D19  scaled up, to nothing, and up
     test_scaling_up_down_and_up_ends_at_the_number_and_never_above
D20  dependencies
     test_a_circle_of_dependencies_is_refused_by_its_name
     test_a_dependency_that_is_never_ready_holds_its_dependents_and_says_why
     test_a_dependency_that_dies_takes_nobody_with_it
D21  pid reused
     test_a_pid_that_is_anothers_now_is_not_adopted
     test_who_got_the_pid_of_a_dead_worker_is_no_worker_and_is_not_signalled
     test_who_got_the_pid_of_an_adopted_worker_under_a_living_keeper_is_not_signalled_either
     test_fields_follow_the_last_parenthesis_whatever_the_command_is_called
D22  hook or probe hangs during a stop
     test_a_stop_of_everything_does_not_wait_for_a_hanging_hook
     test_an_exec_probe_that_hangs_is_killed_with_its_children_also_when_the_run_stops
     test_a_stop_while_a_hook_and_a_probe_hang_is_done_in_their_time
E4   last words, \\r, no newline
     test_last_words_without_a_line_end_are_kept_and_progress_bars_cost_little
     test_output_that_no_text_file_should_have_is_stored_readably
E5   the log file is swapped or deleted
     test_a_folder_that_is_swapped_for_a_link_leads_us_nowhere
     test_a_live_file_without_its_name_is_read_on_and_punched
     test_output_never_goes_through_a_link_or_to_a_file_that_is_there
K16  arguments that look like commands
     test_arguments_arrive_as_they_are_written
K21  links put in the way by a worker
     test_output_goes_to_no_place_that_a_worker_could_have_prepared
     test_nothing_of_ours_can_be_written_to
     test_no_file_that_the_worker_could_choose_is_read_for_it
K25  what a worker must not inherit
     test_a_worker_inherits_nothing_however_we_were_started
     test_a_worker_gets_three_descriptors_default_signals_and_its_own_session
     test_signals_have_their_default_action
K26  privileges given up
     test_a_worker_of_another_user_has_given_up_everything
     test_another_user_gets_exactly_its_ids_and_nothing_of_ours
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.e2e_installation import PYTHON, WORKERCTL, Installation, Item
from tests.e2e.e2e_processes import eventually, pause, process

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
ROWS = {f"C{n}" for n in range(1, 6)} | {f"D{n}" for n in range(1, 23)} | {"E4", "E5", "K16", "K21", "K25", "K26"}
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this to a process")


def test_every_row_names_tests_that_exist() -> None:
    assert __doc__ is not None
    rows = dict(re.findall(r"(?ms)^([A-Z]\d+) +(.*?)(?=^[A-Z]\d+ |\Z)", __doc__))
    named = {row: re.findall(r"\btest_\w+", text) for row, text in rows.items()}
    assert named.keys() == ROWS
    assert [row for row, tests in named.items() if not tests] == []
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert sorted({name for tests in named.values() for name in tests} - there) == []


# --- what cannot be started ---------------------------------------------------------------------------------------


def event(site: Installation, worker_id: str, kind: str) -> Item:
    """The newest event of a kind, once there is one."""
    return eventually(lambda: next(iter(site.events(worker_id, kind)[-1:]), None), told=f"{kind} of {worker_id}")


def tool(site: Installation, content: str | bytes, mode: int = 0o755) -> str:
    """A file that a spec names as its command."""
    path = site.root / "beside/tool"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return str(path)


REFUSED: dict[str, tuple[str | bytes, int, str]] = {
    "EACCES": ("#!/bin/sh\n", 0o644, "Cannot execute {tool}: Permission denied"),
    "ENOENT": ("#!/no/such/interpreter\n", 0o755, "{tool} is there, but the interpreter it names is not"),
    "ENOEXEC": (b"\x00\x01\x02", 0o755, "Cannot execute {tool}: Exec format error"),
}


@pytest.mark.parametrize("name", [*REFUSED, "missing", "E2BIG"])
def test_what_cannot_be_executed_is_named_and_never_shown_as_started(site: Installation, name: str) -> None:
    content, mode, message = REFUSED.get(name, ("#!/bin/sh\n", 0o755, ""))
    path = tool(site, content, mode)
    fields: dict[str, Any] = {"command": [path]}
    if name == "missing":
        fields, message = {"command": ["/no/such/command"]}, "Cannot execute /no/such/command: command not found"
    elif name == "E2BIG":
        fields, message = {"command": ["/bin/true"], "env": {"BIG": "x" * 200_000}}, "Argument list too long"
    site.add("calm")
    site.write("bad.yaml", site.spec("bad", **fields))
    site.serve()
    site.until_status("bad", "error")
    assert message.format(tool=path) in event(site, "bad", "spawn_failed")["message"]
    shown = site.run("status", "bad")
    assert (shown.code, message.format(tool=path) in " ".join(shown.out.split())) == (3, True), shown
    told = [entry["type"] for entry in site.events("bad")]
    assert {"started", "became_running", "restart_scheduled"} & set(told) == set(), told
    site.until_running("calm")


def test_an_executable_that_is_being_written_is_waited_for(site: Installation) -> None:
    path = tool(site, Path(shutil.which("sleep") or "/bin/sleep").read_bytes())
    site.write("web.yaml", site.spec("web", command=[path, "1000"], restart_delay_ms=100))
    with open(path, "ab"):
        site.serve()
        assert "Text file busy" in event(site, "web", "spawn_failed")["message"]
        assert "Text file busy" in site.until_status("web", "crashed")["why"]
    site.until_running("web")
    assert site.worker("web")["restart_count"] >= 1


@contextlib.contextmanager
def refused_forks(pid: int, name: str) -> Iterator[None]:
    """Every fork of the process fails with this error."""
    if shutil.which("strace") is None:
        assert not os.environ.get("CI"), "CI must have strace"
        pytest.skip("strace is not there")
    calls = "clone,clone3,fork,vfork"
    command = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject={calls}:error={name}", "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        try:
            eventually(lambda: f"TracerPid:\t{tracer.pid}\n" in Path(f"/proc/{pid}/status").read_text(), told="traced")
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)


@only_root
@pytest.mark.parametrize(("name", "words"), [("EAGAIN", "temporarily unavailable"), ("ENOMEM", "allocate memory")])
def test_a_fork_that_the_kernel_refuses_is_named_and_tried_again(site: Installation, name: str, words: str) -> None:
    site.add("calm")
    site.serve()
    before = site.until_running("calm")
    with refused_forks(site.pid_of("keeper"), name):
        site.add("web", restart_delay_ms=200, restart_backoff={"max_delay_ms": 500}, max_restart_attempts=1)
        assert words in event(site, "web", "spawn_failed")["message"]
        eventually(lambda: len(site.events("web", "spawn_failed")) > 2, told="tried again, and not counted")
        assert site.events("web", "started") == []
        assert words in site.worker("web")["why"]
    assert site.until_running("web", "calm")["calm/0"] == before["calm/0"]


@only_root
def test_without_descriptors_the_agent_serves_on_and_starts_when_there_are_some(site: Installation) -> None:
    site.add("calm")
    site.serve()
    before = site.until_running("calm")
    pids = [site.pid_of(role) for role in ("keeper", "agent")]
    limits = [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids]
    for pid, (_, hard) in zip(pids, limits, strict=True):
        used = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 2, hard))
    site.add("web", restart_delay_ms=200, restart_backoff={"max_delay_ms": 500})
    assert "Too many open files" in event(site, "web", "spawn_failed")["message"]
    spent = sum(map(cpu_s, pids))
    pause(3.0)
    assert sum(map(cpu_s, pids)) - spent < 1.0, "no busy loop"
    assert site.worker("calm")["status"] == "running"
    assert site.living() == before
    for pid, limit in zip(pids, limits, strict=True):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    assert site.until_running("web", "calm")["calm/0"] == before["calm/0"]


def cpu_s(pid: int) -> float:
    """The processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- what a worker gets -------------------------------------------------------------------------------------------

SHOW = r"""
import json, os, resource, signal, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by Python itself
try:
    os.open("/dev/tty", os.O_RDWR)
    tty = True
except OSError:
    tty = False
print(json.dumps({
    "argv": sys.argv[1:],
    "fds": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")),
    "stdin": os.readlink("/proc/self/fd/0"), "tty": tty, "umask": status["Umask"].strip(),
    "blocked": int(status["SigBlk"], 16),
    "ignored": [n for n in range(1, 32) if int(status["SigIgn"], 16) >> (n - 1) & 1 and n not in PYTHONS],
    "leads": os.getsid(0) == os.getpgid(0) == os.getpid(), "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "uids": status["Uid"].split(), "gids": status["Gid"].split(), "groups": status["Groups"].split(),
    "caps": [status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")],
    "no_new_privs": status["NoNewPrivs"].strip(), "oom": open("/proc/self/oom_score_adj").read().strip(),
    "env": dict(os.environ),
}), flush=True)
signal.pause()
"""


def shown(site: Installation, instance: str) -> Item:
    """What SHOW printed in the newest run of an instance."""
    folder = site.state / "logs" / instance

    def said() -> Item | None:
        newest = max(folder.glob("*.stdout"), key=lambda path: path.stat().st_mtime, default=None)
        text = "" if newest is None else newest.read_text()
        return json.loads(text) if text.endswith("\n") else None

    return eventually(said, told=f"{instance} has shown itself")


def shower(*arguments: str) -> list[str]:
    return [PYTHON, "-I", "-S", "-c", SHOW, *arguments]


ODD = [
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a\nb",
    "-rf",
    "--",
    "",
    "*",
    "~",
    "'\"\\",
    "a$$b",
    "ä €",
    "$HOME",
]


def test_arguments_arrive_as_they_are_written(site: Installation) -> None:
    site.add("web", command=shower(*ODD))
    site.serve()
    assert shown(site, "web/0")["argv"] == [word.replace("$$", "$") for word in ODD]
    assert list(site.root.rglob("pwned")) == []


# A program in a bad state of its own, which it hands on to what it starts.
SPOILT = """
import os, pty, resource, signal, sys
if os.fork():
    os._exit(0)
os.setsid()
controller, terminal = pty.openpty()
import fcntl, termios
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for number in (0, 7, 33):
    os.dup2(terminal, number, inheritable=True)
for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM})
os.umask(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_a_worker_inherits_nothing_however_we_were_started(site: Installation) -> None:
    site.add("web", command=shower())
    command = [PYTHON, "-I", "-S", "-c", SPOILT, WORKERCTL, "serve", str(site.specs), "--state-dir", str(site.state)]
    environment = site.environment(SECRET="hush", LD_LIBRARY_PATH="/x", WORKER_ID="another")
    with open(site.root / "serve.log", "wb") as log:
        subprocess.run(
            [*command, "--listen", site.listen], env=environment, stdout=log, stderr=log, check=True, timeout=30
        )
    eventually(site.is_ready, told="it serves")
    found = shown(site, "web/0")
    wanted = {"argv": [], "fds": [0, 1, 2], "stdin": "/dev/null", "tty": False, "umask": "0022", "blocked": 0,
              "ignored": [], "leads": True, "nofile": [200, 300]}  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert {"SECRET", "LD_LIBRARY_PATH"} & found["env"].keys() == set()
    assert found["env"]["WORKER_ID"] == "web"


@only_root
def test_a_worker_of_another_user_has_given_up_everything(site: Installation) -> None:
    nobody = pwd.getpwnam("nobody")
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        assert not os.environ.get("CI"), "CI must have a Python that everybody may run"
        pytest.skip("no Python that another user could run")
    site.specs.chmod(0o755)
    site.add("web", command=[python, "-I", "-S", "-c", SHOW], user="nobody", working_dir="/", umask="077")
    site.serve()
    found = shown(site, "web/0")
    groups = sorted({str(gid) for gid in os.getgrouplist("nobody", nobody.pw_gid)})
    uid, gid = str(nobody.pw_uid), str(nobody.pw_gid)
    assert (found["uids"], found["gids"], sorted(found["groups"])) == ([uid] * 4, [gid] * 4, groups)
    assert (found["caps"], found["no_new_privs"], found["umask"]) == (["0" * 16] * 4, "1", "0077")
    home = {name: found["env"][name] for name in ("HOME", "USER", "LOGNAME")}
    assert home == {"HOME": nobody.pw_dir, "USER": "nobody", "LOGNAME": "nobody"}
    pid = site.until_running("web")["web/0"]
    assert process(pid) is not None
    assert os.stat(f"/proc/{pid}").st_uid == nobody.pw_uid
