"""`workerctl apply -f FILE|DIR|-`: make the controller's specs as these documents say, creating and replacing.

The documents are read as the controller reads its own: strictly, with all faults at their places. What the controller
finds wrong comes back with pointers and is told at the place in the file that was given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controller.cli.client import Item
from controller.cli.common import client, examples
from controller.cli.errors import CliError, Exit, fault_lines
from controller.cli.human import count
from controller.cli.writing import Change, Manner, carry_out, see, write_options

if TYPE_CHECKING:
    from controller.sources.documents import Document, SpecFile

STDIN = "-"


@click.command(
    epilog=examples(
        ("workerctl apply -f web.yaml", "create the workers of a file, or make them as it says"),
        ("workerctl apply -f deploy/ --dry-run", "of a directory; only show the plan"),
        ("workerctl apply -f - <web.yaml", "from standard input; then nothing is asked"),
    )
)
@click.option(
    "-f", "--file", "paths", multiple=True, required=True, metavar="FILE|DIR|-", help="YAML or JSON; may be repeated.",
    type=click.Path(allow_dash=True),
)  # fmt: skip
@write_options
def apply(paths: tuple[str, ...], manner: Manner) -> None:
    """Create workers, or make their specs as these documents say.

    A field that a document does not have goes from the spec; what is the same stays as it is written, with its
    comments. Workers that no document names are left alone. Nothing is written unless every document is valid.
    """
    files = [_read(path) for path in _files(paths)]
    _refuse([asdict(problem) for file in files for problem in file.problems])
    documents = [document for file in files for document in file.documents]
    _refuse(_unfit(documents))
    if not documents:
        raise CliError("Cannot apply: there are no documents", Exit.USAGE, hints=["only *.yaml and *.yml are read"])
    api, changes = client(), list[Change]()
    contents = {file.path: file for file in files}
    for document in documents:
        worker_id = str(document.worker_id)
        seen = see(api, worker_id)
        body = {name: value for name, value in document.data.items() if name not in {"worker_id", "kind"}}
        changes.append(
            Change(
                action="create" if seen is None else "replace",
                worker_id=worker_id,
                body=body,
                seen=seen,
                placed=_Placing(contents, document),
            )
        )
    carry_out(api, changes, manner)


def _files(paths: Iterable[str]) -> Iterator[str]:
    """Files as given, and the specs of directories, sorted, without hidden ones."""
    for path in dict.fromkeys(paths):
        if path == STDIN or not Path(path).is_dir():
            yield path
            continue
        found = [below for below in Path(path).rglob("*") if below.suffix in {".yaml", ".yml"} and below.is_file()]
        yield from sorted(
            str(below) for below in found if not any(part[0] == "." for part in below.relative_to(path).parts)
        )


def _read(path: str) -> SpecFile:
    from controller.sources.documents import read_spec_file  # noqa: PLC0415 - brings YAML

    try:
        content = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    except OSError as error:
        raise CliError(f"Cannot read {path}: {error.strerror}", Exit.USAGE) from None
    return read_spec_file("standard input" if path == STDIN else path, content)


def _unfit(documents: Iterable[Document]) -> list[Item]:
    """What this verb cannot do with documents, whatever they hold."""
    faults: list[Item] = []
    first: dict[str, Document] = {}
    for document in documents:
        message, hint = "", ""
        if document.kind == "Defaults":
            message, hint = "`kind: Defaults` cannot be applied", "put its file into the controller's specs directory"
        elif document.worker_id is None:
            message, hint = "expected `worker_id` with a name of a-z, 0-9 and '-'", "give the worker a name"
        elif (earlier := first.setdefault(document.worker_id, document)) is not document:
            message = f"{document.worker_id} stands already in {earlier.source}"
            hint = "keep one"
        if message:
            faults.append({"file": document.file, "line": document.line, "message": message, "hint": hint})
    return faults


def _refuse(faults: list[Item]) -> None:
    if faults:
        lines = [line for fault in faults for line in fault_lines(fault)]
        raise CliError(f"Cannot apply: {count(len(faults), 'problem')}; nothing was written", Exit.USAGE, details=lines)


class _Placing:
    """Where a fault of one document lies: its pointer becomes file, line and column."""

    def __init__(self, files: dict[str, SpecFile], document: Document) -> None:
        self._files, self._document = files, document

    def __call__(self, fault: Item) -> Item:
        pointer = fault.get("pointer")
        if fault.get("file") or not isinstance(pointer, str):
            return fault
        from controller.sources.places import Places  # noqa: PLC0415 - brings YAML; only for faults

        place = Places(self._files).find(self._document, _steps(pointer, self._document.data))
        line, column = (self._document.line, None) if place is None else (place.line, place.column)
        return {**fault, "file": self._document.file, "line": line, "column": column}


def _steps(pointer: str, data: Any) -> tuple[str | int, ...]:
    """A JSON pointer as a path into `data`: a list is stepped into by number."""
    steps: list[str | int] = []
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        step = int(name) if isinstance(data, list) and name.isdecimal() else name
        steps.append(step)
        if isinstance(data, dict):
            data = data.get(name)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            data = None
    return tuple(steps)
