"""Core values to and from the agent protocol's JSON. Pure; used by agent.py alone.

What an agent says is untrusted input: whatever has the wrong shape raises ProtocolError, never another exception; an
unknown status word is `unknown`. A signal travels as its number and is shown by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from signal import Signals
from typing import Any, Literal, TypeVar

from controller.agent.protocol import STREAMS, ProtocolError
from controller.backends.base import Answer, HostEvent, LogChunk, LogFile, SlotOrder
from controller.core.observed import LastExit, ObservedInstance, Status

T = TypeVar("T")


def slot_message(order: SlotOrder) -> dict[str, Any]:
    """SLOT of the protocol."""
    message: dict[str, Any] = {
        "slot": order.instance,
        "generation": order.generation,
        "revision": order.revision,
        "digest": order.digest,
        "run_request": order.run_request,
        "wanted": order.wanted,
        "launch": asdict(order.launch),
        "fields": dict(order.fields),
    }
    if order.at_once:
        message["at_once"] = True
    if order.secrets:
        message["secrets"] = dict(order.secrets)
    return message


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever is wrong with the value that is read within is a ProtocolError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise ProtocolError(f"{what} cannot be read: {error!r}") from None


def read_view(view: Mapping[str, Any]) -> ObservedInstance:
    """SLOT VIEW of the protocol as an observation."""
    with reading("slot view"):
        worker_id, ordinal = _slot(view["slot"])
        return ObservedInstance(
            worker_id=worker_id,
            ordinal=ordinal,
            generation=int(view["generation"]),
            revision=str(view["revision"]),
            digest=str(view["digest"]),
            run_request=int(view["run_request"]),
            wanted=_wanted(view["wanted"]),
            status=_status(view["status"]),
            fields=dict(view.get("fields") or {}),
            reason=str(view.get("reason") or ""),
            message=str(view.get("message") or ""),
            since=_finite(view.get("since") or 0.0),
            run=_or_none(view.get("run"), str),
            run_number=int(view.get("run_number") or 0),
            running_revision=_or_none(view.get("running_revision"), str),
            pid=_or_none(view.get("pid"), int),
            started_at=_or_none(view.get("started_at"), _finite),
            restart_count=int(view.get("restart_count") or 0),
            last_exit=_last_exit(view.get("last_exit")),
            next_retry_at=_or_none(view.get("next_retry_at"), _finite),
            cpu_percent=_or_none(view.get("cpu_percent"), _finite),
            memory_bytes=_or_none(view.get("memory_bytes"), int),
            cpu_seconds=_or_none(view.get("cpu_seconds"), _finite),
            removing=bool(view.get("removing")),
            ready=_or_none(view.get("ready"), bool),
            notify_status=str(view.get("notify_status") or ""),
            heartbeat_ms=_or_none(view.get("heartbeat_ms"), int),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotFigures:
    """What a `figures` push says of one slot. `used`: a run, and its CPU seconds, which older agents do not tell."""

    cpu_percent: float | None
    memory_bytes: int | None
    used: tuple[str, float] | None = None

    def on(self, known: ObservedInstance) -> ObservedInstance:
        """The instance with these figures, itself where they are its own; CPU seconds count for its live run only."""
        run, seconds = self.used or (None, None)
        seconds = seconds if run == known.run else known.cpu_seconds
        told = (self.cpu_percent, self.memory_bytes, seconds)
        if told == (known.cpu_percent, known.memory_bytes, known.cpu_seconds):
            return known
        return replace(known, cpu_percent=self.cpu_percent, memory_bytes=self.memory_bytes, cpu_seconds=seconds)


def read_figures(push: Mapping[str, Any]) -> dict[str, SlotFigures]:
    """The `figures` push, by slot."""
    with reading("figures"):
        used = {
            slot: (str(run), _finite(seconds))
            for slot, (run, seconds) in (push.get("cpu_seconds") or {}).items()
            if seconds is not None
        }
        return {
            slot: SlotFigures(
                cpu_percent=_or_none(cpu, _finite), memory_bytes=_or_none(memory, int), used=used.get(slot)
            )
            for slot, (cpu, memory) in (push.get("figures") or {}).items()
        }


def read_event(event: Mapping[str, Any]) -> HostEvent:
    """EVENT of the protocol."""
    with reading("event"):
        return HostEvent(
            journal_id=str(event["journal_id"]),
            seq=int(event["seq"]),
            at=_finite(event["at"]),
            type=str(event["type"]),
            instance=_or_none(event.get("slot"), str),
            run=_or_none(event.get("run"), str),
            cause=str(event.get("cause") or ""),
            message=str(event.get("message") or ""),
            data=dict(event.get("data") or {}),
        )


def read_result(result: Mapping[str, Any]) -> tuple[Answer, int | None]:
    """One result of `apply` or `remove`, and the generation that the next order must exceed, where it is told."""
    with reading("result"):
        error = "" if result.get("ok") is True else str(result.get("error") or "failed")
        answer = Answer(instance=str(result["slot"]), error=error, message=str(result.get("message") or ""))
        return answer, _or_none(result.get("generation"), int)


def read_log_file(entry: Mapping[str, Any]) -> LogFile:
    """An entry of `list`'s logs, or a `log` push (which has no `ended`: a read tells)."""
    with reading("log file"):
        stream = str(entry["stream"])
        if stream not in STREAMS:
            raise ValueError(f"no such stream: {stream!r}")
        _slot(entry["slot"])
        return LogFile(
            run=str(entry["run"]),
            instance=str(entry["slot"]),
            stream=stream,
            size=int(entry["size"]),
            ended=bool(entry.get("ended")),
            stored=int(entry.get("stored") or 0),
        )


