"""The pages against the program: what they link to, which commands they show, and what they must not forget."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from controller.api.routes import TABLE
from controller.cli import spec_docs
from controller.cli.lazy import VERBS
from controller.cli.main import root
from controller.cli.offline import surroundings
from controller.config import Settings
from controller.core.expansion import NAMES
from controller.core.spec import NOT_YET
from controller.core.spec_processes import PROBES
from controller.sources.offline import validate
from controller.store.tables import metadata

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "controller" / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
PLACEHOLDER = re.compile(r"[A-Z]+|\.\.\.")
DIRECTORIES = {"DIR", "/srv/specs"}  # stand for one that is there
INTERNAL_TABLES = {"log_cursors", "event_cursors"}

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def page_named(name: str) -> str:
    return text_of(DOCS / f"{name}.md")


def commands_in(text: str) -> Iterator[str]:
    """Every `workerctl ...` that a page shows: after a prompt, in a block of shell, or in running text."""
    for block in re.findall(r"^ *```(?:console|sh)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            found = re.search(r"(?:^\$ |[\s/(]|^)(workerctl\b.*)", line)
            if found and (line.startswith("$ ") or ".venv" in line):
                yield found[1].partition("  ")[0]
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    for command in re.findall(r"`(workerctl [^`]+)`", outside):
        # A verb alone is spoken of, not shown; a usage line is click's own.
        if command.removeprefix("workerctl ") not in VERBS and "[OPTIONS]" not in command:
            yield command


def words_of(command: str) -> list[str]:
    """The arguments of the first simple command: up to a pipe, a redirection, `&&` or `;`."""
    words: list[str] = []
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for word in lexer:
        if word == "$":  # `$(...)` stands for files
            return [*words[1:], "specs"]
        if set(word) <= set("();<>|&"):
            break
        words.append(word)
    return words[1:]


def parse(words: list[str]) -> None:
    """Reads the words as the command line would. Raises click's own errors; runs nothing."""
    parent = root.make_context("workerctl", ["specs" if word in DIRECTORIES else word for word in words])
    name, command, rest = root.resolve_command(parent, [*parent._protected_args, *parent.args])
    assert command is not None
    if not any(PLACEHOLDER.fullmatch(word) for word in (name or "", *rest[:1])):
        command.make_context(name, rest, parent=parent)


@by_name
def test_a_page_begins_with_a_title_and_a_line_that_says_what_it_is(page: Path) -> None:
    title, blank, summary = text_of(page).splitlines()[:3]
    assert title.startswith("# ")
    assert blank == ""
    assert summary.strip()
    assert not summary.startswith(("#", "|", "-", "`"))


@by_name
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = (page.parent / path).resolve() if path else page
        headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE) if there.suffix == ".md" else []
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        if not there.exists() or (anchor and anchor not in anchors):
            broken.append(target)
    assert broken == []


@by_name
def test_every_command_that_is_shown_is_one_that_the_program_takes(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    refused = {}
    for command in commands_in(text_of(page)):
        words = words_of(command)
        if not words or PLACEHOLDER.fullmatch(words[0]):
            continue
        try:
            parse(words)
        except click.exceptions.Exit:
            continue  # --help and --version answer at once
        except click.ClickException as error:
            refused[command] = error.format_message()
    assert refused == {}


def test_commands_are_found_where_pages_show_them() -> None:
    assert len(set(commands_in(text_of(ROOT / "README.md")))) >= 10
    text = "`workerctl help TOPIC`\n```console\n$ workerctl get -w   watch\noutput of workerctl\n```\n"
    assert list(commands_in(text)) == ["workerctl get -w", "workerctl help TOPIC"]
    assert words_of("workerctl plan >/dev/null && echo in sync") == ["plan"]
    with pytest.raises(click.UsageError):
        parse(["get", "--frobnicate"])


def test_the_page_about_specs_is_the_one_that_the_models_make() -> None:
    command = "run: python -m controller.cli.spec_docs > controller/docs/specs.md"
    assert page_named("specs") == spec_docs.page(), command


def test_the_page_about_specs_names_every_reserved_field_and_every_variable() -> None:
    text = page_named("specs")
    assert [name for name in NOT_YET if f"| `{name}` |" not in text] == []
    assert [name for name in NAMES if f"`${{{name}}}`" not in text] == []


def test_every_reserved_field_stands_among_what_is_missing() -> None:
    grouped = {"placement", "autoscale", "alerts", "docker", "kubernetes"}  # told as parts of the product
    text = page_named("not-yet").lower()
    assert [name for name in NOT_YET if f"`{name}`" not in text and name not in grouped] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_documented(verb: str) -> None:
    assert f"workerctl {verb}" in page_named("getting-started") or f"## {verb}\n" in page_named("cli")


@by_name
def test_every_spec_that_is_shown_is_valid(page: Path, tmp_path: Path) -> None:
    refused = {}
    for number, block in enumerate(specs_in(text_of(page))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a.yaml").write_text(block, "utf-8")
        refused[block] = [str(problem) for problem in validate(str(folder), surroundings((), stand_in=None)).problems]
    assert {block: said for block, said in refused.items() if said} == {}


def specs_in(text: str) -> list[str]:
    """The YAML of a page that stands as a whole file."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if re.search("^(worker_id|kind):", block, re.MULTILINE)]


def test_the_page_about_processes_shows_specs_of_every_kind() -> None:
    fields = set(re.findall(r"^([a-z_]+):", "\n".join(specs_in(page_named("processes"))), re.MULTILINE))
    assert {*PROBES, "hooks", "secrets", "user", "group", "umask", "limits", "depends_on", "stop"} <= fields


def test_the_readme_sets_up_with_one_line_and_tests_with_one_line() -> None:
    lines = [line for line in text_of(ROOT / "README.md").splitlines() if line.startswith("python3 -m venv ")]
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/workerctl serve specs",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' -c tests/constraints.txt && .venv/bin/pytest",
    ]
    assert list((ROOT / "specs").glob("*.yaml"))


def test_the_readme_lists_every_page() -> None:
    text = text_of(ROOT / "README.md")
    assert [page.name for page in DOCS.glob("*.md") if f"(controller/docs/{page.name})" not in text] == []


def test_the_tour_speaks_of_workers_and_files_that_are_there() -> None:
    text = text_of(ROOT / "README.md")
    files = set(re.findall(r"specs/[a-z-]+\.yaml", text))
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []
    ids = re.findall(r"^worker_id: (\S+)", "\n".join(map(text_of, (ROOT / "specs").glob("*.yaml"))), re.MULTILINE)
    assert [worker_id for worker_id in ids if f"\n{worker_id} " not in text] == []


def test_every_path_of_the_api_is_documented() -> None:
    text = page_named("api")
    forgotten = [
        f"{route.method} {route.path}"
        for route in TABLE
        if f"{route.method} {route.path}`" not in text and f".../{route.path.rpartition('/')[2]}`" not in text
    ]
    assert forgotten == []


def test_every_setting_and_every_table_is_documented() -> None:
    text = page_named("operations")
    settings = {name.removesuffix("_s") for name in Settings.__dataclass_fields__} - {"origins"}
    assert [name for name in settings if f"| `{name}`" not in text] == []
    assert [name for name in metadata.tables if name not in INTERNAL_TABLES and f"| `{name}` |" not in text] == []


@by_name
def test_a_page_speaks_of_no_machine_but_the_readers(page: Path) -> None:
    assert not re.search(r"/work/|/tmp/|/root\b", text_of(page).replace("/tmp/workerctl-UID/", ""))
