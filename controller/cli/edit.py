"""`workerctl edit NAME`: the spec in the person's editor, and only what they changed into the file.

The editor gets what the API shows of the spec: the fields that somebody set, secrets as `***`, without the file's
comments, which stay where they are. What comes back replaces the spec; the controller leaves alone what is the same.
What a person typed is never lost: wherever it cannot be written, it is kept and its place is told.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from controller.cli.client import Client
from controller.cli.common import client, examples
from controller.cli.errors import CliError, Exit, fault_lines
from controller.cli.names import worker_names
from controller.cli.writing import Change, Manner, Seen, carry_out, must_see, see, try_out, write_options

_HEAD = "# The spec of {name}, from {file}. Its comments stay there; *** hides a value and leaves it as it is.\n"
_MARK = "#! "


@click.command(
    epilog=examples(
        ("workerctl edit web", "in VISUAL, EDITOR, or vi"),
        ("EDITOR='code --wait' workerctl edit web", "in another one"),
        ("workerctl edit web --dry-run", "edit, and only show the plan"),
    )
)
@click.argument("name", shell_complete=worker_names)
@write_options
def edit(name: str, manner: Manner) -> None:
    """Edit a worker's spec in your editor, and write what you changed.

    What is not valid opens again, with what is wrong as comments. Save it empty, or as it was, to leave it alone.
    """
    api = client()
    seen = must_see(api, name)
    if seen.item.get("spec") is None:
        raise CliError(
            f"Cannot edit {name}: no good spec of it is known",
            Exit.CONFLICT,
            hints=[f"correct its file; `workerctl describe {name}` tells what is wrong"],
        )
    before = shown(seen)
    with _kept_on_failure(name) as path:
        wanted = _edited(api, Change(action="replace", worker_id=name, seen=seen), path, manner)
        if wanted is None:
            click.echo(f"{name}: unchanged")
            return
        now = see(api, name)
        if now is None or shown(now) != before:
            raise _both_sides(name, before, None if now is None else shown(now), wanted)
        carry_out(api, [Change(action="replace", worker_id=name, body=_body(wanted), seen=now)], manner)


def shown(seen: Seen) -> dict[str, Any]:
    """The document that a person edits: the name, and the fields that somebody set."""
    explicit, spec = set(seen.item.get("explicit") or ()), seen.item.get("spec") or {}
    fields = {field: value for field, value in spec.items() if field in explicit and field != "worker_id"}
    return {"worker_id": seen.item["worker_id"], **fields}


def _edited(api: Client, change: Change, path: Path, manner: Manner) -> dict[str, Any] | None:
    """What the person wants, valid; None where it is as before, or nothing. Opens the editor until one is reached."""
    assert change.seen is not None
    source = change.seen.item.get("source") or {}
    head = _HEAD.format(name=change.worker_id, file=source.get("file") or "its file")
    before, last = shown(change.seen), ""
    path.write_text(head + _text(before), "utf-8")
    while True:
        _open_editor(path)
        text = _without_marks(path.read_text("utf-8"))
        wanted, faults = _parsed(text)
        if not faults and wanted in (None, before):
            return None
        if not faults and wanted is not None:
            try:
                try_out(api, replace(change, body=_body(wanted), seen=see(api, change.worker_id)), manner)
            except CliError as error:
                if error.exit_code != Exit.USAGE:
                    raise
                faults = list(error.details) or [error.message]
            else:
                return wanted
        if text == last:
            raise CliError(f"Cannot change {change.worker_id}: this is no valid spec", Exit.USAGE, details=faults)
        last = text
        path.write_text(_marked(text, faults), "utf-8")


def _parsed(text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The one document, or what is wrong with it; (None, []) where nothing is there."""
    from controller.sources.documents import read_spec_file  # noqa: PLC0415 - brings YAML

    found = read_spec_file("line", text.encode())
    if found.problems:
        return None, [line for problem in found.problems for line in fault_lines(_placed(problem))]
    if len(found.documents) > 1:
        return None, ["expected one document"]
    return (dict(found.documents[0].data), []) if found.documents else (None, [])


def _placed(problem: Any) -> dict[str, Any]:
    return {"file": "line", "line": problem.line, "column": problem.column, "message": problem.message,
            "hint": problem.hint}  # fmt: skip


def _body(document: Mapping[str, Any]) -> dict[str, Any]:
    """As the API takes it: a name that was changed is for the controller to refuse."""
    return {name: value for name, value in document.items() if name != "kind"}


def _marked(text: str, faults: Sequence[str]) -> str:
    head = [f"{_MARK}This is no valid spec yet; correct it, or save it as it is to give up."]
    return "\n".join([*head, *(_MARK + line for fault in faults for line in fault.splitlines()), text])


def _without_marks(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_MARK.rstrip()))


def _open_editor(path: Path) -> None:
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(command), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise CliError(f"Cannot run the editor {command}: {cause}", Exit.FAILED, hints=["name one in EDITOR"]) from None
    if code != 0:
        raise CliError(f"the editor left with {code}; nothing was written", Exit.FAILED)


@contextmanager
def _kept_on_failure(name: str) -> Iterator[Path]:
    """A file for the editor, readable by its owner only. It stays where what is in it could not be written."""
    folder = Path(tempfile.mkdtemp(prefix="workerctl-edit-"))
    path = folder / f"{name}.yaml"
    try:
        yield path
    except CliError as error:
        if path.exists():
            error.hints = (*error.hints, f"your text is kept in {path}")
        raise
    else:
        path.unlink(missing_ok=True)
        folder.rmdir()


def _both_sides(
    name: str, base: Mapping[str, Any], theirs: Mapping[str, Any] | None, mine: Mapping[str, Any]
) -> CliError:
    """What others did meanwhile, and what the person did."""
    if theirs is None:
        return CliError(f"Cannot change {name}: its spec was deleted meanwhile", Exit.CONFLICT)
    details = ["what others changed:", *_difference(base, theirs), "what you changed:", *_difference(base, mine)]
    return CliError(
        f"Cannot change {name}: its spec was changed meanwhile",
        Exit.CONFLICT,
        details=details,
        hints=[f"`workerctl edit {name}` shows it as it is now"],
    )


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    from difflib import unified_diff  # noqa: PLC0415 - only for a conflict

    lines = unified_diff(_text(before).splitlines(), _text(after).splitlines(), lineterm="", n=1)
    return [f"  {line}" for line in lines if not line.startswith(("---", "+++", "@@"))]


def _text(document: Mapping[str, Any]) -> str:
    from controller.cli.render import readable  # noqa: PLC0415 - brings YAML

    return readable(dict(document))
