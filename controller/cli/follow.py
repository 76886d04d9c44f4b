"""Following a stream across restarts of the controller: resume after the last id, wait while it is away.

Used by `logs -f` and `events -w`, which first read what there is and so know where to begin; `opened` is for `get -w`,
which has no ids and looks anew. After the first connection only a refusal (not found, not authorised) or Ctrl-C ends
it. Ids are the server's own words: they are handed back as `after`, never read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import click

from controller.cli.client import OPENED, Client, ConnectionLost, Item, Query, StreamItem
from controller.cli.common import pause
from controller.cli.errors import CliError, Exit
from controller.cli.terminal import terminal

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
_AWAY = frozenset({Exit.UNREACHABLE, Exit.TIMED_OUT, Exit.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What is followed. `after` is the id to begin after, empty where there are none. `doing`: "Cannot ..."."""

    path: str
    query: Query
    doing: str
    after: str = ""


def follow(api: Client, stream: Stream, show: Callable[[Item], None]) -> None:
    """Show every document of the stream, without end. Raises CliError as described above."""
    for item in endless(api, stream, _tell):
        if item is not OPENED:
            show(item.document)


def endless(api: Client, stream: Stream, note: Callable[[str], None]) -> Generator[StreamItem, None, None]:
    """All items, with OPENED before those of each connection. `note` is told why it waits, and "" when it goes on."""
    connected, waiting, wait, last = False, False, FIRST_PAUSE_S, stream.after
    while True:
        query = {**stream.query, "after": last} if last else stream.query
        try:
            for item in api.stream(stream.path, query, doing=stream.doing):
                if waiting:
                    note("")
                connected, waiting, wait = True, False, FIRST_PAUSE_S
                last = item.id or last
                yield item
        except ConnectionLost as lost:
            cause = str(lost)
        except CliError as error:
            if not connected or error.exit_code not in _AWAY:
                raise
            cause = error.message
        if not waiting:
            note(cause)
        waiting = True
        pause(wait)
        wait = min(wait * 2, LONGEST_PAUSE_S)


def _tell(cause: str) -> None:
    screen = terminal(err=True)
    text = f"[{cause}; waiting for the controller]" if cause else "[connected again]"
    click.echo(screen.paint(text, "yellow"), err=True, color=screen.colour)
