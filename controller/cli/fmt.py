"""`workerctl fmt PATH...`: white space of specs in order, and nothing else. What it does is in sources/formatter.py."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import fleet
from controller.cli.common import examples
from controller.cli.errors import CliError, Exit
from controller.cli.terminal import neutralise, terminal

if TYPE_CHECKING:
    from controller.core.problems import Problem


@click.command(
    epilog=examples(
        ("workerctl fmt specs", "all specs in it and below"),
        ("workerctl fmt --check specs", "change nothing; name the files, leave with 1"),
        ("workerctl fmt $(git diff --name-only -- '*.yaml')", "the files that changed"),
    )
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option("--check", is_flag=True, help="Change nothing; name the files that would change and leave with 1.")
def fmt(paths: tuple[Path, ...], check: bool) -> None:
    """Put the white space of specs in order: line ends, trailing blanks, indentation.

    Comments, order, quoting and blank lines stay. A file is only changed where the result is proved to be the same
    document. The names of changed files are printed. Leaves with 2 when a file is no valid YAML; the others are done.
    """
    from controller.sources.formatter import formatted  # noqa: PLC0415 - brings YAML

    changed = 0
    problems: list[Problem] = []
    for path in _files(paths):
        content = _read(path)
        result = formatted(content, str(path))
        problems += result.problems
        for note in result.notes:
            click.echo(f"{neutralise(str(path))}: {note}", err=True)
        if result.content != content:
            changed += 1
            if not check:
                _write(path, result.content, content)
            click.echo(neutralise(str(path)))
    if problems:
        screen = terminal(err=True)
        lines = fleet.problem_lines([asdict(problem) for problem in problems], screen)
        click.echo("\n".join(lines), err=True, color=screen.colour)
    code = Exit.USAGE if problems else Exit.FAILED if check and changed else Exit.OK
    click.get_current_context().exit(code)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as given; of directories all that a controller would read. Each once."""
    from controller.sources.tree import opened_tree  # noqa: PLC0415 - brings YAML

    seen: set[str] = set()
    for path in paths:
        found = [path]
        if path.is_dir():
            with opened_tree(str(path)) as tree:
                found = [path / one.path for one in tree.listing().found]
        for file in found:
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CliError(f"Cannot read {path}: {error.strerror}", Exit.FAILED) from None


def _write(path: Path, content: bytes, before: bytes) -> None:
    from controller.sources.editor import Conflict, write_atomically  # noqa: PLC0415 - brings YAML

    try:
        write_atomically(str(path), content, before)
    except Conflict as error:
        raise CliError(f"Cannot write {path}: {error}", Exit.CONFLICT) from None
    except OSError as error:
        raise CliError(f"Cannot write {path}: {error.strerror}", Exit.FAILED) from None
