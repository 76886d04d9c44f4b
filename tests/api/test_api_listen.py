"""Where the server listens: what is accepted, what is refused and why, and the socket's file."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from controller.api.listen import (
    Listen,
    ListenError,
    TcpListen,
    UnixListen,
    check_exposure,
    open_unix,
    parse_listen,
    remove_own,
)
from controller.api.server import ApiServer
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import FakePorts, worker


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: sockets have little room."""
    return tmp_path_factory.mktemp("s")


@pytest.mark.parametrize(
    ("text", "expected", "printed"),
    [
        ("127.0.0.1:3000", TcpListen(host="127.0.0.1", port=3000), "127.0.0.1:3000"),
        ("127.0.0.5:0", TcpListen(host="127.0.0.5", port=0), "127.0.0.5:0"),
        ("localhost:80", TcpListen(host="127.0.0.1", port=80), "127.0.0.1:80"),
        ("[::1]:3000", TcpListen(host="::1", port=3000), "[::1]:3000"),
        ("unix:/run/x.sock", UnixListen(path="/run/x.sock"), "unix:/run/x.sock"),
        ("unix:x.sock", UnixListen(path="x.sock"), "unix:x.sock"),
    ],
)
def test_addresses_are_read_and_printed(text: str, expected: Listen, printed: str) -> None:
    assert (parse_listen(text), str(parse_listen(text))) == (expected, printed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[::ffff:127.0.0.1]:3000",
            "Cannot listen on [::ffff:127.0.0.1]:3000: write 127.0.0.1 as 127.0.0.1:3000",
        ),
        ("box.local:3000", "Cannot listen on box.local:3000: box.local is no IP address; give one, or localhost"),
        (
            "[127.0.0.1]x:1",
            "Cannot listen on '[127.0.0.1]x:1': expected HOST:PORT, such as 127.0.0.1:3000, or unix:PATH",
        ),
        ("3000", "Cannot listen on '3000': expected HOST:PORT, such as 127.0.0.1:3000, or unix:PATH"),
        (
            "127.0.0.1:65536",
            "Cannot listen on '127.0.0.1:65536': expected HOST:PORT, such as 127.0.0.1:3000, or unix:PATH",
        ),
        ("unix:", "Cannot listen on 'unix:': expected unix:PATH"),
        ("unix:" + "x" * 108, f"Cannot listen on unix:{'x' * 108}: the path of a socket may have 107 bytes"),
    ],
)
def test_what_cannot_be_listened_on_says_why(text: str, message: str) -> None:
    with pytest.raises(ListenError) as refused:
        parse_listen(text)

    assert str(refused.value) == message


EXPOSED = (
    "without TLS: others can reach it, and would read every token; give --tls-cert and --tls-key, or listen on "
    "127.0.0.1 (--insecure-http allows it on a network that is yours alone)"
)


@pytest.mark.parametrize("text", ["0.0.0.0:3000", "[::]:3000", "192.168.1.7:3000"])
def test_where_others_can_reach_it_there_is_tls_or_a_word_that_there_is_none(text: str) -> None:
    where = parse_listen(text)

    with pytest.raises(ListenError) as refused:
        check_exposure(where, has_tls=False, insecure_http=False)
    assert str(refused.value) == f"Cannot listen on {text} {EXPOSED}"
    check_exposure(where, has_tls=True, insecure_http=False)
    check_exposure(where, has_tls=False, insecure_http=True)


@pytest.mark.parametrize("text", ["127.0.0.1:3000", "[::1]:3000", "localhost:3000", "unix:x"])
def test_where_nobody_else_can_reach_it_no_tls_is_needed(text: str) -> None:
    check_exposure(parse_listen(text), has_tls=False, insecure_http=False)


def test_a_unix_socket_has_no_tls() -> None:
    with pytest.raises(ListenError, match="a Unix socket has none; leave --tls-cert out"):
        check_exposure(parse_listen("unix:x"), has_tls=True, insecure_http=False)


async def test_a_free_port_is_chosen_and_told(open_site: OpenSite) -> None:
    site = await open_site(worker("web"))

    assert site.server.url == f"http://{site.server.address}"
    assert not site.server.address.endswith(":0")
    assert (await site.get("/api/v1/workers")).status == 200


