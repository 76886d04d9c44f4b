"""`workerctl config ...`: controllers by name. What is kept where is contexts.py's."""

from __future__ import annotations

import re

import click

from controller.cli.client import AddressError, parse_address
from controller.cli.common import (
    echo_json,
    echo_lines,
    examples,
    output_option,
    server_address,
    token_for,
)
from controller.cli.contexts import Context, Contexts, contexts_path, load, save
from controller.cli.table import Cell, Column, pairs, render
from controller.cli.terminal import terminal

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})")
_COLUMNS = (Column(title=""), Column(title="NAME"), Column(title="SERVER"), Column(title="TOKEN"))


@click.group(
    name="config",
    epilog=examples(
        ("workerctl config set prod --server http://box:3000", "name a controller"),
        ("workerctl config use-context prod", "ask that one from now on"),
        ("workerctl config ls", "all of them; * is in use"),
        ("workerctl config get", "what is asked now, and why that one"),
    ),
)
def config() -> None:
    """Name controllers, and choose the one that is asked.

    Contexts are kept in ~/.config/workerctl/contexts.json, which only you may read. --server and WORKERCTL_SERVER are
    stronger; WORKERCTL_CONTEXT chooses another context for one command. Subcommands: get, set, ls, use-context, rm.
    """


def complete_contexts(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of contexts, while a person types one."""
    try:
        return [name for name in load().items if name.startswith(incomplete)]
    except click.ClickException:
        return []


_name = click.argument("name", metavar="NAME", shell_complete=complete_contexts)


@config.command(
    name="ls",
    epilog=examples(
        ("workerctl config ls", "all contexts"),
    ),
)
@output_option("table", "json", default="table")
def ls(output: str) -> None:
    """List contexts; tokens are not shown."""
    contexts = load()
    used, _ = contexts.in_use()
    if output == "json":
        items = [
            {"name": name, "server": one.server, "has_token": bool(one.token), "in_use": name == used}
            for name, one in contexts.items.items()
        ]
        echo_json({"items": items})
        return
    if not contexts.items:
        click.echo("no contexts; `workerctl config set NAME --server URL` makes one", err=True)
        return
    rows: list[list[str | Cell]] = [
        ["*" if name == used else "", Cell(text=name, bold=True), one.server, "yes" if one.token else "-"]
        for name, one in contexts.items.items()
    ]
    echo_lines(render(_COLUMNS, rows, terminal()))


@config.command(
    name="get",
    epilog=examples(
        ("workerctl config get", "what is asked now"),
    ),
)
@output_option("text", "json", default="text")
def get(output: str) -> None:
    """Show which controller is asked, and why that one."""
    address = server_address()
    has_token = bool(token_for(address))
    if output == "json":
        echo_json({"server": address.text, "origin": address.origin, "has_token": has_token, "file": contexts_path()})
        return
    rows = [
        ("Server", address.text),
        ("From", address.origin),
        ("Token", "yes" if has_token else "none"),
        ("File", contexts_path()),
    ]
    echo_lines(pairs(rows, terminal()))


@config.command(
    name="set",
    epilog=examples(
        ("workerctl config set prod --server http://box:3000", "name it"),
    ),
)
@_name
@click.option("--server", "url", required=True, metavar="URL|unix:PATH", help="The controller.")
def set_(name: str, url: str) -> None:
    """Name a controller, or change where it is. Its token goes when the server is another one."""
    check_name(name)
    try:
        parse_address(url, "--server")
    except AddressError as error:
        raise click.BadParameter(str(error), param_hint="--server") from None
    contexts = load()
    before = contexts.items.get(name)
    token = before.token if before is not None and before.server == url else ""
    after = contexts.with_one(name, Context(server=url, token=token), use=False)
    save(after)
    click.echo(f"{name}: {url}{_use(after, name)}")


@config.command(
    name="use-context",
    epilog=examples(
        ("workerctl config use-context prod", "ask that one"),
    ),
)
@_name
def use_context(name: str) -> None:
    """Choose the controller that is asked from now on."""
    contexts = load()
    server = contexts.named(name).server
    save(contexts.with_one(name, contexts.items[name], use=True))
    click.echo(f"{name}: {server}, in use")


@config.command(
    name="rm",
    epilog=examples(
        ("workerctl config rm prod", "forget it, and its token"),
    ),
)
@_name
def rm(name: str) -> None:
    """Forget a context and its token."""
    contexts = load()
    contexts.named(name)
    save(contexts.without(name))
    click.echo(f"{name}: forgotten")


def check_name(name: str) -> None:
    """Leaves with 2 where this cannot be the name of a context."""
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f'"{name}": expected letters, digits, ".", "_" and "-", at most 63', param_hint="NAME")


def _use(contexts: Contexts, name: str) -> str:
    return ", in use" if contexts.current == name else f"; `workerctl config use-context {name}` uses it"
