"""A TCP proxy of the tests, between the program and a server: it forwards, swallows, cuts, or loses one answer.

While it swallows, connections stay open and new ones are taken, and nothing is answered: to the kernels on both sides
all is well. That is how a stuck pooler, a load balancer or a firewall looks. A client that gives up then leaves the
server with a connection of which it does not know that it is dead.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Proxy:
    """Ended by `close`."""

    def __init__(self, port: int) -> None:
        """Forwards to `port` of loopback."""
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._swallows, self._lose = False, b""
        self._peers: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._ghosts: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_closing = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def swallow(self) -> None:
        """From now on nothing arrives anywhere."""
        self._swallows = True

    def forward(self) -> None:
        """As before. What was swallowed is lost."""
        self._swallows = False

    def lose_answer_to(self, request: bytes) -> None:
        """Let the next message that holds `request` through, wait for its answer, and cut the connection instead."""
        self._lose = request

    def cut(self) -> None:
        """Close all connections."""
        with self._guard:
            for one in list(self._peers):
                self._drop(one)

    def close(self) -> None:
        """End it."""
        self._is_closing.set()
        self._thread.join(10)
        self.forward()
        self.cut()
        for ghost in self._ghosts:
            ghost.close()
        self._listener.close()
        self._selector.close()

    # --- the thread ---

    def _run(self) -> None:
        lost: set[socket.socket] = set()
        while not self._is_closing.is_set():
            for key, _events in self._selector.select(0.02):
                with self._guard, contextlib.suppress(OSError):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._pass(key.fileobj, lost)

    def _accept(self) -> None:
        client, _address = self._listener.accept()
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        self.connections += 1
        self._clients.add(client)
        for one, other in ((client, server), (server, client)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass(self, source: socket.socket, lost: set[socket.socket]) -> None:
        peer = self._peers.get(source)
        if peer is None:
            return
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        if not data or source in lost:
            lost.discard(source)
            self._drop(source)
            return
        if self._swallows:
            return
        if self._lose and source in self._clients and self._lose in data:
            self._lose = b""
            lost.add(peer)
        try:
            peer.sendall(data)
        except OSError:
            self._drop(source)

    def _drop(self, one: socket.socket) -> None:
        other = self._peers.pop(one, None)
        if other is None:
            return
        self._peers.pop(other, None)
        for end in (one, other):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            if self._swallows and end not in self._clients:
                self._ghosts.append(end)
            else:
                end.close()
            self._clients.discard(end)
