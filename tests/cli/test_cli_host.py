"""The verbs that need no controller: doctor, validate, help, serve's flags."""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import partial
from pathlib import Path

import pytest

from controller.cli import checks, topics
from controller.cli.checks import Check
from controller.cli.doctor import report
from controller.cli.errors import Exit
from tests.cli.cli_site import COLOUR, PLAIN, SCREEN, run, shown
from tests.fakes.api_server import FakeApi, refusal

UID = os.getuid()


def levels(*found: Check) -> list[str]:
    return [check.level for check in found]


def test_linux_must_be_recent_enough_for_pidfds() -> None:
    assert levels(
        checks.linux("Linux", "6.1.0-18-amd64"),
        checks.linux("Linux", "5.3.0"),
        checks.linux("Linux", "5.2.9"),
        checks.linux("Linux", "odd"),
        checks.linux("Darwin", "23.1"),
    ) == ["ok", "ok", "fail", "fail", "fail"]


def test_python_and_pidfd_are_looked_at() -> None:
    assert levels(checks.python((3, 11, 2)), checks.python((3, 10, 9)), checks.pidfd()) == ["ok", "fail", "ok"]


def test_a_user_has_a_name_or_a_warning() -> None:
    assert levels(checks.user(0), checks.user(4_000_000_000)) == ["ok", "warn"]


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:21 / /proc rw,nosuid shared:2 - proc proc rw,hidepid={}
24 22 0:22 / /run rw,nosuid shared:3 - tmpfs tmpfs rw
25 22 0:23 / /mnt/a\\040b rw - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(("hidden", "uid", "level"), [("0", 1000, "ok"), ("2", 1000, "warn"), ("2", 0, "ok")])
def test_hidden_processes_are_warned_of(hidden: str, uid: int, level: str) -> None:
    assert checks.processes(MOUNTS.format(hidden), uid).level == level


@pytest.mark.parametrize(
    ("path", "level"),
    [("/run/workerctl/x", "ok"), ("/running/x", "warn"), ("/tmp/x", "warn"), ("/mnt/a b/x", "ok")],
)
def test_the_runtime_directory_should_be_in_memory(path: str, level: str) -> None:
    assert checks.runtime_dir(path, MOUNTS).level == level
    assert checks.runtime_dir(path, "").level == "warn"


def test_low_limits_of_inotify_are_warned_of(tmp_path: Path) -> None:
    assert checks.inotify(tmp_path).level == "warn"
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("65536\n")
    assert checks.inotify(tmp_path).level == "ok"
    (tmp_path / "max_user_watches").write_text("100\n")
    assert "sysctl" in checks.inotify(tmp_path).advice


def test_the_state_directory_must_be_ours_and_ours_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert [check.level for check in checks.state_dir(state, UID)] == ["ok"]
    state.mkdir(mode=0o700)
    first, space = checks.state_dir(state, UID)
    assert (first.level, space.name) == ("ok", "free space")
    state.chmod(0o755)
    assert next(checks.state_dir(state, UID)).advice == f"chmod 700 {state}"
    assert next(checks.state_dir(state, UID + 1)).level == "fail"
    file = tmp_path / "file"
    file.touch()
    assert next(checks.state_dir(file, UID)).message == f"{file} is no directory"
    assert next(checks.state_dir(file / "below", UID)).level == "fail"


@pytest.mark.skipif(UID == 0, reason="root may write everywhere")
def test_a_state_directory_that_cannot_be_made_is_a_failure() -> None:
    assert next(checks.state_dir(Path("/proc/none"), UID)).level == "fail"


def test_an_agent_is_running_or_not_or_does_not_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.sock")
    assert checks.agent(path).message == "not running; serve starts it"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert checks.agent(path).message == "running"
    assert checks.agent(path).level == "warn"


def test_a_boot_entry_is_a_unit_of_the_system_or_the_user(tmp_path: Path) -> None:
    assert checks.boot_entry(tmp_path, tmp_path / "home").level == "warn"
    unit = tmp_path / "home/.config/systemd/user/workerctl.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    found = checks.boot_entry(tmp_path, tmp_path / "home")
    assert (found.level, found.advice) == ("warn", "systemctl --user enable workerctl.service")
    enable(unit, "default.target")
    assert checks.boot_entry(tmp_path, tmp_path / "home").message == "enabled: workerctl.service"


