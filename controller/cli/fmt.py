"""`workerctl fmt PATH...`: white space of specs in order, and nothing else. What it does is in sources/formatter.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import fleet
from controller.cli.common import examples
from controller.cli.errors import CliError, Exit
from controller.cli.terminal import neutralise, terminal

if TYPE_CHECKING:
    from controller.core.problems import Problem

STDIN = Path("-")


@click.command(
    epilog=examples(
        ("workerctl fmt specs", "all specs in it and below"),
        ("workerctl fmt --check specs", "change nothing; name the files, leave with 1"),
        ("workerctl fmt $(git diff --name-only -- '*.yaml')", "the files that changed"),
        ("workerctl fmt - <web.yaml", "for editors: from standard input to standard output"),
    )
)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True, readable=False, path_type=Path),
    metavar="PATH...",
)
@click.option("--check", is_flag=True, help="Change nothing; name the files that would change and leave with 1.")
def fmt(paths: tuple[Path, ...], check: bool) -> None:
    """Put the white space of specs in order: line ends, trailing blanks, indentation.

    Comments, order, quoting and blank lines stay. A file is only changed where the result is proved to be the same
    document. The names of changed files are printed. Leaves with 2 when a file is no valid YAML, with 1 when one cannot
    be read or written; the others are done. `-` is standard input; the result goes to standard output.
    """
    work = _Work(check=check)
    if STDIN in paths:
        if len(paths) > 1:
            raise click.UsageError("`-` stands alone: its result goes to standard output")
        work.pipe()
    else:
        for path in _files(paths):
            work.file(path)
    screen = terminal(err=True)
    if work.problems:
        lines = fleet.problem_lines([asdict(problem) for problem in work.problems], screen)
        click.echo("\n".join(lines), err=True, color=screen.colour)
    for error in work.errors:
        error.show()
    click.get_current_context().exit(work.verdict())


@dataclass(slots=True)
class _Work:
    """What has been done so far, and what is wrong."""

    check: bool
    changed: int = 0
    problems: list[Problem] = field(default_factory=list)
    errors: list[CliError] = field(default_factory=list)

    def pipe(self) -> None:
        """Standard input to standard output. What is no YAML goes through as it is, so that an editor keeps it."""
        content = sys.stdin.buffer.read()
        result = self._formatted(content, "<stdin>")
        if not self.check:
            sys.stdout.buffer.write(result)

    def file(self, path: Path) -> None:
        """One file, in place, and its name where it changed."""
        try:
            content = _read(path)
            result = self._formatted(content, str(path))
            if result != content and not self.check:
                _write(path, result, content)
        except CliError as error:
            self.errors.append(error)
            return
        if result != content:
            click.echo(neutralise(str(path)))

    def _formatted(self, content: bytes, name: str) -> bytes:
        from controller.sources.formatter import formatted  # noqa: PLC0415 - brings YAML

        result = formatted(content, name)
        self.problems += result.problems
        for note in result.notes:
            click.echo(f"{neutralise(name)}: {note}", err=True)
        self.changed += result.content != content
        return result.content

    def verdict(self) -> int:
        """The exit code."""
        if self.problems:
            return Exit.USAGE
        if self.errors:
            return self.errors[0].exit_code
        return Exit.FAILED if self.check and self.changed else Exit.OK


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as given; of directories all that a controller would read. Each once."""
    from controller.sources.tree import opened_tree  # noqa: PLC0415 - brings YAML

    seen: set[str] = set()
    for path in paths:
        found = [path]
        if path.is_dir():
            try:
                with opened_tree(str(path)) as tree:
                    found = [path / one.path for one in tree.listing().found]
            except OSError as error:
                raise CliError(f"Cannot read {path}: {error.strerror}", Exit.FAILED) from None
        for file in found:
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would be waited for, a device read without end
            raise CliError(f"Cannot format {path}: it is no regular file", Exit.FAILED)
        return path.read_bytes()
    except OSError as error:
        raise CliError(f"Cannot read {path}: {error.strerror}", Exit.FAILED) from None


def _write(path: Path, content: bytes, before: bytes) -> None:
    from controller.sources.atomic import Conflict, write_atomically  # noqa: PLC0415 - brings YAML

    try:
        write_atomically(str(path), content, before)
    except Conflict as error:
        raise CliError(f"Cannot write {path}: {error}", Exit.CONFLICT) from None
    except OSError as error:
        raise CliError(f"Cannot write {path}: {error.strerror}", Exit.FAILED) from None
