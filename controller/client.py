"""Heartbeats for workers in Python: copy this file, or import it. Standard library only, Python 3.9 and later.

    from controller.client import Heartbeat

    with Heartbeat() as heartbeat:          # a thread that beats every 5 s, also when your work takes longer
        for job in jobs:
            heartbeat.active_tasks = 1
            ...
            heartbeat.metrics["jobs_done"] = done
            heartbeat.record("job 7 done", data={"took_ms": 12})      # in its log: `workerctl logs NAME --kind task`

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
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

PERIOD_S = 5.0
ANSWER_S = 3.0
_ANSWER_BYTES = 1024 * 1024
_SOON_S = 0.5
_ROOM, _MOST, _BYTES, _MESSAGE, _DAY_MS = 500, 50, 12_000, 4000, 86_400_000
"""Of records: how many wait, how many and how large go with one beat, how long one is, how old one may be."""


class Heartbeat:
    """One per process. Set the figures whenever you like; `start` once, or `beat` by hand as often as you want.

    `accounts` are those that the controller assigned, None while it has assigned none. `records_lost` counts what was
    told with `record` and will not arrive: more than there is room for, or refused.
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
        self.records_lost = 0
        self._records: deque[tuple[float, dict[str, Any]]] = deque()
        self._number, self._mark = 0, os.urandom(4).hex()
        self._lock = threading.Lock()
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

    def record(
        self, message: str, kind: str = "task", level: str | None = None, data: dict[str, Any] | None = None
    ) -> None:
        """Tell what happened, for the worker's log, with the next beats; `kind` is `task` or `error`. Never blocks.

        What cannot be told (`data` that is no JSON) is counted in `records_lost`.
        """
        if not self.is_connected:
            return
        record: dict[str, Any] = {"kind": kind, "message": str(message)[:_MESSAGE] or "-"}
        if level is not None:
            record["level"] = level
        try:
            if data is not None:
                record["data"] = json.loads(json.dumps(data, default=str, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            self.records_lost += 1
            return
        with self._lock:
            self._number += 1
            self._records.append((time.monotonic(), {**record, "seq": self._number}))
            while len(self._records) > _ROOM:
                self._records.popleft()
                self.records_lost += 1

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
            arrived = self.beat()
            more_waits = arrived and len(self._records) > 0
            if self._ending.wait(min(_SOON_S, self._period_s) if more_waits else self._period_s):
                return

    def _due(self) -> list[dict[str, Any]]:
        """The records of the next beat: as many as a body has room for, the first of them in any case."""
        now, size = time.monotonic(), 0
        due: list[dict[str, Any]] = []
        with self._lock:
            for at, record in list(self._records)[:_MOST]:
                whole = {**record, "age_ms": min(int((now - at) * 1000), _DAY_MS)}
                size += len(json.dumps(whole))
                if due and size > _BYTES:
                    break
                due.append(whole)
        return due

    def _settle(self, due: list[dict[str, Any]], status: int) -> None:
        """What arrived is done with; what can never arrive must not keep what comes behind it."""
        is_refused = status in (400, 413, 422)
        if status >= 300 and not is_refused:
            return
        with self._lock:
            while self._records and due and self._records[0][1]["seq"] <= due[-1]["seq"]:
                self._records.popleft()
                self.records_lost += is_refused

    def _body(self, due: list[dict[str, Any]]) -> bytes:
        body: dict[str, Any] = {"metrics": dict(self.metrics), "status": str(self.status)}
        if due:
            body.update(records=due, source=f"{os.getpid()}-{self._mark}")
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
        due = self._due()
        try:
            connection.request("POST", f"/api/v1/workers/{self._worker_id}/heartbeat", self._body(due), headers)
            answer = connection.getresponse()
            data = answer.read(_ANSWER_BYTES)
        finally:
            connection.close()
        self._settle(due, answer.status)
        if answer.status >= 300:
            raise ValueError(f"the controller answered {answer.status}: {data[:300].decode('utf-8', 'replace')}")
        if answer.status == 200:
            found = json.loads(data).get("assigned_accounts")
            self.accounts = [str(account) for account in found] if isinstance(found, list) else None
