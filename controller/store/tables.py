"""The tables, as SQLAlchemy metadata. What a row means stands here; how it gets there in apply, out again in queries.

The schema is made by the migrations, never from this file; a test holds the two against each other. Rules:

- Portable types only: text, integers, doubles, booleans. JSON is text, written and read by `text`, because the JSON
  types of different databases refuse different things.
- Times are seconds since the epoch as doubles. They come from other machines' clocks and may go back; the order of
  rows is that of their numbers (`id`, `seq`), never that of their times.
- `worker_logs.id` and `events.seq` are never used twice, also after rows were deleted: followers and pages of an
  API answer hold on to them. Hence AUTOINCREMENT on SQLite.
- No foreign keys: history outlives what it is about, and rows of one worker arrive in any order.
- Each index costs a tenth to a fifth of the speed of log ingest; there is one per question that is asked.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the type is exactly INTEGER.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

# Text by its bytes and numbers of 64 bits, as in SQLite: a server would have its own ideas of both.
_INTEGER = Integer().with_variant(BigInteger(), "postgresql")
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def _text(name: str) -> Column[Any]:
    return Column(name, _TEXT, nullable=False, server_default=text("''"))


worker_configs = Table(
    "worker_configs",
    metadata,
    Column("worker_id", _TEXT, primary_key=True),
    _text("name"),
    _text("description"),
    Column("deployment_type", _TEXT, nullable=False),
    Column("host", _TEXT, nullable=False),
    Column("port", _INTEGER),
    Column("max_accounts", _INTEGER),
    Column("replicas", _INTEGER, nullable=False),
    Column("auto_start", Boolean, nullable=False),
    Column("desired_state", _TEXT, nullable=False),
    Column("auto_restart", _TEXT, nullable=False),
    Column("max_restart_attempts", _INTEGER),
    Column("restart_delay_ms", BigInteger, nullable=False),
    Column("labels", _TEXT, nullable=False),
    Column("spec", _TEXT, nullable=False),
    Column("revision", _TEXT, nullable=False),
    _text("source_file"),
    Column("source_line", _INTEGER),
    Column("valid", Boolean, nullable=False),
    Column("problems", _TEXT, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("deleted_at", Double),
)
"""The specs as accepted, for queries and history. Nothing is ever decided from it. `deleted_at`: the spec is gone."""

worker_runtime = Table(
    "worker_runtime",
    metadata,
    Column("instance", _TEXT, primary_key=True),
    Column("worker_id", _TEXT, nullable=False),
    Column("ordinal", _INTEGER, nullable=False),
    Column("host", _TEXT, nullable=False),
    Column("status", _TEXT, nullable=False),
    _text("reason"),
    _text("message"),
    Column("pid", _INTEGER),
    Column("run", _TEXT),
    Column("run_number", _INTEGER, nullable=False),
    Column("revision", _TEXT),
    Column("started_at", Double),
    Column("restart_count", _INTEGER, nullable=False),
    Column("error_count", _INTEGER),
    Column("cpu_percent", Double),
    Column("memory_bytes", BigInteger),
    Column("assigned_accounts", _INTEGER),
    Column("active_tasks", _INTEGER),
    Column("last_heartbeat_at", Double),
    Column("last_exit", _TEXT),
    Column("next_retry_at", Double),
    Column("updated_at", Double, nullable=False),
    Index("ix_worker_runtime_worker_id", "worker_id"),
)
"""The last known status of each instance. A snapshot for people and programs that read SQL; never read to decide."""

worker_logs = Table(
    "worker_logs",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("worker_id", _TEXT, nullable=False),
    Column("instance", _TEXT, nullable=False),
    Column("run", _TEXT, nullable=False),
    Column("stream", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("approximate", Boolean, nullable=False),
    Column("level", _TEXT),
    Column("text", _TEXT, nullable=False),
    Column("partial", Boolean, nullable=False),
    Column("data", _TEXT),
    Index("ix_worker_logs_worker_id_id", "worker_id", "id"),
    Index("ix_worker_logs_instance_id", "instance", "id"),
    Index("ix_worker_logs_worker_id_at", "worker_id", "at"),
    sqlite_autoincrement=True,
)
"""One row per line. `kind`: `line`, or `gap` where something was left out and the text says what and why. `seq` counts
per run and stream without holes; `byte_offset` is where the line starts in its file.

