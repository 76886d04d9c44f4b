"""Who the kernel says is at the other end: on samples of its tables, and on real sockets of real users."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.api.connection import user_name
from controller.api.listen import UnixListen
from controller.api.peers import Endpoint, owner, peer_uid, tcp_peer_uid, trusted_uids
from tests.api.api_site import Answer, Site, parse, problem, request, told
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import worker

HEAD = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
PEER = Endpoint(host="127.0.0.1", port=54321)
OURS = Endpoint(host="127.0.0.1", port=3000)
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the samples are from a little-endian machine")


def row(local: str, remote: str, state: str = "01", uid: int = 1000, inode: int = 77) -> bytes:
    """A row as Linux prints it."""
    return (
        f"   3: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:5d}        0 {inode} 1 "
        "0000000000000000 20 4 30 10 -1\n"
    ).encode()


CLIENT, SERVER = "0100007F:D431", "0100007F:0BB8"
MAPPED = "0000000000000000FFFF0000"
LOOPBACK6 = "00000000000000000000000001000000"


@little_endian
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([row(CLIENT, SERVER)], 1000, id="the peer's own row"),
        pytest.param([row(CLIENT, SERVER, uid=0)], 0, id="root"),
        pytest.param([row(SERVER, CLIENT)], None, id="our own end says nothing about the peer"),
        pytest.param([row(CLIENT, SERVER, state="06", uid=0, inode=0)], None, id="time wait, listed as uid 0"),
        pytest.param([row(CLIENT, SERVER, state="04")], None, id="closing"),
        pytest.param([row(CLIENT, SERVER, uid=0, inode=0)], None, id="a socket that nobody owns, listed as uid 0"),
        pytest.param([row("0100007F:D432", SERVER)], None, id="another port"),
        pytest.param([row("0200007F:D431", SERVER)], None, id="another address"),
        pytest.param([row(CLIENT, "0100007F:0BB9")], None, id="another server"),
        pytest.param([row(MAPPED + CLIENT, MAPPED + SERVER, uid=1001)], 1001, id="an IPv6 socket to an IPv4 address"),
        pytest.param([row(MAPPED + CLIENT, SERVER)], None, id="no connection has ends of two kinds"),
        pytest.param([b"\n", b"nonsense\n", row(CLIENT, SERVER)], 1000, id="rows of another shape are passed over"),
        pytest.param([], None, id="an empty table"),
    ],
)
def test_the_owner_is_who_holds_the_established_socket(rows: list[bytes], expected: int | None) -> None:
    assert owner([HEAD, *rows], PEER, OURS) == expected


@little_endian
def test_ipv6_rows_are_compared_word_by_word() -> None:
    peer, ours = Endpoint(host="::1", port=54321), Endpoint(host="::1", port=3000)
    rows = [row(f"{LOOPBACK6}:D431", f"{LOOPBACK6}:0BB8", uid=1002)]

    assert owner([HEAD, *rows], peer, ours) == 1002


@little_endian
def test_both_tables_are_read_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_bytes(HEAD)
    assert tcp_peer_uid(PEER, OURS, tables=str(tmp_path)) is None
    (tmp_path / "tcp6").write_bytes(HEAD + row(MAPPED + CLIENT, MAPPED + SERVER))
    assert tcp_peer_uid(PEER, OURS, tables=str(tmp_path)) == 1000


@little_endian
def test_a_peer_that_is_not_on_loopback_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_bytes(HEAD + row("0101A8C0:D431", SERVER))

    assert tcp_peer_uid(Endpoint(host="192.168.1.1", port=54321), OURS, tables=str(tmp_path)) is None


@pytest.mark.parametrize(("client_family", "server_family", "host"), [
    (socket.AF_INET, socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, socket.AF_INET6, "::1"),
    (socket.AF_INET6, socket.AF_INET, "127.0.0.1"),
])  # fmt: skip
def test_a_real_connection_of_ours_is_ours(client_family: int, server_family: int, host: str) -> None:
    with socket.socket(server_family) as listener, socket.socket(client_family) as client:
        listener.bind((host, 0))
        listener.listen()
        mapped = f"::ffff:{host}" if client_family != server_family else host
        client.connect((mapped, listener.getsockname()[1]))
        accepted, _ = listener.accept()
        with accepted:
            assert peer_uid(accepted) == os.geteuid()
            client.close()
            assert peer_uid(accepted) is None


def test_a_real_unix_connection_of_ours_is_ours() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_uid(ours) == os.geteuid()


def test_a_connection_that_is_gone_has_no_peer() -> None:
    with socket.socket() as never_connected:
        assert peer_uid(never_connected) is None


def test_root_and_we_ourselves_are_trusted() -> None:
    assert trusted_uids() == {0, os.geteuid()}


def test_a_peer_goes_by_its_name_or_its_number() -> None:
    assert [user_name(0), user_name(4_000_000_001)] == [pwd.getpwuid(0).pw_name, "uid:4000000001"]


# --- a stranger on the same machine ---------------------------------------------------------------------------

NOBODY = 65534
CLIENT_PROGRAM = """
import os, socket, sys
kind, address, data, uid = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]), int(sys.argv[4])
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
client = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
client.connect(address if kind == "unix" else ("127.0.0.1", int(address)))
client.sendall(data)
while piece := client.recv(65536):
    sys.stdout.buffer.write(piece)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everyone can enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


async def ask_as(uid: int, site: Site, data: bytes) -> Answer:
    """A request of a process of another user."""
    address = site.address
    where = ("unix", address.path) if isinstance(address, UnixListen) else ("tcp", str(address.port))
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", CLIENT_PROGRAM, *where, data.hex(), str(uid), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await program.communicate()
    assert program.returncode == 0
    return parse(output)


@as_root
@pytest.mark.parametrize("line", [
    "GET /api/v1/workers HTTP/1.1",
    "GET /api/v1/nothing HTTP/1.1",
    "DELETE /api/v1/workers HTTP/1.1",
    "POST /api/v1/workers/web/stop HTTP/1.1",
])  # fmt: skip
async def test_another_user_gets_401_and_learns_nothing_about_routes(site: Site, line: str) -> None:
    answer = await ask_as(NOBODY, site, request(line))

    path = line.split()[1]
    detail = (
        "send a token as Authorization: Bearer TOKEN (`workerctl token create NAME` makes one); without one only the "
        "controller's own user and root are let in, over loopback or the Unix socket, and with --auth required nobody"
    )
    assert told(answer) == problem(401, "not_authenticated", detail, path)
    assert (answer.headers["Www-Authenticate"], answer.headers["Connection"]) == ('Bearer realm="workerctl"', "close")
    assert site.ports.wishes == []


@as_root
async def test_another_user_may_ask_whether_it_lives(site: Site) -> None:
    assert (await ask_as(NOBODY, site, request("GET /healthz HTTP/1.1"))).status == 200


@as_root
async def test_another_user_on_the_unix_socket_is_refused_by_credentials_too(
    open_site: OpenSite, open_folder: Path
) -> None:
    site = await open_site(worker("web"), listen=f"unix:{open_folder}/api.sock")
    (open_folder / "api.sock").chmod(0o666)  # as if somebody had opened it up

    assert (await ask_as(NOBODY, site, request())).status == 401
    assert (await site.get("/api/v1/workers")).status == 200


async def test_the_peer_is_asked_for_once_per_connection(site: Site) -> None:
    reader, writer = await site.connect()
    for _ in range(2):
        writer.write(b"GET /api/v1/workers/stats/overview HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(parse(head).headers["Content-Length"]))
        assert parse(head).status == 200
