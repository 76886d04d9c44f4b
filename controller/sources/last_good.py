"""Last good specs on disk: one journal of records, one line per spec file, in STATE/last_good.

Called by directory.py and preview.py. They answer two questions after a start: what a file said that is broken now, and
which workers had a file that is gone now. So a record leaves only when its last worker is forgotten, that is when its
processes are known to be gone.

A record names its spec file and holds the workers' fields with Defaults merged, as plain data. A save appends the
records that changed and fsyncs once, whether one file changed or ten thousand; of several records of one file the last
one counts, and an empty one ends it. The journal is written anew, whole and renamed into place, when most of it is
outdated, or when it cannot be appended to: torn by a crash or a full disk, or not the file that we left.

A line without its end was never acknowledged, and does not count. One that cannot be read is set aside (`.bad`) and the
others are used: one bad byte must not cost a fleet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from controller.agent.failpoints import failpoint
from controller.sources.assembly import LastGood, Memory
from controller.sources.documents import Document

JOURNAL = "records.jsonl"
_ROOT = "root.json"
VERSION = 1
SPARE_LINES = 256
"""Outdated lines that are never worth a new journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootIdentity:
    """Which directory was accepted as the specs directory. `path` as configured, absolute; `real` without links.

    `born_ns`: numbers are given again, times of birth are not; 0 where it is not known.
    """

    path: str
    real: str
    dev: int
    ino: int
    born_ns: int = 0

    def is_also(self, other: RootIdentity) -> bool:
        """Whether both are the same directory, as far as is known of both."""
        if 0 in {self.born_ns, other.born_ns}:
            return replace(self, born_ns=0) == replace(other, born_ns=0)
        return self == other


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What one spec file last defined; empty where all of that is forgotten."""

    workers: Mapping[str, LastGood] = field(default_factory=dict)
    default: Document | None = None

    @property
    def is_empty(self) -> bool:
        return not self.workers and self.default is None

    def says_the_same_as(self, other: _Record) -> bool:
        """Whether both would be written alike, wherever their workers were built."""
        return (
            _say_the_same(self.default, other.default)
            and list(self.workers) == list(other.workers)
            and all(
                _say_the_same(one.document, another.document) and one.on_submount == another.on_submount
                for one, another in zip(self.workers.values(), other.workers.values(), strict=True)
            )
        )


def _say_the_same(one: Document | None, other: Document | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or (one.line, one.data) == (other.line, other.data)


class LastGoodFiles:
    """The records of one state directory. `folder` is created with mode 0700 when it is missing."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._records: dict[str, _Record] = {}
        self._saved = Memory()
        self._root: RootIdentity | None = None
        self._lines = 0
        self._size: int | None = None  # None: the journal must be written anew

    def load(self) -> tuple[Memory, RootIdentity | None]:
        """All records, and the directory they are about. What is damaged is set aside."""
        self._load_journal()
        self._load_root()
        workers = {worker_id: known for one in self._records.values() for worker_id, known in one.workers.items()}
        defaults = {path: one.default for path, one in self._records.items() if one.default is not None}
        self._saved = Memory(workers=workers, defaults=defaults)
        return self._saved, self._root

    def _load_journal(self) -> None:
        content = _content(self._path(JOURNAL))
        *lines, torn = content.split(b"\n")
        damaged: list[bytes] = []
        for line in lines:
            try:
                path, record = _decoded(line)
            except (ValueError, KeyError, TypeError):
                damaged.append(line)
            else:
                self._note(path, record)
        self._lines = len(lines)
        self._size = None if damaged or torn else len(content)
        if damaged:
            self._replace(JOURNAL + ".bad", b"".join(line + b"\n" for line in damaged))

    def _load_root(self) -> None:
        content = _content(self._path(_ROOT))
        try:
            self._root = RootIdentity(**json.loads(content)) if content else None
        except (ValueError, TypeError):
            os.replace(self._path(_ROOT), self._path(_ROOT) + ".bad")

    def save(self, memory: Memory, root: RootIdentity | None) -> None:
        """Makes the records say what the memory says; writes only what changed. Raises OSError."""
        changed = {
            path: record
            for path, record in self._touched(memory).items()
            if not record.says_the_same_as(self._records.get(path, _Record()))
        }
        if changed:
            self._write(changed)
        if root is not None and root != self._root:
            self._replace(_ROOT, json.dumps(asdict(root)).encode())
        for path, record in changed.items():
            self._note(path, record)
        self._saved, self._root = memory, root

    def _touched(self, memory: Memory) -> dict[str, _Record]:
        """The records, as they should be, of the files whose workers or Defaults are other objects than before."""
        saved = self._saved
        paths = {
            known.document.file
            for worker_id, known in memory.workers.items()
            if saved.workers.get(worker_id) is not known
        }
        paths |= {
            known.document.file
            for worker_id, known in saved.workers.items()
            if worker_id not in memory.workers or memory.workers[worker_id].document.file != known.document.file
        }
        paths |= {
            path
            for path in memory.defaults.keys() | saved.defaults.keys()
            if memory.defaults.get(path) is not saved.defaults.get(path)
        }
        if not paths:
            return {}
        workers: dict[str, dict[str, LastGood]] = {path: {} for path in paths}
        for worker_id, known in memory.workers.items():
            if known.document.file in paths:
                workers[known.document.file][worker_id] = known
        return {path: _Record(workers=workers[path], default=memory.defaults.get(path)) for path in sorted(paths)}

    def _note(self, path: str, record: _Record) -> None:
        if record.is_empty:
            self._records.pop(path, None)
        else:
            self._records[path] = record

    # --- writing -------------------------------------------------------------------------------------------------

    def _write(self, changed: Mapping[str, _Record]) -> None:
        lines = self._lines + len(changed)
        if lines > 2 * len(self._records) + SPARE_LINES or not self._append(changed):
            live = {path: record for path, record in {**self._records, **changed}.items() if not record.is_empty}
            content = _encoded(live)
            self._replace(JOURNAL, content)
            self._lines, self._size = len(live), len(content)

    def _append(self, changed: Mapping[str, _Record]) -> bool:
        """Adds lines to the journal as we left it; false where it must be written anew."""
        size, self._size = self._size, None  # until all of it is there
        if size is None:
            return False
        try:
            descriptor = os.open(self._path(JOURNAL), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        content = _encoded(changed)
        with open(descriptor, "wb") as file:
            if os.fstat(descriptor).st_size != size:
                return False
            file.write(content)
            file.flush()
            failpoint("sources.last_good_appended")
            os.fsync(descriptor)
        self._lines, self._size = self._lines + len(changed), size + len(content)
        return True

    def _replace(self, name: str, content: bytes) -> None:
        hidden = self._path("." + name)
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        failpoint("sources.last_good_written")
        os.replace(hidden, self._path(name))
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _decoded(line: bytes) -> tuple[str, _Record]:
    content = json.loads(line)
    if content["version"] != VERSION:
        raise ValueError("another version")
    path, on_submount = str(content["path"]), bool(content["on_submount"])
    workers = {
        str(entry["worker_id"]): LastGood(document=_document(path, entry), on_submount=on_submount)
        for entry in content["workers"]
    }
    default = content["defaults"]
    return path, _Record(workers=workers, default=None if default is None else _document(path, default))


def _document(path: str, entry: Any) -> Document:
    return Document(file=path, index=-1, line=int(entry["line"]), data=dict(entry["data"]))


def _encoded(records: Mapping[str, _Record]) -> bytes:
    return b"".join(json.dumps(_plain(path, record)).encode() + b"\n" for path, record in records.items())


def _plain(path: str, record: _Record) -> dict[str, Any]:
    default = record.default
    return {
        "version": VERSION,
        "path": path,
        "on_submount": any(known.on_submount for known in record.workers.values()),
        "workers": [
            {"worker_id": worker_id, "line": known.document.line, "data": known.document.data}
            for worker_id, known in record.workers.items()
        ],
        "defaults": None if default is None else {"line": default.line, "data": default.data},
    }
