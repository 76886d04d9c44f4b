"""TLS by two files, and their renewal without a restart.

A renewed certificate is noticed when the next client connects: two looks at files, and nothing that must be told. A
pair that cannot be used (half written, half renewed) changes nothing: the certificate before goes on, and is tried
again when a file changes. Loading into the context in use serves new connections; open ones keep what they have.

What does not belong here: whether TLS is needed (listen.py).
"""

from __future__ import annotations

import logging
import os
import ssl

log = logging.getLogger(__name__)

_Seen = tuple[tuple[int, int, int], ...]


class TlsError(Exception):
    """The two files cannot be used. The message is for people; it holds nothing of their content."""


class Certificate:
    """A certificate (with its chain) and its key, both PEM. Raises TlsError."""

    def __init__(self, cert: str, key: str) -> None:
        self._cert, self._key = cert, key
        self._seen = self._look()
        self.context = self._load()

    def renew(self) -> None:
        """Take up files that changed. Never raises: what is in use goes on."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._load()  # a context that is in use would keep half of what fails
            self.context.load_cert_chain(self._cert, self._key, password="")
        except (TlsError, OSError) as error:
            log.warning("the certificate is not renewed", extra={"fields": {"file": self._cert, "why": str(error)}})
        else:
            log.info("the certificate is renewed", extra={"fields": {"file": self._cert}})

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        for path in (self._cert, self._key):
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise TlsError(f"Cannot read {path}: {(error.strerror or 'error').lower()}") from None
        try:
            # A key with a password would make OpenSSL ask on the terminal: an empty one refuses it.
            context.load_cert_chain(self._cert, self._key, password="")
        except (ssl.SSLError, OSError) as error:
            why = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or "not a certificate"
            text = why.replace("_", " ").lower()
            raise TlsError(
                f"Cannot use {self._cert} with {self._key}: {text}; expected a PEM certificate and its unencrypted key"
            ) from None
        return context

    def _look(self) -> _Seen:
        found = []
        for path in (self._cert, self._key):
            try:
                at = os.stat(path)
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((at.st_ino, at.st_size, at.st_mtime_ns))
        return tuple(found)
