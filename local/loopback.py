"""A small HTTP server on the loopback interface: one function replies to every request.

Flask's development server closes every connection after one reply, and `http.server` takes eight times as long to read
a request's headers, which the benchmarks would measure. Clients are tested with kept-alive connections and
with truncated replies, which this server supports.
"""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from local.faults import Close, Drip, Hang, Raw, Truncated
from local.http_messages import Reply, Request


class Loopback(ThreadingTCPServer):
    """Serves from `start` to `stop`, with a thread for each connection; `address` is host:port.

    `stopping` is set when the server begins to stop.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Reply], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Close every connection, including silent and kept-alive ones."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in self._open.copy():
            with suppress(OSError):  # a client that was quicker has closed it already
                connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Closed connections are normal; anything else is a bug of the server.
        if not isinstance(sys.exception(), ConnectionError | HTTPException) and not self.stopping.is_set():
            super().handle_error(request, client_address)


@contextmanager
def serving(server: Loopback) -> Iterator[str]:
    """Serve while the context lasts; gives the server's URL, without a slash at its end."""
    server.start()
    try:
        yield f"http://{server.address}"
    finally:
        server.stop()


class _Connection(StreamRequestHandler):
    """One connection; its requests are handled one after the other."""

    # A reply in several writes would otherwise wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    server: Loopback

    def handle(self) -> None:
        while request := self._read():
            reply = self.server.answer(request)
            is_last = (
                isinstance(reply.wire, Truncated | Close | Raw)
                or request.headers.get("connection", "").lower() == "close"
            )
            self._send(reply)
            if is_last:
                return

    def _read(self) -> Request | None:
        """The next request; None if the client closed the connection, perhaps in the middle of one."""
        first = self.rfile.readline().decode("latin-1").split(" ")
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if len(first) != 3:
            return None
        if headers.get("expect") == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Official clients send a body with GET too; unread, it would be parsed as the next request.
        length = int(headers.get("content-length") or 0)
        content = self.rfile.read(length)
        # A client that was killed while it sent has asked for nothing.
        return Request(first[0], first[1], headers, content) if len(content) == length else None

    def _send(self, reply: Reply) -> None:
        headers = dict(reply.headers)
        if "content-length" not in map(str.lower, headers):
            headers["Content-Length"] = str(len(reply.content))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        whole = f"HTTP/1.1 {reply.status} .\r\n{lines}\r\n".encode("latin-1") + reply.content
        match reply.wire:
            case Close():
                return
            case Raw(content):
                whole = content
            case Truncated():
                whole = whole[: len(whole) - (len(reply.content) + 1) // 2]
            case Hang(seconds):
                self.server.stopping.wait(seconds)
            case Drip(seconds):
                for byte in whole:
                    if self.server.stopping.wait(seconds):
                        return
                    self.wfile.write(bytes((byte,)))
                return
        self.wfile.write(whole)
