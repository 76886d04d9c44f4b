"""Keys of a terminal, one by one and without echo; the screen that a full-screen command borrows meanwhile.

Ctrl-C stays what it is. However the command ends, the terminal is as it was.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_NAMES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "\x1b[5~": "page_up", "\x1b[6~": "page_down",
    "\x1b[H": "home", "\x1b[F": "end", "\x1b[1~": "home", "\x1b[4~": "end", "\x1b": "escape", "\r": "enter",
    "\n": "enter", "\x7f": "backspace", "\b": "backspace",
}  # fmt: skip
_ONE_KEY = re.compile(r"\x1b\[[\d;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)
# The other screen and back; no cursor, no wrapping meanwhile.
_BORROW, _GIVE_BACK = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"


def keys_of(text: str) -> list[str]:
    """What was typed: characters, and names for keys that are none. Keys that we do not know are left out."""
    found = [_NAMES.get(one, one) for one in _ONE_KEY.findall(text)]
    return [key for key in found if not key.startswith("\x1b")]


@contextmanager
def full_screen() -> Iterator[None]:
    """The other screen, with keys that come at once. Needs a terminal as standard input and output."""
    before = termios.tcgetattr(sys.stdin)
    told = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        tty.setcbreak(sys.stdin)
        click.echo(_BORROW, nl=False, color=True)
        yield
    finally:
        click.echo(_GIVE_BACK, nl=False, color=True)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, told)


def listen(pressed: Callable[[str], None]) -> None:
    """Hand on each key, until there is no terminal any more. For a thread of its own."""
    while True:
        try:
            text = os.read(sys.stdin.fileno(), 256)
        except OSError:
            return
        if not text:
            return
        for key in keys_of(text.decode("utf-8", "ignore")):
            pressed(key)
