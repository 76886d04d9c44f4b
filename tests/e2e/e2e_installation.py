"""One installation of the program in a folder of its own: specs, state, runtime folder, address, and a bystander.

A test writes spec files, serves, asks over HTTP and with the real command line, kills what it likes, and looks at
/proc and at the canaries' journals. `close` ends everything that names the folder, by pid, and tells what the program
left behind after a graceful stop, what became of the bystander, and which slot ever had two processes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.e2e_processes import PATIENCE_S, Journal, Process, end, eventually, journal, process, processes_of

WORKERCTL = str(Path(sys.executable).with_name("workerctl"))
PYTHON = os.path.realpath(sys.executable)
CANARY = str(Path(__file__).with_name("canary.py"))
STOP_S = 40.0

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What a command said. `text` is both streams."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered. `body` is the parsed document, or the text where it is none."""

    status: int
    body: Any
    retry_after: str | None = None


class Installation:
    """See the module. `serve` may be called again after an end; all files stay."""

    def __init__(self, root: Path | None = None) -> None:
        """`root`: where it is to be, or has been before; a new folder where None."""
        self.root = Path(tempfile.mkdtemp(prefix="we-", dir="/tmp")) if root is None else root
        self.root.chmod(0o755)
        for name in ("specs", "slots", "run", "beside"):
            (self.root / name).mkdir(mode=0o700, exist_ok=True)
        self.specs, self.state, self.slots = self.root / "specs", self.root / "state", self.root / "slots"
        self.listen = f"127.0.0.1:{_free_port()}"
        self.ask_s = 20.0
        self.program = [WORKERCTL]
        self.controller: subprocess.Popen[bytes] | None = None
        self._serve_count = 0
        self._has_ended_well = False
        self._bystander = self._start_bystander()

    # --- specs ---

    def write(self, name: str, text: str) -> Path:
        """A spec file as an editor saves it: whole, by rename."""
        path = self.specs / name
        temporary = self.root / f"beside/{name}.tmp"
        temporary.write_text(text, "utf-8")
        temporary.rename(path)
        return path

    def spec(self, worker_id: str, *options: str, **fields: Any) -> str:
        """The text of a canary's spec; `options` are the canary's, `fields` the spec's. Quick by default."""
        quick = {"start_grace_ms": 200, "restart_delay_ms": 300, "stop": {"signal": "TERM", "grace_ms": 8000}}
        values = {"command": [PYTHON, "-I", "-S", CANARY, str(self.slots), *options], **quick, **fields}
        lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        return "\n".join([f"worker_id: {worker_id}", *lines, ""])

    def add(self, worker_id: str, *options: str, **fields: Any) -> Path:
        """Write WORKER_ID.yaml for a canary."""
        return self.write(f"{worker_id}.yaml", self.spec(worker_id, *options, **fields))

    # --- the controller ---

    def serve(self, *flags: str, ready: bool = True, **environment: str) -> subprocess.Popen[bytes]:
        """Start a controller; with `ready`, wait until it says so."""
        assert self.controller is None or self.controller.poll() is not None, "it runs already"
        self._has_ended_well = False
        self._serve_count += 1
        with open(self.root / f"serve.{self._serve_count}.log", "wb") as log:
            self.controller = subprocess.Popen(
                self.serve_command(*flags), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.root,
                env=self.environment(**environment), start_new_session=True,
            )  # fmt: skip
        if ready:
            eventually(self.is_ready, told="the controller is ready")
        return self.controller

    def serve_command(self, *flags: str) -> list[str]:
        fixed = [*self.program, "serve", str(self.specs), "--state-dir", str(self.state)]
        return [*fixed, *flags] if "--listen" in flags else [*fixed, "--listen", self.listen, *flags]

    def environment(self, **more: str) -> dict[str, str]:
        """Of all commands of this installation: nothing of the caller's but PATH."""
        own = {"HOME": str(self.root), "XDG_RUNTIME_DIR": str(self.root / "run"), "LANG": "C.UTF-8"}
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **own, **more}

    def is_ready(self) -> bool:
        if self.controller is not None and self.controller.poll() is not None:
            raise AssertionError(f"the controller ended with {self.controller.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("/readyz").status == 200
        return False

    def log(self) -> str:
        """All that the controllers printed, in order."""
        logs = [self.root / f"serve.{number}.log" for number in range(1, self._serve_count + 1)]
        return "".join(path.read_text(errors="replace") for path in logs)

    def tell(self, number: int = signal.SIGTERM) -> None:
        """A signal to the controller."""
        assert self.controller is not None
        os.kill(self.controller.pid, number)

    def stop(self, *, code: int = 0) -> None:
        """End the controller gracefully: it leaves with `code`, and nothing of it or its workers stays."""
        self.tell()
        self.ended(code=code)
        eventually(lambda: not self.leftovers(), 5, told=f"nothing is left of {self.leftovers()}")
        self._has_ended_well = True

    def ended(self, *, code: int = 0, patience_s: float = STOP_S) -> None:
        """Wait for the controller's own end."""
        assert self.controller is not None
        assert self.controller.wait(patience_s) == code

    # --- deaths ---

    def pid_of(self, role: str) -> int:
        """The pid of `controller`, `keeper` or `agent`."""
        if role == "controller":
            assert self.controller is not None
            return self.controller.pid
        return eventually(lambda: self._role(role), told=f"one {role} runs").pid

    def kill(self, *roles: str) -> None:
        """kill -9 of these, as close together as can be. A killed controller is waited for."""
        for pid in [self.pid_of(role) for role in roles]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if "controller" in roles:
            assert self.controller is not None
            self.controller.wait(10)

    def kill_worker(self, instance: str) -> int:
        """kill -9 of one instance's process; its pid."""
        pid = self.living()[instance]
        os.kill(pid, signal.SIGKILL)
        return pid

    def _role(self, role: str) -> Process | None:
        found = [one for one in self._ours() if f"controller.agent {role} {self.state}/agent" in one.command]
        return found[0] if len(found) == 1 else None

    # --- asking ---

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """One request. Header names are written with underscores."""
        host, _, port = self.listen.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=self.ask_s)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is not None:
                sent["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        retry_after = answer.getheader("Retry-After")
        return Answer(answer.status, json.loads(text) if is_json and text else text, retry_after)

    def workers(self) -> dict[str, Item]:
        """All workers by name."""
        return {item["worker_id"]: item for item in self.ask("/api/v1/workers").body["items"]}

    def worker(self, worker_id: str) -> Item:
        """One worker's status document."""
        answer = self.ask(f"/api/v1/workers/{worker_id}/status")
        assert answer.status == 200, answer
        return dict(answer.body)

    def pids(self, *worker_ids: str) -> dict[str, int]:
        """The pids that are shown, by instance."""
        return {
            instance["instance"]: instance["pid"]
            for worker_id, item in sorted(self.workers().items())
            for instance in item["instances"]
            if instance["pid"] is not None and (not worker_ids or worker_id in worker_ids)
        }

    def events(self, worker_id: str | None = None, *types: str) -> list[Item]:
        """The newest events, oldest first."""
        query = "".join(f"&type={name}" for name in types) + (f"&worker_id={worker_id}" if worker_id else "")
        return list(self.ask(f"/api/v1/events?limit=1000{query}").body["items"])

    def run(self, *arguments: str, patience_s: float = 60.0) -> Told:
        """The real command line."""
        done = subprocess.run(
            [*self.program, *arguments], capture_output=True, text=True, timeout=patience_s, check=False, cwd=self.root,
            env=self.environment(WORKERCTL_SERVER=f"http://{self.listen}"), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Told(done.returncode, done.stdout, done.stderr)

    def until_says(self, holds: Callable[[str], bool], *arguments: str) -> str:
        """Run a command until its output is as wanted; the output."""

        def said() -> str | None:
            told = self.run(*arguments)
            return told.out if told.code == 0 and holds(told.out) else None

        return eventually(said, told=f"{arguments} says so")

    def until_running(self, *worker_ids: str, patience_s: float = PATIENCE_S) -> dict[str, int]:
        """Wait until these (none: all) run with all their replicas and are alive; their pids."""

        def running() -> dict[str, int]:
            workers = self.workers()
            chosen = worker_ids or tuple(workers)
            if not chosen or any(workers.get(name, {}).get("status") != "running" for name in chosen):
                return {}
            found = {i["instance"]: i for name in chosen for i in workers[name]["instances"]}
            if any(instance["status"] != "running" or not instance["pid"] for instance in found.values()):
                return {}
            return {name: instance["pid"] for name, instance in found.items() if process(instance["pid"])}

        return eventually(running, patience_s, told=f"{worker_ids or 'all'} are running")

    def until_status(self, worker_id: str, status: str, patience_s: float = PATIENCE_S) -> Item:
        """Wait for one worker to be in `status`; its document."""

        def there() -> Item | None:
            answer = self.ask(f"/api/v1/workers/{worker_id}/status")
            return answer.body if answer.status == 200 and answer.body["status"] == status else None

        return eventually(there, patience_s, told=f"{worker_id} is {status}")

    # --- the truth ---

    def journal(self, instance: str) -> Journal:
        """What the canaries of `web/0` wrote."""
        return journal(self.slots / f"{instance.replace('/', '-')}.journal")

    def journals(self) -> dict[str, Journal]:
        """All of them, by instance."""
        paths = sorted(self.slots.glob("*.journal"))
        return {path.stem.rpartition("-")[0] + "/" + path.stem.rpartition("-")[2]: journal(path) for path in paths}

    def living(self) -> dict[str, int]:
        """The canaries that are alive, by instance, whatever the program says."""
        books = self.journals().items()
        return {instance: start.pid for instance, book in books for start in book.starts if start.is_alive}

    def until_reborn(self, instance: str, before: int, patience_s: float = PATIENCE_S) -> int:
        """Wait for another process of `instance` than `before`; its pid."""

        def other() -> int | None:
            pid = self.living().get(instance)
            return None if pid == before else pid

        return eventually(other, patience_s, told=f"{instance} has another process than {before}")

    def leftovers(self) -> list[str]:
        """What of the program and its workers is alive, the bystander not counted."""
        return [f"{one.pid} {one.command}" for one in self._ours()]

    def _ours(self) -> list[Process]:
        return [one for one in processes_of(str(self.root)) if one.pid != self._bystander.pid]

    def _start_bystander(self) -> subprocess.Popen[bytes]:
        environment = self.environment(WORKER_INSTANCE="beside/0", WORKER_ID="beside", WORKER_RUN="0" * 16)
        return subprocess.Popen(
            [PYTHON, "-I", "-S", CANARY, str(self.root / "beside")], env=environment, start_new_session=True
        )

    # --- the end ---

    def close(self) -> list[str]:
        """End everything, remove the folder, and return what must not be."""
        wrong: list[str] = []
        if self.controller is not None and self.controller.poll() is None:
            try:
                self.stop()
            except (AssertionError, subprocess.TimeoutExpired) as error:
                wrong.append(f"the graceful stop failed: {error}")
        if self._has_ended_well:
            wrong += [f"left behind: {left}" for left in self.leftovers()]
        wrong += [f"a bug was told: {line[:600]}" for line in self.log().splitlines() if "internal error" in line]
        wrong += [f"{name} had two processes" for name, book in self.journals().items() if book.doubles]
        book = journal(self.root / "beside/beside-0.journal")
        if book.signals or self._bystander.poll() is not None:
            wrong.append(f"the bystander was signalled: {book}")
        self._end_everything()
        return wrong

    def _end_everything(self) -> None:
        def all_dead() -> bool:
            left = processes_of(str(self.root))
            for one in left:
                end(one)
            for own in (self._bystander, self.controller):
                if own is not None:
                    own.poll()
            return not left

        eventually(all_dead, 15, told="everything of the test is dead")

    def story(self) -> str:
        """For a failed test: what everybody wrote."""
        parts = [f"--- serve\n{self.log()[-20000:]}"]
        for path in [
            self.state / "agent/keeper.log",
            self.state / "agent/agent.log",
            *sorted(self.slots.glob("*.journal"))[:30],
        ]:
            with contextlib.suppress(OSError):
                parts.append(f"--- {path}\n{path.read_text(errors='replace')[-6000:]}")
        return "\n".join(parts)

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.root)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
