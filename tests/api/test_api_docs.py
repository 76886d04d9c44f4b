"""The documentation, the fields of a spec, and what the server is, over HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import controller
from controller.api.docs import page_of, pages
from controller.core.fields import whole_spec
from tests.api.api_site import Site, fault, problem, told
from tests.fakes.api_ports import about

DOCS = Path(controller.__file__).parent / "docs"
FENCED = """# Top: a page

## A `code` & *more*

```console
# no heading
```
### Two words
### Two words
~~~
## none
~~~
####### seven
#none
## [Linked](x.md#y) ##
"""


async def test_every_topic_of_the_help_is_listed_with_its_headings(site: Site) -> None:
    answer = await site.get("/api/v1/docs")

    topics = {one["topic"]: one for one in answer.json["items"]}
    assert sorted(topics) == sorted(path.stem for path in DOCS.glob("*.md"))
    assert topics["api"]["title"] == "The HTTP API: what there is, with curl"
    assert {"level": 2, "title": "Specs", "anchor": "specs"} in topics["api"]["headings"]


async def test_a_topic_is_the_file_as_json_and_as_it_stands(site: Site) -> None:
    text = (DOCS / "specs.md").read_text("utf-8")
    answer = await site.get("/api/v1/docs/specs")
    assert (answer.json["text"], answer.json["topic"]) == (text, "specs")
    plain = await site.get("/api/v1/docs/specs", Accept="text/markdown")
    assert (plain.media_type, plain.body.decode()) == ("text/markdown; charset=utf-8", text)
    assert (await site.get("/api/v1/docs/specs", Accept="image/png")).status == 406


async def test_a_topic_that_there_is_not_is_404_with_a_near_one(site: Site) -> None:
    answer = await site.get("/api/v1/docs/spec")
    errors = [fault("no topic has this name", hint="did you mean specs?")]
    path = "/api/v1/docs/spec"
    assert told(answer) == problem(404, "unknown_topic", "there is no such topic", path, errors=errors)
    assert "topics are api, cli" in (await site.get("/api/v1/docs/zzzz")).json["errors"][0]["hint"]
    assert (await site.get("/api/v1/docs/..")).status == 404


def test_headings_are_those_outside_of_code_with_anchors_of_their_own() -> None:
    page = page_of("top", FENCED)

    assert page.title == "Top: a page"
    assert [(one.level, one.title, one.anchor) for one in page.headings] == [
        (2, "A code & more", "a-code--more"), (3, "Two words", "two-words"), (3, "Two words", "two-words-1"),
        (2, "Linked", "linked"),
    ]  # fmt: skip


def test_every_link_between_pages_leads_to_a_heading_that_there_is() -> None:
    anchors = {topic: {one.anchor for one in page.headings} for topic, page in pages().items()}
    found = 0
    for topic, page in pages().items():
        for target in re.findall(r"\]\(([^)]+)\)", page.text):
            if target.startswith(("http", "../")):
                continue
            file, _, anchor = target.partition("#")
            assert anchor in anchors[file.removesuffix(".md") or topic], f"{topic}: {target}"
            found += 1
    assert found > 20


def test_a_page_without_a_heading_has_its_topic_for_a_title() -> None:
    assert (page_of("plain", "text").title, page_of("plain", "text").headings) == ("plain", ())


async def test_every_field_is_explained_as_on_the_command_line(site: Site) -> None:
    answer = await site.get("/api/v1/explain")

    tops = {one["path"]: one for one in answer.json["fields"]}
    assert list(tops) == [field.path for field in whole_spec().fields]
    assert [one["path"] for one in tops["stop"]["fields"]] == ["stop.signal", "stop.grace_ms", "stop.kill"]
    assert tops["replicas"]["change"] == "a change adds or removes instances at the end; the others are not touched"


async def test_a_server_says_what_it_is(site: Site) -> None:
    assert (await site.get("/api/v1/server")).json == about()


@pytest.mark.parametrize("path", ["docs", "docs/api", "explain", "server", "tokens", "sessions"])
async def test_a_parameter_that_is_not_known_is_refused(site: Site, path: str) -> None:
    answer = await site.get(f"/api/v1/{path}?x=1")
    assert (answer.status, answer.json["code"]) == (400, "bad_parameter")
