"""The state directory: one owner, one name, whole files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controller.reconcile.state import StateError, open_state_dir, write_durably


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state"


def test_a_new_directory_is_ours_alone_and_keeps_its_name(path: Path) -> None:
    first = open_state_dir(path)
    assert path.stat().st_mode & 0o777 == 0o700
    assert re.fullmatch("[0-9a-f]{32}", first.realm_id)
    assert (path / "key").stat().st_mode & 0o777 == 0o600
    assert (len(first.key), first.agent_dir) == (32, path / "agent")
    assert {"intents", "last_good"} <= {entry.name for entry in path.iterdir()}
    first.close()
    second = open_state_dir(path)
    assert (second.realm_id, second.key) == (first.realm_id, first.key)
    second.close()


def test_a_second_controller_is_told_who_the_first_is(path: Path) -> None:
    first = open_state_dir(path)
    with pytest.raises(StateError, match=rf"another controller uses .*: pid {os.getpid()}, since \d{{4}}-"):
        open_state_dir(path)
    first.close()
    open_state_dir(path).close()


def test_a_second_controller_is_refused_though_the_lock_file_was_deleted(path: Path) -> None:
    first = open_state_dir(path)
    (path / "controller.lock").unlink()
    with pytest.raises(StateError, match=r"another controller uses .*controller\.lock was deleted"):
        open_state_dir(path)
    first.close()
    open_state_dir(path).close()


@pytest.mark.parametrize("damage", [None, b"", b"\0\0"])
@pytest.mark.parametrize("name", ["realm_id", "key"])
def test_realm_and_key_are_restored_from_their_copies(
    path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: bytes | None
) -> None:
    first = open_state_dir(path)
    first.close()
    (path / "agent").mkdir()
    (path / "agent/realm").write_text(first.realm_id)  # as the agent does
    (path / name).unlink() if damage is None else (path / name).write_bytes(damage)
    second = open_state_dir(path)
    second.close()
    assert (second.realm_id, second.key) == (first.realm_id, first.key)
    assert "restored from its copy" in caplog.text
    content = (path / name).read_bytes()
    assert content == (first.key if name == "key" else first.realm_id.encode())


def test_a_key_that_is_lost_for_good_is_made_anew_and_its_price_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = open_state_dir(path)
    first.close()
    assert caplog.text == ""
    (path / "agent").mkdir()
    for file in (path / "key", path / "last_good/key"):
        file.unlink()
    second = open_state_dir(path)
    second.close()
    assert second.key != first.key
    assert "the key was lost" in caplog.text
    assert (path / "last_good/key").read_bytes() == second.key


def test_the_lock_is_not_handed_on_to_what_is_started(path: Path) -> None:
    state = open_state_dir(path)
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    try:
        state.close()
        open_state_dir(path).close()
    finally:
        child.communicate()


def test_the_lock_dies_with_its_holder(path: Path) -> None:
    code = "import sys; from pathlib import Path; from controller.reconcile.state import open_state_dir\n"
    code += "open_state_dir(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(StateError, match=f"pid {holder.pid}"):
        open_state_dir(path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    open_state_dir(path).close()


def test_a_directory_that_others_may_write_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o770)
    with pytest.raises(StateError, match=f"run: chmod go-w {path}"):
        open_state_dir(path)


def test_a_file_in_its_place_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(StateError, match=r"cannot use state directory .*File exists"):
        open_state_dir(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
def test_a_directory_of_somebody_else_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    os.chown(path, 12345, -1)
    with pytest.raises(StateError, match="belongs to uid 12345"):
        open_state_dir(path)


@pytest.mark.parametrize(("name", "content"), [("realm_id", b""), ("realm_id", b"\xff" * 20), ("key", b"short")])
def test_a_damaged_identity_is_not_replaced_and_the_lock_is_free_again(path: Path, name: str, content: bytes) -> None:
    open_state_dir(path).close()
    (path / "last_good/key").unlink()
    good = (path / name).read_bytes()
    (path / name).write_bytes(content)
    with pytest.raises(StateError, match="is damaged; restore it from a backup"):
        open_state_dir(path)
    (path / name).write_bytes(good)
    open_state_dir(path).close()


def test_what_a_death_left_behind_is_removed_and_nothing_else(path: Path) -> None:
    open_state_dir(path).close()
    (path / ".realm_id.0a1b2c3d").write_text("half")
    (path / ".notes.txt").write_text("mine")
    (path / ".config.settings").mkdir()
    open_state_dir(path).close()
    assert {entry.name for entry in path.iterdir() if entry.name.startswith(".")} == {".notes.txt", ".config.settings"}


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"one")
    write_durably(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_durably(tmp_path / "folder", b"three")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("action", ["kill", "enospc"])
def test_a_death_before_the_rename_leaves_the_old_content(path: Path, action: str) -> None:
    state = open_state_dir(path)
    code = "import sys; from pathlib import Path; from controller.reconcile.state import write_durably\n"
    code += "write_durably(Path(sys.argv[1]), b'new')"
    write_durably(path / "file", b"old")
    fails = {**os.environ, "WORKERCTL_FAIL": f"controller.before_state_rename={action}"}
    done = subprocess.run([sys.executable, "-c", code, str(path / "file")], env=fails, check=False, capture_output=True)
    assert done.returncode != 0
    assert (path / "file").read_bytes() == b"old"
    state.close()
    open_state_dir(path).close()
    assert not list(path.glob(".file.*"))
