"""`workerctl validate DIR`: are these specs right? Without a controller, for editors, hooks and pipelines."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from controller.cli import fleet
from controller.cli.common import echo_json, echo_lines, examples, output_option
from controller.cli.errors import Exit
from controller.cli.human import count
from controller.cli.terminal import terminal


@click.command(
    epilog=examples(
        ("workerctl validate specs", "one problem per line: file:line:column: message"),
        ("workerctl validate specs -o json", "for programs; leaves with 2 when something is wrong"),
    )
)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@output_option("text", "json", default="text")
def validate(directory: Path, output: str) -> None:
    """Check a directory of specs, without a controller.

    Leaves with 0 when all specs are right, with 2 when not.
    """
    from controller.sources.offline import validate as judge  # noqa: PLC0415 - brings YAML and pydantic

    found = judge(str(directory))
    problems = [asdict(problem) for problem in found.problems]
    workers = sorted(found.workers)
    screen = terminal()
    if output == "json":
        echo_json({"ok": not problems, "workers": workers, "problems": problems})
    else:
        echo_lines(fleet.problem_lines(problems, screen))
        words = (
            f"{count(len(problems), 'problem')} in {directory}"
            if problems
            else f"{count(len(workers), 'worker')}, all valid"
        )
        click.echo(screen.paint(words, "red" if problems else "green"), err=bool(problems), color=screen.colour)
    click.get_current_context().exit(Exit.USAGE if problems else Exit.OK)
