"""The HTTP face of the simulated platform: the part of the Seven Bridges API v2 that concerns exports.

It is built on the standard library's server, because Flask's development server closes every connection after one
answer, and both kept-alive connections and answers that break off are things a client has to be tried against.

    with serve(Platform("a token")) as base_url:
        Api(url=base_url, token="a token", debug=True).exports.get(…)
"""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from local.api_routes import answer
from local.exchange import Reply, Request
from local.faults import Close, Drip, Hang, Raw, Truncated
from local.platform import Platform

_ROOT = "/v2"


@contextmanager
def serve(platform: Platform, port: int = 0) -> Iterator[str]:
    """Serve the platform on loopback while the context lasts; gives the base URL, without a slash at its end.

    Port 0 takes a free one. At the end every connection is closed, the silent and the kept-alive ones too.
    """
    server = _Server(platform, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.base_url
    finally:
        server.stop()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, platform: Platform, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.platform = platform
        self.base_url = f"http://127.0.0.1:{self.server_port}{_ROOT}"
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in self._open.copy():
            _hang_up(connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up is nothing to report; anything else is a fault of the simulation.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in several writes would otherwise wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        # Official clients send a body with GET too; left unread, it would be taken for the next request.
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = url.path.removeprefix(_ROOT) if url.path.startswith(f"{_ROOT}/") else ""
        request = Request(self.command, path, url.query, headers, content)
        self._send(answer(self.server.platform, request, self.server.base_url))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 -- the names that http.server looks for

    def _send(self, reply: Reply) -> None:
        match reply.wire:
            case Close():
                self.close_connection = True
                return
            case Raw(content):
                self.close_connection = True
                self.wfile.write(content)
                return
            case Hang(seconds):
                self.server.stopping.wait(seconds)
        self._send_head(reply)
        self._send_body(reply)

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()

    def _send_body(self, reply: Reply) -> None:
        match reply.wire:
            case Truncated():
                self.close_connection = True
                self.wfile.write(reply.content[: len(reply.content) // 2])
            case Drip(seconds):
                for byte in reply.content:
                    self.server.stopping.wait(seconds)
                    self.wfile.write(bytes((byte,)))
            case _:
                self.wfile.write(reply.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's own signature
        """Nothing: the platform keeps the log."""


def _hang_up(connection: socket.socket) -> None:
    # A client that was quicker has closed it already.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
