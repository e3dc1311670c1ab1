"""A proxy between the function and the emulator: it keeps a record of the calls, and lets things go wrong with them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from local.aws_faults import (
    AwsAnswer,
    AwsCall,
    AwsFault,
    AwsRequest,
    FaultFor,
    Interrupted,
    PartlyRefused,
    Reached,
    Refused,
    halved,
    nothing_of_a_batch,
    refusal,
    with_refused,
)
from local.faults import Close, Drip, Hang

# What belongs to one hop, and what is written anew.
_OF_THE_HOP = frozenset({"connection", "content-length", "keep-alive", "server", "date", "transfer-encoding"})


class AwsProxy:
    """A running proxy.

    Both may be set at any moment: `fault_for` is asked for the fault that each call meets, and `reached` is told of
    each call that reached the service, before the answer goes back.
    """

    def __init__(self, upstream: str, fault_for: FaultFor) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.fault_for = fault_for
        self.reached: Callable[[Reached], None] = lambda _: None
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[AwsCall] = []
        self.endpoint_url = ""

    @property
    def calls(self) -> tuple[AwsCall, ...]:
        """Every call so far, those that met a fault included."""
        with self._lock:
            return tuple(self._calls)

    def note(self, call: AwsCall) -> AwsFault | None:
        with self._lock:
            self._calls.append(call)
        return self.fault_for(call)


@contextmanager
def aws_proxy(upstream: str, fault_for: FaultFor = lambda _: None) -> Iterator[AwsProxy]:
    """Serve on loopback while the context lasts."""
    proxy = AwsProxy(upstream, fault_for)
    server = _Server(proxy)
    proxy.endpoint_url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: AwsProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a function that was killed, or that gave up waiting, hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _asked_at: float
    _fault: AwsFault | None

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = AwsRequest(self.command, self.path, headers, body)
        self._asked_at = time.time()
        self._fault = fault = self.server.proxy.note(request.call)
        match fault:
            case Close():
                self.close_connection = True
            case Interrupted(moment, act):
                self.close_connection = True
                if moment == "after":
                    self._ask(request)
                act()
            case Refused():
                self._send(refusal(request, fault))
            case PartlyRefused(code):
                self._send(self._ask_for_half(request, code))
            case Hang(seconds):
                # At the end of the proxy it is too late for the call to be made.
                if not self.server.proxy.stopping.wait(seconds):
                    self._send(self._ask(request))
            case Drip(seconds):
                self._drip(self._ask(request), seconds)
            case None:
                self._send(self._ask(request))

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _forward  # noqa: N815 -- the names that http.server looks for

    def _ask_for_half(self, request: AwsRequest, code: str) -> AwsAnswer:
        rest, refused = halved(request)
        answer = self._ask(rest) if rest else nothing_of_a_batch(request)
        return with_refused(request, answer, refused, code)

    def _ask(self, request: AwsRequest) -> AwsAnswer:
        headers = {name: value for name, value in request.headers.items() if name not in _OF_THE_HOP}
        # The emulator closes a connection after one answer.
        upstream = HTTPConnection(self.server.proxy.upstream)
        upstream.request(request.method, request.target, request.body, headers)
        answer = upstream.getresponse()
        # What a HEAD says of the length is of the object, not of the answer.
        of_the_hop = _OF_THE_HOP - {"content-length"} if request.method == "HEAD" else _OF_THE_HOP
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in of_the_hop}
        with answer:
            body = answer.read()
        self.server.proxy.reached(Reached(request, answer.status, self._fault, self._asked_at, time.time()))
        return AwsAnswer(answer.status, kept, body)

    def _send(self, answer: AwsAnswer) -> None:
        self.wfile.write(self._head(answer) + answer.body)

    def _drip(self, answer: AwsAnswer, seconds: float) -> None:
        with suppress(OSError):
            for byte in self._head(answer) + answer.body:
                if self.server.proxy.stopping.wait(seconds):
                    return
                self.wfile.write(bytes((byte,)))

    def _head(self, answer: AwsAnswer) -> bytes:
        headers = dict(answer.headers)
        if "content-length" not in {name.lower() for name in headers}:
            headers["Content-Length"] = str(len(answer.body))
        lines = [f"HTTP/1.1 {answer.status} .", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's own signature
        """Nothing: the proxy keeps the record."""
