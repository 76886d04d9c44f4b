"""What programs inside a machine of e2e_vm have in common: disk, loopback, the moment the power goes."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any, NoReturn

MNT = Path("/mnt")


def mounted(folder: Path) -> Path:
    """The disk, at `folder`; what lies on it stays over boots."""
    node = "/run/disk"
    os.mknod(node, 0o600 | 0o060000, os.makedev(98, 0))
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "ext4", node, str(folder)], check=True)
    return folder


def loopback() -> None:
    """127.0.0.1 is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x43))  # SIOCSIFFLAGS: up, running


def kept() -> None:
    """What was written to /mnt so far is there whatever happens; nothing of the disk is written for it."""
    descriptor = os.open(MNT, os.O_RDONLY)
    try:
        assert ctypes.CDLL(None, use_errno=True).syncfs(descriptor) == 0
    finally:
        os.close(descriptor)


def answered(answer: dict[str, Any]) -> None:
    """For the test, which reads it when the machine is off."""
    (MNT / "answer.json").write_text(json.dumps(answer))


def power_cut(answer: dict[str, Any]) -> NoReturn:
    """Answer; then nothing runs any more, and what had not reached the disk is lost."""
    answered(answer)
    kept()
    (MNT / "cut").touch()
    while True:
        select.select([], [], [], 60)