def test_the_units_that_come_with_it_are_to_be_enabled_both(tmp_path: Path) -> None:
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for name in ("workerctl-agent.service", "workerctl.service"):
        (folder / name).touch()
    look = partial(checks.boot_entry, tmp_path, tmp_path / "home")
    assert (look().level, look().advice) == ("warn", "systemctl enable workerctl-agent.service workerctl.service")
    enable(folder / "workerctl-agent.service", "multi-user.target")
    assert (look().level, look().advice) == ("warn", "systemctl enable workerctl.service")
    enable(folder / "workerctl.service", "multi-user.target")
    assert (look().level, look().message) == ("ok", "enabled: workerctl-agent.service, workerctl.service")


def enable(unit: Path, target: str) -> None:
    """What `systemctl enable` does."""
    wants = unit.parent / f"{target}.wants"
    wants.mkdir(exist_ok=True)
    (wants / unit.name).symlink_to(unit)


def test_the_limits_that_hold_are_those_of_the_running_agent(tmp_path: Path) -> None:
    lock = tmp_path / "agent.lock"
    assert checks.limits(lock).level == "warn"
    lock.write_text(f"{os.getpid()}\n".ljust(16))  # no agent: in no subtree of one
    found = checks.limits(lock)
    words = "nofile, nice can be enforced; memory_bytes, cpu, pids cannot: workers whose specs set them are held"
    assert (found.level, found.message) == ("ok", words)


def diagnosis(api: FakeApi, tmp_path: Path) -> tuple[int, dict[str, dict[str, str]]]:
    result = run(api, "doctor", "--state-dir", str(tmp_path / "state"), "-o", "json")
    return result.exit_code, {item["name"]: item for item in json.loads(result.stdout)["items"]}


def test_doctor_asks_everything_and_tells_of_the_controller(api: FakeApi, tmp_path: Path) -> None:
    api.ready = (200, {"ready": True, "waiting_for": [], "workers": 5, "problems": 1, "holds": 0})
    code, found = diagnosis(api, tmp_path)
    assert list(found) == [
        "system", "pidfd", "python", "user", "/proc", "inotify", "state directory", "database", "runtime directory",
        "agent", "controller", "boot",
    ]  # fmt: skip
    assert (code, found["controller"]["message"]) == (0, f"ready at {api.url}, 5 workers, 1 problem, 0 holds")


def test_doctor_fails_when_the_controller_is_not_ready(api: FakeApi, tmp_path: Path) -> None:
    api.ready = (503, {"ready": False, "waiting_for": ["the database is away"]})
    code, found = diagnosis(api, tmp_path)
    assert (code, found["controller"]["advice"]) == (Exit.FAILED, "the database is away")
    api.ready = (200, b"<html>")  # type: ignore[assignment]
    assert diagnosis(api, tmp_path)[1]["controller"]["level"] == "fail"


def test_doctor_only_warns_when_there_is_no_controller(tmp_path: Path) -> None:
    result = run(None, "doctor", "--server", "http://127.0.0.1:1", "--state-dir", str(tmp_path))
    assert "`workerctl serve specs` starts one" in result.stdout


def test_doctor_tells_of_settings_that_cannot_be_used(api: FakeApi, tmp_path: Path) -> None:
    result = run(api, "doctor", env={"WORKERCTL_CONFIG": str(tmp_path / "none.toml")})
    assert (result.exit_code, "none.toml does not exist" in result.stdout) == (Exit.FAILED, True)
    long = run(api, "doctor", "--state-dir", str(tmp_path), env={"XDG_RUNTIME_DIR": ""})
    assert "runtime directory" in long.stdout


