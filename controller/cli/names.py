"""Names of workers, offered while a person types them.

Used as `shell_complete` of every argument that names workers. A shell waits for us on each press of a key, so the
controller has a second to answer, all in all; whatever goes wrong, nothing is offered and nothing is said.
"""

from __future__ import annotations

import threading

import click

from controller.cli.client import Client
from controller.cli.common import client, known_ids
from controller.cli.errors import CliError

PATIENCE_S = 1.0


def worker_names(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The ids of all workers that begin with what is there."""
    try:
        with ctx.scope(cleanup=False):
            api = client()
    except click.ClickException:
        return []
    return [name for name in _within(api, PATIENCE_S) if name.startswith(incomplete)]


def _within(api: Client, seconds: float) -> list[str]:
    """What the controller answers in that time. A thread that is still waiting ends with the process."""
    found: list[str] = []

    def ask() -> None:
        try:
            found.extend(known_ids(api))
        except (CliError, KeyError, TypeError):
            return  # no controller, another program in its place, or a refusal

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return [] if asking.is_alive() else found
