"""Env files: `NAME=value` lines that a worker's environment starts from.

Called by directory.py, which reads them, and by launching.py. Lines are taken as they stand: no expansion, no escapes;
one pair of quotes around a value is dropped, as compose and systemd do. Blank lines and lines that start with `#` are
skipped. What enters a revision is an HMAC over the values, never they themselves: a comment restarts nothing, and the
revision of a secret can be shown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.core.problems import Problem
from controller.core.spec import ENV_NAME
from controller.sources.strict_yaml import without_bom
from controller.sources.syntax import excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvFile:
    """One env file. With `problems` its values do not count."""

    path: str
    values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def digest(self, key: bytes) -> str:
        """HMAC-SHA256 of the values with the local key, in hex."""
        message = json.dumps(dict(self.values), sort_keys=True).encode()
        return hmac.new(key, message, hashlib.sha256).hexdigest()


def env_path(folder: str, name: str) -> str | None:
    """The path of an env file beneath the specs directory; None where it leads out of it."""
    path = posixpath.normpath(posixpath.join(folder, name))
    return None if path.startswith(("/", "../")) or path == ".." else path


def read_env_file(path: str, content: bytes | Problem) -> EnvFile:
    """Parses one env file. A message never quotes a value: it may be a secret."""
    if isinstance(content, Problem):
        return EnvFile(path=path, problems=(content,))
    try:
        text = without_bom(content).decode()
    except UnicodeDecodeError as error:
        bad = content[: error.start].count(b"\n") + 1
        return EnvFile(path=path, problems=(_problem(path, bad, "this line is not UTF-8", "save it as UTF-8"),))
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.removesuffix("\r").strip(" \t")
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(ENV_NAME, name.strip()):
            problems.append(_name_problem(path, number, name if equals else "", line))
        elif "\x00" in value:
            problems.append(_problem(path, number, "the value contains a NUL byte", "no process can be given one"))
        else:
            values[name.strip()] = _unquoted(value.strip(" \t"))
    return EnvFile(path=path, values={} if problems else values, problems=tuple(problems))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" else value


def _name_problem(path: str, number: int, name: str, line: str) -> Problem:
    if line.startswith("export "):
        return _problem(path, number, "expected NAME=value, got `export`", "leave `export` out")
    if not name:
        return _problem(path, number, "expected NAME=value, got a line without a name and `=`", "")
    hint = "names are letters, digits and '_', no digit first"
    return _problem(path, number, f"`{excerpt(name)}` cannot name a variable", hint)


def _problem(path: str, number: int, message: str, hint: str) -> Problem:
    return Problem(file=path, line=number, column=1, message=message, hint=hint, code="env_file")
