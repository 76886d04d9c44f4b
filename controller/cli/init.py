"""`workerctl init`: a first spec, with all that an editor needs beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from controller.cli import fleet
from controller.cli.common import examples
from controller.cli.errors import CliError, Exit
from controller.cli.schema import write_schema
from controller.cli.terminal import terminal


@click.command(
    epilog=examples(
        ("workerctl init", "specs/hello.yaml, which runs as it stands"),
        ("workerctl init mailer --dir /srv/specs", "another name, another directory"),
    )
)
@click.argument("name", default="hello")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default="specs",
    show_default=True,
    metavar="DIR",
    help="The specs directory; it is made where it is missing.",
)
@click.option("--force", is_flag=True, help="Write over NAME.yaml where it exists.")
def init(name: str, directory: Path, force: bool) -> None:
    """Write a first spec, DIR/NAME.yaml, commented, and valid as it stands.

    Beside it goes .workerctl-schema.json, so that editors complete and check specs. Where a controller watches DIR,
    the worker starts at once. No file is written over without --force.
    """
    from controller.core.spec import is_worker_id  # noqa: PLC0415 - brings pydantic
    from controller.sources.offline import validate  # noqa: PLC0415 - the same, and YAML
    from controller.sources.starter import SCHEMA_FILE, starter_spec  # noqa: PLC0415 - with its package

    if not is_worker_id(name):
        words = "a-z, 0-9 and '-', at most 63 characters, no '-' at either end"
        raise click.UsageError(f'"{name}" cannot name a worker: expected {words}')
    path = directory / f"{name}.yaml"
    other = validate(str(directory)).workers.get(name) if directory.exists() else None
    if other is not None and directory / other.source.file != path:
        raise CliError(
            f"Cannot write {path}: there is a worker {name} in {directory / other.source.file}", Exit.CONFLICT
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(starter_spec(name))
        write_schema(directory / SCHEMA_FILE)
    except FileExistsError:
        hints = ["--force writes over it; `workerctl init NAME` makes another one"]
        raise CliError(f"Cannot write {path}: it exists", Exit.CONFLICT, hints=hints) from None
    except OSError as error:
        raise CliError(f"Cannot write {error.filename or path}: {error.strerror}", Exit.FAILED) from None
    click.echo(f"wrote {path} and {directory / SCHEMA_FILE}")
    found = validate(str(directory))
    if name not in found.workers:
        problems = [asdict(one) for one in found.problems if one.worker_id in (name, None)]
        screen = terminal(err=True)
        click.echo("\n".join(fleet.problem_lines(problems, screen)), err=True, color=screen.colour)
        raise CliError(f"{path} does not go with what is in {directory}", Exit.USAGE)
    click.echo(f"next: workerctl serve {directory}")
