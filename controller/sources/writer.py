"""The writer of specs: what a client asks for becomes the smallest edit of the file where the spec stands.

Called by the desk of specs, in a thread. One write at a time, and never while the directory is scanned: so what is
judged is what is written, and the next scan takes it at its word. The order: read the file, check what the client has
seen of it, edit, judge everything as it would be (the other files as they were last read), write, tell the source.
Nothing is written that would not be accepted. How the file is written, and what goes with it (a commit, a push), is a
matter of git_writes.py; while that talks to a remote, scans go on.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from controller.core.authorship import (
    SpecInvalid,
    SpecOutcome,
    SpecRefused,
    SpecStale,
    SpecUnknown,
    SpecWish,
    SpecWritten,
)
from controller.core.problems import Problem, Source
from controller.sources.assembly import Assembly
from controller.sources.atomic import Conflict, FileChange
from controller.sources.directory import DirectorySource
from controller.sources.documents import pointer
from controller.sources.drafts import merged, replaced, still_hidden
from controller.sources.edits import edited, lines_before, renewed, with_text, without, worker_data
from controller.sources.git_message import author_of, commit_message
from controller.sources.git_repository import Blocked, Note
from controller.sources.git_writes import PlainFiles, Writes
from controller.sources.spelling import Speller
from controller.sources.surgery import EditRefused
from controller.sources.worker_text import WorkerText, faults_of_text, revealed

TRIES = 5
SUFFIX = ".yaml"
_MAX_DEPTH = 24
_TURN_S = 30.0
_SHORT_TURN_S = 1.0
_HELD_RETRY_S = 5


class _Ended(Exception):
    """The outcome is known."""

    def __init__(self, outcome: SpecOutcome) -> None:
        super().__init__()
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What is to be written, and what is answered then."""

    file: str
    change: FileChange
    note: Note
    outcome: SpecWritten


