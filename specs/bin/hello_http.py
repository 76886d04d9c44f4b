"""A small HTTP worker: answers on PORT, finishes the answer under way when it is asked to end, leaves with 0."""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    """One greeting for every path; the request is logged to standard error by http.server itself."""

    def do_GET(self) -> None:
        """Answer."""
        body = f"{os.environ.get('GREETING', 'hello')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Waits for its threads at the end: nobody is cut off in the middle of an answer."""

    daemon_threads = False


def main() -> None:
    """Serve until SIGTERM."""
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Hello)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    threading.Thread(target=server.serve_forever, name="server").start()
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    ending.wait()
    print("finishing what is under way", flush=True)
    server.shutdown()
    server.server_close()
    print("goodbye", flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
