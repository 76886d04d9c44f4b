"""The files of the web UI, and which path of the server is which: one page for all screens, and what it loads.

    pages = Pages()
    page = pages.find("/workers/web/logs", wants_page=True)     # the page, or None: nothing of ours lives there
    page.headers, page.body_for(accepts_gzip=True)

Called by dispatch.py for a GET of what the table of routes does not have, before anybody is asked who they are: these
files hold nothing but the program itself. What they show comes from the API, with its checks.

Rules of this file:
  - Only files that were there at the start are served, from memory: no path of a request ever reaches the disk.
  - Everything but the page lives under `/static/DIGEST/`, a digest of all files together. So it may be kept for ever,
    and after an upgrade no file of before is mixed with one of now. Modules import each other by relative paths.
  - The page names the modules of the first paint, so that a browser asks for them all at once instead of finding them
    one in the other. A screen is loaded when it is opened (`app/screens/`).
  - No inline script or style, no eval, no string that becomes markup: the policy below, which the browser keeps.

What does not belong here: anything that depends on who asks, or on a worker.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Of every page and file of the UI."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
_FIXED = {
    "Server": "workerctl",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_INDEX = "index.html"
_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SCREENS = re.compile(
    rf"/|/workers(?:/{_NAME}(?:/(?:logs|metrics|events|spec|history|instances))?)?"
    rf"|/configuration(?:/(?:new|{_NAME}))?|/plan|/logs|/events|/batches(?:/[0-9a-f]{{1,64}})?|/settings"
    r"|/docs(?:/[a-z0-9-]{1,64})?|/api|/login"
)
"""The paths of screens, also of those without a row in app/screens.mjs so far. The page itself says so of those."""
_NEVER = re.compile(r"/(?:api/|static/|metrics|healthz|readyz)")
"""Paths of programs: there is a page at none of them."""
_START = "app/main.mjs"
_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["'](\.[^"']+)["']""")
"""A static import. What is loaded later (`import(...)`) is no part of the first paint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer: its status, its headers, its bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    packed: bytes | None = None
    """The same, compressed, where that is worth it."""

    def answer(self, *, accepts_gzip: bool) -> tuple[Mapping[str, str], bytes]:
        """Headers and bytes for a client."""
        if self.packed is None:
            return self.headers, self.body
        if not accepts_gzip:
            return {**self.headers, "Vary": "Accept-Encoding"}, self.body
        return {**self.headers, "Vary": "Accept-Encoding", "Content-Encoding": "gzip"}, self.packed


@dataclass(slots=True)
class Pages:
    """All files of the UI, read once. `root`: where they lie; the installed ones without."""

    root: Traversable = field(default_factory=lambda: files("controller.web") / "static")
    _made: dict[str, Page] = field(default_factory=dict)
    _files: dict[str, bytes] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        self._files = {} if not self.root.is_dir() else _read(self.root, "")
        total = hashlib.sha256()
        for name, content in sorted(self._files.items()):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
        self.digest = total.hexdigest()[:16]

    def find(self, path: str, *, wants_page: bool) -> Page | None:
        """What lives at `path` (raw, without query). `wants_page`: a person's browser asks for a page to show."""
        prefix = f"/static/{self.digest}/"
        if path.startswith(prefix):
            return self._asset(path.removeprefix(prefix))
        if _SCREENS.fullmatch(path):
            return self._index(200)
        if wants_page and not _NEVER.match(path):
            return self._index(404)
        return self._asset("favicon.svg") if path in {"/favicon.ico", "/favicon.svg"} else None

    def _asset(self, name: str) -> Page | None:
        content = self._files.get(name)
        if content is None or name == _INDEX:
            return None
        if name not in self._made:
            self._made[name] = _page(name, content, cache=_FOR_EVER)
        return self._made[name]

    def _index(self, status: int) -> Page | None:
        key = f"{_INDEX} {status}"
        if _INDEX not in self._files:
            return None
        if key not in self._made:
            text = self._files[_INDEX].decode().replace("{{root}}", f"/static/{self.digest}")
            text = text.replace("<!-- preload -->", self._preload)
            self._made[key] = _page(_INDEX, text.encode(), cache="no-store", status=status)
        return self._made[key]

    @property
    def _preload(self) -> str:
        links = (f'<link rel="modulepreload" href="/static/{self.digest}/{name}">' for name in self._first_modules())
        return "\n  ".join(links)

    def _first_modules(self) -> list[str]:
        """What the start imports, and what that imports."""
        found, waiting = set(), [_START]
        while waiting:
            name = waiting.pop()
            if name in self._files and name not in found:
                found.add(name)
                imports = _IMPORT.findall(self._files[name].decode())
                waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(name), one)) for one in imports]
        return sorted(found)


@cache
def shipped() -> Pages:
    """Those that are installed."""
    return Pages()


def _read(folder: Traversable, prefix: str) -> dict[str, bytes]:
    """All files below, by their path."""
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found |= _read(entry, f"{name}/")
        elif "." + name.rpartition(".")[2] in _TYPES:
            found[name] = entry.read_bytes()
    return found


def _page(name: str, content: bytes, *, cache: str, status: int = 200) -> Page:
    media_type = _TYPES["." + name.rpartition(".")[2]]
    packed = gzip.compress(content, 6, mtime=0)
    headers = {**_FIXED, "Content-Type": media_type, "Cache-Control": cache}
    return Page(
        status=status, headers=headers, body=content, packed=packed if len(packed) < len(content) * 0.9 else None
    )
