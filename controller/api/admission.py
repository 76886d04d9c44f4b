"""Who may ask at all: the checks before any route is looked at. Pure, except that the peer's uid is given to it.

Two kinds of attacker are kept out here. Another user of this machine reaches our loopback port: the peer check. A web
page in the user's own browser reaches it too, under the user's uid: DNS rebinding brings a foreign Host, and cross-site
requests carry an Origin or a Sec-Fetch-Site that is not ours. So each check stands alone, and none replaces another.

What does not belong here: tokens (a later door into `Principal`), which role a route needs (routes.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from controller.api.problem import ApiProblem
from controller.api.sessions import Session
from controller.api.tokens import Token

Role = Literal["public", "worker", "viewer", "operator", "admin"]

_RANK: dict[Role, int] = {"public": 0, "worker": 0, "viewer": 1, "operator": 2, "admin": 3}
OPEN: frozenset[Role] = frozenset({"public", "worker"})
"""Roles for which nobody is asked who they are. A route for workers checks the run's own token (heartbeat.py)."""
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,252}))(?::([0-9]{1,5}))?")
_ALWAYS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, by proof. `name` is what events show as the actor; `token` is what proved it, None for a uid.

    `session`: the browser's session that the token was exchanged for, where that was sent in its place.
    """

    name: str
    role: Role
    token: Token | None = None
    session: Session | None = None

    def may(self, role: Role) -> bool:
        """Whether this principal holds `role` or a higher one."""
        return _RANK[self.role] >= _RANK[role]


NOBODY = Principal(name="anonymous", role="public")


def check_host(hosts: Collection[str], allowed: Collection[str]) -> None:
    """Refuse a request that was addressed to another name (421): what DNS rebinding looks like from here.

    `hosts`: all values of the Host header. `allowed`: names and bracketed addresses without port, in lower case, beside
    the loopback names. The port is not compared: a forwarded port differs, and a page cannot choose our name.
    """
    if len(hosts) > 1:
        raise ApiProblem(status=400, code="malformed_request", detail="more than one Host header", close=True)
    named = _HOST.fullmatch(next(iter(hosts), "").lower())
    if named is None or named[1].rstrip(".") not in _ALWAYS.union(allowed):
        raise ApiProblem(
            status=421,
            code="wrong_host",
            detail="this server does not answer to the name in the Host header; start it with --allowed-host NAME",
            close=True,
        )


def check_origin(method: str, headers: Mapping[str, str], *, secure: bool = False) -> None:
    """Refuse what a page of another origin sends (403). Programs send neither header and pass.

    `secure`: the request came over TLS, so a page that did not is another origin; the other way round there may be a
    proxy. A navigation (a person follows a link) is harmless from anywhere, as no GET has an effect.
    """
    origin = headers.get("Origin")
    is_downgraded = secure and origin is not None and not origin.startswith("https://")
    if origin is not None and (is_downgraded or not _same_origin(origin, headers.get("Host", ""))):
        raise ApiProblem(status=403, code="foreign_origin", detail="requests of other origins are refused", close=True)
    site = headers.get("Sec-Fetch-Site", "none")
    navigation = method == "GET" and headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in {"none", "same-origin"} and not navigation:
        raise ApiProblem(status=403, code="cross_site", detail="requests of other sites are refused", close=True)


def check_own_page(headers: Mapping[str, str]) -> None:
    """Refuse a write with a cookie that is not provably from a page of ours (403).

    Browsers send a cookie whoever made them. They also say who did: all of today's in Sec-Fetch-Site, older ones in
    Origin, which was compared already. A program has a token and no cookie.
    """
    if headers.get("Sec-Fetch-Site") in {"same-origin", "none"} or "Origin" in headers:
        return
    detail = "a write with a session's cookie must say that it comes from the page itself (Sec-Fetch-Site)"
    raise ApiProblem(status=403, code="cross_site", detail=detail, close=True)


def _same_origin(origin: str, host: str) -> bool:
    """Whether the origin names the host that was asked, with the default port of the origin's scheme.

    An origin that is none (`null`, another scheme, nonsense) is nobody's.
    """
    default = _DEFAULT_PORTS.get(origin.partition("://")[0])
    try:
        theirs, ours = urlsplit(origin), urlsplit(f"//{host}")
        ends = [(end.hostname, end.port or default) for end in (theirs, ours)]
    except ValueError:
        return False
    return default is not None and ends[0] == ends[1] and ends[0][0] is not None


def check_encoding(headers: Mapping[str, str], *, can_be_chunked: bool = True) -> None:
    """Refuse compressed bodies (415): nobody needs them here, and each is a possible bomb.

    And bodies whose end is a matter of opinion (400): another transfer coding than chunks, or chunks in HTTP/1.0.
    """
    coding = headers.get("Transfer-Encoding")
    if coding is not None and not (can_be_chunked and coding.strip().lower() == "chunked"):
        detail = "the only Transfer-Encoding is chunked, of HTTP/1.1"
        raise ApiProblem(status=400, code="malformed_request", detail=detail, close=True)
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiProblem(status=415, code="encoded_body", detail="send the body without Content-Encoding", close=True)


def principal_of(uid: int | None, name: str, trusted: Collection[int]) -> Principal:
    """The administrator, where the peer is ours or root; nobody otherwise. `name` is the uid's user name."""
    if uid is None or uid not in trusted:
        return NOBODY
    return Principal(name=name, role="admin")


def require(principal: Principal, role: Role) -> None:
    """Refuse who lacks the role: 401 for nobody, 403 for somebody."""
    if principal.may(role):
        return
    if principal is NOBODY:
        raise ApiProblem(
            status=401,
            code="not_authenticated",
            detail="send a token as Authorization: Bearer TOKEN (`workerctl token create NAME` makes one); "
            "without one only the controller's own user and root are let in, over loopback or the Unix socket, "
            "and with --auth required nobody",
            headers={"WWW-Authenticate": 'Bearer realm="workerctl"'},
            close=True,
        )
    raise ApiProblem(status=403, code="not_authorised", detail=f"this needs the role {role}")
