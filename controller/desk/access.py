"""The door of a running controller: its tokens, its certificate, and where writes are recorded.

Called once by the composition root. Where tokens are the only way in and no administrator has one, one is made and
written into a file of ours; its path is told, never the token.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from controller.api.doorkeeper import Access, Write
from controller.api.listen import TcpListen, check_exposure, parse_listen
from controller.api.tls import Certificate
from controller.config import Settings
from controller.desk.sessions import SessionFiles
from controller.desk.tokens import TokenFiles
from controller.reconcile.archive import Archive
from controller.store.records import Event

log = logging.getLogger("workerctl.access")

_PATH_SHOWN = 200


def certificate_of(settings: Settings) -> Certificate | None:
    """The certificate, and whether these settings may be listened with. Raises ListenError, TlsError."""
    has_tls = settings.tls_cert is not None
    check_exposure(parse_listen(settings.listen), has_tls=has_tls, insecure_http=settings.insecure_http)
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(str(settings.tls_cert), str(settings.tls_key))


def open_access(
    settings: Settings, certificate: Certificate | None, archive: Archive, now: Callable[[], float]
) -> Access:
    """See the header. Raises TokenError."""
    tokens = TokenFiles(settings.state_dir, now)
    listen = parse_listen(settings.listen)
    is_reachable = isinstance(listen, TcpListen) and not listen.is_loopback
    if is_reachable and certificate is None:
        log.warning("tokens are sent in the clear: --insecure-http", extra={"fields": {"listen": settings.listen}})
    if is_reachable or settings.auth == "required":
        path = tokens.bootstrap()
        if path is not None:
            log.warning(
                "there was no token of an administrator: one is made; keep it, then remove the file",
                extra={"fields": {"file": str(path)}},
            )
    return Access(
        tokens=tokens,
        sessions=SessionFiles(settings.state_dir),
        trusts_peers=settings.auth == "peer",
        certificate=certificate,
        audit=lambda write: archive.keep_own(audit_event(write, now())),
        now=now,
    )


def audit_event(write: Write, at: float) -> Event:
    """One write as it is recorded: who, what, from where, and what became of it. It belongs to no worker's history."""
    path, token = write.path[:_PATH_SHOWN], write.principal.token
    outcome = "cut off" if write.status is None else str(write.status)
    return Event(
        at=at,
        type="audit",
        worker_id=None,
        actor=write.principal.name,
        message=f"{write.method} {path}: {outcome}",
        data={
            "method": write.method,
            "path": path,
            "status": write.status,
            "request_id": write.request_id,
            "role": write.principal.role,
            "token_id": None if token is None else token.token_id,
            "peer": write.peer.address,
            "uid": write.peer.uid,
        },
    )


def own_url(settings: Settings) -> str:
    """Where a worker of this host finds us, as it was written where that can be. Empty for a Unix socket."""
    where = parse_listen(settings.listen)
    if not isinstance(where, TcpListen):
        return ""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(where.host)  # noqa: S104 - compared, not bound
    address = settings.listen if anywhere is None else f"{anywhere}:{where.port}"
    return f"http{'' if settings.tls_cert is None else 's'}://{address}"
