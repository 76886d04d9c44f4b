"""Where log lines are sent, as a person writes it: one URL. Pure; `--forward` is read here.

    loki+http://HOST:3100            POST /loki/api/v1/push, or the path that is given
    otlp+https://HOST:4318           POST /v1/logs, or the path that is given
    syslog+tcp://HOST:601            RFC 5424, framed by octet counts (RFC 6587); syslog+tls:// the same in TLS
    syslog+udp://HOST:514            one datagram a line, nothing is known of what arrives

A user and a password stand in the URL as usual, a bearer token in a file of its own: `?token_file=/path`. Loki's tenant
is `?tenant=NAME`. The text of a Target never holds a secret, so it can be told anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

Kind = Literal["loki+http", "loki+https", "otlp+http", "otlp+https", "syslog+tcp", "syslog+tls", "syslog+udp"]
KINDS: tuple[str, ...] = get_args(Kind)

_PORT = {
    "loki+http": 3100, "loki+https": 443, "otlp+http": 4318, "otlp+https": 4318, "syslog+tcp": 601, "syslog+tls": 6514,
    "syslog+udp": 514,
}  # fmt: skip
_PATH = {"loki": "/loki/api/v1/push", "otlp": "/v1/logs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place. `login`: user and password, where the URL has them."""

    kind: Kind
    host: str
    port: int
    path: str = ""
    login: tuple[str, str] | None = field(default=None, repr=False)
    token_file: str = ""
    tenant: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}{self.path}"

    @property
    def url(self) -> str:
        """What is asked over HTTP."""
        return str(self).partition("+")[2]


def parse_target(text: str) -> Target:
    """Raises ValueError with what was expected."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("it is no URL that can be read") from None
    if parts.scheme not in KINDS:
        raise ValueError(f"expected one of {', '.join(f'{kind}://' for kind in KINDS)}")
    kind: Kind = parts.scheme  # type: ignore[assignment]  # just compared with all of them
    if not parts.hostname:
        raise ValueError(f"expected a host, as in {kind}://logs.example:{_PORT[kind]}")
    family = kind.partition("+")[0]
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    allowed = {"loki": {"token_file", "tenant"}, "otlp": {"token_file"}}.get(family, set())
    for name in options.keys() - allowed:
        raise ValueError(f"{name!r} means nothing to {family}" + (f"; known are {sorted(allowed)}" if allowed else ""))
    if family == "syslog" and (parts.path not in ("", "/") or parts.username):
        raise ValueError("syslog has neither a path nor a login")
    login = None
    if parts.username is not None:
        login = (unquote(parts.username), unquote(parts.password or ""))
    path = "" if family == "syslog" else (_PATH[family] if parts.path in ("", "/") else parts.path)
    return Target(
        kind=kind, host=parts.hostname, port=port or _PORT[kind], path=path, login=login,
        token_file=options.get("token_file", ""), tenant=options.get("tenant", ""),
    )  # fmt: skip