def read_chunk(header: Mapping[str, Any], payload: bytes, asked: int) -> LogChunk:
    """The answer of `read_log` at offset `asked`. Bytes from before would be stored twice: there are none."""
    with reading("log chunk"):
        gap, offset, size = header.get("gap"), int(header["offset"]), int(header["size"])
        if offset < asked or size < offset + len(payload):
            raise ValueError(f"asked for {asked}, got {offset} to {offset + len(payload)} of {size}")
        return LogChunk(
            offset=offset,
            data=payload,
            size=size,
            ended=bool(header["ended"]),
            times=tuple((int(start), _finite(at)) for start, at in header.get("times") or ()),
            gap=(int(gap["from"]), int(gap["to"]), str(gap["reason"])) if gap else None,
        )


def _slot(name: object) -> tuple[str, int]:
    worker_id, _, ordinal = str(name).rpartition("/")
    if not worker_id:
        raise ValueError(f"{name!r} is no slot")
    return worker_id, int(ordinal)


def _or_none(value: Any, read: Callable[[Any], T]) -> T | None:
    return None if value is None else read(value)


def _finite(value: Any) -> float:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{found} is no number")
    return found


def _status(word: object) -> Status:
    try:
        return Status(str(word))
    except ValueError:
        return Status.UNKNOWN


def _wanted(word: object) -> Literal["running", "stopped"]:
    if word == "running":
        return "running"
    if word == "stopped":
        return "stopped"
    raise ValueError(f"wanted {word!r}")


def _last_exit(value: Mapping[str, Any] | None) -> LastExit | None:
    if value is None:
        return None
    return LastExit(
        cause=str(value["cause"]),
        code=_or_none(value.get("code"), int),
        signal=_signal(value.get("signal")),
        at=_finite(value["at"]),
        run=str(value["run"]),
    )


def _signal(value: object) -> str | None:
    """`SIGKILL` for 9; a real-time signal has no name of its own."""
    if not isinstance(value, int):
        return _or_none(value, str)
    try:
        return Signals(value).name
    except ValueError:
        return f"signal {value}"
