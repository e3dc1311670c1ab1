"""A proxy before the emulator that calls back when a given call passes by, before or after it is made."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Moment = Literal["before", "after"]


class Interception:
    """Calls `act` once: when the nth call of an operation is about to be made, or was made and is not answered yet."""

    def __init__(self, operation: str, moment: Moment, nth: int = 1) -> None:
        self.operation = operation
        self.moment = moment
        self.nth = nth
        self.act: Callable[[], None] = lambda: None
        self.acted = threading.Event()
        self._lock = threading.Lock()
        self._seen = 0

    def is_due(self, operation: str) -> bool:
        with self._lock:
            if operation == self.operation:
                self._seen += 1
                return self._seen == self.nth
            return False


@contextmanager
def proxy(upstream: str, interception: Interception) -> Iterator[str]:
    """Serve on loopback; the URL comes out."""
    target = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            due = interception.is_due(_operation(self.headers.get("X-Amz-Target"), body))
            if due and interception.moment == "before":
                self._act()
                return
            connection = HTTPConnection(target)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if due:
                self._act()
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _act(self) -> None:
            interception.act()
            interception.acted.set()
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_HEAD = forward  # noqa: N815 -- http.server's own names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's own signature
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _operation(target: str | None, body: bytes) -> str:
    """The operation's name: in a header of the JSON protocols, in the body of the query protocol (SNS)."""
    if target:
        return target.partition(".")[2]
    action = body.partition(b"Action=")[2].partition(b"&")[0]
    return action.decode()
