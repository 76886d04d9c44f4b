"""`workerctl help [TOPIC]`: the user documentation that is shipped with the program (controller/docs/*.md).

A topic is a file; `exit-codes` is made from our own table. The name of a verb shows that verb's help.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

import controller
from controller.cli.common import echo_lines, examples
from controller.cli.errors import MEANINGS, CliError, Exit
from controller.cli.lazy import VERBS, did_you_mean
from controller.cli.table import pairs
from controller.cli.terminal import Terminal, terminal

DOCS = Path(controller.__file__).parent / "docs"
_MADE = {"exit-codes": "Exit codes"}


def _complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in (*documents(), *_MADE, *VERBS) if name.startswith(incomplete)]


@click.command(
    name="help",
    epilog=examples(
        ("workerctl help", "all topics"),
        ("workerctl help specs", "one of them, page by page on a terminal"),
        ("workerctl help logs", "the help of a verb, as workerctl logs --help"),
    ),
)
@click.argument("topic", required=False, shell_complete=_complete)
def topics(topic: str | None) -> None:
    """Show the documentation, by topic."""
    screen = terminal()
    if topic is None:
        echo_lines(_overview(screen))
        return
    name = topic.removesuffix(".md")
    path = documents().get(name)
    if path is not None:
        _show(path.read_text("utf-8"), screen)
    elif name == "exit-codes":
        echo_lines([*exit_code_lines(screen)])
    elif name in VERBS:
        _show_verb(name)
    else:
        known = [*documents(), *_MADE, *VERBS]
        raise CliError(
            f'there is no topic "{topic}".{did_you_mean(name, known)}',
            Exit.NOT_FOUND,
            hints=["`workerctl help` lists all topics"],
        )


def documents(directory: Path = DOCS) -> dict[str, Path]:
    """Topics and their files, sorted."""
    return {path.stem: path for path in sorted(directory.glob("*.md"))}


def exit_code_lines(screen: Terminal) -> list[str]:
    """The table of exit codes."""
    return pairs([(f"{code.value:>3}", meaning) for code, meaning in MEANINGS.items()], screen)


def first_line(text: str) -> str:
    """The title of a document: its first line with words, without the mark of a heading."""
    return next((line.lstrip("# ").strip() for line in text.splitlines() if line.strip("# \t")), "")


def _overview(screen: Terminal) -> list[str]:
    rows = [(name, first_line(path.read_text("utf-8"))) for name, path in documents().items()]
    rows += [(name, title) for name, title in _MADE.items() if name not in documents()]
    return [
        screen.paint("Topics", bold=True),
        *pairs(rows, screen, indent="  "),
        "",
        "`workerctl help TOPIC` shows one, `workerctl VERB --help` tells how a verb is used.",
    ]


def _show(text: str, screen: Terminal) -> None:
    if screen.tty:
        # None: click finds out whether the pager shows colour, and asks `less` for it where LESS is unset. True would
        # send escapes to any pager as they are.
        click.echo_via_pager(styled(text, screen), color=None if screen.colour else False)
    else:
        click.echo(text, nl=not text.endswith("\n"))


def styled(text: str, screen: Terminal) -> str:
    """Markdown for a terminal: headings bold, code in another colour; the text itself stays as written."""
    fenced, lines = False, []
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            lines.append(screen.paint(line, dim=True))
        elif fenced:
            lines.append(screen.paint(line, "cyan"))
        elif re.match(r"#{1,6} ", line):
            lines.append(screen.paint(line.lstrip("# "), "green" if line.startswith("# ") else None, bold=True))
        else:
            lines.append(re.sub(r"`([^`]+)`", lambda code: screen.paint(code.group(1), "cyan") or "", line))
    return "\n".join(lines) + "\n"


def _show_verb(name: str) -> None:
    parent = click.get_current_context().parent
    assert parent is not None
    group = parent.command
    assert isinstance(group, click.Group)
    command = group.get_command(parent, name)
    assert command is not None
    click.echo(command.get_help(click.Context(command, info_name=name, parent=parent)))
