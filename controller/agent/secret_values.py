"""The values of secrets on this host: those that a controller brought, and those read from files at each spawn.

Values never enter a wish, a record, a view, an event or a log line. What a controller brought is kept in memory, and in
one 0600 file per slot below the runtime folder where that is a tmpfs: it must never reach a disk. Where it is none, or
after a reboot, the values are gone and the slot waits for the next `apply`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import stat
import sys
from collections.abc import Mapping
from typing import Any, Optional

from .flusher import replace_file
from .records import file_name
from .secret_paths import UntrustedError, open_secret

FILE_LIMIT = 64 * 1024
_TMPFS, _RAMFS = 0x01021994, 0x858458F6
_LIBC = ctypes.CDLL(None, use_errno=True)


class SecretError(Exception):
    """A secret file cannot be used. The message names the file, never what is in it."""


class BroughtSecrets:
    """What the controller brought, by slot. One per agent."""

    def __init__(self, runtime: str) -> None:
        self._folder: Optional[str] = f"{runtime}/secrets" if is_memory(runtime) else None
        self._known: dict[str, dict[str, str]] = {}
        if self._folder is not None:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)

    def bring(self, slot: str, values: Mapping[str, str]) -> None:
        """These are the values of the slot from now on."""
        self._known[slot] = dict(values)
        if self._folder is None:
            return
        path = f"{self._folder}/{file_name(slot)}"
        with contextlib.suppress(OSError):
            if values:
                replace_file(path, json.dumps(dict(values)).encode(), sync=False)
            else:
                os.unlink(path)

    def forget(self, slot: str) -> None:
        """The slot is gone."""
        self._known.pop(slot, None)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                os.unlink(f"{self._folder}/{file_name(slot)}")

    def values(self, slot: str, launch: Mapping[str, Any]) -> dict[str, str]:
        """The values that the launch names, as far as they are known."""
        names = launch.get("secret_names") or ()
        if not names:
            return {}
        if slot not in self._known:
            self._known[slot] = self._read(slot)
        known = self._known[slot]
        return {name: known[name] for name in names if name in known}

    def missing(self, slot: str, launch: Mapping[str, Any]) -> str:
        """Which values nobody has brought, as a sentence; empty where none is missing."""
        names = launch.get("secret_names") or ()
        found = self.values(slot, launch)
        absent = [name for name in names if name not in found]
        if not absent:
            return ""
        verb = "is" if len(absent) == 1 else "are"
        return f"the value of {', '.join(absent)} {verb} not known here until a controller brings it"

    def _read(self, slot: str) -> dict[str, str]:
        if self._folder is None:
            return {}
        try:
            descriptor = os.open(f"{self._folder}/{file_name(slot)}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                value = json.load(file)
        except (OSError, ValueError):
            return {}
        return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}


def read_files(files: Mapping[str, str], uid: Optional[int] = None) -> dict[str, str]:
    """The contents of secret files by variable, for a worker of `uid` (None: ours). Blocks; raises SecretError."""
    is_for_other = uid is not None and uid != os.geteuid()
    return {name: _read_file(name, path, is_for_other=is_for_other) for name, path in files.items()}


def _read_file(name: str, path: str, *, is_for_other: bool) -> str:
    try:
        descriptor = open_secret(path, is_for_other=is_for_other)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SecretError(f"Cannot read secret {name}: {path} is no regular file")
            data = _whole(descriptor)
        finally:
            os.close(descriptor)
    except UntrustedError as error:
        raise SecretError(f"Cannot read secret {name}: {path}: {error}") from None
    except OSError as error:
        raise SecretError(f"Cannot read secret {name}: {path}: {error.strerror}") from None
    if len(data) > FILE_LIMIT:
        raise SecretError(f"Cannot read secret {name}: {path} is larger than {FILE_LIMIT} bytes")
    if b"\0" in data:
        raise SecretError(f"Cannot read secret {name}: {path} holds a zero byte")
    return (data[:-1] if data.endswith(b"\n") else data).decode("utf-8", "surrogateescape")


def _whole(descriptor: int) -> bytes:
    data = b""
    while len(data) <= FILE_LIMIT:
        piece = os.read(descriptor, FILE_LIMIT + 1 - len(data))
        if not piece:
            break
        data += piece
    return data


def is_memory(path: str) -> bool:
    """Whether what is written below `path` stays in memory. False where that cannot be told."""
    buffer = ctypes.create_string_buffer(512)
    if _LIBC.statfs(os.fsencode(path), buffer) != 0:
        return False
    return int.from_bytes(buffer.raw[:4], sys.byteorder) in (_TMPFS, _RAMFS)
