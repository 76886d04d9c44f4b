"""Core values to and from the agent protocol's JSON. Pure; used by agent.py alone.

What an agent says is untrusted input: a field of the wrong shape raises ProtocolError, an unknown status word is
`unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from controller.agent.protocol import STREAMS, ProtocolError
from controller.backends.base import HostEvent, LogChunk, LogFile, SlotOrder
from controller.core.observed import LastExit, ObservedInstance, Status


def slot_message(order: SlotOrder) -> dict[str, Any]:
    """SLOT of the protocol."""
    return {
        "slot": order.instance,
        "generation": order.generation,
        "revision": order.revision,
        "digest": order.digest,
        "run_request": order.run_request,
        "wanted": order.wanted,
        "launch": asdict(order.launch),
        "fields": dict(order.fields),
    }


def read_view(view: Mapping[str, Any]) -> ObservedInstance:
    """SLOT VIEW of the protocol as an observation."""
    try:
        worker_id, _, ordinal = str(view["slot"]).rpartition("/")
        return ObservedInstance(
            worker_id=worker_id,
            ordinal=int(ordinal),
            generation=int(view["generation"]),
            revision=str(view["revision"]),
            digest=str(view["digest"]),
            run_request=int(view["run_request"]),
            wanted=_wanted(view["wanted"]),
            status=_status(view["status"]),
            fields=dict(view.get("fields") or {}),
            reason=str(view.get("reason") or ""),
            message=str(view.get("message") or ""),
            since=float(view.get("since") or 0.0),
            run=view.get("run"),
            run_number=int(view.get("run_number") or 0),
            running_revision=view.get("running_revision"),
            pid=view.get("pid"),
            started_at=view.get("started_at"),
            restart_count=int(view.get("restart_count") or 0),
            last_exit=_last_exit(view.get("last_exit")),
            next_retry_at=view.get("next_retry_at"),
            cpu_percent=view.get("cpu_percent"),
            memory_bytes=view.get("memory_bytes"),
            removing=bool(view.get("removing")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"slot view cannot be read: {error!r}") from None


def read_event(event: Mapping[str, Any]) -> HostEvent:
    """EVENT of the protocol."""
    try:
        return HostEvent(
            journal_id=str(event["journal_id"]),
            seq=int(event["seq"]),
            at=float(event["at"]),
            type=str(event["type"]),
            instance=event.get("slot"),
            run=event.get("run"),
            cause=str(event.get("cause") or ""),
            message=str(event.get("message") or ""),
            data=dict(event.get("data") or {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"event cannot be read: {error!r}") from None


def read_log_file(entry: Mapping[str, Any]) -> LogFile:
    """An entry of `list`'s logs, or a `log` push (which has no `ended`: it grows)."""
    stream = str(entry["stream"])
    if stream not in STREAMS:
        raise ProtocolError(f"no such stream: {stream!r}")
    return LogFile(
        run=str(entry["run"]),
        instance=str(entry["slot"]),
        stream=stream,
        size=int(entry["size"]),
        ended=bool(entry.get("ended")),
    )


def read_chunk(header: Mapping[str, Any], payload: bytes) -> LogChunk:
    """The answer of `read_log`."""
    gap = header.get("gap")
    return LogChunk(
        offset=int(header["offset"]),
        data=payload,
        size=int(header["size"]),
        ended=bool(header["ended"]),
        times=tuple((int(offset), float(at)) for offset, at in header.get("times") or ()),
        gap=(int(gap["from"]), int(gap["to"]), str(gap["reason"])) if gap else None,
    )


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
        code=value.get("code"),
        signal=value.get("signal"),
        at=float(value["at"]),
        run=str(value["run"]),
    )
