"""What the agent asks the keeper to run, checked before anything is forked; and how a failure of it is worded.

A request that passes can be handed to the kernel as it stands. A failure is a stage, an errno and a sentence.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any, NamedTuple, Optional

from . import cgroups, credentials

MAX_RUN_ID = 64

_RUN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_RUN_ID - 1}}}")
_SHOWN = 300

_VERBS = {
    "request": "Cannot read the request",
    "slot": "Cannot start",
    "fork": "Cannot fork",
    "record": "Cannot record the new process",
    "session": "Cannot start a new session",
    "stdin": "Cannot open /dev/null",
    "stdout": "Cannot open the output file {stdout}",
    "stderr": "Cannot open the error output file {stderr}",
    "descriptors": "Cannot close descriptors",
    "signals": "Cannot reset signals",
    "cgroup": "Cannot join the control group {cgroup}",
    "limits": "Cannot restore limits",
    "nofile": "Cannot set the limit of open files to {nofile}",
    "nice": "Cannot set nice to {nice}",
    "groups": "Cannot take the groups of user {uid}",
    "gid": "Cannot become group {gid}",
    "uid": "Cannot become user {uid}",
    "privileges": "Cannot give up all privileges as user {uid}",
    "cwd": "Cannot change to directory {cwd}",
    "exec": "Cannot execute {argv0}",
}


class SpawnError(Exception):
    """A run that never ran its command. `stage` is a word of `_VERBS`."""

    def __init__(self, stage: str, number: int, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.number = number
        self.message = message


class SpawnRequest(NamedTuple):
    """A checked `spawn`. Bytes are what the kernel gets: text was UTF-8 with escaped bytes, whatever the locale."""

    run: str
    slot: str
    argv: tuple[bytes, ...]
    env: dict[bytes, bytes]
    cwd: bytes
    umask: int
    stdout: bytes
    stderr: bytes
    credentials: Optional[credentials.Credentials] = None
    nofile: Optional[int] = None
    nice: Optional[int] = None
    cgroup: str = ""

    @classmethod
    def parse(cls, header: dict[str, Any]) -> SpawnRequest:
        """Raises SpawnError (stage request) for anything that could not be executed as it stands."""
        try:
            run, slot, umask = header["run"], header["slot"], header["umask"]
            argv = tuple(map(_bytes, header["argv"]))
            env = {_bytes(name): _bytes(value) for name, value in header["env"].items()}
            cwd, stdout, stderr = (_bytes(header[name]) for name in ("cwd", "stdout", "stderr"))
            good = (
                argv
                and argv[0]
                and isinstance(slot, str)
                and type(umask) is int
                and 0 <= umask <= 0o777
                and is_run_id(run)
            )
            good = good and all(path.startswith(b"/") for path in (cwd, stdout, stderr))
            good = good and not any(b"=" in name or not name for name in env)
            more = _optional(header, run)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise failure("request", errno.EINVAL, f"{type(error).__name__} {error}") from None
        if not good:
            raise failure("request", errno.EINVAL, "a field is empty, not absolute or out of range")
        # The token by which stray descendants are known is ours to set.
        env[b"WORKER_RUN"] = run.encode()
        return cls(run, slot, argv, env, cwd, umask, stdout, stderr, *more)


def is_run_id(text: object) -> bool:
    """Whether it may name a run: it becomes a file name and a variable's value."""
    return isinstance(text, str) and _RUN_ID.fullmatch(text) is not None


def failure(stage: str, number: int, detail: str = "", **names: object) -> SpawnError:
    """A SpawnError whose message says what could not be done and why."""
    # A command may be megabytes long; what says that it failed need not be.
    shown = {name: str(value)[:_SHOWN] for name, value in names.items()}
    verb = _VERBS.get(stage, f"Cannot pass step {stage}").format_map(_Named(shown))
    return SpawnError(stage, number, f"{verb}: {detail or os.strerror(number)}")


class _Named(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return key


def _bytes(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError("holds a zero byte")
    return data


def _optional(header: dict[str, Any], run: str) -> tuple[Optional[credentials.Credentials], Any, Any, str]:
    """The fields that may be left out: credentials, nofile, nice, and the run's own control group."""
    who = None
    if header.get("uid") is not None:
        who = credentials.checked(header["uid"], header["gid"], header.get("groups") or ())
    nofile = (header.get("rlimits") or {}).get("nofile")
    nice, slot_group = header.get("nice"), header.get("cgroup")
    if nofile is not None and (type(nofile) is not int or not 0 < nofile < 2**31):
        raise ValueError("rlimits: nofile is out of range")
    if nice is not None and (type(nice) is not int or not -20 <= nice <= 19):
        raise ValueError("nice is out of range")
    if slot_group is not None and not (isinstance(slot_group, str) and slot_group.startswith("/")):
        raise ValueError("cgroup is no absolute path")
    return who, nofile, nice, cgroups.leaf(slot_group, run) if slot_group else ""
