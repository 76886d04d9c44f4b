"""Problems: what is wrong with a person's input, said once and in full.

A problem is a value, never an exception on its way through the core: one pass over a file returns all of them. The
same record is printed by `validate`, shown by `get`, `status` and `describe`, and sent by the API.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a document stands: file relative to the specs directory, first line (from 1)."""

    file: str
    line: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of one file.

    `file` is relative to the specs directory; `line` and `column` count from 1 and are None where a fault has no
    place (an unreadable file). `pointer` is a JSON pointer into the document. `message` says what is wrong and what
    was expected; `hint` says what to do, or is empty. `worker_id` is None where the file's workers are unknown.
    """

    file: str
    message: str
    line: int | None = None
    column: int | None = None
    pointer: str = ""
    hint: str = ""
    worker_id: str | None = None
    code: str = "invalid"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a spec that its values reveal, before anybody looked up where it stands in a file.

    `pointer` is a JSON pointer into the document; the sources find line and column for it with `at`.
    """

    pointer: str
    message: str
    hint: str = ""

    def at(self, source: Source, *, worker_id: str, line: int | None = None, column: int | None = None) -> Problem:
        """The same as a problem of a file. Without `line` the document's first line stands for the place."""
        return Problem(
            file=source.file, message=self.message, line=source.line if line is None else line, column=column,
            pointer=self.pointer, hint=self.hint, worker_id=worker_id,
        )  # fmt: skip
