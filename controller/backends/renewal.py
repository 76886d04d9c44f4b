"""Before an agent is spoken to: is it of our build, and if not, may it become one. Used by doorstep.py.

A controller brings its own agent: the keeper replaces itself by exec, workers are not touched. Older and newer builds
are replaced alike, as long as ours can read the files of the one that runs. A controller whose own files were replaced
on the disk replaces nobody: what would be started is not it.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from controller.agent import build, protocol
from controller.backends.base import Unavailable

TRIES = 3
CHECK_S = 30.0

log = logging.getLogger("workerctl.agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What an agent is, or would be: version of the protocol, form of its files, fingerprint and place of its code."""

    version: int
    form: int
    fingerprint: str
    folder: str

    def __str__(self) -> str:
        return f"{self.fingerprint} in {self.folder} (protocol {self.version})"


class Replaced(Unavailable):
    """The agent is just becoming one of our build: ask again."""


class Step(Enum):
    """What to do about an agent."""

    GO_ON = "go on"
    RENEW = "renew"
    REFUSE = "refuse"


def own_build() -> Build:
    """Ours, as long as nobody has replaced the files since we were started."""
    return Build(version=protocol.VERSION, form=build.FORM, fingerprint=build.fingerprint(), folder=build.FOLDER)


def read_build(answer: Mapping[str, Any]) -> Build | None:
    """What an agent says of itself; None where it says nothing that we understand."""
    try:
        own, keeper = str(answer["build"]), str(answer.get("keeper_build") or "")
        return Build(
            version=int(answer["version"]),
            form=int(answer["form"]),
            fingerprint=own if keeper in ("", own) else f"{own} under a keeper {keeper}",
            folder=str(answer["folder"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def judge(agent: Build, own: Build, on_disk: str, tries: int) -> tuple[Step, str]:
    """What to do about an agent, and why. `on_disk`: the fingerprint of our files now; `tries` were in vain."""
    if (agent.fingerprint, agent.folder) == (own.fingerprint, own.folder):
        return Step.GO_ON, ""
    if agent.form > own.form:
        return Step.REFUSE, (
            f"the running agent, {agent}, writes its files in form {agent.form}, and this workerctl reads up to "
            f"{own.form}: use the version that started it or a later one"
        )
    if on_disk != own.fingerprint:
        reason = "workerctl was changed on the disk under this controller: restart it"
    elif tries < TRIES:
        return Step.RENEW, f"the agent becomes {own}; it was {agent}"
    else:
        reason = f"the agent stays {agent}, not {own}: keeper.log and agent.log in its state directory say why"
    if agent.version != own.version:
        return Step.REFUSE, f"{reason} (it speaks protocol {agent.version}, we {own.version})"
    return Step.GO_ON, reason


def check_program() -> str:
    """Why a keeper of ours could not even begin; empty where it could. Blocks for some 100 ms."""
    command = [sys.executable, "-I", "-c", "import controller.agent.keeper, controller.agent.supervisor"]
    try:
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=CHECK_S)
    except subprocess.CalledProcessError as error:
        return str(error.stderr.decode(errors="replace").strip()[-500:])
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""


class Renewal:
    """What was tried with one agent. `disk` tells the fingerprint of our files now."""

    def __init__(self, own: Build, disk: Callable[[], str] = build.fingerprint) -> None:
        self._own, self._disk = own, disk
        self._tries = 0
        self._said = ""

    def decide(self, agent: Build) -> bool:
        """Whether it is to be renewed now. Raises Unavailable where it is not for us to command."""
        own = self._own
        is_ours = (agent.fingerprint, agent.folder) == (own.fingerprint, own.folder)
        step, reason = judge(agent, own, own.fingerprint if is_ours else self._disk(), self._tries)
        if step is Step.REFUSE:
            raise Unavailable(reason)
        if step is Step.RENEW:
            self._tries += 1
        elif is_ours:
            self._tries = 0
        if reason and reason != self._said:
            log.log(logging.INFO if step is Step.RENEW else logging.WARNING, "%s", reason)
            self._said = reason
        return step == Step.RENEW

    def cannot(self, agent: Build, problem: str) -> None:
        """Ours does not even begin. Raises Unavailable where the one that runs cannot be spoken to."""
        reason = f"the agent stays {agent}: one of this build does not start: {problem}"
        if agent.version != self._own.version:
            raise Unavailable(reason)
        if reason != self._said:
            log.error("%s", reason)
            self._said = reason
