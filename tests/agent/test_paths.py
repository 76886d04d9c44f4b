"""Where the agent's folders are, and which are refused."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent import procfs
from controller.agent.paths import AgentPaths, PathsError
from controller.agent.start import lock_holder, take_locks


@pytest.fixture
def root() -> Iterator[Path]:
    """Short and ours: a socket's path has little room."""
    with tempfile.TemporaryDirectory(prefix="wp-", dir="/tmp") as name:
        made = Path(name).resolve()
        (made / "run").mkdir(0o700)
        yield made


def paths(root: Path, **environ: str) -> AgentPaths:
    return AgentPaths(str(root / "state" / "agent"), environ or {"XDG_RUNTIME_DIR": str(root / "run")})


def test_all_folders_are_made_for_us_alone(root: Path) -> None:
    made = paths(root)
    made.prepare()
    made.prepare()
    for folder in (made.state, made.logs, made.runtime, made.runs, made.slots):
        assert (folder, stat.S_IMODE(os.stat(folder).st_mode)) == (folder, 0o700)
    assert Path(made.runtime).parent == root / "run" / "workerctl"
    assert (len(Path(made.runtime).name), Path(made.socket).parent) == (12, Path(made.runtime))


def test_the_runtime_folder_follows_the_state_folder_not_how_it_is_written(root: Path) -> None:
    (root / "other").symlink_to(root / "state")
    (root / "state").mkdir()
    environ = {"XDG_RUNTIME_DIR": str(root / "run")}
    assert AgentPaths(str(root / "other" / "." / "agent"), environ).runtime == paths(root).runtime


def test_a_session_folder_that_is_not_ours_alone_is_not_used(root: Path) -> None:
    (root / "run").chmod(0o777)
    base = "/run/workerctl" if os.geteuid() == 0 else f"/tmp/workerctl-{os.geteuid()}"
    assert str(Path(paths(root).runtime).parent) == base


@pytest.mark.parametrize("name", ["state", "state/agent", "state/logs", "run/workerctl"])
def test_a_symbolic_link_in_the_way_is_refused(root: Path, name: str) -> None:
    elsewhere = root / "elsewhere"
    elsewhere.mkdir(0o700)
    (root / name).parent.mkdir(0o700, exist_ok=True)
    (root / name).symlink_to(elsewhere)
    made = paths(root)
    if name == "state":
        made.prepare()  # the state folder itself may be a link: it is resolved once
        assert made.state == str(elsewhere / "agent")
        return
    with pytest.raises(PathsError, match="symbolic link"):
        made.prepare()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("name", ["state", "state/agent", "state/logs"])
def test_a_folder_that_others_may_write_to_is_refused(root: Path, name: str) -> None:
    (root / name).mkdir(0o700, parents=True)
    (root / name).chmod(0o770)
    with pytest.raises(PathsError, match=r"others may write to it \(mode 0770\)"):
        paths(root).prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(root: Path) -> None:
    (root / "state" / "agent").mkdir(0o700, parents=True)
    os.chown(root / "state" / "agent", 12345, -1)
    with pytest.raises(PathsError, match="it belongs to uid 12345, not to uid 0"):
        paths(root).prepare()


def test_a_socket_path_that_is_too_long_is_said_at_once(root: Path) -> None:
    deep = root / ("x" * 60)
    deep.mkdir(0o700)
    with pytest.raises(PathsError, match="100 bytes or more"):
        paths(root, XDG_RUNTIME_DIR=str(deep))


def test_the_published_runtime_folder_wins_over_the_environment(root: Path) -> None:
    first = paths(root)
    first.prepare()
    first.publish()
    (root / "run2").mkdir(0o700)
    assert paths(root, XDG_RUNTIME_DIR=str(root / "run2")).runtime == first.runtime


def test_a_copy_of_the_state_folder_has_a_runtime_folder_of_its_own_and_no_keeper(root: Path) -> None:
    first = paths(root)
    _, locks = take_locks(lambda: first, 1.0)
    first.publish()
    (root / "run2").mkdir(0o700)
    shutil.copytree(root / "state", root / "copy")
    copy = AgentPaths(str(root / "copy/agent"), {"XDG_RUNTIME_DIR": str(root / "run2")})
    assert (copy.runtime != first.runtime, copy.runtime.startswith(str(root / "run2"))) == (True, True)
    assert (lock_holder(copy), lock_holder(first)) == (None, procfs.Identity(os.getpid(), start_time()))
    (root / "state").rename(root / "moved")
    moved = AgentPaths(str(root / "moved/agent"), {"XDG_RUNTIME_DIR": str(root / "run2")})
    assert (moved.runtime, lock_holder(moved)) == (first.runtime, lock_holder(moved))
    for lock in locks:
        os.close(lock)


def start_time() -> int:
    found = procfs.start_time(os.getpid())
    assert found is not None
    return found


def test_a_second_keeper_is_kept_out_though_both_lock_files_are_gone(root: Path) -> None:
    first = paths(root)
    _, locks = take_locks(lambda: first, 1.0)
    shutil.rmtree(root / "state")
    shutil.rmtree(first.runtime)
    with pytest.raises(BlockingIOError):
        take_locks(lambda: paths(root), 0.1)
    for lock in locks:
        os.close(lock)
    _, locks = take_locks(lambda: paths(root), 1.0)
    for lock in locks:
        os.close(lock)


@pytest.mark.parametrize("content", ["", "{}", '{"boot_id": "another", "chain": ["/run", "x"]}', "[1]"])
def test_a_published_folder_of_another_boot_or_a_torn_one_is_void(root: Path, content: str) -> None:
    first = paths(root)
    first.prepare()
    Path(first.state, "runtime").write_text(content)
    assert paths(root).runtime == first.runtime
