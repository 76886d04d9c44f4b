"""A kernel of our own for a test: user-mode Linux (Debian's `user-mode-linux`), a Linux that is an ordinary process.

It boots in two seconds without privileges, sees this host's files, read only, and has a cgroup v2 with every
controller, whatever the host has. `run` boots it, runs one program of ours in it as root with this very interpreter,
and returns the JSON that it left. Inside, /tmp and /run are empty and in memory; `/mnt` is the folder that comes back.

A `Machine` may be booted again: its folder and its disk (ext4, mounted by `vm_disk`) stay. When the program makes the
file /mnt/cut, the power goes that moment: what the machine had not written to its disk is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.e2e_processes import eventually

LINUX = "linux.uml"
REPOSITORY = str(Path(__file__).parents[2])
MEMORY_MB = 1024

# PID 1, which also reaps. What the tests need of /tmp is mounted again over the empty one.
_INIT = """#!/bin/sh
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/run LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs -o mode=755 run /run
mount -t hostfs back /mnt -o {back}
mount -t tmpfs -o mode=1777 tmp /tmp
for path in {under_tmp}; do
  mkdir -p "$path"
  mount -t hostfs -o ro,"$path" again "$path"
done
cd {repository}
PYTHONPATH={repository} {python} {program} >/mnt/output 2>&1
echo $? >/mnt/status
{python} -c "import ctypes; ctypes.CDLL(None).reboot(0x4321FEDC)"  # RB_POWER_OFF
"""


def missing() -> str:
    """Why no kernel can be booted here; empty where one can."""
    return "" if shutil.which(LINUX) else f"{LINUX} is not installed (Debian: apt-get install user-mode-linux)"


class Machine:
    """See the module. `disk_mb`: the size of its disk, none where 0; `text`: what its PID 1 does. To be closed."""

    def __init__(self, disk_mb: int = 0, text: str = _INIT) -> None:
        self._text = text
        self.folder = Path(tempfile.mkdtemp(prefix="we-vm-", dir="/tmp"))
        self.disk = self.folder / "disk" if disk_mb else None
        if self.disk is not None:
            with open(self.disk, "wb") as file:
                file.truncate(disk_mb << 20)
            make = ["/usr/sbin/mkfs.ext4", "-q", "-E", "lazy_itable_init=1", str(self.disk)]
            subprocess.run(make, check=True, stdin=subprocess.DEVNULL)

    def boot(self, program: str, patience_s: float, *arguments: str) -> dict[str, Any]:
        """Boot, run `program` (a file that writes /mnt/answer.json) and return its answer. Fails with all it said."""
        answer, cut = self.folder / "answer.json", self.folder / "cut"
        answer.unlink(missing_ok=True)
        cut.unlink(missing_ok=True)
        init = self.folder / "init"
        init.write_text(_init(self._text, self.folder, program, arguments))
        init.chmod(0o755)
        with open(self.folder / "console", "wb") as console:
            kernel = subprocess.Popen(
                _command(self.folder, self.disk), stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                start_new_session=True,
            )  # fmt: skip
            try:
                eventually(lambda: kernel.poll() is not None or cut.exists(), patience_s, told="the machine is off")
            except AssertionError as error:
                pytest.fail(f"{error}\n{self.said()}", pytrace=False)
            finally:
                # It holds each process of the machine in one of this host, in its own process group.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(kernel.pid, signal.SIGKILL)
                kernel.wait()
        if not answer.exists():
            pytest.fail(f"the machine gave no answer\n{self.said()}", pytrace=False)
        return dict(json.loads(answer.read_text()))

    def said(self) -> str:
        """What its program and its kernel wrote, the end of it."""
        paths = [path for name in ("output", "console") if (path := self.folder / name).exists()]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}" for path in paths)

    def close(self) -> None:
        """Take its folder away."""
        shutil.rmtree(self.folder)


def run(program: str, patience_s: float) -> dict[str, Any]:
    """One boot of a machine without a disk; see Machine.boot."""
    with contextlib.closing(Machine()) as machine:
        return machine.boot(program, patience_s)


def _init(text: str, back: Path, program: str, arguments: Sequence[str]) -> str:
    needed = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), REPOSITORY}
    return text.format(
        back=back,
        under_tmp=" ".join(shlex.quote(path) for path in sorted(needed) if path.startswith("/tmp/")),
        repository=shlex.quote(REPOSITORY),
        python=shlex.quote(sys.executable),
        program=shlex.join([program, *arguments]),
    )


def _command(back: Path, disk: Path | None) -> list[str]:
    """Its memory is a file, in memory where there is enough of it: a container's /dev/shm may be tiny."""
    in_memory = shutil.disk_usage("/dev/shm").free > 2 * MEMORY_MB << 20 if os.path.isdir("/dev/shm") else False
    folder = "/dev/shm" if in_memory else str(back)
    return [
        "/usr/bin/env", f"TMPDIR={folder}", LINUX, f"mem={MEMORY_MB}M", f"uml_dir={back}/", "quiet", "loglevel=4",
        "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={back}/init", "con=null", "con0=null,fd:1",
        "ssl=null", *([] if disk is None else [f"ubd0={disk}"]),
    ]  # fmt: skip
