"""A real PostgreSQL server of the tests' own: a private folder, a private socket, a port of loopback, a password.

One per pytest process at most, started by the first test that wants it. It runs as nobody where the tests are root,
because PostgreSQL refuses root, and dies with the process that started it. Tests take turns with one database, emptied
before each; what changes the schema makes a database of its own. What stops or fills a server makes one (`Server`).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from controller.store import open_store
from controller.store.tables import metadata
from tests.store.store_builders import until

ROLE = "workerctl"
PASSWORD = "hunter2-of-the-tests"
SHARED = "shared"
QUICK = {"fsync": "off", "full_page_writes": "off"}


def binaries() -> Path | None:
    """Where initdb and postgres are: as Debian has them, else on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    program = found[-1] if found else Path(on_path).resolve() if on_path else None
    return program.parent if program and (program.parent / "initdb").exists() else None


def wanted_binaries() -> Path:
    """The same; where they are missing CI fails, and everybody else's test is skipped."""
    found = binaries()
    if found is None:
        what = "PostgreSQL is not installed (initdb and postgres in /usr/lib/postgresql/*/bin or on PATH)"
        if "CI" in os.environ:
            pytest.fail(what)
        pytest.skip(what)
    return found


class Server:
    """One server. Made and started by its constructor; `close` ends it and removes its folder."""

    def __init__(self, **settings: str) -> None:
        """`settings` are those of postgresql.conf; what makes it quick and unsafe is preset."""
        self._binaries = wanted_binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="wp-", dir="/tmp"))
        self.port = _free_port()
        self.settings = {**QUICK, **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        try:
            if self._user:
                os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            self._initdb()
            self.start()
            with self.connect("postgres", user="postgres") as connection:
                connection.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{PASSWORD}'")
        except BaseException:
            self.close()
            raise

    def _initdb(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            os.chown(password, self._user.pw_uid, self._user.pw_gid)
        self._run(
            [
                str(self._binaries / "initdb"), "--pgdata", str(self.data), "--username", "postgres", "--auth",
                "scram-sha-256", "--pwfile", str(password), "--encoding", "UTF8", "--locale", "C", "--no-sync",
                "--no-instructions",
            ]
        )  # fmt: skip

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            self._as_user(command), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_user(self, command: list[str]) -> list[str]:
        drop = [f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"] if self._user else []
        # Whatever becomes of us, it does not stay.
        return ["setpriv", *drop, "--pdeathsig=QUIT", *command]

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    def start(self, **more: str) -> None:
        """Start it and wait until it answers."""
        settings = {
            **self.settings, **more, "port": str(self.port), "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder), "max_connections": self.settings.get("max_connections", "40"),
            "shared_buffers": "16MB", "dynamic_shared_memory_type": "mmap", "autovacuum": "off",
        }  # fmt: skip
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self._as_user([str(self._binaries / "postgres"), "-D", str(self.data), *flags]), cwd=self.folder,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        until(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
        with contextlib.suppress(psycopg.OperationalError), self.connect("postgres", user="postgres"):
            return True
        return False

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it: SIGINT cuts all connections, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def connect(self, database: str = ROLE, *, user: str = ROLE) -> psycopg.Connection[Any]:
        """A connection for the test itself, in autocommit."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user=user, password=PASSWORD, dbname=database, autocommit=True,
            connect_timeout=10,
        )  # fmt: skip

    def create(self, *, name: str | None = None, options: str = "") -> str:
        """Another, empty database; its name."""
        name = name or f"db_{secrets.token_hex(6)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, cutting whoever uses it."""
        with self.connect("postgres", user="postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, database: str, *, port: int | None = None, role: str = ROLE) -> str:
        """As `--db` takes it: over the socket, or over loopback where a port is given."""
        if port is not None:
            return f"postgresql://{role}:{PASSWORD}@127.0.0.1:{port}/{database}"
        return f"postgresql://{role}:{PASSWORD}@/{database}?host={self.folder}&port={self.port}"

    def close(self) -> None:
        """See the class."""
        with contextlib.suppress(ProcessLookupError):
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shared_server() -> Iterator[Server]:
    """For a fixture of the session: a server with a database of the newest schema."""
    server = Server()
    try:
        open_store(server.url(server.create(name=SHARED))).close()
        yield server
    finally:
        server.close()


def emptied(server: Server) -> str:
    """The URL of the shared database, which nobody uses and in which nothing is. Much quicker than another one."""
    with server.connect(SHARED, user="postgres") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        deletes = "; ".join(f"DELETE FROM {name}" for name in metadata.tables)
        connection.execute(f"{deletes}; SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
    return server.url(SHARED)