Records of other kinds (core.log_kinds) are of no file: their `stream` is empty, `data` a JSON object. Those that come
from an event of the agent have its number in the journal for `seq`; those that the worker told count their own, and
have the worker's number for `byte_offset`."""

log_totals = Table(
    "log_totals",
    metadata,
    Column("worker_id", _TEXT, primary_key=True),
    *[
        Column(name, BigInteger, nullable=False, server_default=text("0"))
        for name in ("lines", "bytes", "removed_lines", "removed_bytes", "removed_to")
    ],
    Column("removed_until", Double),
    Column("removed_at", Double),
)
"""How many rows of `worker_logs` each worker has, and the bytes of their texts. Moves with the lines.

`removed_...`: what retention has deleted of it, ever: of the lines up to the number `removed_to`, which were printed
until `removed_until`, some or all; `removed_at`: the last time."""

log_cursors = Table(
    "log_cursors",
    metadata,
    Column("run", _TEXT, primary_key=True),
    Column("stream", _TEXT, primary_key=True),
    Column("slot", _TEXT, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("updated_at", Double, nullable=False),
)
"""How far each file has been stored: all bytes below `byte_offset`, as lines up to `seq`. Moves with the lines.

What workers tell themselves has a cursor per source, whose stream is `told:` and its name: its numbers up to
`byte_offset`, as records up to `seq`."""

events = Table(
    "events",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("type", _TEXT, nullable=False),
    Column("worker_id", _TEXT),
    Column("instance", _TEXT),
    Column("run", _TEXT),
    _text("actor"),
    _text("cause"),
    _text("message"),
    Column("data", _TEXT, nullable=False),
    Index("ix_events_worker_id_seq", "worker_id", "seq"),
    sqlite_autoincrement=True,
)
"""Facts in the past tense, in the order in which they became known here."""

event_cursors = Table(
    "event_cursors",
    metadata,
    Column("host", _TEXT, primary_key=True),
    Column("journal_id", _TEXT, nullable=False),
    Column("seq", BigInteger, nullable=False),
)
"""How far each agent's journal has been stored. Moves with the events. Another `journal_id` starts from the front."""

operations = Table(
    "operations",
    metadata,
    Column("operation_id", _TEXT, primary_key=True),
    Column("worker_id", _TEXT, nullable=False),
    Column("action", _TEXT, nullable=False),
    Column("state", _TEXT, nullable=False),
    _text("detail"),
    _text("actor"),
    _text("reason"),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("number", BigInteger),
    Index("ix_operations_created_at", "created_at"),
    Index("ix_operations_worker_id_created_at", "worker_id", "created_at"),
)
"""What people asked for and how it went. `number` is that of the intent, where the operation made one."""

metric_series = Table(
    "metric_series",
    metadata,
    Column("series", _NUMBER, primary_key=True, autoincrement=True),
    Column("worker_id", _TEXT, nullable=False),
    Column("instance", _TEXT, nullable=False),
    UniqueConstraint("instance", name="uq_metric_series_instance"),
    Index("ix_metric_series_worker_id", "worker_id"),
)
"""One row per instance whose figures are kept: a short number for its name."""


def _samples(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("series", BigInteger, primary_key=True, autoincrement=False),
        Column("at", BigInteger, primary_key=True, autoincrement=False),
        *[Column(figure, Double) for figure in FIGURES],
        Index(f"ix_{name}_at", "at"),
        sqlite_with_rowid=False,
    )


FIGURES = (
    "cpu_percent", "cpu_max", "memory_bytes", "memory_max", "active_tasks", "assigned_accounts", "error_count",
    "restart_count",
)  # fmt: skip
"""Columns of samples, all of them numbers or NULL where not known. `..._max`: the largest that went into the row."""

SAMPLES = {step: _samples(name) for step, name in ((10, "samples_10s"), (60, "samples_1m"), (600, "samples_10m"))}
"""By seconds: the figures of each instance in spans of so long, each finer one rolled up into the next. `at` is the
begin of the span, in whole seconds since the epoch. Bounded by retention."""
