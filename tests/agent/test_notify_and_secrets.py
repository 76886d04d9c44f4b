"""NOTIFY_SOCKET with real senders, and secrets from where they come to where they must not be."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent.notify import Notifications, Word, parse
from controller.agent.protocol import encode
from controller.agent.secret_values import FILE_LIMIT, BroughtSecrets, SecretError, read_files
from tests.agent.agent_builders import hook, probe, slot
from tests.agent.agent_site import Client, Site, eventually

SAY = """
import os, socket, sys
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
said.sendto(sys.argv[1].encode(), os.environ["NOTIFY_SOCKET"])
if len(sys.argv) > 2:
    sys.stdin.read(1) if sys.argv[2] == "wait" else None
    __import__("time").sleep(1000)
"""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def saying(text: str, **changes: Any) -> dict[str, Any]:
    return slot("web/0", argv=[sys.executable, "-c", SAY, text, "stay"], start_grace_ms=3_600_000, **changes)


def view(client: Client) -> dict[str, Any]:
    return client.views()["web/0"]


def test_ready_ends_starting_and_status_is_shown(site: Site) -> None:
    client = site.start()
    client.apply(saying("READY=1\nSTATUS=half \x1b[31mway\nWATCHDOG=1\nMAINPID=1"))
    found = eventually(lambda: (found := view(client))["status"] == "running" and found)
    assert (found["ready"], found["notify_status"]) == (True, "half  [31mway")


def test_a_grandchild_with_a_session_of_its_own_is_heard_and_a_stranger_is_not(site: Site) -> None:
    client = site.start()
    # The script waits for a file, then lets a grandchild speak out of another session.
    say = f"setsid {sys.executable} -c '{SAY}' READY=1 stay"
    script = f"until [ -e {site.root}/go ]; do sleep 0.02; done; ({say} &) ; exec sleep 1000"
    client.apply(slot("web/0", argv=["/bin/sh", "-c", script], start_grace_ms=3_600_000))
    pid = eventually(lambda: view(client)["pid"])
    path = notify_path(pid)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for _ in range(3):
            stranger.sendto(b"READY=1\nSTATUS=forged", path)
    refused = eventually(lambda: [e for e in client.events() if e["type"] == "notify_refused"])
    assert (refused[0]["data"]["pid"], view(client)["status"], view(client)["notify_status"]) == (
        os.getpid(),
        "starting",
        "",
    )
    Path(site.root, "go").touch()
    eventually(lambda: view(client)["status"] == "running")


def notify_path(pid: int) -> str:
    environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    [path] = [item.partition(b"=")[2].decode() for item in environ if item.startswith(b"NOTIFY_SOCKET=")]
    return path


def test_the_socket_is_there_again_after_the_death_of_the_agent_and_gone_with_the_run(site: Site) -> None:
    client = site.start()
    script = f"until [ -e {site.root}/go ]; do sleep 0.02; done; exec {sys.executable} -c '{SAY}' READY=1 stay"
    client.apply(slot("web/0", argv=["/bin/sh", "-c", script], start_grace_ms=3_600_000))
    path = notify_path(eventually(lambda: view(client)["pid"]))
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])
    Path(site.root, "go").touch()
    eventually(lambda: view(client)["ready"])
    client.apply(slot("web/0", 2, wanted="stopped"))
    eventually(lambda: view(client)["status"] == "stopped")
    assert not os.path.exists(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as another user")
def test_a_worker_of_another_user_can_speak_and_probe_hooks_and_home_are_that_users(site: Site) -> None:
    client = site.start()
    for folder in (site.root, site.run):
        os.chmod(folder, 0o711)
    out = Path(site.root, "out")
    out.mkdir()
    os.chmod(out, 0o777)
    note = ["/bin/sh", "-c", f'echo "$HOOK $(id -u) $HOME $USER" > {out}/$HOOK']
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        pytest.skip("no Python that another user could run")
    check = probe("readiness", "exec", argv=["/bin/sh", "-c", f"id -u > {out}/probe"], period_ms=50)
    client.apply(
        slot(
            "web/0", argv=[python, "-c", SAY, "READY=1\nSTATUS=mine", "stay"], user="nobody", start_grace_ms=3_600_000,
            hooks={"pre_start": hook(*note)}, probes=[check],
        )
    )  # fmt: skip
    eventually(lambda: (found := view(client))["notify_status"] == "mine" and found["ready"])
    nobody = pwd.getpwnam("nobody")
    assert (out / "pre_start").read_text() == f"pre_start {nobody.pw_uid} {nobody.pw_dir} nobody\n"
    assert (out / "probe").read_text() == f"{nobody.pw_uid}\n"
    assert os.stat(f"/proc/{view(client)['pid']}").st_uid == nobody.pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as another user")
def test_a_worker_of_another_user_can_speak_though_our_runtime_folder_is_closed_to_it(site: Site) -> None:
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        pytest.skip("no Python that another user could run")
    client = site.start()
    assert os.stat(site.run).st_mode & 0o077 == 0
    script = 'until [ -e "$GO" ]; do sleep 0.02; done; exec "$PYTHON" -c "$SAY" READY=1 stay'
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        env = {"GO": f"{open_to_all}/go", "PYTHON": python, "SAY": SAY}
        client.apply(slot("web/0", argv=["/bin/sh", "-c", script], user="nobody", env=env, start_grace_ms=3_600_000))
        path = notify_path(eventually(lambda: view(client)["pid"]))
        assert path.startswith("/run/workerctl/")
        assert [os.stat(folder).st_mode & 0o066 for folder in Path(path).parents[:2]] == [0, 0]
        site.kill(client.hello["agent_pid"])
        client = site.client(not_agent=client.hello["agent_pid"])
        eventually(lambda: os.path.exists(path))
        Path(open_to_all, "go").touch()
        eventually(lambda: view(client)["ready"])
    client.apply(slot("web/0", 2, wanted="stopped", user="nobody"))
    eventually(lambda: view(client)["status"] == "stopped")
    assert not os.path.exists(os.path.dirname(os.path.dirname(path)))


def test_where_no_socket_can_be_reached_it_is_said_and_the_worker_gets_none() -> None:
    told: list[tuple[str, str]] = []

    async def opened(runtime: str) -> tuple[str, str]:
        heard = Notifications(
            runtime, lambda _name: None, lambda *_: None, lambda kind, text, *_: told.append((kind, text)), "/dev/null"
        )
        try:
            return heard.open("web/0", 64_001), heard.failure
        finally:
            heard.close()

    with tempfile.TemporaryDirectory() as closed:
        runtime = f"{closed}/workerctl/x"
        text = "no NOTIFY_SOCKET for web/0: Not a directory"
        assert asyncio.run(opened(runtime)) == ("", text)
        assert told == [("notify_failed", text)]


def test_an_unknown_user_cannot_start_and_says_so(site: Site) -> None:
    client = site.start()
    client.apply(slot("web/0", user="no-such-user"))
    found = eventually(lambda: (found := view(client))["status"] == "error" and found)
    assert (found["reason"], found["message"]) == ("CannotStart", 'unknown user "no-such-user"')


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"READY=1", Word(True, None, False)),
        (b"STATUS=a\x00b\nSTOPPING=1\nnonsense", Word(False, "a b", True)),
        (b"STATUS=" + b"x" * 500, Word(False, "x" * 200, False)),
        (b"\xff\xfe", Word(False, None, False)),
        (b"WATCHDOG=1\nWATCHDOG_USEC=20000000", Word(False, None, False, beats=True, watchdog_ms=20_000)),
        (b"WATCHDOG=trigger\nWATCHDOG_USEC=1", Word(False, None, False, fails=True, watchdog_ms=1)),
        (b"WATCHDOG_USEC=18446744073709551615", Word(False, None, False, watchdog_ms=0)),
        (b"WATCHDOG_USEC=0", Word(False, None, False, watchdog_ms=0)),
        (b"WATCHDOG=2\nWATCHDOG_USEC=-5", Word(False, None, False)),
    ],
)
def test_a_message_in_words(data: bytes, word: Word) -> None:
    assert parse(data) == word


# --- secrets -----------------------------------------------------------------------------------------------------

SHOW = ["/bin/sh", "-c", 'echo "$TOKEN and $FILE"; exec sleep 1000']
VALUE, FROM_FILE = "s3cr3t-brought", "s3cr3t-from-file"


def secret_slot(site: Site, generation: int = 1, **changes: Any) -> dict[str, Any]:
    path = Path(site.root, "secret")
    if not path.exists():
        path.write_text(FROM_FILE + "\n")
    return slot("web/0", generation, argv=SHOW, secret_names=["TOKEN"], secret_files={"FILE": str(path)}, **changes)


def output(client: Client) -> str:
    run = view(client)["run"]
    client.call("read_log", run=run, stream="stdout", offset=0, limit=1000)
    return client.payload.decode()


def test_secrets_reach_the_process_and_nothing_else(site: Site) -> None:
    client = site.start()
    client.apply(secret_slot(site, secrets={"TOKEN": VALUE}))
    eventually(lambda: view(client)["status"] == "running")
    assert eventually(lambda: output(client) or None) == f"{VALUE} and {FROM_FILE}\n"
    told = encode({"events": client.events(), "pushes": client.pushes, "views": client.views()})
    assert b"s3cr3t" not in told
    for pid in (client.hello["agent_pid"], client.hello["keeper_pid"], view(client)["pid"]):
        assert b"s3cr3t" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    holding = [path for root in (site.root, site.run) for path in Path(root).rglob("*")
               if path.is_file() and b"s3cr3t" in path.read_bytes()]  # fmt: skip
    shown = {str(path.relative_to(path.parents[1])) for path in holding if path.name != "secret"}
    assert {name for name in shown if not name.startswith("0/")} <= {f"secrets/{name.split('/')[1]}" for name in shown}


def test_a_slot_without_its_values_rests_until_they_are_brought(site: Site) -> None:
    client = site.start()
    client.apply(secret_slot(site))
    found = eventually(lambda: (found := view(client))["reason"] == "SecretsMissing" and found)
    assert (found["status"], found["message"]) == (
        "stopped",
        "the value of TOKEN is not known here until a controller brings it",
    )
    assert client.apply(secret_slot(site, secrets={"TOKEN": VALUE}))[0]["ok"]
    eventually(lambda: view(client)["status"] == "running")


def test_values_survive_the_death_of_the_agent_on_a_tmpfs_and_go_with_the_slot(site: Site) -> None:
    client = site.start()
    client.apply(secret_slot(site, secrets={"TOKEN": VALUE}))
    eventually(lambda: view(client)["status"] == "running")
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])
    client.apply(secret_slot(site, 2, run_request=1))
    eventually(lambda: view(client)["run_number"] == 2 and view(client)["status"] == "running")
    assert eventually(lambda: output(client) or None) == f"{VALUE} and {FROM_FILE}\n"
    [kept] = Path(site.paths.runtime, "secrets").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    client.call("remove", epoch=client.epoch, slots=[{"slot": "web/0", "generation": 3}])
    eventually(lambda: not kept.exists())


def test_a_secret_file_that_cannot_be_read_is_a_failed_start_that_names_it(site: Site) -> None:
    client = site.start()
    client.apply(slot("web/0", secret_files={"FILE": f"{site.root}/missing"}))
    found = eventually(lambda: (found := view(client))["status"] == "error" and found)
    assert (found["reason"], found["message"]) == (
        "CannotStart",
        f"Cannot read secret FILE: {site.root}/missing: No such file or directory",
    )


@pytest.mark.parametrize("fault", ["link", "folder", "fifo", "large", "zero"])
def test_only_small_regular_files_are_secrets(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "secret"
    if fault == "link":
        path.symlink_to("/dev/zero")
    elif fault == "folder":
        path.mkdir()
    elif fault == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"x" * (FILE_LIMIT + 1) if fault == "large" else b"s3cr3t\0")
    with pytest.raises(SecretError, match=f"^Cannot read secret A: {path}") as refused:
        read_files({"A": str(path)})
    assert "s3cr3t" not in str(refused.value)


def test_one_newline_at_the_end_is_no_part_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"two\n\n")
    (tmp_path / "b").write_bytes(b"")
    assert read_files({"A": str(tmp_path / "a"), "B": str(tmp_path / "b")}) == {"A": "two\n", "B": ""}


def test_values_are_never_written_where_a_disk_keeps_them(tmp_path: Path) -> None:
    mount = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True)
    if mount.stdout.strip() in ("tmpfs", "ramfs"):
        pytest.skip("the temporary folder is no disk")
    brought = BroughtSecrets(str(tmp_path))
    brought.bring("web/0", {"A": "1"})
    assert (brought.values("web/0", {"secret_names": ["A"]}), os.listdir(tmp_path)) == ({"A": "1"}, [])
    assert BroughtSecrets(str(tmp_path)).missing("web/0", {"secret_names": ["A", "B"]}) == (
        "the value of A, B are not known here until a controller brings it"
    )
