r"""Text as databases take it. Pure; apply passes everything through here that a worker or a host may have written.

PostgreSQL refuses NUL in text, and no database takes half a surrogate pair; one such character in one line must not
fail the batch of a thousand others. So they are escaped, here and nowhere else. The escape looks as bytes that are
not UTF-8 look elsewhere in this program (`\xff`); a line that holds those four characters itself reads the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_UNSTORABLE_IN_JSON = re.compile(r"\\u0000|\\ud[89a-f]")


def storable(text: str) -> str:
    r"""`text` with NUL and lone surrogates escaped; the same object where there are none, which is nearly always.

    A surrogate that stands for an undecodable byte (as `surrogateescape` leaves it) shows that byte: `\xff`.
    """
    if text.isascii():
        return text.replace("\x00", "\\x00") if "\x00" in text else text
    return _UNSTORABLE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0:
        return "\\x00"
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def to_json(value: Any) -> str:
    """`value` as compact JSON that every database takes and every parser reads. Never raises.

    What JSON has no word for becomes its text (any object) or null (NaN, infinities).
    """
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps(_cleaned(value), separators=(",", ":"))
    # ASCII only, so what cannot be stored shows as an escape. A pair of surrogates is a harmless match: cleaning
    # leaves the character that it stands for.
    return json.dumps(_cleaned(value), separators=(",", ":")) if _UNSTORABLE_IN_JSON.search(text) else text


def from_json(text: str | None) -> Any:
    """The value that `to_json` wrote; None for None."""
    return None if text is None else json.loads(text)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bool | int | None):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {storable(str(key)): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item) for item in value]
    return storable(str(value))