async def test_ipv6_loopback_answers_to_its_own_name(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), listen="[::1]:0")

    assert (await site.get("/api/v1/workers")).status == 200


async def test_another_loopback_address_answers_to_its_own_name(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), listen="127.0.0.9:0")

    assert (await site.get("/api/v1/workers")).status == 200


async def test_a_port_in_use_is_told(open_site: OpenSite) -> None:
    site = await open_site()

    with pytest.raises(ListenError) as refused:
        await ApiServer(FakePorts().ports, parse_listen(site.server.address)).start()

    assert str(refused.value) == f"Cannot listen on {site.server.address}: address already in use"


async def test_a_unix_socket_answers_is_private_and_goes_with_the_server(open_site: OpenSite, folder: Path) -> None:
    path = folder / "api.sock"
    old = os.umask(0)
    try:
        site = await open_site(worker("web"), listen=f"unix:{path}")
    finally:
        os.umask(old)

    assert site.server.url == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await site.get("/api/v1/workers")).json == {"items": [worker("web")], "next_cursor": None}
    async with site.follow("/api/v1/workers?follow=1") as follower:
        assert await follower.items() == [worker("web")]
    await site.server.stop()
    assert not path.exists()


def _leave_behind(path: Path) -> None:
    """What a server that was killed leaves."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


async def test_a_socket_that_a_killed_server_left_is_replaced(open_site: OpenSite, folder: Path) -> None:
    _leave_behind(folder / "api.sock")
    site = await open_site(worker("web"), listen=f"unix:{folder}/api.sock")

    assert (await site.get("/healthz")).status == 200


async def test_a_socket_where_another_server_answers_is_left_alone(open_site: OpenSite, folder: Path) -> None:
    where = UnixListen(path=f"{folder}/api.sock")
    site = await open_site(worker("web"), listen=str(where))

    with pytest.raises(ListenError) as refused:
        open_unix(where)

    assert str(refused.value) == f"Cannot listen on {where}: another server answers there"
    assert (await site.get("/healthz")).status == 200


def test_a_socket_whose_server_is_busy_is_left_alone(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(f"{folder}/api.sock")
        busy.listen(0)
        waiting.connect(f"{folder}/api.sock")

        with pytest.raises(ListenError, match="another server answers there"):
            open_unix(UnixListen(path=f"{folder}/api.sock"))


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(folder: Path, kind: str) -> None:
    path = folder / "api.sock"
    match kind:
        case "file":
            path.write_text("mine")
        case "folder":
            path.mkdir()
        case "link":
            _leave_behind(folder / "real.sock")
            path.symlink_to(folder / "real.sock")

    with pytest.raises(ListenError) as refused:
        open_unix(UnixListen(path=str(path)))

    assert str(refused.value) == f"Cannot listen on unix:{path}: a file that is no socket stands there"
    assert os.path.lexists(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's socket")
def test_a_socket_of_another_user_is_left_alone(folder: Path) -> None:
    _leave_behind(folder / "api.sock")
    os.chown(folder / "api.sock", 65534, 65534)

    with pytest.raises(ListenError, match="a socket of another user stands there"):
        open_unix(UnixListen(path=f"{folder}/api.sock"))


@pytest.mark.parametrize(("path", "why"), [("no/x.sock", "no such file or directory"), ("f/x.sock", "not a directory")])
def test_a_folder_that_is_not_there_is_told(folder: Path, path: str, why: str) -> None:
    (folder / "f").touch()

    with pytest.raises(ListenError) as refused:
        open_unix(UnixListen(path=f"{folder}/{path}"))

    assert str(refused.value) == f"Cannot listen on unix:{folder}/{path}: {why}"


async def test_a_socket_that_took_our_place_is_left_alone(open_site: OpenSite, folder: Path) -> None:
    path = folder / "api.sock"
    site = await open_site(listen=f"unix:{path}")
    path.rename(folder / "ours")
    _leave_behind(path)

    await site.server.stop()

    assert path.exists()


def test_removing_what_is_not_there_is_nothing(folder: Path) -> None:
    remove_own(f"{folder}/x", None)
    remove_own(f"{folder}/x", (1, 1))
