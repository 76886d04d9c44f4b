"""Mounts: which file systems the kernel reports from, and what is mounted over the specs while they are watched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from controller.sources.mounts import concerning, file_system_type, silent_type
from tests.sources.hint_listener import apart, needs_namespaces

NOBODY = 65534
MOUNTINFO = """\
22 1 0:20 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:30 / /srv rw - nfs4 server:/srv rw
31 30 0:31 / /srv/local\\040disk rw shared:1 - xfs /dev/sdb rw
32 22 0:32 / /cloud rw - fuse.sshfs host:/ rw
33 22 0:33 / /cover rw - ext4 /dev/sdc rw
34 33 0:34 / /cover rw - tmpfs tmpfs rw
35 22 0:35 / /mixed/specs/shared rw - cifs //server/x rw
36 22 0:36 / /windows rw - fuseblk /dev/sdd rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "found", "silent"),
    [
        ("/home/specs", "ext4", ""),
        ("/srvx/specs", "ext4", ""),
        ("/srv", "nfs4", "nfs4"),
        ("/srv/specs", "nfs4", "nfs4"),
        ("/srv/local disk/specs", "xfs", ""),
        ("/cloud/specs", "fuse.sshfs", "fuse.sshfs"),
        ("/cover/specs", "tmpfs", ""),
        ("/mixed/specs", "ext4", "cifs"),
        ("/mixed/specsx", "ext4", ""),
        ("/windows", "fuseblk", ""),
    ],
)
def test_network_file_systems_at_or_below_the_directory_do_not_report(path: str, found: str, silent: str) -> None:
    assert (file_system_type(path, MOUNTINFO), silent_type(path, MOUNTINFO)) == (found, silent)


def test_an_unknown_mount_is_watched() -> None:
    assert (file_system_type("/x", ""), silent_type("/x", "")) == ("", "")


def test_mounts_elsewhere_do_not_concern_a_directory() -> None:
    assert [mount.point for mount in concerning("/mixed/specs", MOUNTINFO)] == ["/", "/mixed/specs/shared"]


def test_the_table_of_this_machine_is_understood() -> None:
    table = Path("/proc/self/mountinfo").read_text()
    assert (file_system_type("/proc/self", table), silent_type("/proc/self", table)) == ("proc", "")


FUSE = """
import ctypes, os, sys
from controller.sources.mounts import file_system_type, silent_type
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b"remote", os.fsencode(sys.argv[1]), b"fuse.sshfs", 0, options) == 0, ctypes.get_errno()
table = open("/proc/self/mountinfo").read()
path = sys.argv[1] + "/specs"
print(file_system_type(path, table), silent_type(path, table))
"""


def test_a_real_fuse_mount_is_recognised(tmp_path: Path) -> None:
    """Nobody answers for this one: what lies there is asked of the table, never of the mount, which may hang."""
    needs_namespaces("--mount")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        assert not os.environ.get("CI"), "CI must have /dev/fuse"
        pytest.skip("no /dev/fuse here")
    (tmp_path / "cloud").mkdir()
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", FUSE, str(tmp_path / "cloud")],
        capture_output=True, text=True, check=False, timeout=30, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("fuse.sshfs fuse.sshfs\n", "")


def test_what_is_mounted_over_the_directory_or_in_it_is_a_hint_and_is_watched(tmp_path: Path) -> None:
    """Inotify alone would go on with the directory below it, and hear nothing any more."""
    needs_namespaces("--mount")
    root = tmp_path / "specs"
    (root / "team").mkdir(parents=True)
    with apart(root, "unshare", "--mount") as listener:
        listener.until("hint")
        listener.until_quiet()
        for place in (root, root / "team"):
            listener.hinted(f"mount -t tmpfs specs '{place}'")
            listener.hinted(f"echo x > '{place}/a.yaml'")
            listener.hinted(f"umount '{place}'")
            listener.hinted(f"echo x > '{place}/b.yaml'")


def test_mounts_elsewhere_are_no_hints(tmp_path: Path) -> None:
    needs_namespaces("--mount")
    for name in ("specs", "elsewhere"):
        (tmp_path / name).mkdir()
    with apart(tmp_path / "specs", "unshare", "--mount") as listener:
        listener.until("hint")
        listener.until_quiet()
        assert listener.do(f"mount -t tmpfs other '{tmp_path}/elsewhere'") == []


def test_a_directory_that_may_be_entered_again_is_a_hint_and_is_watched() -> None:
    """As a user for whom permissions count; who became it late, and may not see the table of mounts any more."""
    folder = Path(tempfile.mkdtemp())
    root = folder / "specs"
    (root / "team").mkdir(parents=True)
    uid = NOBODY if os.getuid() == 0 else None
    if uid is not None:
        for path in (folder, root, root / "team"):
            os.chown(path, uid, uid)
    try:
        with apart(root, uid=uid) as listener:
            listener.until("hint")
            listener.until_quiet()
            for place in (root, root / "team"):
                listener.hinted(f"chmod 0 '{place}'")
                listener.hinted(f"chmod 700 '{place}'")
                listener.hinted(f"echo x > '{place}/a.yaml'")
    finally:
        shutil.rmtree(folder)
