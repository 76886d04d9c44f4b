"""Last good specs on disk: small fsynced files, one per spec file, in STATE/last_good.

Called by directory.py only. They answer two questions after a start: what a file said that is broken now, and which
workers had a file that is gone now. So a record leaves only when its last worker is forgotten, that is when its
processes are known to be gone.

A record names its spec file and holds the workers' fields with Defaults merged, as plain data. A record that cannot be
read is set aside (`.bad`) and the others are used: one bad byte must not cost a fleet. Writing is atomic per record.
Few records are fsynced one by one; thousands, on the first start over a large directory, with one syncfs.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.agent.failpoints import failpoint
from controller.sources.assembly import LastGood, Memory
from controller.sources.documents import Document

VERSION = 1
MANY = 64
_ROOT = "root.json"
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootIdentity:
    """Which directory was accepted as the specs directory. `path` as configured, absolute; `real` without links."""

    path: str
    real: str
    dev: int
    ino: int


class LastGoodFiles:
    """The records of one state directory. `folder` is created with mode 0700 when it is missing."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._on_disk: dict[str, tuple[tuple[str, LastGood], ...] | None] = {}
        self._defaults_on_disk: dict[str, Document | None] = {}
        self._root_on_disk: RootIdentity | None = None

    def load(self) -> tuple[Memory, RootIdentity | None]:
        """All records, and the directory they are about. A damaged record is set aside."""
        workers: dict[str, LastGood] = {}
        defaults: dict[str, Document] = {}
        for name in sorted(os.listdir(self._folder)):
            if name.startswith(".") or not name.endswith(_SUFFIX):
                continue
            path = os.path.join(self._folder, name)
            try:
                with open(path, "rb") as file:
                    content = json.load(file)
                if name == _ROOT:
                    self._root_on_disk = RootIdentity(**content)
                else:
                    self._take(content, workers, defaults)
            except (ValueError, KeyError, TypeError):
                os.replace(path, path + ".bad")
        return Memory(workers=workers, defaults=defaults), self._root_on_disk

    def _take(self, content: Any, workers: dict[str, LastGood], defaults: dict[str, Document]) -> None:
        if content["version"] != VERSION:
            raise ValueError("another version")
        path, on_submount = str(content["path"]), bool(content["on_submount"])
        own: list[tuple[str, LastGood]] = []
        for entry in content["workers"]:
            document = Document(file=path, index=-1, line=int(entry["line"]), data=dict(entry["data"]))
            own.append((str(entry["worker_id"]), LastGood(document=document, on_submount=on_submount)))
        default: Document | None = None
        if content["defaults"] is not None:
            entry = content["defaults"]
            default = Document(file=path, index=-1, line=int(entry["line"]), data=dict(entry["data"]))
        # Only a record that is whole counts.
        workers.update(own)
        if default is not None:
            defaults[path] = default
        self._on_disk[path] = tuple(own)
        self._defaults_on_disk[path] = default

    def save(self, memory: Memory, root: RootIdentity | None) -> None:
        """Makes the records say what the memory says; touches only what changed. Raises OSError."""
        by_file: dict[str, list[tuple[str, LastGood]]] = {path: [] for path in memory.defaults}
        for worker_id, known in memory.workers.items():
            by_file.setdefault(known.document.file, []).append((worker_id, known))
        changed: dict[str, bytes] = {}
        for path, own in by_file.items():
            if not self._is_saved(path, own, memory.defaults.get(path)):
                changed[_name(path)] = _encoded(path, own, memory.defaults.get(path))
        if root is not None and root != self._root_on_disk:
            content = {"path": root.path, "real": root.real, "dev": root.dev, "ino": root.ino}
            changed[_ROOT] = json.dumps(content).encode()
        dropped = [path for path in self._on_disk if path not in by_file]
        self._write(changed)
        for path in dropped:
            _unlink(os.path.join(self._folder, _name(path)))
        if changed or dropped:
            self._sync_folder()
        self._root_on_disk = root
        self._on_disk = {path: tuple(own) for path, own in by_file.items()}
        self._defaults_on_disk = {path: memory.defaults.get(path) for path in by_file}

    def _is_saved(self, path: str, own: list[tuple[str, LastGood]], default: Document | None) -> bool:
        before = self._on_disk.get(path)
        if before is None or len(before) != len(own) or self._defaults_on_disk.get(path) != default:
            return False
        return all(
            one[0] == other[0]
            and (one[1].document is other[1].document or one[1].document == other[1].document)
            and one[1].on_submount == other[1].on_submount
            for one, other in zip(before, own, strict=True)
        )

    def _write(self, contents: Mapping[str, bytes]) -> None:
        temporary: list[tuple[str, str]] = []
        for name, content in contents.items():
            path = os.path.join(self._folder, name)
            hidden = os.path.join(self._folder, "." + name)
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if len(contents) <= MANY:
                    os.fsync(descriptor)
            temporary.append((hidden, path))
        if len(contents) > MANY:
            _sync_file_system(self._folder)
        failpoint("sources.last_good_written")
        for hidden, path in temporary:
            os.replace(hidden, path)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _name(path: str) -> str:
    return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:32] + _SUFFIX


def _encoded(path: str, own: list[tuple[str, LastGood]], default: Document | None) -> bytes:
    content = {
        "version": VERSION,
        "path": path,
        "on_submount": any(known.on_submount for _, known in own),
        "workers": [
            {"worker_id": worker_id, "line": known.document.line, "data": known.document.data}
            for worker_id, known in own
        ],
        "defaults": None if default is None else {"line": default.line, "data": default.data},
    }
    return json.dumps(content).encode()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _sync_file_system(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
    finally:
        os.close(descriptor)
