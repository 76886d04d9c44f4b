"""`workerctl wait NAME... --for STATE`: until workers are so, for scripts.

Looks often at first, then each second. A worker that cannot get there by itself (it gave up) ends the waiting at once.
A controller that goes away while we wait may be restarting: it is asked again until the time is up.
"""

from __future__ import annotations

import time

import click

from controller.cli import wording
from controller.cli.client import Client, Item
from controller.cli.common import client, examples, known_ids, not_found, pause, quoted, server_option
from controller.cli.errors import CliError, Exit, from_problem
from controller.cli.human import parse_duration
from controller.cli.names import worker_names
from controller.cli.terminal import one_line, terminal

STATES = ("running", "ready", "stopped", "gone")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
UNHEARD_S = 3.0
"""How long a worker may be unknown before it is taken for a wrong name: a new spec is read within a moment."""


def duration(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """`90s`, `10m`, `1h30m` or seconds."""
    if text is None:
        return None
    seconds = parse_duration(text)
    if seconds is None:
        raise click.BadParameter(f'"{text}": expected a duration, as in 30s, 10m or 1h30m')
    return seconds


@click.command(
    epilog=examples(
        ("workerctl wait web --for running", "at most a minute"),
        ("workerctl wait web mailer --for ready --timeout 5m", "until both can do their work"),
        ("workerctl delete web && workerctl wait web --for gone", "until its last process is gone"),
    )
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=worker_names)
@click.option("--for", "state", type=click.Choice(STATES), required=True, help="What to wait for.")
@click.option(
    "--timeout", "timeout_s", default="60s", show_default=True, metavar="T", callback=duration, help="How long at most."
)
@server_option
def wait(names: tuple[str, ...], state: str, timeout_s: float) -> None:
    """Wait until workers are running, ready, stopped or gone.

    Leaves with 7 when the time is up, with 1 as soon as a worker cannot get there by itself, with 5 when there is no
    such worker. A roll-out that is under way is waited for.
    """
    api = client()
    waiting = _Waiting(api, state, time.monotonic() + timeout_s)
    screen = terminal()
    for name in dict.fromkeys(names):
        words = waiting.until(name)
        mark = screen.paint(screen.sign("✓", "ok"), "green")
        click.echo(f"{mark} {screen.paint(name, bold=True)}: {words}", color=True)


class _Waiting:
    """One deadline for all workers that are waited for."""

    def __init__(self, api: Client, state: str, deadline: float) -> None:
        self._api, self._state, self._deadline = api, state, deadline
        self._began = time.monotonic()
        self._was_heard = False

    def until(self, name: str) -> str:
        """Wait for one worker; what it is then. Raises CliError."""
        item, delay = self._look(name), FIRST_PAUSE_S
        while not is_so(item, self._state):
            self._check_possible(name, item)
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise CliError(
                    f"Cannot wait any longer for {name} to be {self._state}: {_stands(item)}", Exit.TIMED_OUT
                )
            pause(min(delay, left))
            delay = min(delay * 1.5, LONGEST_PAUSE_S)
            item = self._look(name, item)
        return self._state

    def _look(self, name: str, last: Item | None = None) -> Item | None:
        """The worker now, None where there is none; as last seen while the controller is away."""
        try:
            answer = self._api.ask("GET", f"/api/v1/workers/{quoted(name)}/status")
        except CliError as error:
            if error.exit_code != Exit.UNREACHABLE or not self._was_heard:
                raise
            return last
        self._was_heard = True
        if answer.status == 503:
            return last
        if answer.status >= 400 and answer.status != 404:
            raise from_problem(answer.status, answer.document, doing=f"wait for {name}")
        return None if answer.status == 404 else answer.document

    def _check_possible(self, name: str, item: Item | None) -> None:
        if item is None:
            if time.monotonic() - self._began > UNHEARD_S:
                raise not_found(name, known_ids(self._api))
        elif self._state in {"running", "ready"} and item["status"] == "error":
            raise CliError(f"{name} will not be {self._state} by itself: {_stands(item)}", Exit.FAILED)


def is_so(item: Item | None, state: str) -> bool:
    """Whether a worker is as waited for. One with a roll-out under way is not yet running as its spec says."""
    if item is None or state == "gone":
        return item is None and state == "gone"
    if state == "stopped":
        return bool(item["status"] == "stopped")
    if item["status"] != "running" or wording.is_true(item, "Progressing"):
        return False
    return state == "running" or wording.is_true(item, "Ready")


def _stands(item: Item | None) -> str:
    if item is None:
        return "there is no such worker"
    why = one_line(wording.reason(item, time.time()))
    return f"it is {item['status']}" + (f"; {why}" if why else "")
