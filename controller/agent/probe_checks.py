"""One check of a probe over the network or in a run's output: what is asked, what counts, what is said when it fails.

Called by probes.py. A check has no clock: who calls it cancels it when its time is over, and nothing is left open then.
HTTP is spoken over a raw stream to 127.0.0.1: the status decides, redirects are answers and not followed, and no more
than the head is read, up to a bound.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from .protocol import STREAMS
from .views import plain_text

ADDRESS = "127.0.0.1"
HEAD_LIMIT = 16 * 1024
LINE_LIMIT = 4096
CHUNK = 64 * 1024
CHUNKS_AT_ONCE = 8
DEFAULT_STATUS = (200, 399)

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r?\n")


@dataclass(frozen=True)
class Result:
    """What a check found. `ok` None: nothing can be said, and nothing is counted."""

    ok: Optional[bool]
    message: str = ""


async def check_http(probe: Mapping[str, Any]) -> Result:
    """Ask once; the status must lie in the probe's range."""
    where = f"http://{ADDRESS}:{probe['port']}{probe['path']}"
    try:
        line = await _status_line(probe["port"], probe["path"])
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        return Result(False, f"{where}: {_reason(error)}")
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        return Result(False, f"{where} does not speak HTTP/1: {plain_text(line.decode('latin-1'), 60)}")
    lowest, highest = probe.get("status") or DEFAULT_STATUS
    status = int(found[1])
    return Result(lowest <= status <= highest, f"{where} answered {status}")


async def _status_line(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(ADDRESS, port, limit=HEAD_LIMIT)
    try:
        _refuse_self(writer)
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {ADDRESS}",
            "User-Agent: workerctl",
            "Accept: */*",
            "Connection: close",
        )
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
        return await reader.readuntil(b"\n")
    finally:
        writer.transport.abort()


async def check_tcp(probe: Mapping[str, Any]) -> Result:
    """Connect once."""
    try:
        _reader, writer = await asyncio.open_connection(ADDRESS, probe["port"])
        try:
            _refuse_self(writer)
        finally:
            writer.transport.abort()
    except OSError as error:
        return Result(False, f"{ADDRESS}:{probe['port']}: {_reason(error)}")
    return Result(True)


def _refuse_self(writer: asyncio.StreamWriter) -> None:
    """A port of the range that connections come from may be given to our own end: then nobody listens."""
    if writer.get_extra_info("sockname") == writer.get_extra_info("peername"):
        raise ConnectionRefusedError("nobody listens")


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, asyncio.IncompleteReadError):
        return "hung up without an answer"
    if isinstance(error, asyncio.LimitOverrunError):
        return "the first line of the answer has no end"
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


@dataclass
class LineSearch:
    """Looks for a pattern in the lines of a run, from its beginning or from `offsets` on; never at a byte twice.

    `read(run, stream, offset, limit)` is that of the logs. A line longer than the bound is looked at up to there.
    """

    run: str
    pattern: str
    read: Callable[[str, str, int, int], tuple[dict[str, Any], bytes]]
    offsets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))

    def __post_init__(self) -> None:
        self.is_behind = False
        self._compiled = re.compile(self.pattern)
        self._rests = dict.fromkeys(self.offsets, b"")

    def skip_to_end(self) -> None:
        """What has been written so far is of no interest."""
        for stream in self.offsets:
            self.offsets[stream] = self.read(self.run, stream, 0, 0)[0]["size"]

    def look(self) -> bool:
        """Whether a new line matches. Reads a bounded part; `is_behind`: there is more, call again."""
        self.is_behind = False
        found = [self._look(stream) for stream in self.offsets]
        return any(found)

    def _look(self, stream: str) -> bool:
        for _ in range(CHUNKS_AT_ONCE):
            answer, data = self.read(self.run, stream, self.offsets[stream], CHUNK)
            if answer["offset"] > self.offsets[stream]:
                self._rests[stream] = b""
            if not data:
                return False
            self.offsets[stream] = answer["offset"] + len(data)
            *lines, rest = (self._rests[stream] + data).split(b"\n")
            self._rests[stream] = rest[:LINE_LIMIT]
            if any(self._compiled.search(line[:LINE_LIMIT].decode("utf-8", "replace")) for line in lines):
                return True
        self.is_behind = True
        return False
