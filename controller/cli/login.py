"""`workerctl login`: try a token and keep it for its server.

It is read from a prompt or standard input, never an argument: those are seen by everybody on the machine, and kept by
shells.
"""

from __future__ import annotations

import sys

import click

from controller.cli.client import Client, parse_address
from controller.cli.common import examples, server_address, server_option
from controller.cli.config import check_name
from controller.cli.contexts import Context, contexts_path, load, save
from controller.cli.errors import CliError, Exit


@click.command(
    epilog=examples(
        ("workerctl login --server http://box:3000", "asks for the token"),
        ("workerctl login --context prod <token.txt", "for scripts"),
    )
)
@click.option("--context", "name", metavar="NAME", help="The context to keep it in.  [default: the one in use]")
@server_option
def login(name: str | None) -> None:
    """Keep the token of a controller, after trying it.

    It is kept in the context's file, which only you may read, and sent to that server only. --token-file and
    WORKERCTL_TOKEN are stronger.
    """
    contexts = load()
    address = server_address()
    chosen = name or next((other for other, one in contexts.items.items() if one.server == address.text), "default")
    check_name(chosen)
    known = contexts.items.get(chosen)
    if name and known is not None and address.origin not in {"--server", "WORKERCTL_SERVER"}:
        address = parse_address(known.server, f"context {name}")
    if not name and known is not None and known.server != address.text:
        raise click.UsageError(f'the context "{chosen}" is for {known.server}; name another with --context')
    token = _ask(address.text)
    Client(address, token).get("/api/v1/workers", {"limit": 1}, doing=f"log in at {address.text}")
    save(contexts.with_one(chosen, Context(server=address.text, token=token), use=True))
    click.echo(f"{chosen}: {address.text}, in use; the token is kept in {contexts_path()}")


def _ask(server: str) -> str:
    given: str = (
        click.prompt(f"Token for {server}", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    )
    token = given.strip()
    if not token or not token.isascii() or any(character.isspace() for character in token):
        raise CliError("Cannot log in: expected one token", Exit.USAGE, hints=["`workerctl token create` makes one"])
    return token
