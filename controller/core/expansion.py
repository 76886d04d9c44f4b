"""`${...}` in command elements, strings, env values and paths.

Called by launch.py, which compiles each text once and renders it per instance.

`${worker_id} ${ordinal} ${instance} ${host} ${port} ${cpu_count}`, `${env.NAME}`, `${env.NAME:-default}` (where NAME
is not set, or empty, as in a shell). `$$` is one dollar sign; a `$` before anything but `{` or `$` stays as it is, so
`$HOME` is left to the shell. Any other `${...}` is an error with a suggestion, never an empty string.

There is no nesting and no arithmetic, on purpose: what needs more than a name is the command's own business.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

NAMES = ("worker_id", "ordinal", "instance", "host", "port", "cpu_count")
PER_INSTANCE = frozenset({"ordinal", "instance", "port"})
"""Names whose value differs between the instances of one worker."""

_TOKEN = re.compile(r"\$\$|\$\{(?P<inside>[^{}]*)\}|(?P<open>\$\{)")
_ENV = re.compile(r"env\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)")


class ExpansionError(Exception):
    """A `${...}` that has no value.

    `name` is what stands between the braces (without a default), `position` the offset of its `$` in the text, from 0,
    `hint` what to write instead, or empty. The message says what is wrong.
    """

    def __init__(self, name: str, position: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.position = position
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One `${name}` or `${name:-default}` at `position`."""

    name: str
    default: str | None
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text taken apart: literals and references in order. `varies`: its value may differ between instances."""

    parts: tuple[str | Reference, ...]
    varies: bool

    def render(self, variables: Mapping[str, str | None]) -> str:
        """The text with all values in place. A name mapped to None is known but has no value here.

        Raises ExpansionError for a name without a value.
        """
        return "".join(part if isinstance(part, str) else _value(part, variables) for part in self.parts)


def compile_template(text: str) -> Template:
    """Take `text` apart. Raises ExpansionError for what can have no value under any variables."""
    parts: list[str | Reference] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[end : match.start()])
        parts.append("$" if match[0] == "$$" else _reference(text, match))
        end = match.end()
    parts.append(text[end:])
    varies = any(isinstance(part, Reference) and part.name in PER_INSTANCE for part in parts)
    return Template(parts=tuple(part for part in parts if part != ""), varies=varies)


def _reference(text: str, match: re.Match[str]) -> Reference:
    position = match.start()
    if match["open"]:
        rest = text[match.end() :].partition("}")[0]
        if "${" in rest:
            raise ExpansionError(rest, position, f"`${{{rest}` contains another `${{`", "expressions do not nest")
        raise ExpansionError(rest, position, "`${` without `}`", "write `$${` for the characters themselves")
    name, has_default, default = match["inside"].partition(":-")
    is_env = _ENV.fullmatch(name) is not None
    if has_default and not is_env:
        raise ExpansionError(name, position, f"`${{{name}}}` takes no default", "only `${env.NAME:-default}` does")
    if not is_env and name not in NAMES:
        raise ExpansionError(name, position, f"`${{{name}}}` is not known", _suggestion(name))
    return Reference(name=name, default=default if has_default else None, position=position)


def _value(reference: Reference, variables: Mapping[str, str | None]) -> str:
    name, position = reference.name, reference.position
    if name.startswith("env.") and name not in variables:
        raise ExpansionError(
            name, position, f"`${{{name}}}` is not allowed", f"start the controller with --allow-env {name[4:]}"
        )
    value = variables.get(name)
    if reference.default is not None:
        return value or reference.default
    if value is not None:
        return value
    if name == "port":
        raise ExpansionError(name, position, "`${port}` is used, but the worker has no port", "set `port`")
    if name.startswith("env."):
        raise ExpansionError(
            name, position, f"{name[4:]} is not set where the controller runs", f"write `${{{name}:-default}}`"
        )
    raise ExpansionError(name, position, f"`${{{name}}}` has no value here")


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, NAMES, n=1)
    if near:
        return f"did you mean `${{{near[0]}}}`?"
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return f"`${{env.{name}}}` is the controller's variable; `$${{{name}}}` leaves it to the shell"
    return f"known are {', '.join(NAMES)} and env.NAME"
