"""What doctor says of a running agent's build."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent import build, protocol
from controller.cli.agent_build import agent_build, compared

OURS: dict[str, Any] = {
    "ok": True, "version": protocol.VERSION, "form": build.FORM, "build": build.fingerprint(), "folder": build.FOLDER,
    "keeper_build": build.fingerprint(),
}  # fmt: skip


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="wd-", dir="/tmp") as folder:
        yield os.path.join(folder, "agent.sock")


def test_one_of_this_installation_is_fine() -> None:
    assert compared(OURS).level == "ok"


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"build": "old", "keeper_build": "old"}, "warn", "replaces it; no worker is restarted"),
        ({"folder": "/elsewhere"}, "warn", "replaces it; no worker is restarted"),
        ({"keeper_build": "old"}, "warn", "replaces it; no worker is restarted"),
        ({"version": 9, "build": "new", "keeper_build": ""}, "warn", "replaces it; no worker is restarted"),
        ({"form": build.FORM + 1, "build": "new"}, "fail", "its files cannot be read by this one"),
        ({"ok": False}, "warn", "end `workerctl serve` and start it again"),
    ],
)
def test_another_one_is_told_with_what_to_do(changes: dict[str, Any], level: str, words: str) -> None:
    check = compared({**OURS, **changes})
    assert (check.level, words in check.advice) == (level, True)


def test_it_is_asked_at_its_socket_and_a_silent_one_is_told(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(2)

        def answer() -> None:
            for frame in (protocol.encode({"id": 1, **OURS}), b""):
                client, _ = listening.accept()
                with client:
                    client.recv(1000)
                    client.sendall(frame)

        talking = threading.Thread(target=answer)
        talking.start()
        found = [agent_build(path).level, agent_build(path).message]
        talking.join()
    assert found == ["ok", "the agent does not say: the connection ended"]
    assert agent_build(str(Path(path).with_name("none"))).level == "warn"
