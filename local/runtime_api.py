"""Lambda's Runtime API for one process, on a free port of the loopback interface.

Version 2018-06-01, as the AWS Lambda developer guide describes it ("Using the Lambda runtime API for custom
runtimes"): the process asks for the next invocation, and posts the response or the error.
"""

import queue
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

_PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True)
class Report:
    """What became of the invocation that is under way, with the body that was posted.

    `taken`: the process has it; `returned`, `raised`: it has answered; `not_initialised`: the function could not be
    imported; `ended`: there is no process any more.
    """

    what: Literal["taken", "returned", "raised", "not_initialised", "ended"]
    body: bytes = b""


class RuntimeApi:
    """Hands invocations to a process and takes its answers; serves from the moment it is made until `close`."""

    def __init__(self, function_arn: str, timeout_seconds: float) -> None:
        self.function_arn = function_arn
        self.timeout_seconds = timeout_seconds
        self.invocations: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self) -> str:
        """Host and port, as the process finds them in AWS_LAMBDA_RUNTIME_API."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def next_report(self, timeout_seconds: float) -> Report | None:
        """The next report, or None where there is none within the time."""
        try:
            return self.reports.get(timeout=timeout_seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Stop serving, and let go of the request that waits for an invocation."""
        self.invocations.put(None)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A process that was killed leaves broken connections, and nobody needs to read of them."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """`invocation/next`: wait for an invocation and hand it over; its time counts from here."""
        invocation = self.server.api.invocations.get()
        if invocation is None:
            self.close_connection = True
            return
        request_id, event = invocation
        deadline_ms = int((time.time() + self.server.api.timeout_seconds) * 1000)
        trace = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.server.api.function_arn,
            "Lambda-Runtime-Trace-Id": trace,
        }
        self.server.api.reports.put(Report("taken"))
        self._answer(200, event, headers)

    def do_POST(self) -> None:
        """`init/error`, `invocation/{id}/response` or `invocation/{id}/error`."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(202, b'{"status":"OK"}', {"Content-Type": "application/json"})
        path = self.path.removeprefix(_PREFIX)
        if path == "init/error":
            self.server.api.reports.put(Report("not_initialised", body))
        else:
            self.server.api.reports.put(Report("returned" if path.endswith("/response") else "raised", body))

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's own signature
        """Quiet: the function's own log is what one wants to read."""
