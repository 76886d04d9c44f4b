"""A specs directory in a real git work tree, with a person at work in it and, where wanted, a bare remote."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.core.authorship import SpecOutcome, SpecRefused, SpecWish, SpecWritten
from controller.core.config_views import shown_spec
from controller.sources.git_writes import Mode, writes
from controller.sources.writer import SpecWriter
from tests.sources.specs_builder import SpecsDirectory

needs_git = pytest.mark.skipif(
    shutil.which("git") is None and not os.environ.get("CI"), reason="git is not installed"
)  # fmt: skip

WEB = "# the front door\nworker_id: web\ncommand: [sleep, '60']  # forever\nreplicas: 1\n"


def environment(home: Path) -> dict[str, str]:
    """Of a person, and of the controller: nothing of the machine's own configuration of git."""
    own = {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    who = {f"GIT_{who}_{what}": "ann@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **own, **who}


class WorkingTree(SpecsDirectory):
    """Two workers, committed on main; the specs directory lies in the work tree."""

    def __init__(self, folder: Path, mode: Mode = "commit", *, empty: bool = False, objects: str = "sha1") -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        self.folder, self.mode = folder, mode
        self.now = 4_000_000_000.0
        self.git("init", "-q", "-b", "main", f"--object-format={objects}")
        (folder / ".gitignore").write_text("/state\n/home\n/remote.git\n/other\n")
        self.write("web.yaml", WEB)
        self.write("db.yaml", "worker_id: db\ncommand: [sleep, '60']\n")
        if not empty:
            self.save("two workers")
        self.open()

    def open(self) -> None:
        """A controller comes, or comes back."""
        self.start()
        self.writer = SpecWriter(
            self.source,
            shown=shown_spec,
            now=lambda: self.now,
            writes=writes(self.mode, str(self.root), environment(self.folder / "home")),
        )
        self.result()

    def git(self, *arguments: str, cwd: Path | None = None, code: int = 0, stdin: str = "") -> str:
        """What a person does."""
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.folder, env=environment(self.folder / "home"), input=stdin, text=True,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout.strip()

    def save(self, message: str, cwd: Path | None = None) -> None:
        """A person commits everything."""
        self.git("add", "-A", cwd=cwd)
        self.git("commit", "-q", "-m", message, cwd=cwd)

    def with_remote(self) -> WorkingTree:
        """Pushed to a bare remote, with a clone of a second person in `other`."""
        self.git("init", "-q", "--bare", "-b", "main", str(self.folder / "remote.git"))
        self.git("remote", "add", "origin", str(self.folder / "remote.git"))
        self.git("push", "-q", "-u", "origin", "main")
        self.git("clone", "-q", str(self.folder / "remote.git"), str(self.other))
        return self

    @property
    def other(self) -> Path:
        return self.folder / "other"

    def ask(
        self, action: Any, worker_id: str = "web", body: Mapping[str, Any] | None = None, **more: Any
    ) -> SpecOutcome:
        """What a client of the API does."""
        more = {"actor": "ann", "request_id": "r1", **more}
        return self.writer.write(SpecWish(action=action, worker_id=worker_id, body=body or {}, **more))

    def written(self, action: Any, worker_id: str = "web", body: Mapping[str, Any] | None = None) -> SpecWritten:
        outcome = self.ask(action, worker_id, body)
        assert isinstance(outcome, SpecWritten), outcome
        return outcome

    def refused(self, action: Any = "patch", worker_id: str = "web", body: Mapping[str, Any] | None = None) -> str:
        """Why; nothing has changed then, in no file and not in the repository."""
        before = self.everything()
        outcome = self.ask(action, worker_id, {"replicas": 2} if body is None and action == "patch" else body)
        assert isinstance(outcome, SpecRefused), outcome
        assert self.everything() == before
        return outcome.reason

    def everything(self) -> tuple[object, ...]:
        """All specs, all refs, and what git says of the work tree."""
        files = {path.name: path.read_bytes() for path in sorted(self.root.iterdir())}
        refs = self.git("for-each-ref", "--format=%(refname) %(objectname)")
        return files, refs, self.status(), (self.folder / ".git/HEAD").read_text()

    def status(self) -> str:
        return self.git("status", "--porcelain")

    def committed(self, name: str, ref: str = "HEAD") -> str:
        return self.git("show", f"{ref}:specs/{name}.yaml") + "\n"

    def leftovers(self) -> list[str]:
        """What a write must not leave in the git directory, and in the specs directory."""
        own = [path.name for path in (self.folder / ".git").iterdir() if path.name.startswith("workerctl.")]
        locks = [str(path) for path in (self.folder / ".git").rglob("*.lock") if path.name != "workerctl.lock"]
        hidden = [path.name for path in self.root.iterdir() if path.name.startswith(".")]
        return sorted({*own} - {"workerctl.lock"}) + locks + hidden
