"""`workerctl doctor`: is this host fit, is the state directory sound, is a controller there. One line per question."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from controller.cli import checks
from controller.cli.agent_build import agent_build
from controller.cli.checks import Check
from controller.cli.client import Address, Client
from controller.cli.common import echo_json, echo_lines, examples, output_option, server_address, server_option
from controller.cli.database_check import database
from controller.cli.errors import CliError, Exit
from controller.cli.human import count
from controller.cli.table import hanging
from controller.cli.terminal import Terminal, one_line, pad, terminal

_LOOK = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command(
    epilog=examples(
        ("workerctl doctor", "one line per check, with what to do"),
        ("workerctl doctor --state-dir /srv/workerctl", "for another state directory"),
        ("workerctl doctor -o json", "for programs; leaves with 1 when a check fails"),
    )
)
@click.option("--state-dir", metavar="DIR", help="The state directory.  [default: as for serve]")
@output_option("text", "json", default="text")
@server_option
def doctor(state_dir: str | None, output: str) -> None:
    """Check this host, the state directory, the controller."""
    found = list(_all(state_dir, server_address()))
    if output == "json":
        keys = ("name", "level", "message", "advice")
        echo_json({"items": [{key: getattr(check, key) for key in keys} for check in found]})
    else:
        echo_lines(report(found, terminal()))
    click.get_current_context().exit(Exit.FAILED if any(check.level == "fail" for check in found) else Exit.OK)


def report(found: list[Check], screen: Terminal) -> list[str]:
    """`ok    name   message` lines, advice beneath, a last line that counts."""
    width = max(len(check.name) for check in found)
    lines = []
    for check in found:
        sign, colour = _LOOK[check.level]
        level = f"{screen.sign(sign, '')} {check.level}" if screen.tty else check.level
        indent = " " * (width + 10)
        first, *more = hanging(one_line(check.message), screen, len(indent))
        lines.append(f"{screen.paint(pad(level, 6), colour)}  {pad(check.name, width)}  {first}")
        lines += [indent + part for part in more]
        if check.advice:
            advice = hanging(one_line(check.advice), screen, len(indent))
            lines += [indent + screen.paint(part, "cyan") for part in advice]
    failed = sum(check.level == "fail" for check in found)
    warned = sum(check.level == "warn" for check in found)
    verdict = ", ".join(
        words
        for words in (count(failed, "failure") if failed else "", count(warned, "warning") if warned else "")
        if words
    )
    return [*lines, "", verdict or "all is well"]


def _all(state_dir: str | None, address: Address) -> Iterator[Check]:
    from controller.agent.paths import AgentPaths, PathsError  # noqa: PLC0415 - other verbs need no agent
    from controller.config import ConfigError, load  # noqa: PLC0415 - brings pydantic, which other verbs must not

    uid = os.geteuid()
    mountinfo = _text(Path("/proc/self/mountinfo"))
    yield checks.linux(platform.system(), platform.release())
    yield checks.pidfd()
    yield checks.python(sys.version_info[:3])
    yield checks.user(uid)
    yield checks.processes(mountinfo, uid)
    yield checks.inotify(Path("/proc/sys/fs/inotify"))
    try:
        settings = load({"state_dir": state_dir}, os.environ)
        state = settings.state_dir
    except ConfigError as error:
        yield Check(name="settings", level="fail", message=str(error), advice="serve would refuse them too")
        return
    yield from checks.state_dir(state, uid)
    yield from database(settings.db)
    try:
        paths = AgentPaths(str(state / "agent"))
    except PathsError as error:
        yield Check(name="runtime directory", level="fail", message=str(error), advice="choose a shorter --state-dir")
    else:
        yield checks.runtime_dir(paths.runtime, mountinfo)
        answering = checks.agent(paths.socket)
        yield answering
        if answering.message == "running":
            yield agent_build(paths.socket)
            yield checks.limits(Path(paths.agent_lock))
    yield from controller(address)
    yield checks.boot_entry(Path("/"), Path.home())


def controller(address: Address) -> Iterator[Check]:
    """Whether a controller answers, and what it says of itself."""
    name = "controller"
    try:
        answer = Client(address).ask("GET", "/readyz")
    except CliError as error:
        if error.exit_code == Exit.UNREACHABLE:
            yield Check(name=name, level="warn", message=error.message, advice="`workerctl serve specs` starts one")
        else:
            yield Check(name=name, level="fail", message=error.message, advice="; ".join(error.hints))
        return
    body = answer.document
    counted = [
        count(body[key], key.removesuffix("s"))
        for key in ("workers", "problems", "holds")
        if isinstance(body.get(key), int)
    ]
    message = ", ".join(
        [f"ready at {address.text}" if answer.status == 200 else f"not ready at {address.text}", *counted]
    )
    if answer.status == 200:
        yield Check(name=name, level="ok", message=message)
    else:
        reasons = ", ".join(str(reason) for reason in body.get("waiting_for") or ())
        yield Check(name=name, level="fail", message=message, advice=reasons or "its own log says more")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
