"""A kernel of our own for a test: user-mode Linux (Debian's `user-mode-linux`), a Linux that is an ordinary process.

It boots in two seconds without privileges, sees this host's files, read only, and has a cgroup v2 with every
controller, whatever the host has. `run` boots it, runs one program of ours in it as root with this very interpreter,
and returns the JSON that it left. Inside, /tmp and /run are empty and in memory; `/mnt` is the folder that comes back.
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
from pathlib import Path
from typing import Any

import pytest

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


def run(program: str, patience_s: float) -> dict[str, Any]:
    """Boot, run `program` (a file that writes /mnt/answer.json) and return its answer. Fails with all that was said."""
    back = Path(tempfile.mkdtemp(prefix="we-vm-", dir="/tmp"))
    try:
        init = back / "init"
        init.write_text(_init(back, program))
        init.chmod(0o755)
        with open(back / "console", "wb") as console:
            kernel = subprocess.Popen(
                _command(back), stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
            try:
                kernel.wait(patience_s)
            finally:
                # It holds each process of the machine in one of this host, in its own process group.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(kernel.pid, signal.SIGKILL)
                kernel.wait()
        answer = back / "answer.json"
        if not answer.exists():
            pytest.fail(f"the machine gave no answer\n{_said(back)}", pytrace=False)
        return dict(json.loads(answer.read_text()))
    finally:
        shutil.rmtree(back)


def _init(back: Path, program: str) -> str:
    needed = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), REPOSITORY}
    return _INIT.format(
        back=back,
        under_tmp=" ".join(shlex.quote(path) for path in sorted(needed) if path.startswith("/tmp/")),
        repository=shlex.quote(REPOSITORY),
        python=shlex.quote(sys.executable),
        program=shlex.quote(program),
    )


def _command(back: Path) -> list[str]:
    """Its memory is a file, in memory where there is enough of it: a container's /dev/shm may be tiny."""
    in_memory = shutil.disk_usage("/dev/shm").free > 2 * MEMORY_MB << 20 if os.path.isdir("/dev/shm") else False
    folder = "/dev/shm" if in_memory else str(back)
    return [
        "/usr/bin/env", f"TMPDIR={folder}", LINUX, f"mem={MEMORY_MB}M", f"uml_dir={back}/", "quiet", "loglevel=4",
        "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", f"init={back}/init", "con=null", "con0=null,fd:1",
        "ssl=null",
    ]  # fmt: skip


def _said(back: Path) -> str:
    parts = []
    for name in ("output", "console"):
        path = back / name
        if path.exists():
            parts.append(f"--- {name}\n{path.read_text(errors='replace')[-6000:]}")
    return "\n".join(parts)
