"""Tokens on the real program: made, used, revoked and expired; where others can reach it; and a flood of writes."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from controller.api.admission import OPEN
from controller.api.routes import TABLE
from tests.e2e.e2e_installation import WORKERCTL, Answer, Installation, Told
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e

OPENSSL = shutil.which("openssl")
RANKS = {"viewer": 1, "operator": 2, "admin": 3}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def make(site: Installation, name: str, *options: str) -> str:
    """The text of a new token."""
    done = site.run("token", "create", name, "--state-dir", str(site.state), *options)
    assert done.code == 0, done.text
    return done.out.strip()


def ids(site: Installation) -> dict[str, str]:
    """The ids of all tokens by name."""
    told = site.run("token", "ls", "-o", "json", "--state-dir", str(site.state))
    return {item["name"]: item["id"] for item in json.loads(told.out)["items"]}


def revoke(site: Installation, name: str) -> None:
    assert site.run("token", "revoke", ids(site)[name], "--state-dir", str(site.state)).code == 0


def command(site: Installation, *arguments: str, text: str = "", **environment: str) -> Told:
    """The command line of a person with this in the environment and on standard input."""
    done = subprocess.run(
        [WORKERCTL, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False, cwd=site.root,
        env=site.environment(**environment),
    )  # fmt: skip
    return Told(done.returncode, done.stdout, done.stderr)


def bootstrap(site: Installation) -> str:
    """The first token, from the file that the log names."""
    path = site.state / "bootstrap-token"
    eventually(path.exists, told="the first token is there")
    assert (stat.S_IMODE(path.stat().st_mode), str(path) in site.log()) == (0o600, True)
    return path.read_text().strip()


@contextmanager
def stream(site: Installation, path: str, token: str) -> Iterator[http.client.HTTPResponse]:
    """An open stream."""
    host, _, port = site.listen.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", path, headers=bearer(token))
    answer = connection.getresponse()
    assert answer.status == 200
    try:
        yield answer
    finally:
        connection.close()


def until_it_ends(answer: http.client.HTTPResponse) -> None:
    """Read to the end, whichever way it comes."""
    try:
        while answer.read(1024):
            pass
    except (http.client.HTTPException, ConnectionError):
        pass


def statuses(site: Installation, **headers: str) -> dict[str, int]:
    """What each route that asks who it is answers; 0 for whatever is not about that. Nothing is written."""
    found = {}
    for route in TABLE:
        if route.role in OPEN:
            continue
        path = re.sub(r"\{\w+\}", "nobody", route.path)
        head = "HEAD" if route.method == "GET" else route.method  # of a stream, too, the head is enough
        host, _, port = site.listen.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        connection.request(head, path, headers=headers)
        status = connection.getresponse().status
        connection.close()
        found[f"{route.method} {route.path}"] = status if status in {401, 403} else 0
    return found


def expected(rank: int) -> dict[str, int]:
    return {
        f"{route.method} {route.path}": 0 if RANKS[route.role] <= rank else 403
        for route in TABLE
        if route.role not in OPEN
    }


def test_tokens_decide_who_may_do_what_and_revoking_holds_at_once(site: Installation) -> None:
    site.add("web", "--lines=100000", "--every=100")
    site.serve("--auth", "required")
    admin = bootstrap(site)
    texts = {"admin": admin, "viewer": make(site, "v"), "operator": make(site, "o", "--role", "operator")}
    short = make(site, "short", "--expires", "3s")

    assert set(statuses(site).values()) == {401}
    for role, text in texts.items():
        assert statuses(site, **bearer(text)) == expected(RANKS[role]), role
    assert site.ask("/readyz").status == 200

    def expires() -> bool:
        answer = site.ask("/api/v1/workers", **bearer(short))
        return answer.status == 401 and answer.body["code"] == "expired_token"

    eventually(expires, told="a token expires")

    # A person's ways to have a token sent.
    server, viewer = f"http://{site.listen}", texts["viewer"]
    assert command(site, "get", "--server", server).code == 9
    assert command(site, "get", "--server", server, WORKERCTL_TOKEN=viewer).code == 0
    kept = site.root / "token"
    kept.write_text(viewer + "\n")
    assert command(site, "--token-file", str(kept), "get", "--server", server).code == 0
    assert command(site, "login", "--server", server, "--context", "box", text=viewer[:-2] + "AA").code == 9
    assert command(site, "login", "--server", server, "--context", "box", text=viewer).code == 0
    assert stat.S_IMODE((site.root / ".config/workerctl/contexts.json").stat().st_mode) == 0o600
    assert command(site, "get").code == 0
    refused = command(site, "restart", "web")
    assert (refused.code, "this needs the role operator" in refused.text) == (9, True)

    # What is open of a revoked token ends; the rest goes on.
    paths = ("/api/v1/stream", "/api/v1/workers?follow=1", "/api/v1/workers/web/logs?follow=1")
    with stream(site, paths[0], texts["operator"]) as other:
        for path in paths:
            with stream(site, path, viewer) as answer:
                assert answer.read(1)
                if path == paths[-1]:
                    revoke(site, "v")
                    assert site.ask("/api/v1/workers", **bearer(viewer)).status == 401
                    until_it_ends(answer)
        assert other.read(1)
    assert command(site, "get").code == 9

    # Who may is not lost with the controller, and no second first token is made.
    site.kill("controller")
    site.serve("--auth", "required")
    assert statuses(site, **bearer(texts["operator"])) == expected(RANKS["operator"])
    assert ids(site).keys() == {"bootstrap", "o", "short"}
    log = site.log()
    assert [role for role, text in texts.items() if text in log or text.split("_", 2)[2] in log] == []


def test_a_flood_of_writes_of_a_token_is_turned_away_and_everything_else_goes_on(site: Installation) -> None:
    site.add("web")
    site.serve()
    operator = make(site, "flood", "--role", "operator")
    host, _, port = site.listen.rpartition(":")
    counts: dict[int, int] = {}
    stop = threading.Event()

    def flood() -> None:
        with closing(http.client.HTTPConnection(host, int(port), timeout=20)) as connection:
            while not stop.is_set():
                connection.request("POST", "/api/v1/workers/nobody/stop", headers=bearer(operator))
                answer = connection.getresponse()
                answer.read()
                counts[answer.status] = counts.get(answer.status, 0) + 1
                if answer.status == 429:
                    assert int(answer.headers["Retry-After"]) >= 1
                    connection.close()

    floods = [threading.Thread(target=flood) for _ in range(3)]
    for one in floods:
        one.start()
    try:
        eventually(lambda: counts.get(429, 0) > 200, told="the flood is turned away")
        site.add("late")  # by file, in the middle of it
        site.until_running("late")
        assert site.ask("/api/v1/workers/web/restart", "POST").status == 202
        assert site.ask("/api/v1/workers", **bearer(operator)).status == 200
    finally:
        stop.set()
        for one in floods:
            one.join()
    assert counts.keys() == {404, 429}
    audited = site.ask("/api/v1/events?type=audit&limit=1000").body["items"]
    assert {item["data"]["status"] for item in audited} == {202, 404}
    assert site.log().count("too many writes") == 1


def reachable_address() -> str | None:
    """An address of this machine that is not loopback. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def certificate(folder: Path, address: str) -> None:
    subprocess.run(
        [
            OPENSSL or "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=workerctl", "-addext", f"subjectAltName=IP:127.0.0.1,IP:{address}",
            "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.pem"),
        ],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    (folder / "tls.key").chmod(0o600)


