"""The documentation that is shipped with the program, and what each field of a spec means: `workerctl help`, `explain`.

Read from the package once and kept: it cannot change while we run. Headings are found here, with their anchors, so that
whoever lists them, links to one or draws a page means the same place. They are made as GitHub makes them, for the pages
link to each other that way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from controller.api.call import Call
from controller.api.problem import ApiProblem, Fault, suggestion
from controller.api.query import Query, negotiate
from controller.api.responses import JSON, body_response, json_response
from controller.core.field_documents import document
from controller.core.fields import whole_spec

MARKDOWN = "text/markdown"
_HEADING = re.compile(r"(#{1,6}) +(.*?)(?: +#+)?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading of a page. `title` is without marks; `anchor` is its own within the page."""

    level: int
    title: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One topic. `title` is its first heading; `headings` are the others."""

    topic: str
    title: str
    headings: tuple[Heading, ...]
    text: str


async def list_topics(call: Call) -> web.StreamResponse:
    """`GET /api/v1/docs`."""
    Query(call.request)
    items = [_summary(page) for page in pages().values()]
    return json_response({"items": items, "next_cursor": None}, call.request_id)


async def show_topic(call: Call) -> web.StreamResponse:
    """`GET /api/v1/docs/{topic}`: JSON, or the text itself by `Accept: text/markdown`."""
    Query(call.request)
    topic = call.params["topic"]
    page = pages().get(topic)
    if page is None:
        hint = suggestion(topic, pages()) or f"topics are {', '.join(pages())}"
        fault = Fault(message="no topic has this name", hint=hint)
        raise ApiProblem(status=404, code="unknown_topic", detail="there is no such topic", errors=(fault,))
    if negotiate(call.request, (JSON, MARKDOWN)) == MARKDOWN:
        return body_response(page.text.encode(), MARKDOWN, call.request_id)
    return json_response({**_summary(page), "text": page.text}, call.request_id)


async def show_fields(call: Call) -> web.StreamResponse:
    """`GET /api/v1/explain`: as `workerctl explain --recursive -o json`."""
    Query(call.request)
    return json_response(_explained(), call.request_id)


@cache
def pages() -> dict[str, Page]:
    """All pages by topic, sorted."""
    names = sorted(entry.name for entry in (files("controller") / "docs").iterdir() if entry.name.endswith(".md"))
    topics = [name.removesuffix(".md") for name in names]
    return {
        topic: page_of(topic, (files("controller") / "docs" / f"{topic}.md").read_text("utf-8")) for topic in topics
    }


def page_of(topic: str, text: str) -> Page:
    """A page from its text."""
    first, *others = _headings(text) or [Heading(level=1, title=topic, anchor=topic)]
    return Page(topic=topic, title=first.title, headings=tuple(others), text=text)


@cache
def _explained() -> dict[str, Any]:
    return document(whole_spec(), recursive=True)


def _summary(page: Page) -> dict[str, Any]:
    headings = [{"level": one.level, "title": one.title, "anchor": one.anchor} for one in page.headings]
    return {"topic": page.topic, "title": page.title, "headings": headings}


def _headings(text: str) -> list[Heading]:
    """All of them, in order. Of two that read the same the second one's anchor gets `-1`."""
    found: list[Heading] = []
    seen: dict[str, int] = {}
    for level, title in _lines_of_headings(text):
        plain = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", title).replace("`", "").replace("*", "")
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-") or "section"
        number = seen[anchor] = seen.get(anchor, -1) + 1
        found.append(Heading(level=level, title=plain, anchor=f"{anchor}-{number}" if number else anchor))
    return found


def _lines_of_headings(text: str) -> Iterator[tuple[int, str]]:
    """Level and text of the lines that are headings: not those within a block of code."""
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            fence = "" if line.strip().startswith(fence) else fence
        elif mark:
            fence = mark[1]
        elif match := _HEADING.fullmatch(line):
            yield len(match[1]), match[2]
