"""workerctl under the side-by-side harness of supervisors: how it is set up, changed, asked and ended there.

The harness (`peers.py --driver tests/bench/driver.py --systems workerctl,workerctl-files`) brings `systems.base`; it
runs with an interpreter that has workerctl installed, or `WORKERCTL_BENCH_PYTHON` names one. Two systems: changes by
the API, and changes by editing a file, which wait for the file to be settled. Nothing is switched off: figures are
sampled, lines go to the database, state is on the disk.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from http.client import HTTPConnection

    class NotInstalled(Exception):
        """The harness's own."""

    class UnixHTTP(HTTPConnection):
        """The harness's own."""

    class System:
        """What we use of the harness's interface."""

        host: Any
        main: Any
        dir: str

        def fresh_dir(self, *names: str) -> None: ...
        def write(self, path: str, text: str) -> None: ...
        def argv(self, worker: Any) -> list[str]: ...
        def env(self, worker: Any) -> dict[str, str]: ...
        def root_pid(self) -> int: ...

else:
    from systems.base import NotInstalled, System, UnixHTTP

RUN_FILE = re.compile(r"/logs/[^/]+/\d+/[0-9a-f]+\.(stdout|stderr)")


class Workerctl(System):
    """Changes by the API: `PUT` of one spec, `DELETE`."""

    name = "workerctl"
    runs = "workerctl serve on a directory with one spec per worker, API on a Unix socket; changes by the API"
    has_fast_restart = True
    default_restart, fastest_restart = "5 s, then doubling", "restart_delay_ms: 0"
    max_workers = 10_000
    leaves: ClassVar[frozenset[str]] = frozenset({"agent and keeper"})

    def install_check(self) -> str:
        """Its version."""
        self.python = os.environ.get("WORKERCTL_BENCH_PYTHON", sys.executable)
        text: str = self.host.run([self.python, "-m", "controller", "version"], check=False)[0]
        if "workerctl" not in text:
            raise NotInstalled(f"no workerctl in {self.python}")
        return text.split("\n", maxsplit=1)[0].strip()

    # --- the specs ---

    def write_config(self, workers: list[Any], options: Any) -> None:
        """One spec each."""
        self.fresh_dir("specs")
        shutil.rmtree(self.runtime, ignore_errors=True)
        os.makedirs(self.runtime, mode=0o700)
        self.options = options
        for worker in workers:
            self.write(f"specs/{worker.id}.yaml", self.spec(worker))

    def spec(self, worker: Any) -> str:
        """JSON is YAML. The log may keep all that the harness writes: it counts lines in the files."""
        fields = {
            "worker_id": worker.id,
            "command": self.argv(worker),
            "env": self.env(worker),
            "stop": {"grace_ms": round(self.options.grace * 1000)},
            "logs": {"max_bytes": 4 << 30},
        }
        if self.options.fast_restart:
            fields["restart_delay_ms"] = 0
            fields["max_restart_attempts"] = None
        return json.dumps(fields)

    # --- the program ---

    @property
    def api(self) -> str:
        """Its socket."""
        return f"{self.dir}/api.sock"

    def command(self, *arguments: str) -> list[str]:
        """One of ours."""
        return [self.python, "-m", "controller", *arguments]

    @property
    def runtime(self) -> str:
        """The folder for what is void after a reboot: on a tmpfs, as `/run` is on every host."""
        return f"/dev/shm/{os.path.basename(os.path.dirname(self.dir))}-{self.name}"

    def environment(self) -> dict[str, str]:
        """Of all of ours."""
        return {"XDG_RUNTIME_DIR": self.runtime, "WORKERCTL_SERVER": f"unix:{self.api}"}

    def start(self) -> None:
        """`serve`, as its user would."""
        serve = self.command("serve", f"{self.dir}/specs", "--state-dir", f"{self.dir}/state")
        command = [*serve, "--listen", f"unix:{self.api}"]
        self.main = self.host.spawn(command, env=self.environment(), out=f"{self.dir}/serve.log")

    def stop(self) -> None:
        """SIGTERM: all workers are stopped gracefully."""
        os.kill(self.main.pid, signal.SIGTERM)

    def kill9(self, leaves: bool) -> None:
        """`leaves`: agent and keeper as well, which is everything of ours."""
        for pid in self.host.own():
            if pid == self.root_pid() or leaves:
                os.kill(pid, signal.SIGKILL)

    # --- changes ---

    def ask(self, method: str, path: str, body: str | None = None) -> Any:
        """The answer. Raises RuntimeError for one that is an error."""
        connection = UnixHTTP(self.api)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def apply_change(self, worker: Any) -> None:
        """A new environment."""
        self.ask("PATCH", f"/api/v1/worker-configs/{worker.id}", json.dumps({"env": self.env(worker)}))

    def add_worker(self, worker: Any) -> None:
        """A new spec."""
        self.ask("POST", "/api/v1/worker-configs", self.spec(worker))

    def remove_worker(self, worker: Any) -> None:
        """Its spec goes."""
        self.ask("DELETE", f"/api/v1/worker-configs/{worker.id}")

    # --- what it says ---

    def status_cli(self) -> int:
        """How many `get` shows as running."""
        text: str = self.host.run(self.command("get"), env=self.environment())[0]
        return len(re.findall(r"\srunning\s", text))

    def status_api(self) -> int:
        """How many the list has as running."""
        count = 0
        cursor = ""
        while True:
            page: dict[str, Any] = self.ask("GET", f"/api/v1/workers?limit=1000{cursor}")
            count += len([item for item in page["items"] if item["status"] == "running"])
            if not page["next_cursor"]:
                return count
            cursor = f"&cursor={page['next_cursor']}"

    def log_files(self, worker_id: str) -> list[str]:
        """The files of all its runs."""
        return [path for path in glob.glob(f"{self.dir}/state/logs/{worker_id}/*/*") if RUN_FILE.search(path)]

    def exit_info(self, worker_id: str) -> str:
        """What is known of the last end."""
        exit_ = self.ask("GET", f"/api/v1/workers/{worker_id}/status").get("last_exit")
        return "-" if exit_ is None else json.dumps(exit_)

    def cleanup(self) -> None:
        """Nothing stays."""
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.runtime, ignore_errors=True)


class WorkerctlFiles(Workerctl):
    """Changes as a person or git makes them: a file is written, and believed once it rests."""

    name = "workerctl-files"
    runs = "the same; changes by editing spec files"

    def apply_change(self, worker: Any) -> None:
        """A new environment."""
        self.write(f"specs/{worker.id}.yaml", self.spec(worker))

    add_worker = apply_change

    def remove_worker(self, worker: Any) -> None:
        """Its spec goes."""
        os.unlink(f"{self.dir}/specs/{worker.id}.yaml")
