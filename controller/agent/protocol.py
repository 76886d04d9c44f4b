"""The protocol between a controller and an agent: words, records, framing. Other rooms may import this file.

Level-based and idempotent: `apply` says what a slot should be, never what to do. Every mutating command carries the
epoch that `claim` issued and the slot's generation; the agent refuses an older epoch and ignores an older or
equal generation with another content. Reordered, repeated and lost messages therefore change nothing but time.

Frame: two unsigned 32-bit big-endian lengths (header, payload), the header as UTF-8 JSON, the payload as raw bytes
(log bytes; empty otherwise). A request is `{"id": n, "op": NAME, ...}`, its answer `{"id": n, "ok": true, ...}` or
`{"id": n, "ok": false, "error": CODE, "message": TEXT}`. After `watch`, the agent also sends pushes: `{"push": KIND,
...}` without an id.

Requests (fields beside id and op -> fields of the answer):

  about   {}                            -> {version, form, build, keeper_build, folder, agent_pid, keeper_pid}
  renew   {realm, program}              -> {}                 keeper and agent become `program`, a command line to which
                                                              they add their roles; workers stay what they are.
          See `build` and `renewal`. These two are fixed for all versions and need no hello; fixed are also frames,
          the command lines of both roles and the keeper's order `renew`. By them a newer controller replaces an older
          agent, and the other way round.
  hello   {version, realm, heartbeat_key?} -> {version, journal_id, agent_pid, keeper_pid, boot_id, epoch, host,
                                            adjourned, degraded: [text], enforceable: [limit]}
          A realm other than the agent's own: error `wrong_realm`. Must come first. With `heartbeat_key` runs get
          their token for heartbeats (`heartbeat_token`).
  claim   {holds?}                      -> {epoch}            issues a new epoch, durably; lifts `adjourned`, unless it
                                                              `holds`: then nothing starts before `resume`
  resume  {epoch}                       -> {}                 what was adjourned starts, as it is applied by now
  list    {}                            -> {slots: [SLOT VIEW], tombstones: {slot: generation}, logs: [LOG]}
          `tombstones`: removed slots and their last generation (kept for 30 days, newest 5000).
  apply   {epoch, slots: [SLOT]}        -> {results: [{slot, ok, error?, message?}]}
          answered when the slots are durable. error `refused`: a running instance would be replaced and the
          preflight says the new launch cannot start; the old one stays. error `stale`: generation too low, or
          equal with another content; `generation` is the one to exceed. error `invalid`: a field is wrong.
          An equal apply with `secrets` brings their values; a slot that waited for them starts.
  remove  {epoch, slots: [{slot, generation}]} -> {results: [...]}   a tombstone; the slot view goes when all is gone
  preflight {launch}                    -> {message}          empty when it can start
  watch   {journal_id?, seq?}           -> {}                 then pushes: all events after the cursor, then live ones
  read_log {run, stream, offset, limit} -> {offset, size, ended, times: [[offset, epoch_s]], gap?} + payload
          `offset` is where the payload starts (later than asked when a gap lies between: `gap` {from, to, reason});
          `size` is the file's physical end now; `ended`: no more will come.
  stored  {epoch, marks: [{run, stream, offset}]} -> {}       all bytes below are safe elsewhere; may be reclaimed
  beat    {epoch, at, beats: {run: at}} -> {}                 each second while a run must beat: when the controller
          last heard of runs, those of which it has since the last message that was answered. All times are of one
          monotonic clock of the controller's and mean nothing else. Runs that need not beat are passed over.
  adjourn {epoch, deadline_s, awaited?} -> {}                 stop all, start nothing until the next claim; then exit.
                                                              Slots whose grace is longer are killed at the deadline.
                                                              What others depend on is asked to end after them.
                                                              `awaited`: the exit waits for `leave`, a few seconds.
  leave   {epoch}                       -> {}                 after the push `quiet`: the last lines are read
  kill_now {epoch}                      -> {}                 after adjourn: what still stops is killed at once

Pushes: {"push": "event", "event": EVENT} · {"push": "slot", "view": SLOT VIEW} (after each change) ·
{"push": "gone", "slot"} · {"push": "log", "run", "stream", "slot", "size"} (new bytes, at most every 50 ms per
file) · {"push": "figures", "figures": {slot: [cpu_percent, memory_bytes]}, "cpu_seconds": {slot: [run, seconds]}} every
10 s · {"push": "quiet"} once everything that was adjourned has stopped, after the pushes that tell of it.

SLOT       {slot, generation, revision, digest, run_request, wanted: running|stopped, launch: LAUNCH, fields, labels?,
            secrets?: {NAME: value},     values are kept in memory only; those of another apply stay without it
            at_once?}                    with a new run_request: what it ends is killed at once, without pre_stop
LAUNCH     the fields of controller.core.desired.Launch, as JSON; what is not there has its default
SLOT VIEW  {slot, generation, revision, digest, run_request, wanted, fields, status, reason, message, since, run,
            run_number, running_revision, pid, started_at, restart_count, last_exit: {cause, code, signal, at, run},
            next_retry_at, removing, cpu_percent, memory_bytes, cpu_seconds, logs: {stdout: run, ...}, ready,
            notify_status, heartbeat_ms}
            `cpu_seconds`: what the run has used since its start; older agents do not tell it.
            `ready` is null where nothing says anything: no readiness probe, and no READY=1. `notify_status` is the
            STATUS= of the run, one line. `heartbeat_ms`: so long its run may be silent; null: it need not beat.
EVENT      {seq, journal_id, boot_id, at, type, slot, run, cause, message, data}; slot and run may be null.
           type `gap`: events that are no longer kept, data {from, to}, seq = to. type `repeated`: a slot's further
           events of one minute, folded, data {counts: {type: n}}. Events are sent once they are durable.
LOG        {run, slot, stream, size, ended, stored}   a file that is there, also of slots that are gone. Hooks are runs
           of their own in the slot of their worker; the id of such a run ends in `-` and the hook's name.

`times` of read_log: bytes from `offset` on, up to the next point, were written at about `epoch_s`. Offsets never go
back: what a writer truncated is a gap, and what it writes then has later offsets.

Error codes of a request: wrong_version, wrong_realm, hello_first, stale_epoch (older, also in the middle of a batch),
invalid, not_found, unknown_op, ending (everything has stopped: connect again), unavailable (the disk takes nothing;
nothing is promised), internal. A connection that sends no frame, or does not read 8 MiB of pushes, is dropped.

Times are seconds since the epoch as floats, delays in ms, sizes in bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from typing import Any, NamedTuple

VERSION = 1
MAX_HEADER = 64 * 1024 * 1024
MAX_PAYLOAD = 16 * 1024 * 1024
STREAMS = ("stdout", "stderr")

_LENGTHS = struct.Struct(">II")
LENGTHS_SIZE = _LENGTHS.size


class Frame(NamedTuple):
    """One message: its header and its raw bytes."""

    header: dict[str, Any]
    payload: bytes = b""


class ProtocolError(Exception):
    """The other side sent what no version of this protocol sends. The connection is of no further use."""


def encode(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogateescape")
    return _LENGTHS.pack(len(text), len(payload)) + text + payload


def lengths(data: bytes) -> tuple[int, int]:
    """Header and payload length from the first `LENGTHS_SIZE` bytes of a frame, checked against the limits."""
    header, payload = _LENGTHS.unpack(data)
    if header > MAX_HEADER or payload > MAX_PAYLOAD:
        raise ProtocolError(f"frame of {header} + {payload} bytes is over the limit")
    return header, payload


def decode(header: bytes, payload: bytes = b"") -> Frame:
    """A frame from its two parts. Raises ProtocolError where the header is no JSON object."""
    try:
        value = json.loads(header.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise ProtocolError(f"header is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ProtocolError("header is not a JSON object")
    return Frame(value, payload)


def heartbeat_token(key: str, instance: str, run: str) -> str:
    """What a run sends with its heartbeats: `web.0.RUN.MAC`. It names whose it is, and is worth nothing after the run.

    Names of workers hold no dot; the MAC is over instance and run.
    """
    mac = hmac.new(key.encode(), f"heartbeat\0{instance}\0{run}".encode(), hashlib.sha256).hexdigest()
    return f"{instance.replace('/', '.')}.{run}.{mac}"


# Why a run ended. One word each, told apart by proof only.
CAUSE_EXIT = "exited"  # by itself, with a code that is not among success_exit_codes
CAUSE_COMPLETED = "completed"  # by itself, with a success code
CAUSE_SIGNAL = "signaled"  # killed by a signal that we did not send
CAUSE_STOPPED = "stopped"  # after we asked it to
CAUSE_KILLED = "killed"  # by us, after its grace was over
CAUSE_SPAWN = "spawn_failed"  # never ran: the message says which step failed and why
CAUSE_UNKNOWN = "unknown"  # ended while nobody of ours was its parent
CAUSE_REBOOT = "host_rebooted"
CAUSE_START_TIMEOUT = "start_timeout"  # by us: its startup probe failed too often
CAUSE_LIVENESS = "liveness"  # by us: its liveness probe failed too often
CAUSE_HOOK = "hook"  # never ran: its pre_start hook failed
CAUSE_OOM = "oom_killed"  # by the kernel, which says so of the worker's own cgroup
