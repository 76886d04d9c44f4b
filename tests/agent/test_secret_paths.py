"""Which links on the way to a secret are followed, and for whom."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.agent.preflight import check
from controller.agent.secret_values import SecretError, read_files
from tests.agent.agent_builders import launch

WORKER = 64_001
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as another user")


def read(path: Path, uid: int | None = WORKER) -> str:
    return read_files({"A": str(path)}, uid)["A"]


def kubernetes(mount: Path) -> Path:
    """A secret as Kubernetes mounts it: `db` -> `..data/db`, `..data` -> the newest folder; all may write, sticky."""
    mount.mkdir()
    mount.chmod(0o1777)
    for version in ("..2026_01", "..2026_02"):
        (mount / version).mkdir()
        (mount / version / "db").write_text(version)
    (mount / "..data").symlink_to("..2026_01")
    (mount / "db").symlink_to("..data/db")
    return mount / "db"


@pytest.mark.parametrize("uid", [None, pytest.param(WORKER, marks=only_root)])
def test_a_secret_that_is_mounted_by_kubernetes_is_read_and_its_rotation_too(tmp_path: Path, uid: int | None) -> None:
    path = kubernetes(tmp_path / "secrets")
    assert read(path, uid) == "..2026_01"
    (tmp_path / "new").symlink_to("..2026_02")
    (tmp_path / "new").rename(path.parent / "..data")
    assert read(path, uid) == "..2026_02"


@only_root
def test_links_that_only_root_can_turn_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("found\n")
    (tmp_path / "absolute").symlink_to(tmp_path / "below")
    (tmp_path / "relative").symlink_to("below/../absolute/./file")
    assert [read(tmp_path / name) for name in ("absolute/file", "relative", "below//file", "absolute/../relative")] == (
        ["found"] * 4
    )


def turned_by_the_worker(own: Path) -> Path:
    (own / "secret").symlink_to("/etc/shadow")
    os.lchown(own / "secret", WORKER, WORKER)
    return own / "secret"


def placed_in_the_folder_of_the_worker(own: Path) -> Path:
    (own / "secret").symlink_to("/etc/shadow")
    return own / "secret"


def turned_on_the_way(own: Path) -> Path:
    (own / "way").symlink_to("/etc")
    os.lchown(own / "way", WORKER, WORKER)
    return own / "way" / "shadow"


def a_second_name_of_another_file(own: Path) -> Path:
    (own.parent / "precious").write_text("s3cr3t")
    os.link(own.parent / "precious", own / "secret")
    return own / "secret"


@only_root
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (turned_by_the_worker, f"the link {{own}}/secret belongs to uid {WORKER}, who could turn it to any file"),
        (placed_in_the_folder_of_the_worker, "the link {own}/secret lies in a folder that others may change"),
        (turned_on_the_way, f"the link {{own}}/way belongs to uid {WORKER}, who could turn it to any file"),
        (a_second_name_of_another_file, "{own} can be changed by others, and the file there has a second name"),
    ],
)
def test_no_file_that_the_worker_could_choose_is_read_for_it(
    tmp_path: Path, prepare: Callable[[Path], Path], reason: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, WORKER, WORKER)
    path = prepare(own)
    with pytest.raises(SecretError) as refused:
        read(path)
    assert str(refused.value) == f"Cannot read secret A: {path}: {reason.format(own=own)}"
    assert read(path, None)  # for a worker of our own user nothing is gained by it


@only_root
def test_a_file_of_the_workers_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").write_text("mine")
    os.chown(tmp_path / "own", WORKER, WORKER)
    assert read(tmp_path / "own" / "file") == "mine"


@only_root
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("circle", "Too many levels of symbolic links"),
        ("dangling", "No such file or directory"),
        ("file/below", "Not a directory"),
        ("missing/file", "No such file or directory"),
    ],
)
def test_what_leads_nowhere_is_named(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("x")
    for uid in (None, WORKER):
        with pytest.raises(SecretError) as refused:
            read(tmp_path / name, uid)
        assert str(refused.value) == f"Cannot read secret A: {tmp_path / name}: {reason}"


@only_root
def test_reading_for_another_leaves_nothing_open(tmp_path: Path) -> None:
    path = kubernetes(tmp_path / "secrets")
    before = sorted(os.listdir("/proc/self/fd"))
    read(path)
    with pytest.raises(SecretError):
        read(tmp_path / "secrets")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_preflight_says_that_a_secret_cannot_be_read(tmp_path: Path) -> None:
    asked = launch(argv=["true"], working_dir=str(tmp_path), secret_files={"KEY": f"{tmp_path}/key"})
    base = {"PATH": "/usr/bin:/bin"}
    assert check(asked, base) == f"Cannot read secret KEY: {tmp_path}/key: No such file or directory"
    (tmp_path / "key").write_text("k")
    assert check(asked, base) == ""
