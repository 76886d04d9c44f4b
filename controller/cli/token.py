"""`workerctl token`: create, list and revoke tokens, as the owner of a state directory, whether it is served or not.

No controller is asked: who may write to the state directory decides who may use the API. A controller that runs reads
a token's file at each use, so what is done here holds at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click

from controller.api.tokens import ID, NAME, TokenRole
from controller.cli.client import Item
from controller.cli.common import echo_json, echo_lines, examples, output_option
from controller.cli.errors import CliError, Exit
from controller.cli.human import clock, parse_duration, seconds_of
from controller.cli.lazy import did_you_mean
from controller.cli.table import Cell, Column, render
from controller.cli.terminal import Terminal, terminal

if TYPE_CHECKING:
    from controller.api.tokens import Listed
    from controller.desk.tokens import TokenFiles

_LONGEST_S = 10 * 365 * 86_400
_COLUMNS = (
    Column(title="ID"), Column(title="NAME", shrinkable=True), Column(title="ROLE"), Column(title="CREATED"),
    Column(title="EXPIRES"), Column(title="LAST USED"),
)  # fmt: skip

_T = TypeVar("_T")

state_dir_option = click.option("--state-dir", metavar="DIR", help="The state directory.  [default: as for serve]")


@click.group(
    epilog=examples(
        ("workerctl token create ci --role operator --expires 30d", "printed once; only a hash of it is kept"),
        ("(umask 077; workerctl token create grafana >token)", "a viewer's, into a file of one's own"),
        ("WORKERCTL_TOKEN=$(cat token) workerctl get", "used; or: workerctl --token-file token get"),
        ("workerctl token ls", "who has one, and when it was last used"),
        ("workerctl token revoke 1f0c9a2e", "at once, also for streams that are open"),
    )
)
def token() -> None:
    """Create, list and revoke tokens for the API.

    `token create NAME` prints a token, once. `token ls` lists them, `token revoke ID` takes one away. Each works on the
    state directory of a controller, and holds at once for one that runs. Roles: a viewer reads, an operator also
    writes specs and starts and stops workers, an admin may do everything.
    """


def _seconds(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    seconds = parse_duration(value)
    if seconds is None or not 0 < seconds <= _LONGEST_S:
        raise click.BadParameter(f'"{value}" is no lifetime of a token; expected such as 12h or 30d')
    return seconds


@token.command(epilog=examples(("workerctl token create ci --role operator --expires 30d", "and keep what it prints")))
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(get_args(TokenRole)),
    default="viewer",
    show_default=True,
    help="What it may do.",
)
@click.option("--expires", metavar="TIME", callback=_seconds, help="How long it lives: 12h, 30d.  [default: for ever]")
@state_dir_option
def create(name: str, role: TokenRole, expires: float | None, state_dir: str | None) -> None:
    """Make a token and print it. It is never shown again."""
    if not NAME.fullmatch(name):
        raise click.UsageError(f'"{name}" cannot name a token: expected a-z, 0-9, and . _ - within, at most 63 of them')
    files = _files(state_dir)
    if name in {one.token.name for one in files.all()}:
        hint = "`workerctl token ls` shows it; revoke it first, or take another name"
        raise CliError(f"Cannot create {name}: there is a token of that name", Exit.CONFLICT, hints=[hint])
    made, text = _told(lambda: files.create(name, role, expires))
    click.echo(f"token {made.token_id} for {name}: {role}; this is the only time that it is shown", err=True)
    click.echo(text)


@token.command("ls", epilog=examples(("workerctl token ls -o json", "for programs")))
@output_option("table", "json", default="table")
@state_dir_option
def list_tokens(output: str, state_dir: str | None) -> None:
    """List the tokens. The tokens themselves are not kept, so they are not shown."""
    items = [_document(one) for one in _files(state_dir).all()]
    if output == "json":
        echo_json({"items": items})
    elif items:
        echo_lines(token_table(items, terminal(), time.time()))
    else:
        click.echo("no tokens; `workerctl token create NAME` makes one", err=True)


@token.command(epilog=examples(("workerctl token revoke 1f0c9a2e", "its id, from `workerctl token ls`")))
@click.argument("token_id", metavar="ID")
@state_dir_option
def revoke(token_id: str, state_dir: str | None) -> None:
    """Take a token away, at once."""
    files = _files(state_dir)
    if not ID.fullmatch(token_id) or not _told(lambda: files.revoke(token_id)):
        near = did_you_mean(token_id, [one.token.token_id for one in files.all()]) if len(token_id) < 20 else ""
        shown = f' "{token_id}"' if len(token_id) < 20 else ""
        hint = "`workerctl token ls` lists the ids"
        raise CliError(f"there is no token of the id{shown}.{near}", Exit.NOT_FOUND, hints=[hint])
    click.echo(f"token {token_id} is revoked")


def token_table(items: list[Item], screen: Terminal, now: float) -> list[str]:
    """One line per token."""

    def when(moment: str | None) -> str:
        return "never" if moment is None else clock(moment, now)

    rows = []
    for item in items:
        is_over = (seconds_of(item["expires_at"]) or now + 1) <= now
        expires = Cell(text="expired", colour="red") if is_over else when(item["expires_at"])
        rows.append(
            [item["id"], item["name"], item["role"], when(item["created_at"]), expires, when(item["last_used_at"])]
        )
    return render(_COLUMNS, rows, screen)


def _document(one: Listed) -> Item:
    from controller.core.views import rfc3339  # noqa: PLC0415 - with its package, for JSON only

    def at(seconds: float | None) -> str | None:
        return None if seconds is None else rfc3339(seconds)

    return {
        "id": one.token.token_id,
        "name": one.token.name,
        "role": one.token.role,
        "created_at": at(one.token.created_at),
        "expires_at": at(one.token.expires_at),
        "last_used_at": at(one.last_used_at),
    }


def _files(given: str | None) -> TokenFiles:
    """The tokens of the state directory that is meant. It must be there, and be ours."""
    from controller.config import ConfigError, load  # noqa: PLC0415 - brings the settings' models
    from controller.desk.tokens import TokenFiles  # noqa: PLC0415 - with the state directory

    try:
        path: Path = load({"state_dir": given}, os.environ).state_dir
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    try:
        owner = path.stat().st_uid
    except OSError as error:
        hint = "`workerctl serve` makes it; name another one with --state-dir"
        raise CliError(f"Cannot use {path}: {error.strerror}", Exit.FAILED, hints=[hint]) from None
    if owner != os.geteuid():
        hint = f"be that user: sudo -u '#{owner}' workerctl token ..."
        raise CliError(f"Cannot use {path}: it belongs to uid {owner}", Exit.NOT_AUTHORISED, hints=[hint])
    return TokenFiles(path)


def _told(action: Callable[[], _T]) -> _T:
    """Do it; what the state directory refuses is told."""
    from controller.desk.tokens import TokenError  # noqa: PLC0415 - loaded by then

    try:
        return action()
    except TokenError as error:
        raise CliError(str(error), Exit.FAILED) from None
