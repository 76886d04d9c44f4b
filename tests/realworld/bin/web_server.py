#!/usr/bin/python3 -IS
"""Stands in for an HTTP service: gunicorn, node, a billing service, a proxy.

web_server.py [--port N] [--ready-after S] [--needs HOST:PORT] [--label TEXT]

Without --port it listens on PORT. `/break` makes every later answer 500, `/drain` makes `/ready` answer 503,
`/env/NAME` answers with a variable, any other path with "ok". Until --ready-after seconds have passed it does not
listen. A service that --needs another one ends with code 1 where that is not there. On SIGTERM or SIGINT it ends with
code 0.
"""

import argparse
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """What the service remembers."""

    daemon_threads = True
    is_broken = False
    is_draining = False


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        """See the module."""
        if self.path == "/break":
            self.server.is_broken = True
        elif self.path == "/drain":
            self.server.is_draining = True
            print("draining", flush=True)
        status, text = 200, "ok"
        if self.server.is_broken:
            status, text = 500, "broken"
        elif self.server.is_draining and self.path == "/ready":
            status, text = 503, "draining"
        elif self.path.startswith("/env/"):
            text = os.environ.get(self.path[len("/env/") :], "")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())

    def log_message(self, *args: object) -> None:
        """Requests are not told."""


def main() -> None:
    """Serve until asked to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "0")))
    parser.add_argument("--ready-after", type=float, default=0.0)
    parser.add_argument("--needs", default="")
    parser.add_argument("--label", default="service")
    options, _ = parser.parse_known_args()

    ending = threading.Event()

    def asked(number: int, _: object) -> None:
        os.write(1, f"got {signal.Signals(number).name}\n".encode())
        ending.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    if options.needs:
        host, _, port = options.needs.rpartition(":")
        try:
            socket.create_connection((host, int(port)), 3).close()
        except OSError as error:
            sys.exit(f"{options.label}: {options.needs}: {error.strerror}")
    ending.wait(options.ready_after)
    with Server(("127.0.0.1", options.port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"{options.label}: listening on port {options.port}", flush=True)
        ending.wait()
        server.shutdown()
    print(f"{options.label}: goodbye", flush=True)


if __name__ == "__main__":
    main()