def ask_tls(site: Installation, address: str, path: str, **headers: str) -> Answer:
    context = ssl.create_default_context(cafile=str(site.root / "tls.pem"))
    port = int(site.listen.rpartition(":")[2])
    connection = http.client.HTTPSConnection(address, port, timeout=20, context=context)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))
    finally:
        connection.close()


@pytest.mark.skipif(OPENSSL is None and not os.environ.get("CI"), reason="there is no openssl")
def test_where_others_can_reach_it_there_is_tls_and_a_first_token_that_only_its_owner_reads(site: Installation) -> None:
    address = reachable_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    site.add("web")
    port = site.listen.rpartition(":")[2]
    elsewhere = ("--listen", f"0.0.0.0:{port}")
    refused = subprocess.run(
        site.serve_command(*elsewhere), capture_output=True, text=True, timeout=60, check=False, cwd=site.root,
        env=site.environment(),
    )  # fmt: skip
    assert (refused.returncode, "without TLS: others can reach it" in refused.stderr) == (2, True), refused
    assert not (site.state / "tokens").exists()

    certificate(site.root, address)
    site.serve(*elsewhere, "--tls-cert", "tls.pem", "--tls-key", "tls.key", ready=False)
    token = bootstrap(site)

    def answers() -> bool:
        try:
            return ask_tls(site, address, "/readyz").status == 200
        except OSError:
            return False

    eventually(answers, told="it answers over TLS")
    assert ask_tls(site, address, "/api/v1/workers").status == 401
    assert ask_tls(site, address, "/api/v1/workers", **bearer(token)).status == 200
    assert ask_tls(site, "127.0.0.1", "/api/v1/workers").status == 200, "our own user, over loopback"
    assert ask_tls(site, address, "/api/v1/workers", Host="evil.example", **bearer(token)).status == 421
    with pytest.raises((http.client.HTTPException, OSError)):
        site.ask("/healthz")

    url = f"https://{address}:{port}"
    trusts = {"SSL_CERT_FILE": str(site.root / "tls.pem")}
    assert command(site, "login", "--server", url, text=token, **trusts).code == 0
    told = command(site, "get", "-o", "name", **trusts)
    assert (told.code, told.out) == (0, "web\n")
    assert command(site, "get").code == 8, "an authority that is not ours"
    key = (site.root / "tls.key").read_text().splitlines()[1]
    held = [site.log(), told.text, *(path.read_text("latin-1") for path in site.state.rglob("*") if path.is_file())]
    assert [text for text in held if key in text] == []
    assert token not in site.log()
