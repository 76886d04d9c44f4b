"""What must not be read by everybody: values that look like secrets, taken out of what people and programs see.

Called for every field change that a plan shows. A plan goes to terminals, logs, events and the database, so it is
better to hide one value too many. Specs should not hold secrets at all; this is for those that do.

A value is hidden (`***`) where its environment variable has a name like a secret's (`SMTP_PASSWORD`, `API_KEY`), where
it follows an option or assignment named so (`--token abc`, `TOKEN=abc`), and where it is the password of a URL.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"

_WORDS = (
    r"(?:PASS|PWD|SECRET|TOKEN|CRED|KEYS?(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?:AUTH|DSN|SALT|COOKIE|PRIVATE|BEARER)(?![A-Za-z0-9]))"
)
_NAME = re.compile(_WORDS, re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")
# A word and a blank are an option only with dashes in front: "token bucket" is prose.
_ASSIGNMENT = re.compile(
    rf"(?P<name>(?<![\w-])(?:--?[\w-]*{_WORDS}[\w-]*(?:=|\s+)|[\w-]*{_WORDS}[\w-]*=))"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)",
    re.IGNORECASE,
)


def names_a_secret(name: str) -> bool:
    """Whether a variable or option of that name probably holds a secret. Errs towards yes."""
    return _NAME.search(name) is not None


def redacted(path: str, value: Any) -> Any:
    """`value` of the spec field at `path` (dotted, `env.NAME`) as it may be shown."""
    group, _, name = path.partition(".")
    if group == "env" and isinstance(value, str) and names_a_secret(name):
        return HIDDEN
    if isinstance(value, str):
        return _redacted_text(value)
    if isinstance(value, list):
        return _redacted_arguments(value)
    return value


def _redacted_arguments(values: list[Any]) -> list[Any]:
    shown: list[Any] = []
    hide_next = False
    for value in values:
        text = value if isinstance(value, str) else ""
        shown.append(HIDDEN if hide_next else redacted("", value))
        hide_next = text.startswith("-") and "=" not in text and names_a_secret(text.lstrip("-"))
    return shown


def _redacted_text(text: str) -> str:
    without_urls = _URL_PASSWORD.sub(rf"\g<1>{HIDDEN}", text)
    return _ASSIGNMENT.sub(rf"\g<name>{HIDDEN}", without_urls)
