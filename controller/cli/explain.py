"""`workerctl explain [FIELD]`: what a field of a spec means, from the models themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from controller.cli.common import echo_json, echo_lines, examples, output_option
from controller.cli.errors import CliError, Exit
from controller.cli.table import Cell, Column, pairs, render
from controller.cli.terminal import Terminal, terminal
from controller.core.field_examples import example_of

if TYPE_CHECKING:
    from controller.core.fields import Field

_EFFECTS = {"restart": "restart", "in_place": "in place", "none": "none"}
_COLUMNS = (
    Column(title="FIELD"),
    Column(title="TYPE", droppable=True),
    Column(title="DEFAULT", droppable=True),
    Column(title="CHANGE", droppable=True),
    Column(title="MEANING"),
)


def _complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from controller.core.fields import whole_spec  # noqa: PLC0415 - brings pydantic

    return [field.path for field in whole_spec().below() if field.path.startswith(incomplete)]


@click.command(
    epilog=examples(
        ("workerctl explain", "all fields"),
        ("workerctl explain restart_backoff", "a group and its fields"),
        ("workerctl explain stop.grace_ms", "one field, and what a change of it does"),
        ("workerctl explain --recursive", "all fields, those of groups too"),
    )
)
@click.argument("field", required=False, shell_complete=_complete)
@click.option("--recursive", is_flag=True, help="Also the fields of groups.")
@output_option("text", "json", default="text")
def explain(field: str | None, recursive: bool, output: str) -> None:
    """Explain a field of specs: its type, default, meaning, and what changing it does.

    FIELD is a name, or a path with dots. Leaves with 2 when there is no such field.
    """
    from controller.core.fields import find, suggestions, whole_spec  # noqa: PLC0415 - brings pydantic

    spec = whole_spec()
    path = (field or "").strip("/.").replace("/", ".")  # a pointer of a problem is a path, too
    found = (find(path, spec) or _reserved_above(path, spec)) if path else spec
    if found is None:
        near = suggestions(path, spec)
        hints = [f"did you mean {' or '.join(near)}?"] if near else ["`workerctl explain` lists all fields"]
        raise CliError(f'there is no field "{field}"', Exit.USAGE, hints=hints)
    if output == "json":
        from controller.core.field_documents import document  # noqa: PLC0415 - with the models

        echo_json(document(found, recursive=recursive))
    else:
        echo_lines(lines(found, terminal(), recursive=recursive))


def _reserved_above(path: str, spec: Field) -> Field | None:
    """The field not yet supported that `path` lies in: what it will hold is not known yet."""
    reserved = (field for field in spec.below() if field.comes_with)
    return next((field for field in reserved if path.startswith(f"{field.path}.")), None)


def lines(field: Field, screen: Terminal, *, recursive: bool) -> list[str]:
    """A field for people: its facts, its meaning, the fields of a group."""
    shown = pairs(list(_facts(field)), screen) if field.path else []
    shown += ["", *_wrapped(field.description, screen)] if field.path else _wrapped(field.description, screen)
    if field.fields:
        shown += ["", *_table(field, screen, recursive=recursive)]
    return shown


def _facts(field: Field) -> Iterator[tuple[str, str]]:
    yield "FIELD", field.path
    if field.comes_with:
        yield "SUPPORTED", f"not yet; it comes with {field.comes_with}"
        yield "MEANWHILE", _meanwhile(field)
        return
    yield "TYPE", field.type
    yield "BOUNDS", "; ".join(field.constraints)
    yield "DEFAULT", "required" if field.required else field.default or ("" if field.fields else "none")
    yield "CHANGE", _change(field)
    yield "EXAMPLE", example_of(field.path)


def _meanwhile(field: Field) -> str:
    from controller.sources.validation import INSTEAD, LEAVE_OUT  # noqa: PLC0415 - brings pydantic, and YAML

    return INSTEAD.get(field.path, LEAVE_OUT)


def _plans(field: Field) -> str:
    return "planned" if field.comes_with == field.path else f"it comes with {field.comes_with}"


def _change(field: Field) -> str:
    from controller.core.field_documents import change_of  # noqa: PLC0415 - brings pydantic

    return f"{_EFFECTS[field.effect]}: {change_of(field)}" if field.effect else "differs by field"


def _table(group: Field, screen: Terminal, *, recursive: bool) -> list[str]:
    fields = list(group.below()) if recursive else list(group.fields)
    known = [_row(field, screen) for field in fields if not field.comes_with]
    shown = render(_COLUMNS, known, screen)
    reserved = [(field.path, _plans(field)) for field in fields if field.comes_with]
    if reserved:
        shown += ["", screen.paint("Not yet supported", bold=True), *pairs(reserved, screen, indent="  ")]
    return shown


def _row(field: Field, screen: Terminal) -> list[str | Cell]:
    default = "required" if field.required else field.default or "-"
    meaning = field.description if not screen.tty else field.description.partition(". ")[0]
    return [
        Cell(text=field.path, bold=True),
        field.type,
        default,
        _EFFECTS.get(field.effect, "-"),
        meaning,
    ]


def _wrapped(text: str, screen: Terminal) -> list[str]:
    width = min(max(screen.columns, 40), 100) if screen.tty else 100
    return textwrap.wrap(text, width)
