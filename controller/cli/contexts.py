"""Contexts: controllers by name, with the token that each wants. One file of the person's own, mode 0600.

`~/.config/workerctl/contexts.json` (or below XDG_CONFIG_HOME): `{"current": NAME, "contexts": {NAME: {"server": URL,
"token": TEXT}}}`. WORKERCTL_CONTEXT chooses another one for a while. A token is found by its server, not by what is in
use, so that it is never sent to another server. Tokens are never printed.

Called by common.py where nothing stronger is given, and by config.py and login.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from controller.cli.client import Address, AddressError, parse_address
from controller.cli.errors import CliError, Exit
from controller.cli.lazy import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One controller. The token is not shown, not even by a traceback's repr."""

    server: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """All of them, and the name of the one in use (empty: none)."""

    current: str = ""
    items: Mapping[str, Context] = field(default_factory=dict)

    def in_use(self) -> tuple[str, Context | None]:
        """WORKERCTL_CONTEXT, then the current one. Leaves with 5 where the variable names none."""
        name = os.environ.get("WORKERCTL_CONTEXT", "")
        if name:
            return name, self.named(name)
        return self.current, self.items.get(self.current)

    def named(self, name: str) -> Context:
        """One of them; leaves with 5 where there is none of that name."""
        found = self.items.get(name)
        if found is None:
            raise CliError(
                f'there is no context "{name}".{did_you_mean(name, list(self.items))}',
                Exit.NOT_FOUND,
                hints=["`workerctl config ls` lists them, `workerctl config set NAME --server URL` makes one"],
            )
        return found

    def token_of(self, address: Address) -> str:
        """The token for this server: the one in use first, where several contexts name it."""
        names = sorted(self.items, key=lambda name: name != self.current)
        return next((self.items[name].token for name in names if _is(self.items[name], address)), "")

    def with_one(self, name: str, context: Context, *, use: bool) -> Contexts:
        """With one added or replaced. The first one is in use at once."""
        items = dict(sorted({**self.items, name: context}.items()))
        return replace(self, items=items, current=name if use or not self.current else self.current)

    def without(self, name: str) -> Contexts:
        """With one taken away."""
        items = {other: context for other, context in self.items.items() if other != name}
        return replace(self, items=items, current="" if self.current == name else self.current)


def contexts_path() -> str:
    """Where they are kept."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "workerctl", "contexts.json")


def load() -> Contexts:
    """What the file says; nothing where there is none. Leaves with 2 where it is damaged."""
    path = contexts_path()
    try:
        with open(path, encoding="utf-8") as file:
            return _read(json.load(file))
    except FileNotFoundError:
        return Contexts()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not as `workerctl config` writes it"
        raise CliError(
            f"Cannot read {path}: {cause}",
            Exit.USAGE,
            hints=["correct it or move it away; --server and WORKERCTL_SERVER are used without it"],
        ) from None


def save(contexts: Contexts) -> None:
    """Replace the file whole. Only its owner may read it, from its first byte on."""
    import tempfile  # noqa: PLC0415 - every verb loads this file, few write

    path = contexts_path()
    document = {
        "current": contexts.current,
        "contexts": {
            name: {"server": one.server, **({"token": one.token} if one.token else {})}
            for name, one in contexts.items.items()
        },
    }
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".contexts-")  # 0600 by itself
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise CliError(f"Cannot write {path}: {error.strerror}", Exit.FAILED) from None


def _read(document: Any) -> Contexts:
    items = {
        str(name): Context(server=str(one["server"]), token=str(one.get("token") or ""))
        for name, one in document["contexts"].items()
    }
    return Contexts(current=str(document.get("current") or ""), items=items)


def _is(context: Context, address: Address) -> bool:
    try:
        known = parse_address(context.server, "")
    except AddressError:
        return False
    return (known.path, known.host, known.port, known.secure) == (
        address.path,
        address.host,
        address.port,
        address.secure,
    )
