"""Git as a subprocess that does what we ask and nothing that a repository asks of it.

Called by git_repository.py and git_upstream.py. No hook, no fsmonitor, no pager, no signing, no editor and no question
to a person; an environment of what git needs and no `GIT_*` of ours; a time limit. What reaches a remote is the user's
own configuration of git and ssh. Output is bytes; paths are literal.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile

LIMIT_S = 20.0
"""Local commands take milliseconds; a loaded machine or a slow disk takes longer."""
REMOTE_LIMIT_S = 30.0
_GRACE_S = 5.0
_LISTED = 5
_KEPT = (
    "PATH", "HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "GIT_ASKPASS",
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
)  # fmt: skip
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=all",
    "core.pager=cat",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "merge.autoStash=false",
    "merge.verifySignatures=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
)


class GitError(Exception):
    """Git said no: its last words, and what it wrote before. `timed_out`: it was ended by us."""

    def __init__(self, message: str, *, output: bytes = b"", timed_out: bool = False) -> None:
        super().__init__(message)
        self.output = output
        self.timed_out = timed_out


class Git:
    """Runs git in one folder."""

    def __init__(self, folder: str, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = _cleaned(environment)

    def text(self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> str:
        """What a local command prints, without its last line end. Raises GitError."""
        return os.fsdecode(self.run(arguments, stdin=stdin, extra=extra)).removesuffix("\n")

    def perhaps(self, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
        """The same, or an empty text where git finds nothing (it leaves with 1)."""
        try:
            return self.text(*arguments, extra=extra)
        except GitError as error:
            if error.timed_out or str(error):
                raise
            return ""

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
        limit_s: float = LIMIT_S,
    ) -> bytes:
        """What the command writes to standard output. Raises GitError with its last words, empty where it has none."""
        program = shutil.which("git", path=self._environment.get("PATH"))
        if program is None:
            raise GitError("git is not installed")
        settings = [part for setting in _CONFIG for part in ("-c", setting)]
        command = [program, "--no-pager", *settings, *arguments]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self._environment, **(extra or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(stdin, limit_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise GitError(f"git {arguments[0]} took more than {limit_s:g} seconds", timed_out=True) from None
        if process.returncode != 0:
            raise GitError(_last_words(errors), output=output)
        return output

    def config(self, name: str) -> str:
        """A value of the user's configuration, or an empty text."""
        return self.perhaps("config", "--get", name)

    def over_network(self) -> dict[str, str]:
        """What a command that reaches a remote has beside: ssh asks nobody."""
        if "GIT_SSH" in self._environment:
            return {}
        own = self._environment.get("GIT_SSH_COMMAND") or self.config("core.sshCommand") or "ssh"
        return {"GIT_SSH_COMMAND": f"{own} -o BatchMode=yes"}


def _cleaned(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: environment[name] for name in _KEPT if name in environment}
    return {
        "PATH": os.defpath,
        **kept,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_EDITOR": "false",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asked first: git takes its lock files away then."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_GRACE_S)
            return


def _last_words(errors: bytes) -> str:
    """What git died of, on one line. The files that it lists below a line that ends with a colon belong to it."""
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    telling = [place for place, line in enumerate(lines) if line.strip().startswith(("fatal:", "error:", "ssh:"))]
    if not lines:
        return ""
    place = telling[0] if telling else 0
    words = lines[place].strip().removeprefix("fatal: ").removeprefix("error: ")
    listed = [line.strip() for line in takewhile(lambda line: line.startswith("\t"), lines[place + 1 :])]
    shown = listed[:_LISTED] + (["..."] if len(listed) > _LISTED else [])
    return f"{words} {', '.join(shown)}" if words.endswith(":") and shown else words
