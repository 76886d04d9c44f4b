"""`workerctl validate DIR`: are these specs right? Without a controller, for editors, hooks and pipelines."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import fleet
from controller.cli.common import echo_json, echo_lines, examples, output_option
from controller.cli.errors import Exit
from controller.cli.human import count
from controller.cli.offline import STAND_IN, allow_env_option, folder_name, specs_dir, surroundings
from controller.cli.terminal import neutralise, terminal

if TYPE_CHECKING:
    from controller.sources.offline import Validated


@click.command(
    epilog=examples(
        ("workerctl validate specs", "one problem per line: file:line:column: message"),
        ("workerctl validate specs -o json", "for programs; leaves with 2 when something is wrong"),
        ("workerctl validate specs -o github", "in a GitHub workflow: shown beside the lines"),
        ("workerctl validate specs -o sarif >x.sarif", "for code scanning"),
    )
)
@click.argument("directory", type=specs_dir, metavar="DIR")
@output_option("text", "json", "github", "sarif", default="text")
@allow_env_option
def validate(directory: Path, output: str, allow_env: tuple[str, ...]) -> None:
    """Check a directory of specs, without a controller.

    Leaves with 0 when all specs are right, with 2 when not. In annotations for code hosts, paths are relative to the
    working directory.
    """
    from controller.sources.offline import validate as judge  # noqa: PLC0415 - brings YAML and pydantic

    found = judge(str(directory), surroundings(allow_env, stand_in=STAND_IN))
    match output:
        case "json":
            problems = [asdict(problem) for problem in found.problems]
            echo_json({"ok": not problems, "workers": sorted(found.workers), "problems": problems})
        case "sarif":
            _show_sarif(found, directory)
        case "github":
            _show_github(found, directory)
        case _:
            echo_lines(fleet.problem_lines([asdict(problem) for problem in found.problems], terminal()))
            _show_verdict(found, directory)
    click.get_current_context().exit(Exit.USAGE if found.problems else Exit.OK)


def _show_verdict(found: Validated, directory: Path) -> None:
    screen = terminal()
    if found.problems:
        words = f"{count(len(found.problems), 'problem')} in {directory}"
        click.echo(screen.paint(words, "red"), err=True, color=screen.colour)
    else:
        click.echo(screen.paint(f"{count(len(found.workers), 'worker')}, all valid", "green"), color=screen.colour)


def _show_github(found: Validated, directory: Path) -> None:
    from controller.core.annotations import workflow_commands  # noqa: PLC0415 - only for this format

    echo_lines(neutralise(line) for line in workflow_commands(found.problems, folder_name(directory)))
    _show_verdict(found, directory)


def _show_sarif(found: Validated, directory: Path) -> None:
    from controller.cli.version import package_version  # noqa: PLC0415 - only for this format
    from controller.core.annotations import sarif  # noqa: PLC0415 - only for this format

    echo_json(sarif(found.problems, folder_name(directory), version=package_version()))
