"""`workerctl db`: the database by hand. It talks to the database itself, not to a controller, and says which one it is.

What looks (`stats`, `current`, `check`, `backup`) is fine beside a running controller; what changes the whole of it
(`vacuum`, `upgrade`) is refused while one writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from controller.cli.common import echo_json, echo_lines, examples, output_option
from controller.cli.errors import CliError, Exit
from controller.cli.human import age, count, memory
from controller.cli.table import Cell, Column, pairs, render
from controller.cli.terminal import terminal

_MOST_WORKERS = 10


@click.group(
    epilog=examples(
        ("workerctl db stats", "how large it is, and of what"),
        ("workerctl db backup /backup/workers.db", "a whole copy, while serve runs"),
        ("workerctl db check", "is it sound; leaves with 1 when not"),
    )
)
def db() -> None:
    """Look at the database, copy it, check it."""


def _which(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which database it is."""
    command = click.option(
        "--state-dir", metavar="DIR", help="The state directory it lies in.  [default: as for serve]"
    )(command)
    return click.option("--db", "url", metavar="URL", help="The database.  [default: as for serve]")(command)


def _url(url: str | None, state_dir: str | None) -> str:
    from controller.config import ConfigError, load  # noqa: PLC0415 - brings pydantic, which other verbs must not

    try:
        return load({"db": url, "state_dir": state_dir}, os.environ).db
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def _told() -> Iterator[Any]:
    """The store's tools; what it refuses is told as every error is."""
    from controller.store import StoreError, tending  # noqa: PLC0415 - SQLAlchemy, which other verbs must not pay for
    from controller.store.errors import StoreTakenError  # noqa: PLC0415 - the same

    try:
        yield tending
    except StoreTakenError as error:
        raise CliError(str(error), Exit.CONFLICT) from None
    except StoreError as error:
        raise CliError(str(error), Exit.FAILED) from None


@db.command(epilog=examples(("workerctl db stats -o json", "for programs")))
@_which
@output_option("text", "json", default="text")
def stats(url: str | None, state_dir: str | None, output: str) -> None:
    """Tell how large it is, and what is in it."""
    with _told() as tending:
        found = tending.stats(_url(url, state_dir))
    if output == "json":
        names = ("name", "schema", "bytes", "free_bytes", "tables", "logs", "removed", "oldest", "newest")
        echo_json({name: getattr(found, name) for name in names})
        return
    screen, now = terminal(), time.time()
    span = "none" if found.oldest is None else f"from {age(now - found.oldest)} to {age(now - found.newest)} ago"
    free = "" if not found.free_bytes else f", {memory(found.free_bytes)} of it free"
    lines = pairs(
        [
            ("Database", found.name.removeprefix("the database ")),
            ("Schema", found.schema),
            ("Size", memory(found.bytes) + free),
            ("Log lines", span),
        ],
        screen,
    )
    tables = [[name, Cell(text=str(rows), dim=not rows)] for name, rows in found.tables.items()]
    lines += ["", *render([Column(title="TABLE"), Column(title="ROWS", right=True)], tables, screen)]
    if found.logs:
        most = list(found.logs.items())[:_MOST_WORKERS]
        columns = [Column(title="WORKER"), Column(title="LOG LINES", right=True), Column(title="REMOVED", right=True)]
        rows = [[name, str(number), str(found.removed.get(name, 0))] for name, number in most]
        lines += ["", *render(columns, rows, screen)]
        if len(found.logs) > _MOST_WORKERS:
            lines.append(f"and {count(len(found.logs) - _MOST_WORKERS, 'more worker')}")
    echo_lines(lines)


@db.command()
@_which
def current(url: str | None, state_dir: str | None) -> None:
    """Tell which schema it has, and which this workerctl wants."""
    with _told() as tending:
        schema, newest = tending.revisions(_url(url, state_dir))
    state = "up to date" if schema == newest else f"serve or `workerctl db upgrade` brings it to {newest}"
    click.echo(f"{schema or 'empty'} ({state})")


@db.command()
@_which
def check(url: str | None, state_dir: str | None) -> None:
    """Read all of it and tell what is wrong. Leaves with 1 when something is."""
    with _told() as tending:
        found = tending.check(_url(url, state_dir))
    echo_lines(found or ["all is well"])
    click.get_current_context().exit(Exit.FAILED if found else Exit.OK)


@db.command(epilog=examples(("workerctl db backup /backup/$(date +%F).db", "one a day")))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_which
def backup(file: Path, url: str | None, state_dir: str | None) -> None:
    """Copy it to FILE, as it is at one moment, while serve runs.

    FILE must not be there yet; it is whole as soon as it has its name. Put back: stop serve, put it in the place of
    the database, start serve.
    """
    with _told() as tending:
        size = tending.backup(_url(url, state_dir), file)
    click.echo(f"{file}: {memory(size)}")


@db.command()
@_which
def vacuum(url: str | None, state_dir: str | None) -> None:
    """Write the file anew, as small as it can be. Not beside a running serve.

    serve gives free pages back by itself after each sweep; this also mends what is scattered. It needs as much free
    space as the file takes.
    """
    with _told() as tending:
        before, after = tending.vacuum(_url(url, state_dir))
    click.echo(f"{memory(before)} -> {memory(after)}")


@db.command()
@_which
def upgrade(url: str | None, state_dir: str | None) -> None:
    """Bring the schema up to date, as serve does when it starts. Not beside a running serve."""
    with _told() as tending:
        before, after = tending.upgrade(_url(url, state_dir))
    click.echo(f"{after} (it was so already)" if before == after else f"{before or 'empty'} -> {after}")
