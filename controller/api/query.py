"""Parameters of a request's query, read strictly: what is not understood is refused (400), never ignored.

Every handler says first which parameters it knows; a misspelt one is an error with a suggestion. All faults of one
parameter are told with the pointer `/query/NAME`. And the choice of a notation by the Accept header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn

from aiohttp import web

from controller.api.problem import ApiProblem, Fault, suggestion

_FLAGS = {"": True, "1": True, "true": True, "0": False, "false": False}
_MAX_CURSOR = 2**63 - 1
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


class Query:
    """The parameters of one request. Construction raises ApiProblem when there are others than `known`."""

    def __init__(self, request: web.BaseRequest, *known: str) -> None:
        self._values = request.query
        for name in self._values:
            if name not in known:
                _refuse(name, "unknown parameter", suggestion(name, known))

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a parameter that may be repeated."""
        return tuple(self._values.getall(name, []))

    def text(self, name: str) -> str | None:
        """The one value, or None."""
        values = self.many(name)
        if len(values) > 1:
            _refuse(name, "given more than once")
        return values[0] if values else None

    def flag(self, name: str) -> bool:
        """1, true or no value: yes. 0, false or absent: no."""
        text = self.text(name)
        if text is None:
            return False
        if text not in _FLAGS:
            _refuse(name, "expected 1 or 0")
        return _FLAGS[text]

    def number(self, name: str, *, low: int, high: int) -> int | None:
        """A whole number within the bounds, or None."""
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
            _refuse(name, f"expected a whole number from {low} to {high}")
        return int(text)

    def seconds(self, name: str, *, high: int) -> float | None:
        """A time to wait, whole or with a decimal point, or None."""
        text = self.text(name)
        if text is None:
            return None
        if not (_DECIMAL.fullmatch(text) and float(text) <= high):
            _refuse(name, f"expected seconds from 0 to {high}")
        return float(text)

    def cursor(self, name: str) -> int | None:
        """The number of a record, or None."""
        return self.number(name, low=0, high=_MAX_CURSOR)

    def word(self, name: str, words: Sequence[str]) -> str | None:
        """One of a few words, or None."""
        text = self.text(name)
        if text is not None and text not in words:
            _refuse(name, f"expected one of {', '.join(words)}", suggestion(text, words))
        return text

    def ordinal(self, name: str, worker_id: str) -> int | None:
        """An instance of the worker, as `web/2` or `2`: its number, or None."""
        text = self.text(name)
        if text is None:
            return None
        ordinal = text.removeprefix(f"{worker_id}/")
        if not (ordinal.isascii() and ordinal.isdigit() and len(ordinal) < 7):
            _refuse(name, f"expected {worker_id}/N or N")
        return int(ordinal)

    def moment(self, name: str) -> float | None:
        """A time, as RFC 3339 with an offset or as seconds since the epoch; returns the latter."""
        text = self.text(name)
        if text is None:
            return None
        try:
            if _DECIMAL.fullmatch(text):
                return datetime.fromtimestamp(float(text), UTC).timestamp()
            # A plus sign in a query is a space, and few people write %2B.
            moment = datetime.fromisoformat(text.replace(" ", "+"))
        except (ValueError, OverflowError, OSError):
            _refuse(name, "expected a time such as 2026-01-31T12:00:00Z, or seconds since 1970")
        if moment.tzinfo is None:
            _refuse(name, "expected a time with an offset, such as 2026-01-31T12:00:00Z")
        return moment.timestamp()

    def refuse(self, name: str, message: str) -> NoReturn:
        """Raise the fault of one parameter."""
        _refuse(name, message)


def _refuse(name: str, message: str, hint: str | None = None) -> NoReturn:
    fault = Fault(message=message, pointer=f"/query/{name[:64]}", hint=hint)
    raise ApiProblem(status=400, code="bad_parameter", detail=f"a query parameter is wrong: {message}", errors=(fault,))


def negotiate(request: web.BaseRequest, offers: Sequence[str]) -> str:
    """The offer that the Accept header prefers; the first where it does not care. 406 when it accepts none."""
    ranges = [_media_range(part) for part in request.headers.get("Accept", "*/*").split(",")]
    scored = [(_quality(offer, ranges), -place, offer) for place, offer in enumerate(offers)]
    best, _, offer = max(scored)
    if best <= 0:
        raise ApiProblem(
            status=406,
            code="not_acceptable",
            detail=f"this can be had as {', '.join(offers)}, not as the Accept header asks",
        )
    return offer


def _media_range(part: str) -> tuple[str, float]:
    """`text/*;q=0.5` as (`text/*`, 0.5). A broken quality counts as 0."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """How much the offer is wanted: the most specific range that covers it decides."""
    covering = {offer: 2, f"{offer.partition('/')[0]}/*": 1, "*/*": 0}
    matching = [(covering[name], quality) for name, quality in ranges if name in covering]
    return max(matching)[1] if matching else 0.0
