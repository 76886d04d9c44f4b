"""`workerctl schema`: the JSON Schema of specs, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from controller.cli.common import echo_json, examples
from controller.cli.errors import CliError, Exit


@click.command(
    epilog=examples(
        ("workerctl schema -o specs/.workerctl-schema.json", "beside the specs, as init writes it"),
        ("workerctl schema | jq '.properties | keys'", "all fields"),
    )
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of specs, for editors.

    Editors with yaml-language-server (VS Code, Neovim, Emacs, Helix, ...) complete and check a spec that begins with
    `# yaml-language-server: $schema=FILE`. Rules over several files are known to `workerctl validate` only.
    """
    from controller.core.schema import editor_schema  # noqa: PLC0415 - brings pydantic

    if output is None:
        echo_json(editor_schema())
        return
    try:
        write_schema(output)
    except OSError as error:
        raise CliError(f"Cannot write {output}: {error.strerror}", Exit.FAILED) from None


def write_schema(path: Path) -> None:
    """Writes the schema, over an earlier one. Raises OSError."""
    from controller.core.schema import editor_schema  # noqa: PLC0415 - brings pydantic

    path.write_text(json.dumps(editor_schema(), indent=2, ensure_ascii=False) + "\n", "utf-8")
