"""How a batch that was begun is followed to its end: failures as they come, the rest as counts. Used by batch.py.

On a terminal one line is redrawn beneath; into a pipe there is only what stays. A controller that goes away meanwhile
is waited for: the batch is a file of its own, and goes on with the next one. Ctrl-C ends the watching, not the batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import click

from controller.cli.client import Client, Item
from controller.cli.common import pause, quoted
from controller.cli.errors import CliError, Exit, from_problem
from controller.cli.human import count
from controller.cli.terminal import Terminal, cut, neutralise, one_line, terminal

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
_AWAY = frozenset({Exit.UNREACHABLE, Exit.TIMED_OUT})
_CLEAR = "\r\x1b[K"


def follow(api: Client, batch: Item, near: Mapping[str, str]) -> None:
    """Show it to its end, and leave with its exit code. `near`: for names that nobody has, what they may have meant."""
    progress = _Progress(terminal(err=True), near, doing=f"follow batch {batch['batch_id']}")
    delay = FIRST_PAUSE_S
    try:
        progress.show(batch)
        while batch["state"] == "running":
            pause(delay)
            delay = min(delay * 1.5, LONGEST_PAUSE_S)
            batch = progress.look(api, batch)
            progress.show(batch)
    except KeyboardInterrupt:
        progress.clear()
        name = batch["batch_id"]
        click.echo(f"the batch goes on: `workerctl batch show {name}`, `workerctl batch cancel {name}`", err=True)
        raise
    except CliError:
        progress.clear()
        raise
    progress.clear()
    finish(batch)


def finish(batch: Item) -> None:
    """The last line of a batch that is over, and its exit code."""
    click.echo(f"{sign(batch['state'], terminal())} {summary(batch)}", color=True)
    click.get_current_context().exit(code_of(batch))


def code_of(batch: Item) -> Exit:
    """What a script learns."""
    counts = batch["counts"]
    if counts["failed"] or counts["skipped"] or counts["cancelled"]:
        return Exit.FAILED
    return Exit.NOT_FOUND if counts["not_found"] else Exit.OK


def summary(batch: Item) -> str:
    """The batch in one line."""
    return f"batch {batch['batch_id']}: {one_line(str(batch['detail']))}"


def sign(state: str, screen: Terminal) -> str:
    """A sign for a state, of a batch or of one of its workers."""
    if state == "succeeded":
        return screen.paint(screen.sign("✓", "ok"), "green")
    if state in {"running", "pending"}:
        return screen.paint(screen.sign("→", "->"), "cyan")
    return screen.paint(screen.sign("✗", "x"), "red")


class _Progress:
    """What was said already."""

    def __init__(self, screen: Terminal, near: Mapping[str, str], doing: str) -> None:
        self._screen, self._near, self._doing = screen, near, doing
        self._told: set[str] = set()
        self._note = ""

    def look(self, api: Client, last: Item) -> Item:
        """The batch now; as last seen while the controller is away. Raises CliError where it is gone."""
        try:
            answer = api.ask("GET", f"/api/v1/batches/{quoted(last['batch_id'])}")
        except CliError as error:
            if error.exit_code not in _AWAY:
                raise
            self._note = "; waiting for the controller"
            return last
        if answer.status >= 500:
            self._note = "; waiting for the controller"
            return last
        if answer.status >= 400:
            raise from_problem(answer.status, answer.document, doing=self._doing)
        self._note = ""
        return answer.document

    def show(self, batch: Item) -> None:
        """Tell what has newly failed; redraw the line."""
        news = [one for one in batch["results"] if one["state"] in {"failed", "not_found"}]
        lines = [self._failure(one) for one in news if one["worker_id"] not in self._told]
        self._told |= {str(one["worker_id"]) for one in news}
        if lines:
            self.clear()
            click.echo("\n".join(lines), err=True, color=self._screen.colour)
        if self._screen.tty and batch["state"] == "running":
            text = f"{count(batch['total'], 'worker')}: {batch['detail']}{self._note}"
            click.echo(_CLEAR + cut(one_line(text), max(self._screen.columns - 1, 10)), nl=False, err=True)

    def clear(self) -> None:
        """Take the redrawn line away."""
        if self._screen.tty:
            click.echo(_CLEAR, nl=False, err=True)

    def _failure(self, result: Item) -> str:
        name = self._screen.paint(neutralise(str(result["worker_id"])), bold=True)
        near = self._near.get(str(result["worker_id"]), "") if result["state"] == "not_found" else ""
        return (
            f"{sign(str(result['state']), self._screen)} {name}: {one_line(str(result['detail']))}{near and '.' + near}"
        )
