"""TLS: the same door, the same limits, and a certificate that is renewed while people are connected."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from controller.api.doorkeeper import Access
from controller.api.tls import Certificate, TlsError
from tests.api.api_site import FAST, Site, request
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import worker

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None and not os.environ.get("CI"), reason="there is no openssl")


def make(folder: Path, name: str) -> None:
    """A certificate of that name and its key, each put in place whole."""
    command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-subj", f"/CN={name}", "-keyout", str(folder / "new.key"), "-out", str(folder / "new.pem")]
    subprocess.run([OPENSSL or "openssl", *command, *files], check=True, capture_output=True, timeout=30)
    for suffix in ("key", "pem"):
        (folder / f"new.{suffix}").replace(folder / f"tls.{suffix}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path, "first")
    return tmp_path


def certificate(folder: Path) -> Certificate:
    return Certificate(str(folder / "tls.pem"), str(folder / "tls.key"))


@pytest.fixture
async def site(open_site: OpenSite, folder: Path) -> Site:
    limits = replace(FAST, idle_s=0.5, handshake_s=0.5)
    return await open_site(worker("web"), access=Access(certificate=certificate(folder)), limits=limits)


async def connect(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = site.server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    site.opened.append(writer)
    return reader, writer


async def ask(site: Site, data: bytes) -> tuple[bytes, bytes]:
    """The whole answer, and the certificate that came with it."""
    reader, writer = await connect(site)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.write(data)
    async with asyncio.timeout(10):
        return await reader.read(), shown


async def test_it_is_the_same_api_and_our_own_user_is_known(site: Site) -> None:
    answer, _ = await ask(site, request())

    assert site.server.url.startswith("https://")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_page_that_came_without_tls_is_another_origin(site: Site) -> None:
    found = []
    for scheme in ("http", "https"):
        origin = f"Origin: {scheme}://localhost:3"
        found.append((await ask(site, request("POST /api/v1/reconcile HTTP/1.1", origin, host="localhost:3")))[0])

    assert [answer.split()[1] for answer in found] == [b"403", b"202"]


async def test_who_speaks_no_tls_or_never_ends_its_handshake_is_cut(site: Site) -> None:
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
        reader, writer = await site.connect()
        writer.write(data)
        async with asyncio.timeout(10):
            try:
                assert b"HTTP" not in await reader.read()
            except ConnectionError:
                continue


async def test_slow_heads_slow_bodies_and_large_ones_have_the_same_limits(site: Site) -> None:
    head = "POST /api/v1/reconcile HTTP/1.1"
    kind = "Content-Type: application/json"
    slow_body = request(head, kind, "Content-Length: 9", body=b"{")
    large = request(head, kind, "Content-Length: 10000000000")

    assert (await ask(site, b"GET / HTTP/1.1\r\nHost: loc"))[0] == b""
    assert (await ask(site, slow_body))[0].startswith(b"HTTP/1.1 408 ")
    assert (await ask(site, large))[0].startswith(b"HTTP/1.1 413 ")


async def test_handshakes_that_hang_hold_no_more_descriptors_than_are_allowed(
    open_site: OpenSite, folder: Path
) -> None:
    limits = replace(FAST, open=5, handshake_s=30.0)
    site = await open_site(worker("web"), access=Access(certificate=certificate(folder)), limits=limits)

    async def is_cut() -> bool:
        reader, _writer = await site.connect()
        try:
            async with asyncio.timeout(1):
                return await reader.read() == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    assert sum(await asyncio.gather(*(is_cut() for _ in range(20)))) >= 14


async def test_a_renewed_certificate_is_shown_to_the_next_client(site: Site, folder: Path) -> None:
    _, before = await ask(site, request())
    make(folder, "second")
    _, after = await ask(site, request())

    assert after == ssl.PEM_cert_to_DER_cert((folder / "tls.pem").read_text()) != before


async def test_a_pair_that_does_not_fit_changes_nothing_until_it_does(site: Site, folder: Path) -> None:
    _, before = await ask(site, request())
    key = (folder / "tls.key").read_bytes()
    make(folder, "second")
    (folder / "tls.key").write_bytes(key)
    assert (await ask(site, request()))[1] == before
    make(folder, "third")
    assert (await ask(site, request()))[1] != before


def test_files_that_cannot_be_used_say_why(folder: Path) -> None:
    with pytest.raises(TlsError, match=r"Cannot read .*none\.pem: no such file or directory"):
        Certificate(str(folder / "none.pem"), str(folder / "tls.key"))
    (folder / "bad.pem").write_text("nonsense")
    with pytest.raises(TlsError, match=r"expected a PEM certificate and its unencrypted key"):
        Certificate(str(folder / "bad.pem"), str(folder / "tls.key"))
