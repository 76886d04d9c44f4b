"""Heartbeats for workers in Python: copy this file, or import it. Standard library only, Python 3.9 and later.

    from controller.client import Heartbeat

    with Heartbeat() as heartbeat:          # a thread that beats every 5 s, also when your work takes longer
        for job in jobs:
            heartbeat.active_tasks = 1
            ...
            heartbeat.metrics["jobs_done"] = done

Where the spec asks for heartbeats (`liveness: {heartbeat: ...}`), do not `start` it, but call `beat()` from where the
work is done: the thread goes on when the work hangs.

Address and token come from the environment that workerctl gives: WORKERCTL_URL, WORKERCTL_HEARTBEAT_TOKEN, WORKER_ID.
Without them (started by hand, or by something else) it does nothing at all.

Nothing here ever raises into the worker or ends it: a controller that is away is normal, and is tried again with the
next beat. What went wrong last is `failure`, for who wants to log it. A proxy of the environment is not used.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

PERIOD_S = 5.0
ANSWER_S = 3.0
_ANSWER_BYTES = 1024 * 1024


class Heartbeat:
    """One per process. Set the figures whenever you like; `start` once, or `beat` by hand as often as you want.

    `accounts` are those that the controller assigned, None while it has assigned none.
    """

    def __init__(self, period_s: float = PERIOD_S, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self.active_tasks: int | None = None
        self.assigned_accounts: int | None = None
        self.error_count: int | None = None
        self.metrics: dict[str, float] = {}
        self.status = ""
        self.accounts: list[str] | None = None
        self.failure = ""
        self._period_s = max(0.2, period_s)
        self._url = env.get("WORKERCTL_URL", "")
        self._token = env.get("WORKERCTL_HEARTBEAT_TOKEN", "")
        self._worker_id = env.get("WORKER_ID", "")
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a controller to tell: the environment names one."""
        return bool(self._url and self._token and self._worker_id)

    def beat(self) -> bool:
        """Send one heartbeat now; whether it arrived. Takes 3 s at most for each step, and never raises."""
        if not self.is_connected:
            return False
        try:
            self._send()
        except Exception as error:  # whatever it is, the worker's work is more important
            self.failure = f"{type(error).__name__}: {error}"
            return False
        self.failure = ""
        return True

    def start(self) -> Heartbeat:
        """Beat from now on, in a thread that ends with the process."""
        if self.is_connected and self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._run, daemon=True, name="heartbeat")
            self._thread.start()
        return self

    def stop(self) -> None:
        """Beat no longer."""
        self._ending.set()
        self._thread = None

    def __enter__(self) -> Heartbeat:  # noqa: PYI034 - there is no Self in Python 3.9
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _run(self) -> None:
        while True:
            self.beat()
            if self._ending.wait(self._period_s):
                return

    def _body(self) -> bytes:
        body: dict[str, Any] = {"metrics": dict(self.metrics), "status": str(self.status)}
        for name in ("active_tasks", "assigned_accounts", "error_count"):
            value = getattr(self, name)
            if value is not None:
                body[name] = value
        return json.dumps(body).encode()

    def _send(self) -> None:
        parts = urlsplit(self._url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "localhost", parts.port, timeout=ANSWER_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        try:
            connection.request("POST", f"/api/v1/workers/{self._worker_id}/heartbeat", self._body(), headers)
            answer = connection.getresponse()
            data = answer.read(_ANSWER_BYTES)
        finally:
            connection.close()
        if answer.status >= 300:
            raise ValueError(f"the controller answered {answer.status}: {data[:300].decode('utf-8', 'replace')}")
        if answer.status == 200:
            found = json.loads(data).get("assigned_accounts")
            self.accounts = [str(account) for account in found] if isinstance(found, list) else None
