"""`workerctl render NAME`: what would be executed for one worker, from the files alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from controller.cli import fleet
from controller.cli.common import echo_json, examples, output_option
from controller.cli.errors import CliError, Exit
from controller.cli.human import count
from controller.cli.lazy import did_you_mean
from controller.cli.offline import allow_env_option, specs_dir, surroundings
from controller.cli.terminal import neutralise, terminal


def _complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the workers in the directory: it is the files that are rendered, with or without a controller."""
    from controller.sources.offline import validate  # noqa: PLC0415 - brings YAML and pydantic

    found = validate(str(ctx.params.get("directory") or "specs"))
    return sorted(name for name in found.workers if name.startswith(incomplete))


@click.command(
    epilog=examples(
        ("workerctl render web", "the worker web of ./specs"),
        ("workerctl render web --dir /srv/specs -o json", "for programs"),
        ("workerctl render web --allow-env REGION", "with a variable of this shell"),
    )
)
@click.argument("name", shell_complete=_complete)
@click.option(
    "--dir", "directory", type=specs_dir, default="specs", show_default=True, metavar="DIR", help="The specs directory."
)
@output_option("yaml", "json", default="yaml")
@allow_env_option
def render(name: str, directory: Path, output: str, allow_env: tuple[str, ...]) -> None:
    """Show what would be executed for one worker: Defaults merged, texts expanded, per instance.

    Values that look like secrets, and all that come from env files, are shown as ***; of `secrets` only where they
    come from. PATH HOME USER LANG TZ, WORKER_RUN and NOTIFY_SOCKET come at each start and are not shown.
    """
    from controller.sources.offline import validate  # noqa: PLC0415 - brings YAML and pydantic
    from controller.sources.rendering import rendered  # noqa: PLC0415 - the same

    found = validate(str(directory), surroundings(allow_env, stand_in=None))
    worker = found.workers.get(name)
    if worker is not None:
        document = rendered(worker)
        if output == "json":
            echo_json(document)
        else:
            click.echo(readable(document), nl=False)
        return
    own = [asdict(problem) for problem in found.problems if problem.worker_id == name]
    if own:
        screen = terminal(err=True)
        click.echo("\n".join(fleet.problem_lines(own, screen)), err=True, color=screen.colour)
        raise CliError(f"Cannot render {name}: its spec has {count(len(own), 'problem')}", Exit.USAGE)
    known = sorted({*found.workers, *(problem.worker_id for problem in found.problems if problem.worker_id)})
    hints = (
        [f"`workerctl validate {neutralise(str(directory))}` tells why files are not read"] if found.problems else []
    )
    raise CliError(
        f'there is no worker "{name}" in {directory}.{did_you_mean(name, known)}', Exit.NOT_FOUND, hints=hints
    )


def readable(document: dict[str, Any]) -> str:
    """YAML for people: keys in their order, a script as it was written and not on one line."""
    import yaml  # noqa: PLC0415 - only for this format

    class Dumper(yaml.SafeDumper):
        """One of our own: a representer is registered per class."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
