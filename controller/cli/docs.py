"""The command-line reference, made from the commands themselves: `python -m controller.cli.docs > .../docs/cli.md`.

A test makes it again and compares, so the page cannot drift from the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from controller.cli.errors import MEANINGS
from controller.cli.lazy import VERBS
from controller.cli.main import root

_PREFACE = """\
# The command line

Every verb tells how it is used: `workerctl VERB --help`. This page is made from those texts.

The server is `--server`, then `WORKERCTL_SERVER`, then the context in use (`workerctl config`), then
`http://127.0.0.1:3000`; `https://HOST:PORT` and `unix:PATH` work too. A token is read from `--token-file FILE` (before
the verb), `WORKERCTL_TOKEN`, the file that `WORKERCTL_TOKEN_FILE` names, or the context of that server
(`workerctl login`). Results go to standard output, messages to standard error. Colour is used on a terminal only, and
not when `NO_COLOR` is set. Text for people may change between versions; JSON only grows.

The verbs that write (`create`, `apply`, `edit`, `set`, `scale`, `delete`) show the plan first and ask on a terminal;
`--yes` does not ask, `--dry-run` writes nothing. Several specs are tried first, all of them, and then written one
after the other. What somebody else changed in between is not overwritten: that is a conflict (6).
"""


def reference() -> str:
    """The whole page."""
    parent = click.Context(root, info_name="workerctl", **root.context_settings)
    parts = [_PREFACE, _overview(), _exit_codes()]
    for name in VERBS:
        command = root.get_command(parent, name)
        assert command is not None
        ctx = click.Context(command, info_name=name, parent=parent)
        parts.append("\n".join(_section(command, ctx)))
        if isinstance(command, click.Group):
            for below, one in command.commands.items():
                within = click.Context(one, info_name=below, parent=ctx)
                parts.append("\n".join(_section(one, within)).replace(f"## {below}", f"### {name} {below}", 1))
    return "\n".join(parts)


def _overview() -> str:
    rows = [f"| [`{name}`](#{name}) | {verb.section} | {verb.help} |" for name, verb in VERBS.items()]
    return "\n".join(["| Verb | Group | Does |", "|---|---|---|", *rows, ""])


def _exit_codes() -> str:
    rows = [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["## Exit codes", "", "| Code | Means |", "|---|---|", *rows, ""])


def _section(command: click.Command, ctx: click.Context) -> Iterator[str]:
    yield f"## {ctx.info_name}"
    yield ""
    yield f"`{' '.join([ctx.command_path, *command.collect_usage_pieces(ctx)])}`"
    yield ""
    yield _paragraphs(command.help or "")
    yield ""
    yield "| Option | Means |"
    yield "|---|---|"
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is not None:
            names, text = (part.replace("|", "\\|") for part in record)
            yield f"| `{names}` | {re.sub('  +', ' ', text)} |"
    yield ""
    if command.epilog:
        yield "```console"
        yield from (f"$ {line.strip()}" for line in command.epilog.splitlines()[2:] if line.strip())
        yield "```"
        yield ""


def _paragraphs(text: str) -> str:
    """The help as prose: one line per paragraph, as click shows it."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(line.strip() for line in block.splitlines()) for block in blocks)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
