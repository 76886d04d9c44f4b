"""What the API needs of specs that are being written: the door and its values. Joined in ports.py.

A draft is a text that somebody has not sent yet: nothing of it is kept anywhere, and asking writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from controller.core.authorship import SpecRefused, SpecUnknown
from controller.core.plan import Plan
from controller.core.problems import Problem

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftWish:
    """What somebody has typed so far. `worker_id`: the worker whose spec it is to replace, None for a new one.

    Without a `text` it is that worker's document as it stands. `document`: what a form says; the text is changed to
    say the same.
    """

    actor: str
    worker_id: str | None = None
    text: str | None = None
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What became of the text, what it says, what is wrong with it, and what it would bring.

    `document` is None where it cannot be read. `is_rewritten`: no small edit could say what the form says, so comments
    went. `config` and `plan` stand where nothing is wrong. `refusal`: it is a good spec, and could not be written now.
    `file` and `etag` are those of the worker's file, empty for a new one.
    """

    text: str
    document: Mapping[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    is_rewritten: bool = False
    is_changed: bool = False
    config: Document | None = None
    plan: Plan | None = None
    refusal: SpecRefused | None = None
    file: str = ""
    etag: str = ""


class Drafts(Protocol):
    """Specs that are being written."""

    async def draft(self, wish: DraftWish) -> Draft | SpecUnknown | SpecRefused:
        """Judge it. Refused where the worker's own document cannot be shown."""