def test_a_report_counts_and_wraps_its_advice() -> None:
    found = [
        Check(name="a", level="ok", message="fine"),
        Check(name="long name", level="warn", message="slow", advice="word " * 20),
        Check(name="b", level="fail", message="broken", advice="mend it"),
    ]
    lines = report(found, SCREEN)
    assert lines[0] == "✓ ok    a          fine"
    assert max(map(len, lines)) <= SCREEN.columns
    assert lines[-1] == "1 failure, 1 warning"
    assert report(found[:1], PLAIN) == ["ok      a  fine", "", "all is well"]
    assert report(found[:1], COLOUR)[0].startswith("\x1b[32m✓ ok  \x1b[0m")


def test_valid_specs_leave_with_0(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("worker_id: web\ncommand: [sleep, '1']\n")
    assert shown(None, "validate", str(tmp_path)) == "1 worker, all valid\n"
    assert json.loads(shown(None, "validate", str(tmp_path), "-o", "json")) == {
        "ok": True,
        "workers": ["web"],
        "problems": [],
    }


def test_a_spec_that_is_not_valid_leaves_with_2_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("worker_id: web\nreplica: 3\n")
    result = run(None, "validate", str(tmp_path))
    assert result.exit_code == Exit.USAGE
    assert result.stdout.startswith("web.yaml:2:1: ")
    assert "replicas" in result.stdout
    assert result.stderr == f"1 problem in {tmp_path}\n"
    document = json.loads(run(None, "validate", str(tmp_path), "-o", "json").stdout)
    assert (document["ok"], document["problems"][0]["line"]) == (False, 2)


def test_a_directory_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert run(None, "validate", str(tmp_path / "none")).exit_code == Exit.USAGE


def test_help_lists_topics_with_their_first_lines() -> None:
    text = shown(None, "help")
    assert "  cli " in text
    assert "The command line" in text
    assert "exit-codes" in text


def test_help_shows_a_topic_a_table_or_a_verb() -> None:
    assert shown(None, "help", "cli").startswith("# The command line\n")
    assert shown(None, "help", "cli.md") == shown(None, "help", "cli")
    assert "130  interrupted" in shown(None, "help", "exit-codes")
    assert shown(None, "help", "logs").startswith("Usage: workerctl logs [OPTIONS] [NAME]...\n")


def test_help_on_what_there_is_not_suggests_the_near_one() -> None:
    result = run(None, "help", "exit-code")
    assert (result.exit_code, 'Did you mean "exit-codes"?' in result.stderr) == (Exit.NOT_FOUND, True)


def test_a_topic_on_a_terminal_has_headings_and_code_in_colour() -> None:
    text = topics.styled("# Title\n\n## Part\nuse `get` here\n```\ncode\n```\n", COLOUR)
    assert text.splitlines() == [
        "\x1b[32m\x1b[1mTitle\x1b[0m",
        "",
        "\x1b[1mPart\x1b[0m",
        "use \x1b[36mget\x1b[0m here",
        "\x1b[2m```\x1b[0m",
        "\x1b[36mcode\x1b[0m",
        "\x1b[2m```\x1b[0m",
    ]
    assert topics.first_line("\n\n# A title\ntext") == "A title"
    assert topics.first_line("") == ""


@pytest.mark.parametrize(
    "arguments", [["--on-exit", "explode"], ["--stop-timeout", "soon"], ["--log-format", "xml"], ["a", "b"]]
)
def test_serve_refuses_flags_that_mean_nothing(arguments: list[str]) -> None:
    assert run(None, "serve", *arguments).exit_code == Exit.USAGE


def test_serve_refuses_settings_of_the_environment_that_mean_nothing() -> None:
    result = run(None, "serve", env={"WORKERCTL_STOP_TIMEOUT": "soon"})
    assert (result.exit_code, "WORKERCTL_STOP_TIMEOUT" in result.stderr) == (Exit.USAGE, True)


def test_a_refusal_of_the_controller_is_no_traceback(api: FakeApi) -> None:
    api.answers["GET", "/api/v1/plan"] = refusal(401, "this needs a token")
    result = run(api, "plan")
    assert (result.exit_code, result.stderr) == (
        Exit.NOT_AUTHORISED,
        "Error: Cannot get the plan: this needs a token\n",
    )


def test_the_interpreter_is_the_one_we_test() -> None:
    assert checks.python(sys.version_info[:3]).level == "ok"