def etag_of(content: bytes) -> str:
    """The strong validator of a file, with its quotes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


class SpecWriter:
    """Writes into one specs directory. `shown(worker)`: the spec as clients see it; `now` in epoch seconds."""

    def __init__(
        self,
        source: DirectorySource,
        *,
        shown: Callable[[Any], Mapping[str, Any]],
        now: Callable[[], float],
        writes: Writes | None = None,
    ) -> None:
        self._source = source
        self._shown = shown
        self._now = now
        self._writes = writes or PlainFiles()
        self._turn = threading.Lock()
        self._writes.mend()

    def write(self, wish: SpecWish) -> SpecOutcome:
        """Carries the wish out. Blocking."""
        # Whoever waits holds a thread, of which there are few, and scans need one too.
        if not self._turn.acquire(timeout=_SHORT_TURN_S if self._writes.is_slow else _TURN_S):
            return SpecRefused(reason="busy", message="another write takes long", hint="try again", retry_after_s=2)
        try:
            return self._write(wish)
        finally:
            self._turn.release()

    def _write(self, wish: SpecWish) -> SpecOutcome:
        try:
            self._writes.mend()
            for _ in range(TRIES):
                try:
                    return self._try(wish)
                except Conflict as error:
                    conflict = str(error)  # Somebody wrote at the same moment: read again, edit again.
            return SpecRefused(reason="busy", message=conflict, hint="try again", retry_after_s=1)
        except _Ended as ended:
            return ended.outcome
        except Blocked as blocked:
            return SpecRefused(
                reason=blocked.reason, message=str(blocked), hint=blocked.hint, retry_after_s=blocked.retry_after_s
            )
        except OSError as error:
            message = f"the file cannot be written: {error.strerror}"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return SpecRefused(reason="disk_full", message=message)
            hint = "change it where it comes from; for a while, stop and start take for_ms"
            return SpecRefused(reason="read_only_source", message=message, hint=hint)

    def _try(self, wish: SpecWish) -> SpecOutcome:
        with ExitStack() as still:
            still.enter_context(self._source.writing())
            step = self._create(wish) if wish.action == "create" else self._change(wish)
            if not isinstance(step, _Step):
                return step
            if wish.dry_run:
                self._writes.check(step.change, step.note)
                return step.outcome
            if self._writes.is_slow:
                still.close()
            self._writes.begin(step.change, step.note)
            with self._source.writing():
                self._writes.finish(step.change)
                if step.change.after is not None:
                    self._source.wrote(step.file, step.change.after)
                if wish.action == "delete":
                    self._source.deleted(wish.worker_id)
            return step.outcome

    def _note(self, wish: SpecWish, before: bytes | None, after: bytes | None) -> Note:
        had = None if before is None else worker_data(before, wish.worker_id)
        has = None if after is None or wish.action == "delete" else worker_data(after, wish.worker_id)
        return Note(message=commit_message(wish, had, has), author=author_of(wish.actor))

    # --- creating ---

    def _create(self, wish: SpecWish) -> SpecOutcome | _Step:
        file = wish.worker_id + SUFFIX
        home = self._source.home(wish.worker_id)
        path = self._path(file)
        if home is not None or os.path.lexists(path):
            return _taken(wish.worker_id, file, home)
        if wish.text is not None:
            self._check_body(self._read_text(wish, wish.text).data, {})
            content = (wish.text if wish.text.endswith("\n") else f"{wish.text}\n").encode()
        else:
            self._check_body(wish.body, {})
            content = Speller().document({"worker_id": wish.worker_id, **wish.body}).encode()
        assembly = self._judged(wish, file, content)
        return _Step(
            file=file,
            change=FileChange(path=path, before=None, after=content),
            note=self._note(wish, None, content),
            outcome=SpecWritten(file=file, etag=etag_of(content), worker=assembly.workers.get(wish.worker_id)),
        )

    # --- changing ---

    def _change(self, wish: SpecWish) -> SpecOutcome | _Step:
        home = self._source.home(wish.worker_id)
        if home is None:
            return SpecUnknown()
        file = home.file
        path = self._path(file)
        try:
            with open(path, "rb") as opened:
                before = opened.read()
        except FileNotFoundError:
            # Git and some editors take a file away before they put it back; whether it is gone, the next scan says.
            return SpecRefused(reason="busy", message=f"{file} is not there now", hint="try again", retry_after_s=1)
        if wish.if_match is not None and "*" not in wish.if_match and etag_of(before) not in wish.if_match:
            return SpecStale(etag=etag_of(before))
        content = self._edited(wish, file, before)
        if content == before:
            worker = self._judged(wish, file, before).workers.get(wish.worker_id)
            return SpecWritten(file=file, etag=etag_of(before), worker=worker, is_changed=False)
        assembly = self._judged(wish, file, content)
        worker = None if wish.action == "delete" else assembly.workers.get(wish.worker_id)
        return _Step(
            file=file,
            change=FileChange(path=path, before=before, after=content),
            note=self._note(wish, before, content),
            outcome=SpecWritten(file=file, etag="" if content is None else etag_of(content), worker=worker),
        )

    def _edited(self, wish: SpecWish, file: str, before: bytes) -> bytes | None:
        """The new content of the file, None for none."""
        try:
            if wish.action == "delete":
                return without(before, wish.worker_id)
            have = worker_data(before, wish.worker_id)
        except EditRefused as error:
            raise self._broken(file, error) from None
        if wish.text is not None:
            return self._retold(wish, wish.text, before, file)
        if wish.action == "state" and self._asks_already(wish, file, before, have):
            return before
        if wish.action in ("patch", "state"):
            want = merged(have, wish.body)
        else:
            known = self._judged(wish, file, before, must_be_good=False).workers.get(wish.worker_id)
            shown = self._shown(known.spec) if known is not None else have
            want = replaced(have, shown, {"worker_id": wish.worker_id, **wish.body})
        self._check_body(want, have)
        try:
            return edited(before, wish.worker_id, want)
        except EditRefused as error:
            if wish.rewrite:
                return renewed(before, wish.worker_id, want)
            hint = "with rewrite=true this worker's document is written anew; its comments go, other documents stay"
            raise _Ended(SpecRefused(reason="not_surgical", message=f"{file}: {error}", hint=hint)) from None

    def _retold(self, wish: SpecWish, text: str, before: bytes, file: str) -> bytes:
        """The file with the text that the client wrote; what was hidden from it is what it was."""
        self._read_text(wish, text)
        whole = revealed(text, before, wish.worker_id)
        self._check_body(self._read_text(wish, whole).data, worker_data(before, wish.worker_id))
        try:
            return with_text(before, wish.worker_id, whole)
        except EditRefused as error:
            hint = f"write it into {file} yourself, or each field by PATCH"
            raise _Ended(SpecRefused(reason="not_surgical", message=f"{file}: {error}", hint=hint)) from None

    def _read_text(self, wish: SpecWish, text: str) -> WorkerText:
        """What the text says. Ends where it is not one sound document of this worker."""
        found = faults_of_text(text, wish.worker_id)
        if not isinstance(found, WorkerText):
            raise _Ended(SpecInvalid(problems=found))
        return found

    def _asks_already(self, wish: SpecWish, file: str, before: bytes, have: Mapping[str, Any]) -> bool:
        """Whether the spec asks for the state without a word about it."""
        if "desired_state" in have:
            return bool(have["desired_state"] == wish.body["desired_state"])
        known = self._judged(wish, file, before, must_be_good=False).workers.get(wish.worker_id)
        return (
            known is not None and known.spec.desired_state is None and known.spec.wanted == wish.body["desired_state"]
        )

    def _broken(self, file: str, error: EditRefused) -> _Ended:
        problems = self._source.problems_of(file)
        hint = f"correct {file}, then try again"
        return _Ended(SpecRefused(reason="broken_file", message=f"{file}: {error}", hint=hint, problems=problems))

    # --- judging ---

    def _judged(self, wish: SpecWish, file: str, content: bytes | None, *, must_be_good: bool = True) -> Assembly:
        """Everything as it would be. Ends where the spec would not be accepted."""
        found = self._source.trial(file, content, self._now())
        if isinstance(found, str):
            hint = "workerctl plan shows why"
            raise _Ended(SpecRefused(reason="source_held", message=found, hint=hint, retry_after_s=_HELD_RETRY_S))
        if must_be_good and wish.action != "delete":
            problems = [one for one in found.problems if one.file == file and one.worker_id in (None, wish.worker_id)]
            if problems:
                above = 0 if wish.text is None or content is None else lines_before(content, wish.worker_id)
                raise _Ended(SpecInvalid(problems=tuple(_of_sent(one, wish, above) for one in problems)))
        return found

    def _check_body(self, data: Mapping[str, Any], have: Mapping[str, Any]) -> None:
        """What no file can hold, or must not."""
        found = [
            Problem(file="", pointer=pointer(path), message="this is the sign for a hidden value, not a value",
                    hint="write the value, or leave the field out to keep it")
            for path in still_hidden(dict(data), dict(have))
        ]  # fmt: skip
        found += [Problem(file="", pointer=pointer(path), message=message) for path, message in _unwritable(data)]
        if found:
            raise _Ended(SpecInvalid(problems=tuple(found)))

    def _path(self, file: str) -> str:
        """Where a file of the directory lies. Ends where a link leads out of it."""
        root = os.path.realpath(self._source.root)
        path = os.path.join(root, file)
        if not os.path.realpath(path).startswith(root + os.sep):
            raise _Ended(SpecRefused(reason="read_only_source", message=f"{file} leads out of the specs directory"))
        return path


def _taken(worker_id: str, file: str, home: Source | None) -> SpecRefused:
    """Why it cannot be created: who has its name, or its file, and what would change that."""
    if home is None:
        hint = f"put {worker_id} into it as one more document, after `---`, or rename that file"
        return SpecRefused(reason="exists", message=f"{file} is there already, without {worker_id}", hint=hint)
    hint = f"`workerctl set {worker_id} PATH=VALUE` or `workerctl edit {worker_id}` changes it, PATCH over the API"
    return SpecRefused(reason="exists", message=f"{worker_id} stands in {home} already", hint=hint)


def _of_sent(problem: Problem, wish: SpecWish, above: int) -> Problem:
    """A problem of what a client sent: no file holds it, so its place is a pointer, and in a text the line."""
    if wish.action == "state":  # all but the state stands in the file
        return problem
    if wish.text is None:
        return replace(problem, file="", line=None, column=None)
    return replace(problem, file="", line=None if problem.line is None else max(1, problem.line - above))


def _unwritable(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """What JSON can carry and a spec file cannot."""
    if len(path) > _MAX_DEPTH:
        return [(path, f"more than {_MAX_DEPTH} levels of nesting")]
    if isinstance(data, Mapping):
        found = [(path, "a key is no text that a file can hold") for key in data if not _is_text(key)]
        return found + [fault for key, value in data.items() for fault in _unwritable(value, (*path, key))]
    if isinstance(data, list):
        return [fault for number, value in enumerate(data) for fault in _unwritable(value, (*path, number))]
    if isinstance(data, str) and not _is_text(data):
        return [(path, "expected a text without NUL and without halves of surrogate pairs")]
    if isinstance(data, int) and not isinstance(data, bool) and abs(data) >= 10**18:
        return [(path, "the number is too large")]
    return []


def _is_text(value: str) -> bool:
    return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
