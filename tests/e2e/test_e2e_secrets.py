"""The hunt for secrets: one of every kind goes in, everything is done and asked for, then all that came out is read.

Each secret is a text that occurs nowhere else. `HOMES` says where each may be found, and each must be found there, so
that a hunt that looks in the wrong places fails. Whatever else holds one is a leak.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from controller.api.routes import TABLE
from tests.e2e.e2e_installation import WORKERCTL, Installation
from tests.e2e.e2e_processes import eventually, processes_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("git") is None and not os.environ.get("CI"), reason="git is not installed"),
]

AGENT = r"state/agent/"
OWN = r"environ of shop"
KEEPER = r"run/workerctl/\w+/slots/"
STORED = rf"state/workerctl\.db|{AGENT}|{KEEPER}|state/last_good/|specs/shop\.yaml|specs/\.git/"
"""Where a spec stands: what is in it is no secret of ours, but is shown to nobody (docs, *Secrets*)."""
HOMES = {
    "file": rf"secret\.txt|{OWN}",
    "env": r"environ of (?:shop|serve)|run/.*/secrets/",
    "env file": rf"specs/app\.env|specs/\.git/|{AGENT}|{KEEPER}|{OWN}",
    "spec": rf"{STORED}|{OWN}",
    "argument": rf"{STORED}|cmdline of shop",
    "url": rf"{STORED}|cmdline of shop",
    "number": r"specs/broken\.yaml",
    "patched": rf"{STORED}|{OWN}",
    "refused": r"$^",
    "no token": r"$^",
    "no bearer": r"$^",
    "in a url": r"$^",
    "database": r"$^",
    "token": r"$^",
    "heartbeat": OWN,
    "key": r"state/key|state/last_good/key",
}
"""A kind of secret, and a pattern of the places that may hold it."""
NOWHERE = r"$^"
VERBS = (
    ("get", "-o", "json"), ("get",), ("status", "shop"), ("describe", "shop"), ("logs", "shop"), ("plan",),
    ("events", "-o", "json"), ("plan", "-o", "json"), ("tree",), ("doctor",), ("schema",), ("version",),
    ("token", "ls"), ("render", "shop", "SPECS"), ("validate", "SPECS"), ("explain", "env"),
)  # fmt: skip


def canary() -> str:
    """A secret."""
    return f"hush{secrets.token_hex(12)}"


def command(site: Installation, *arguments: str, **environment: str) -> str:
    """All that a command says, whatever becomes of it."""
    own = {"WORKERCTL_SERVER": f"http://{site.listen}", "WORKERCTL_STATE_DIR": str(site.state)}
    done = subprocess.run(
        [WORKERCTL, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=site.root,
        stdin=subprocess.DEVNULL, env=site.environment(**own, **environment),
    )  # fmt: skip
    return done.stdout + done.stderr


def made(site: Installation, name: str, role: str) -> str:
    """The text of a new token."""
    told = re.search(r"^wctl_\S+$", command(site, "token", "create", name, "--role", role), re.MULTILINE)
    assert told is not None
    return told[0]


def serve_with_a_database_that_is_away(site: Installation, password: str) -> None:
    """What it says goes into a file of the installation."""
    empty = site.root / "empty"
    empty.mkdir()
    flags = [str(empty), "--state-dir", str(site.root / "away"), "--listen", "127.0.0.1:0"]
    log = site.root / "away.log"
    with open(log, "wb") as file:
        serve = subprocess.Popen(
            [WORKERCTL, "serve", *flags], stdout=file, stderr=file, stdin=subprocess.DEVNULL, cwd=site.root,
            env=site.environment(WORKERCTL_DB=f"postgresql://shop:{password}@127.0.0.1:1/shop"),
        )  # fmt: skip
    eventually(lambda: serve.poll() is not None or "database" in log.read_text(), told="it says that it is away")
    serve.terminate()
    serve.wait(60)
    assert log.read_text()


def git(site: Installation, *arguments: str) -> str:
    who = {f"GIT_{who}_{what}": "ann@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments], cwd=site.specs, env=site.environment(**who, GIT_CONFIG_NOSYSTEM="1"), capture_output=True,
        text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def prepare(site: Installation, hidden: dict[str, str]) -> None:
    """The specs and files of the installation."""
    (site.root / "secret.txt").write_text(hidden["file"] + "\n")
    (site.root / "secret.txt").chmod(0o400)
    (site.specs / "app.env").write_text(f"APP_PASSWORD={hidden['env file']}\n")
    site.add(
        "shop", f"--password={hidden['argument']}", f"--dsn=postgres://shop:{hidden['url']}@db/shop", "--lines=50",
        env={"DB_PASSWORD": hidden["spec"]}, env_files=["app.env"],
        secrets={"FROM_FILE": {"file": str(site.root / "secret.txt")}, "FROM_ENV": {"env": "SHOP_KEY"}},
    )  # fmt: skip
    site.add("other", "--lines=5")
    git(site, "init", "-q", "-b", "main")
    git(site, "add", "-A")
    git(site, "commit", "-q", "-m", "two workers")


def raw(site: Installation, method: str, target: str, body: str, headers: Mapping[str, str]) -> str:
    """One request and its whole answer, head and all; of a stream, the first of it."""
    host, _, port = site.listen.rpartition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=20)) as connection:
        kind = {"Content-Type": "application/json"} if body else {}
        connection.request(method, target, body.encode() or None, {**kind, **headers})
        answer = connection.getresponse()
        is_endless = answer.headers.get("Transfer-Encoding") == "chunked"
        text = answer.read1(65536) if is_endless else answer.read()
        return f"{answer.status} {answer.headers}\n{text.decode()}"


def act(site: Installation, hidden: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Use and misuse every secret; what was answered."""
    operator = {"Authorization": f"Bearer {hidden['token']}"}
    configs = "/api/v1/worker-configs"
    patch = {"env": {"DB_PASSWORD": hidden["spec"], "API_KEY": hidden["patched"]}}
    refused = hidden["refused"]
    wrong = {"worker_id": "bad", "env": {"API_KEY": refused}, "replicas": "no"}
    beat = {"Authorization": f"Bearer {hidden['heartbeat']}"}
    requests = [
        ("PATCH", f"{configs}/shop?dry_run=1", json.dumps(patch), operator),
        ("PATCH", f"{configs}/shop", json.dumps(patch), operator),
        ("POST", configs, json.dumps(wrong), operator),
        ("POST", configs, json.dumps({"worker_id": refused + "!"}), operator),
        ("POST", configs, f'{{"worker_id": "bad", "password": "{refused}', operator),
        ("POST", "/api/v1/workers/shop/stop", json.dumps({"token": refused, "reason": 5}), operator),
        ("POST", "/api/v1/reconcile", json.dumps({"confirm": refused + "?"}), operator),
        ("GET", "/api/v1/workers", "", {"Authorization": f"Bearer wctl_00000000_{hidden['no token']}"}),
        ("GET", "/api/v1/workers", "", {"Authorization": f"Basic {hidden['no bearer']}"}),
        ("GET", f"/api/v1/workers?token={hidden['in a url']}", "", {}),
        ("POST", f"/api/v1/workers/shop/restart?token={hidden['in a url']}", "", operator),
        ("POST", "/api/v1/workers/shop/heartbeat", "", {"Authorization": f"Bearer {hidden['no token']}"}),
        ("POST", "/api/v1/workers/shop/heartbeat", '{"active_tasks": 2}', beat),
        ("POST", "/api/v1/workers/shop/restart?wait_s=20", "", operator),
    ]
    for method, target, body, headers in requests:
        yield f"answer to {method} {target[:40]}", raw(site, method, target, body, headers)


