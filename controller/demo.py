"""The demonstration worker: what runs where a spec has no `command`. A model for workers of your own.

It simulates tasks and prints a line for each, tells the controller every 5 s that it lives (WORKERCTL_URL and
WORKERCTL_HEARTBEAT_TOKEN, where both are given), says READY to NOTIFY_SOCKET, and ends gracefully on SIGTERM: the
task at hand is finished, then it says goodbye and leaves with 0. It binds no port and uses the standard library only.

A controller that cannot be reached costs one line of output and no task. Knobs, for demonstrations: DEMO_TASK_MS is
how long a task takes (1000), DEMO_TASKS after how many it ends by itself (never).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

HEARTBEAT_S = 5.0
ANSWER_S = 3.0
TASKS = ("resize an image", "send a letter", "index a page", "pack a parcel", "count the stars")


@dataclass(slots=True, kw_only=True)
class Work:
    """What has been done so far, shared with the heartbeat's thread. `accounts` are those the controller assigned."""

    active: int = 0
    done: int = 0
    accounts: list[str] = field(default_factory=list)

    def beat(self) -> dict[str, Any]:
        """The body of a heartbeat."""
        return {
            "active_tasks": self.active,
            "assigned_accounts": len(self.accounts),
            "error_count": 0,
            "metrics": {"tasks_done": self.done},
        }


def say(text: str) -> None:
    """One line of output, at once."""
    print(text, flush=True)  # noqa: T201 - a worker prints


def notify(message: str, env: Mapping[str, str]) -> None:
    """sd_notify: tell the supervisor. Without NOTIFY_SOCKET, or with nobody there, it does nothing."""
    path = env.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message.encode(), address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """Where heartbeats go, and as whom."""

    url: str
    worker_id: str
    token: str

    def send(self, beat: Mapping[str, Any]) -> list[str] | None:
        """Send one heartbeat. Returns the accounts that the answer assigns, None where it says nothing of them.

        Raises OSError, HTTPException or ValueError when it did not arrive.
        """
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "localhost", parts.port, timeout=ANSWER_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        with contextlib.closing(connection):
            if parts.scheme == "unix":
                connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.sock.settimeout(ANSWER_S)
                connection.sock.connect(parts.path)
            path = f"{parts.path if parts.scheme != 'unix' else ''}/api/v1/workers/{self.worker_id}/heartbeat"
            connection.request("POST", path, body=json.dumps(beat), headers=headers)
            answer = connection.getresponse()
            data = answer.read()
        if answer.status >= 300:
            raise ValueError(f"the controller answered {answer.status}")
        return _accounts(data) if answer.status == 200 else None


def _accounts(data: bytes) -> list[str] | None:
    document = json.loads(data)
    found = document.get("assigned_accounts", document.get("accounts")) if isinstance(document, dict) else None
    return [str(account) for account in found] if isinstance(found, list) else None


def controller_of(env: Mapping[str, str]) -> Controller | None:
    """The controller that the environment names, or None."""
    url, token, worker_id = (env.get(key) for key in ("WORKERCTL_URL", "WORKERCTL_HEARTBEAT_TOKEN", "WORKER_ID"))
    return Controller(url=url, worker_id=worker_id, token=token) if url and token and worker_id else None


def heartbeats(controller: Controller, work: Work, ending: threading.Event) -> None:
    """Until the end. A failure is told once, and so is the recovery."""
    failing = False
    while True:
        try:
            accounts = controller.send(work.beat())
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not failing:
                say(f"heartbeat not delivered: {error}")
            failing = True
        else:
            if failing:
                say("heartbeats arrive again")
            failing = False
            if accounts is not None and accounts != work.accounts:
                say(f"accounts: {', '.join(accounts) or 'none'}")
                work.accounts = accounts
        if ending.wait(HEARTBEAT_S):
            return


def run(env: Mapping[str, str], ending: threading.Event) -> int:
    """Work until `ending` is set or all tasks are done. Returns the exit code."""
    name = env.get("WORKER_INSTANCE", "demo")
    work = Work()
    task_s = _number(env, "DEMO_TASK_MS", 1000) / 1000
    limit = int(_number(env, "DEMO_TASKS", 0))
    say(f"{name}: ready, pid {os.getpid()}")
    notify("READY=1", env)
    controller = controller_of(env)
    if controller is not None:
        threading.Thread(target=heartbeats, args=(controller, work, ending), daemon=True, name="heartbeat").start()
    finish = threading.Event()  # never set: a task takes its time, also while we are asked to end
    while not ending.is_set() and (not limit or work.done < limit):
        work.active = 1
        finish.wait(task_s)
        work.active, work.done = 0, work.done + 1
        say(f"{name}: task {work.done}: {TASKS[(work.done - 1) % len(TASKS)]}")
    ending.set()
    notify("STOPPING=1", env)
    say(f"{name}: {work.done} tasks done, goodbye")
    return 0


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        return max(float(env.get(name, default)), 0.0)
    except ValueError:
        say(f"{name}={env[name]} is no number; {default:g} is used")
        return default


def main(listen: Callable[[int, Any], Any] = signal.signal) -> None:
    """The worker as a program."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        listen(number, lambda *_: ending.set())
    sys.exit(run(os.environ, ending))


if __name__ == "__main__":
    main()
