"""What the server serves beside the API: one page for all screens, its files, and the policy that holds for both."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.api.doorkeeper import Access
from controller.api.listen import parse_listen
from controller.api.server import ApiServer
from controller.web.pages import POLICY, Page, Pages, shipped
from tests.api.api_site import FAST, Site, request
from tests.fakes.api_ports import FakePorts, worker

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "controller/web/static"
LISTS = {"VENDOR.json", "LICENSES.txt"}
BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
SCREENS = [
    "/", "/workers", "/workers/web", "/workers/web/logs", "/configuration", "/configuration/new", "/plan", "/logs",
    "/events", "/batches", "/batches/6f0b1d0c8a3e5b27", "/settings", "/docs", "/docs/api", "/docs/fields",
    "/api", "/login",
]  # fmt: skip


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A server that lets nobody in without a token."""
    ports, where = FakePorts(worker("web")), parse_listen("127.0.0.1:0")
    server = ApiServer(ports.ports, where, limits=FAST, access=Access(trusts_peers=False))
    await server.start()
    site = Site(ports, server, where)
    yield site
    await site.closed()


def found(path: str, *, wants_page: bool = False) -> Page:
    page = shipped().find(path, wants_page=wants_page)
    assert page is not None, path
    return page


@pytest.mark.parametrize("path", SCREENS)
async def test_every_screen_is_the_page_and_needs_no_token(site: Site, path: str) -> None:
    answer = await site.raw(request(f"GET {path} HTTP/1.1"))

    assert (answer.status, answer.media_type) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert b'<div id="app">' in answer.body


async def test_a_browser_at_a_wrong_path_gets_the_page_and_a_program_gets_a_problem(site: Site) -> None:
    page = await site.raw(request("GET /wrong/path HTTP/1.1", BROWSER))
    assert (page.status, page.media_type) == (404, "text/html; charset=utf-8")
    for line in ("GET /wrong/path HTTP/1.1", "POST / HTTP/1.1", "PUT /workers HTTP/1.1"):
        answer = await site.raw(request(line))
        assert (answer.status, answer.media_type) == (401, "application/problem+json"), line


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1", "/static/", "/static/x/app/main.mjs", "/metrics/x", "/static/../index.html"]
)
async def test_no_page_stands_where_programs_ask(site: Site, path: str) -> None:
    assert (await site.raw(request(f"GET {path} HTTP/1.1", BROWSER))).status == 401


async def test_the_files_are_kept_for_ever_under_a_digest_of_all_of_them(site: Site) -> None:
    path = f"/static/{shipped().digest}/app/main.mjs"
    answer = await site.raw(request(f"GET {path} HTTP/1.1", "Sec-Fetch-Site: same-origin"))

    assert (answer.status, answer.media_type) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.body == (STATIC / "app/main.mjs").read_bytes()
    packed = await site.raw(request(f"GET {path} HTTP/1.1", "Accept-Encoding: gzip, br"))
    if packed.headers.get("Content-Encoding") == "gzip":
        assert gzip.decompress(packed.body) == answer.body
    head = await site.raw(request(f"HEAD {path} HTTP/1.1"))
    assert (head.status, head.body) == (200, b"")
    assert (await site.raw(request(f"GET {path} HTTP/1.1", "Sec-Fetch-Site: cross-site"))).status == 403
    assert (await site.raw(request(f"GET {path} HTTP/1.1", host="evil.example"))).status == 421


def test_a_changed_file_changes_every_path_and_only_what_the_start_imports_is_fetched_at_once(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "index.html").write_text('<script src="{{root}}/app/a.mjs"></script><!-- preload -->')
    (tmp_path / "app/main.mjs").write_text('import "./a.mjs";\nconst later = import("./b.mjs");')
    (tmp_path / "app/a.mjs").write_text("1")
    (tmp_path / "app/b.mjs").write_text("1")
    before = Pages(tmp_path)
    (tmp_path / "app/a.mjs").write_text("2")
    after = Pages(tmp_path)

    assert before.digest != after.digest
    assert after.find(f"/static/{before.digest}/app/a.mjs", wants_page=False) is None
    page = after.find("/", wants_page=False)
    assert page is not None
    root = f"/static/{after.digest}/app"
    links = [f'<link rel="modulepreload" href="{root}/{name}.mjs">' for name in ("a", "main")]
    assert page.body.decode() == f'<script src="{root}/a.mjs"></script>' + "\n  ".join(links)


def test_the_policy_needs_nothing_inline_and_the_page_has_nothing_inline() -> None:
    assert "unsafe" not in POLICY
    page = found("/").body.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page) == []
    for name in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert found(name).status == 200


def test_no_module_makes_markup_of_text_or_code_of_it() -> None:
    wrong = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function")
    for path in (STATIC / "app").rglob("*.mjs"):
        assert not wrong.search(path.read_text()), path


def test_what_a_module_imports_is_there() -> None:
    for path in STATIC.rglob("*.mjs"):
        for name in re.findall(r'\b(?:from|import)\s*\(?\s*"([^"\s]+)"', path.read_text()):
            assert name.startswith("."), f"{path}: {name}"
            assert (path.parent / name).resolve().is_file(), f"{path}: {name}"


def test_our_modules_and_styles_are_no_longer_than_a_few_screens() -> None:
    ours = [*(STATIC / "app").rglob("*.mjs"), *(STATIC / "style").glob("*.css")]
    assert len(ours) > 20
    assert {str(path): lines for path in ours if (lines := path.read_text().count("\n")) > 400} == {}


def test_the_libraries_are_those_that_were_fetched() -> None:
    for folder in (STATIC / "vendor", ROOT / "tests/web/vendor"):
        entries = json.loads((folder / "VENDOR.json").read_text())
        hashes = {entry["file"]: entry["sha256"] for entry in entries}
        files = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir()
            if path.name not in LISTS
        }
        assert files == hashes
        licences = (folder / "LICENSES.txt").read_text()
        assert all(f"{entry['name']} {entry['version']} ({entry['licence']})" in licences for entry in entries)


def test_the_first_paint_is_small() -> None:
    page = found("/").body.decode()
    names = re.findall(r'(?:href|src)="([^"]+)"', page)
    sizes = [len(file.packed or file.body) for file in map(found, names)]
    assert sum(sizes) < 90_000
    later = {"uplot.mjs", "marked.mjs"}
    vendored = [path for path in (STATIC / "vendor").glob("*.mjs") if path.name not in later]
    assert sum(len(gzip.compress(path.read_bytes())) for path in vendored) < 16_000


def test_the_wheel_brings_them_all(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())

    ours = {str(path.relative_to(ROOT)) for path in STATIC.rglob("*") if path.is_file()}
    assert ours - names == set()
