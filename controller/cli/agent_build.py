"""Doctor's question to a running agent: of which build is it, and is that ours? It changes nothing there."""

from __future__ import annotations

import socket
from typing import Any

from controller.agent import build, protocol
from controller.cli.checks import Check

NAME = "agent build"
ANSWER_S = 2.0


def agent_build(socket_path: str) -> Check:
    """Asks whoever listens there."""
    try:
        return compared(_ask(socket_path))
    except (OSError, EOFError, protocol.ProtocolError) as error:
        return Check(
            name=NAME, level="warn", message=f"the agent does not say: {error}", advice="agent.log may say why"
        )


def compared(about: dict[str, Any]) -> Check:
    """What an agent says of itself, beside what is installed here."""
    own = f"{build.fingerprint()} in {build.FOLDER}, protocol {protocol.VERSION}"
    if about.get("ok") is not True:
        message, advice = "an older one, which does not say what it is", "end `workerctl serve` and start it again"
        return Check(name=NAME, level="warn", message=message, advice=advice)
    found = f"{about.get('build')} in {about.get('folder')}, protocol {about.get('version')}"
    keeper = about.get("keeper_build") or about.get("build")
    if found == own and keeper == about.get("build"):
        return Check(name=NAME, level="ok", message=own)
    message = f"{found}; this workerctl has {own}"
    if keeper != about.get("build"):
        message = f"{found}, under a keeper {keeper}; this workerctl has {own}"
    if int(about.get("form") or 0) > build.FORM:
        advice = "the running one is newer, and its files cannot be read by this one: use its version, or a later one"
        return Check(name=NAME, level="fail", message=message, advice=advice)
    advice = "`workerctl serve` of this installation, when it is started (again), replaces it; no worker is restarted"
    return Check(name=NAME, level="warn", message=message, advice=advice)


def _ask(socket_path: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(ANSWER_S)
        asking.connect(socket_path)
        asking.sendall(protocol.encode({"id": 1, "op": "about"}))
        header, _ = protocol.lengths(_read(asking, protocol.LENGTHS_SIZE))
        return protocol.decode(_read(asking, header)).header


def _read(asking: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = asking.recv(count - len(data))
        if not part:
            raise EOFError("the connection ended")
        data += part
    return data
