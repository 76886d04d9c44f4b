"""What the verbs that need no controller share: the directory, `--allow-env`, and this host in place of serve's.

Nothing heavy is imported until a verb asks for its surroundings.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from controller.sources.launching import Surroundings

_Function = TypeVar("_Function", bound=Callable[..., Any])

STAND_IN = "?"
"""For an allowed variable that is not set here. What it will be is known where the controller runs, not before."""

specs_dir = click.Path(exists=True, file_okay=False, path_type=Path)


def allow_env_option(function: _Function) -> _Function:
    """`--allow-env N,...`, as for serve."""
    return click.option(
        "--allow-env",
        metavar="N,...",
        multiple=True,
        callback=_names,
        help="Variables that specs may read as ${env.N}, as for serve.",
    )(function)


def _names(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for value in values for name in value.split(",")))
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise click.BadParameter(f'"{name}" is not the name of an environment variable')
    return names


def surroundings(allowed: tuple[str, ...], *, stand_in: str | None) -> Surroundings:
    """This host, as serve would be on it. `stand_in` is the value of allowed variables that are not set here."""
    from controller.sources.launching import Surroundings  # noqa: PLC0415 - brings YAML and pydantic

    return Surroundings(
        host="localhost",
        cpu_count=os.cpu_count() or 1,
        interpreter=sys.executable,
        key=b"",
        environment=None,  # what is set here is not what is set where the controller runs
        allowed_env={name: os.environ.get(name, stand_in) for name in allowed},
    )


def folder_name(directory: Path) -> str:
    """The directory as code hosts know it: relative to the working directory where it lies below it."""
    given = os.path.normpath(directory)
    if not os.path.isabs(given):
        return given
    relative = os.path.relpath(given)
    return given if relative.startswith("..") else relative
