"""What the verbs share: the server option, examples in helps, finding a worker, printing documents.

A verb asks `client()` for its connection; the address is `--server` (before or after the verb), then
WORKERCTL_SERVER, then the context in use (contexts.py), then the default.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any, TypeVar

import click

from controller.cli.client import DEFAULT_SERVER, Address, AddressError, Client, Item, parse_address, token_from
from controller.cli.errors import CliError, Exit
from controller.cli.lazy import did_you_mean

# click keeps the line breaks of a paragraph that starts with this character.
EXAMPLES_MARK = "\b\nExamples:"

_Function = TypeVar("_Function", bound=Callable[..., Any])
_META = "controller.cli.server"
_META_FILE = "controller.cli.credentials"


def _remember(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[_META] = value


def server_option(function: _Function) -> _Function:
    """`--server`, for the root and for each verb that talks to a controller."""
    return click.option(
        "--server",
        metavar="URL|unix:PATH",
        expose_value=False,
        callback=_remember,
        help=f"The controller.  [default: WORKERCTL_SERVER, the context in use, {DEFAULT_SERVER}]",
    )(function)


def remember_token_file(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """The callback of `--token-file`."""
    if value is not None:
        ctx.meta[_META_FILE] = value


def output_option(*choices: str, default: str) -> Callable[[_Function], _Function]:
    """`-o FORMAT`, one of `choices`."""
    return click.option(
        "-o", "--output", type=click.Choice(choices), default=default, show_default=True, help="The format."
    )


def examples(*lines: tuple[str, str]) -> str:
    """The epilog of a help: aligned examples with what they do."""
    width = max(len(command) for command, _ in lines)
    return "\n".join([EXAMPLES_MARK, *(f"  {command:<{width}}  {text}".rstrip() for command, text in lines)])


def server_address() -> Address:
    """The address that this invocation means, and where it came from."""
    given = click.get_current_context().meta.get(_META)
    if given is not None:
        text, origin = str(given), "--server"
    elif os.environ.get("WORKERCTL_SERVER"):
        text, origin = os.environ["WORKERCTL_SERVER"], "WORKERCTL_SERVER"
    else:
        text, origin = _default_server()
    try:
        return parse_address(text, origin)
    except AddressError as error:
        raise click.UsageError(f"{origin}: {error}") from None


def _default_server() -> tuple[str, str]:
    """That of the context in use, where there is one."""
    from controller.cli.contexts import load  # noqa: PLC0415 - only where nothing stronger is given

    name, context = load().in_use()
    if context is not None:
        return context.server, f"context {name}"
    return DEFAULT_SERVER, "the default; neither --server nor WORKERCTL_SERVER is given"


def token_for(address: Address) -> str:
    """Of `--token-file` or the environment, then of the context whose server this is; empty for none."""
    token = token_from(click.get_current_context().meta.get(_META_FILE), os.environ)
    if token:
        return token
    from controller.cli.contexts import load  # noqa: PLC0415 - only where nothing stronger is given

    return load().token_of(address)


def client() -> Client:
    """A client for the server of this invocation, with the token of this invocation."""
    address = server_address()
    return Client(address, token_for(address))


def fetch_workers(api: Client) -> list[Item]:
    """All workers, over all pages, in the API's order."""
    return fetch_all(api, "/api/v1/workers", doing="get workers")


def fetch_all(api: Client, path: str, *, doing: str) -> list[Item]:
    """All items of a list, over all pages."""
    items: list[Item] = []
    cursor: str | None = None
    while True:
        page = api.get(path, {"cursor": cursor}, doing=doing)
        items += page.get("items") or []
        cursor = page.get("next_cursor")
        if not cursor:
            return items


def fetch_worker(api: Client, name: str) -> Item:
    """One worker with all that the API tells of it. Leaves with 5 and near names where there is none."""
    try:
        item: Item = api.get(f"/api/v1/workers/{quoted(name)}/status", doing=f"get {name}")
    except CliError as error:
        if error.exit_code == Exit.NOT_FOUND:
            raise not_found(name, known_ids(api)) from None
        raise
    return item


def fetch_holds(api: Client) -> list[Item]:
    """What the controller holds back now. A picture of the fleet is worth having without it, so no error is raised.

    A plan costs the controller something in a large fleet; that there are holds at all, it knows without.
    """
    try:
        if not api.ask("GET", "/readyz").document.get("holds"):
            return []
        return list(api.get("/api/v1/plan", doing="get the plan").get("holds") or [])
    except CliError:
        return []


def known_ids(api: Client) -> list[str]:
    """The ids of all workers."""
    return sorted(str(item["worker_id"]) for item in fetch_workers(api))


def not_found(name: str, known: Iterable[str]) -> CliError:
    """The error for a worker that does not exist."""
    ids = list(known)
    message = f'there is no worker "{name}".{did_you_mean(name, ids)}'
    hint = (
        "`workerctl get` lists all workers" if ids else "the controller has no workers; is it on the right directory?"
    )
    return CliError(message, Exit.NOT_FOUND, hints=[hint])


def quoted(name: str) -> str:
    """A name as one segment of a URL's path."""
    from urllib.parse import quote  # noqa: PLC0415 - loaded by http.client anyway, not needed for lists

    return quote(name, safe="")


def echo_json(document: Any) -> None:
    """One JSON document, readable; text in any language as it is."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def echo_ndjson(document: Any) -> None:
    """One JSON document on one line."""
    click.echo(json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def echo_yaml(document: Any) -> None:
    """One YAML document, keys in their order."""
    import yaml  # noqa: PLC0415 - only for -o yaml; a read verb must stay fast without it

    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)


def echo_lines(lines: Iterable[str]) -> None:
    """Lines that are ready to be shown. Colour was decided where they were made."""
    text = "\n".join(lines)
    if text:
        click.echo(text, color=True)


def pause(seconds: float) -> None:
    """Wait before asking again. Ctrl-C wakes it."""
    Event().wait(seconds)