def read_everything(site: Installation, viewer: str) -> Iterator[tuple[str, str]]:
    """Everything that can be asked for, as a viewer and as who needs no token."""
    for route in TABLE:
        if route.method != "GET":
            continue
        for name in ("shop", "broken"):
            path = re.sub(r"\{\w+\}", name, route.path)
            for headers in ({"Authorization": f"Bearer {viewer}"}, {}):
                yield f"GET {path}", raw(site, "GET", path, "", headers)
    topics = "topics=events,logs,workers,operations,plan&worker=shop&after=events:0,logs:0"
    yield "the stream", raw(site, "GET", f"/api/v1/stream?{topics}", "", {})
    for verb in VERBS:
        arguments = [str(site.specs) if word == "SPECS" else word for word in verb]
        yield f"workerctl {' '.join(verb)}", command(site, *arguments)


def on_this_machine(site: Installation) -> Iterator[tuple[str, str]]:
    """All files of the installation, and what the kernel shows of its processes."""
    for path in sorted(site.root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(site.root)), path.read_bytes().decode("latin-1")
    assert site.controller is not None
    for one in processes_of(str(site.root)):
        worker = re.search(r"^WORKER_ID=(\w+)$", one.environ, re.MULTILINE)
        name = worker[1] if worker else "serve" if one.pid == site.controller.pid else one.command[-60:]
        yield f"cmdline of {name}", one.command
        yield f"environ of {name}", one.environ
    yield "commit messages", git(site, "log", "--format=%an %s %b")


def test_secrets_are_where_they_must_be_and_nowhere_else(site: Installation) -> None:
    hidden = {kind: canary() for kind in HOMES}
    hidden["number"] = str(secrets.randbelow(10**14) + 10**14)
    prepare(site, hidden)
    site.serve("--writes", "commit", SHOP_KEY=hidden["env"], OTHER_KEY=canary())
    site.until_running()
    hidden["token"] = made(site, "ci", "operator")
    viewer = made(site, "look", "viewer")
    hidden["key"] = (site.state / "key").read_bytes().decode("latin-1")
    seen: list[tuple[str, str]] = []

    def environment() -> dict[str, str]:
        pid = site.until_running("shop")["shop/0"]
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    hidden["heartbeat"] = environment()["WORKERCTL_HEARTBEAT_TOKEN"]
    seen += act(site, hidden)
    hidden["heartbeat"] = environment()["WORKERCTL_HEARTBEAT_TOKEN"]
    site.write("broken.yaml", f"worker_id: broken\ncommand: [x]\nenv: {{DB_PASSWORD: {hidden['number']}}}\n")
    eventually(lambda: "broken" in site.log(), told="the broken file is read")
    seen += read_everything(site, viewer)
    serve_with_a_database_that_is_away(site, hidden["database"])
    seen += on_this_machine(site)

    found: dict[str, set[str]] = {kind: set() for kind in hidden}
    for place, text in seen:
        for kind, secret in hidden.items():
            if secret in text or secret.encode("latin-1").hex() in text:
                found[kind].add(place)
    leaks = sorted(
        f"{kind}: {place}" for kind, all_ in found.items() for place in all_ if not re.match(HOMES[kind], place)
    )
    assert not leaks, "\n".join(leaks)
    lost = [kind for kind, places in found.items() if HOMES[kind] != NOWHERE and not places]
    assert lost == [], "the hunt does not look where it should"
