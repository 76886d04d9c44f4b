"""Named places where a fault can be injected, wherever a kill between two lines would matter.

`failpoint("keeper.after_fork")` does nothing unless `WORKERCTL_FAIL` was set when this module was imported:

    WORKERCTL_FAIL="keeper.after_fork=kill;keeper.before_record=enospc@2;store.commit=sleep(0.5)"

Actions: `kill` (SIGKILL to this process), `exit` (at once, status 70), `raise` (OSError EIO), `enospc` (OSError
ENOSPC), `sleep(SECONDS)`, `drop` (the call returns True: the caller leaves its reply out). `@N` acts only at the
N-th hit in a process; `kill` and `exit` act at the first. `@once` acts once over all processes that share
`WORKERCTL_FAIL_LOG`, which is what a process that is started again with the same environment needs. With
`WORKERCTL_FAIL_LOG=FILE` each hit of any failpoint appends one line, `name pid`: a test can tell what was reached.

Any room may call this. A name starts with its room's prefix and stands at exactly one place in the tree; a test
checks both. The keeper's names are listed here with their meaning; the others are documented where they stand.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
from typing import NamedTuple

PREFIXES = ("agent.", "keeper.", "controller.", "store.", "sources.")

NAMES = (
    ("keeper.before_fork", "a spawn was read and found good; nothing exists yet"),
    ("keeper.after_fork", "the child waits on its pipe, unrecorded"),
    ("keeper.before_record", "its pid and start time are known in memory only"),
    ("keeper.record_written", "the temporary record is written, not yet renamed"),
    ("keeper.after_record", "the record is in place, the child still waits"),
    ("keeper.after_go", "the child was told to exec"),
    ("keeper.child_before_wait", "in the child: all is set up, it has not yet been told to go on"),
    ("keeper.child_before_exec", "in the child: after the go byte, before exec"),
    ("keeper.before_spawned_event", "exec is known to have succeeded; drop leaves the event out"),
    ("keeper.before_spawn_failed_event", "exec is known to have failed, the record is gone; drop leaves the event out"),
    ("keeper.before_exit_recorded", "a leader's exit is known in memory only"),
    ("keeper.before_exited_event", "the exit is recorded; drop leaves the event out"),
    ("keeper.before_group_empty_event", "no member is left; drop leaves the event out"),
    ("keeper.before_signal", "a signal was asked for and not yet sent"),
    ("keeper.after_signal", "the signal was sent"),
    ("keeper.before_member_kill", "the members of a group are known and not yet killed"),
    ("keeper.before_reap", "a reap was found good; record and zombie are there"),
    ("keeper.after_record_removed", "the record is gone, the zombie is there"),
    ("keeper.before_adopt", "the lock is held, no record has been read"),
    ("keeper.after_adopt", "all records are adopted, no agent runs"),
    ("keeper.before_agent_start", "the agent is about to be forked"),
    ("keeper.before_greeting", "the agent runs and has been told nothing"),
    ("keeper.before_frame_sent", "an event or the whole list is about to be written to the agent"),
    ("keeper.before_drain", "the agent is dead, what it had sent is unread"),
    ("keeper.before_renewal", "the agent has left, another build is about to be executed"),
    ("keeper.before_bye", "shutdown was asked for and no run is left"),
)

EXIT_STATUS = 70

_RULE = re.compile(
    r"(?P<name>[a-z0-9_.]+)=(?P<kind>kill|exit|raise|enospc|drop|sleep\((?P<seconds>[0-9]+(?:\.[0-9]+)?)\))"
    r"(?:@(?P<when>[1-9][0-9]*|once))?"
)


class Rule(NamedTuple):
    """What one failpoint does. `hit` 0: at every hit; `once`: at the first hit over all processes."""

    name: str
    kind: str
    seconds: float
    hit: int
    once: bool


def parse(text: str) -> dict[str, Rule]:
    """The rules of a `WORKERCTL_FAIL` value by name. Raises ValueError for what is no rule or no known name."""
    rules: dict[str, Rule] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        found = _RULE.fullmatch(part)
        if found is None:
            raise ValueError(
                f"WORKERCTL_FAIL: {part!r} is not NAME=kill|exit|raise|enospc|drop|sleep(S), then @N or @once"
            )
        name = found["name"]
        if not is_known(name):
            raise ValueError(f"WORKERCTL_FAIL: {name!r} is no failpoint; names start with {', '.join(PREFIXES)}")
        if name in rules:
            raise ValueError(f"WORKERCTL_FAIL: {name!r} is given twice")
        kind = found["kind"].partition("(")[0]
        when = found["when"] or ("1" if kind in ("kill", "exit") else "0")
        once = when == "once"
        rules[name] = Rule(name, kind, float(found["seconds"] or 0), 0 if once else int(when), once)
    return rules


def is_known(name: str) -> bool:
    """Whether `name` may be armed: the keeper's only when listed, others when they carry a room's prefix."""
    if name.startswith("keeper."):
        return any(name == known for known, _ in NAMES)
    return name.startswith(PREFIXES)


class Armed:
    """The rules of this process with their counters. Built once, at import, when the environment asks for it."""

    def __init__(self, rules: dict[str, Rule], log: str | None) -> None:
        self._rules = rules
        self._log = log
        self._hits: dict[str, int] = {}

    def hit(self, name: str) -> bool:
        """Log the hit and do what the rule says. True: the caller drops its reply."""
        if self._log is not None:
            self._append(f"{name} {os.getpid()}\n")
        rule = self._rules.get(name)
        if rule is None:
            return False
        count = self._hits[name] = self._hits.get(name, 0) + 1
        if (rule.hit and count != rule.hit) or (rule.once and not self._claim(name)):
            return False
        return _act(rule)

    def _append(self, line: str) -> None:
        assert self._log is not None
        descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _claim(self, name: str) -> bool:
        if self._log is None:
            raise ValueError(f"WORKERCTL_FAIL: {name}: @once needs WORKERCTL_FAIL_LOG")
        try:
            os.close(os.open(f"{self._log}.{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False
        return True


def _act(rule: Rule) -> bool:
    if rule.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif rule.kind == "exit":
        os._exit(EXIT_STATUS)
    elif rule.kind == "sleep":
        select.select([], [], [], rule.seconds)
    elif rule.kind == "drop":
        return True
    else:
        number = errno.ENOSPC if rule.kind == "enospc" else errno.EIO
        raise OSError(number, f"{os.strerror(number)} (failpoint {rule.name})")
    return False


def _from_environment() -> Armed | None:
    text = os.environ.get("WORKERCTL_FAIL", "")
    log = os.environ.get("WORKERCTL_FAIL_LOG") or None
    if not text and log is None:
        return None
    return Armed(parse(text), log)


_ARMED = _from_environment()


def failpoint(name: str) -> bool:
    """Do what `WORKERCTL_FAIL` says for `name`; nothing without it. True: the caller drops its reply."""
    if _ARMED is None:
        return False
    return _ARMED.hit(name)
