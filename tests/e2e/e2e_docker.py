"""A Docker engine of a test's own: its daemon, socket and data live in one folder, and go with it. No network.

`base_image` makes an image from this host's own Python and the few programs that an image must have, so nothing is
fetched for it; what pip needs is put beside the build.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.e2e.e2e_processes import eventually

BASE = "workerctl-test-base"
PROGRAMS = ("sh", "mkdir", "chown", "chmod", "sleep")
DAEMON = "/usr/sbin/dockerd"
COMMAND_S = 600


def missing() -> str:
    """Why there is no engine to be had here; empty where there is."""
    if os.geteuid() != 0:
        return "only root starts a Docker daemon"
    if not os.access(DAEMON, os.X_OK) or not shutil.which("docker"):
        return "Docker is not installed (Debian: apt-get install docker.io)"
    return ""


class Engine:
    """See the module. To be closed."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="we-docker-", dir="/tmp"))
        self.host = f"unix://{self.folder}/docker.sock"
        command = [
            DAEMON, "--host", self.host, "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec",
            "--pidfile", f"{self.folder}/pid", "--config-file", f"{self.folder}/none.json", "--bridge=none",
            "--iptables=false", "--ip6tables=false",
        ]  # fmt: skip
        (self.folder / "none.json").write_text("{}")
        self._containers: list[str] = []
        with open(self.folder / "log", "wb") as log:
            self._daemon = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        try:
            eventually(self._answers, 120, told="the daemon answers")
        except AssertionError as error:
            story = self.log()
            self.close()
            raise AssertionError(f"{error}\n{story}") from None

    def _answers(self) -> bool:
        assert self._daemon.poll() is None, f"the daemon ended with {self._daemon.returncode}"
        return self._try("version").returncode == 0

    def log(self) -> str:
        """The end of what the daemon wrote."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def __call__(self, *arguments: str) -> str:
        """One command of docker; what it printed. AssertionError where it failed."""
        done = self._try(*arguments)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout.strip()

    def run(self, *arguments: str) -> str:
        """A container in the background, without a network; its id."""
        self._containers.append(self("run", "--detach", "--network=none", *arguments))
        return self._containers[-1]

    def output(self, container: str) -> str:
        """The end of what a container has printed."""
        done = self._try("logs", "--tail=50", container)
        return done.stdout + done.stderr

    def _try(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # The classic builder is in every engine; the newer one is a plug-in that Debian does not have.
        environment = {"PATH": os.environ["PATH"], "DOCKER_BUILDKIT": "0", "HOME": str(self.folder)}
        return subprocess.run(
            ["docker", "--host", self.host, *arguments], capture_output=True, text=True, timeout=COMMAND_S, check=False,
            env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def base_image(self) -> str:
        """An image with a Python, as those of python:* have it."""
        path = self.folder / "base.tar"
        with tarfile.open(path, "w") as tar:
            _add_files(tar, _base_files())
        self("import", str(path), BASE)
        path.unlink()
        return BASE

    def close(self) -> None:
        """All containers, the daemon, its mounts and its files go."""
        for container in self._containers:
            self._try("rm", "--force", "--volumes", container)
        self._daemon.send_signal(signal.SIGTERM)
        try:
            self._daemon.wait(30)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._daemon.pid, signal.SIGKILL)
            self._daemon.wait()
        mounts = re.findall(rf" ({re.escape(str(self.folder))}\S*) ", Path("/proc/self/mountinfo").read_text())
        for mount in sorted(mounts, reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder)


def _base_files() -> set[Path]:
    python = Path(os.path.realpath(sys.executable))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    standard = Path(sys.base_prefix) / "lib" / version
    binaries = {python, *(Path(shutil.which(name) or name) for name in PROGRAMS)}
    found = {path for path in standard.rglob("*") if not _is_needless(path.relative_to(standard).parts)}
    binaries |= {path for path in found if path.suffix == ".so"}
    # What comes as wheels leans on libraries of the system, too.
    compiled = {path for name in ("pydantic_core", "aiohttp") for path in _folder_of(name).rglob("*.so")}
    return found | binaries | _libraries(binaries | compiled)


def _folder_of(module: str) -> Path:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _place_of_packages() -> Path:
    """Where the base's Python looks for what belongs to it."""
    debian = Path("/usr/lib/python3/dist-packages")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    is_debian = sys.base_prefix == "/usr" and debian.is_dir()
    return debian if is_debian else Path(sys.base_prefix) / "lib" / version / "site-packages"


def _is_needless(parts: tuple[str, ...]) -> bool:
    needless = {"__pycache__", "test", "tests", "site-packages", "dist-packages", "idlelib", "tkinter", "lib2to3"}
    return bool(needless & set(parts)) or parts[0].startswith("config-")


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    """What the dynamic linker would load for them, itself included."""
    done = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    return {Path(path) for path in re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout)}


def _add_files(tar: tarfile.TarFile, files: set[Path]) -> None:
    """Each under its own name, links as what they lead to; and what every system has."""
    for path in sorted({Path(os.path.realpath(path.parent), path.name) for path in files if path.is_file()}):
        info = tar.gettarinfo(os.path.realpath(path), arcname=str(path).lstrip("/"))
        info.mode |= 0o444
        with open(path, "rb") as content:
            tar.addfile(info, content)
    pip = _folder_of("pip")
    tar.add(pip, f"{_place_of_packages()}/pip".lstrip("/"), filter=lambda info: None if ".pyc" in info.name else info)
    for name in ("bin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            _add_link(tar, name, f"usr/{name}")
    for name, mode in {"tmp": 0o1777, "root": 0o755, "etc": 0o755, "proc": 0o555, "dev": 0o755, "run": 0o755}.items():
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, mode
        tar.addfile(folder)
    _add_link(tar, "usr/local/bin/python3", os.path.realpath(sys.executable))


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    tar.addfile(link)
