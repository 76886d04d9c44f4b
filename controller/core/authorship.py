"""Writing specs: what is asked for and what can become of it. Values, shared by the API, the desk and the sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.core.desired import DesiredWorker
from controller.core.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecWish:
    """One spec to be created, replaced, patched (JSON merge patch) or deleted; or `state`, to be running or stopped.

    `body` is the flat spec, or the patch; empty for a deletion. For `state` it is `{desired_state: running|stopped}`,
    which is written only where the file does not ask for it already. `text` in place of `body`, to create or replace:
    the document as a person wrote it, in YAML, comments and all. `if_match`: etags of the file that the client has
    seen, `*` for any; None where it does not care. `rewrite`: where no small edit can say it, the document may be
    written anew, without its comments. `dry_run`: everything but the writing.
    """

    action: Literal["create", "replace", "patch", "delete", "state"]
    worker_id: str
    actor: str
    request_id: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    if_match: frozenset[str] | None = None
    rewrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecWritten:
    """Done and durable, or what would be done. `worker` as it is accepted now, None when it was deleted.

    `file` is relative to the specs directory; `etag` of its new content, empty when it is gone.
    """

    file: str
    etag: str
    worker: DesiredWorker | None
    is_changed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecUnknown:
    """There is no spec of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecStale:
    """The file is not the one that the client has seen; `etag` is that of the file now."""

    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecInvalid:
    """What would be written is no valid spec; nothing was written."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRefused:
    """It cannot be written, and why; nothing was written. `retry_after_s` where waiting helps.

    `reason`: `exists`, `broken_file`, `not_surgical`, `read_only_source`, `source_held`, `busy`, `disk_full`;
    with git `uncommitted_changes`, `detached_head`, `git_failed`; with a remote `not_pushed`, `push_refused`,
    `unpushed_commits`, `no_upstream`, and `not_pulled`: the remote has it, the work tree here does not.
    """

    reason: str
    message: str
    hint: str = ""
    problems: tuple[Problem, ...] = ()
    retry_after_s: int | None = None


SpecOutcome = SpecWritten | SpecUnknown | SpecStale | SpecInvalid | SpecRefused
