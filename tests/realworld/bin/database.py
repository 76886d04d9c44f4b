#!/usr/bin/python3 -IS
"""Stands in for a database or a broker: database.py --port N [--ready-after S].

Like PostgreSQL it runs for a while before it listens, and takes SIGINT for a fast, SIGTERM for a smart shutdown.
`database.py --port N --is-ready` is its pg_isready: 0 when the server accepts connections, 2 when not.
"""

import argparse
import signal
import socket
import sys
import threading


def is_ready(port: int) -> int:
    """The exit code of pg_isready."""
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        print(f"127.0.0.1:{port} - no response")
        return 2
    print(f"127.0.0.1:{port} - accepting connections")
    return 0


def accept(listening: socket.socket) -> None:
    """Accept connections and close them."""
    while True:
        listening.accept()[0].close()


def main() -> int:
    """Listen until asked to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ready-after", type=float, default=0.0)
    parser.add_argument("--is-ready", action="store_true")
    options = parser.parse_args()
    if options.is_ready:
        return is_ready(options.port)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    print("starting up", flush=True)
    ending.wait(options.ready_after)
    with socket.create_server(("127.0.0.1", options.port)) as listening:
        print("database system is ready to accept connections", flush=True)
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        ending.wait()
    print("database system is shut down", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
