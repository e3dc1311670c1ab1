"""Lambda's Runtime API for one process, on a free port of the loopback interface.

Version 2018-06-01, as the AWS Lambda developer guide describes it ("Using the Lambda runtime API for custom
runtimes"): the process asks for the next invocation, and posts the response or the error.
"""

import queue
import time
import uuid
from dataclasses import dataclass
from typing import Literal

from local.faults import Close
from local.http_messages import Reply, Request, json_reply
from local.loopback import Loopback

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
        self._server = Loopback(self._answer)
        self._server.start()

    @property
    def address(self) -> str:
        """Host and port, as the process finds them in AWS_LAMBDA_RUNTIME_API."""
        return self._server.address

    def next_report(self, timeout_seconds: float) -> Report | None:
        """The next report, or None where there is none within the time."""
        try:
            return self.reports.get(timeout=timeout_seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Stop serving, and let go of the request that waits for an invocation."""
        self.invocations.put(None)
        self._server.stop()

    def _answer(self, request: Request) -> Reply:
        if request.method == "GET":
            return self._next_invocation()
        # `init/error`, `invocation/{id}/response` or `invocation/{id}/error`.
        path = request.target.removeprefix(_PREFIX)
        if path == "init/error":
            self.reports.put(Report("not_initialised", request.content))
        else:
            self.reports.put(Report("returned" if path.endswith("/response") else "raised", request.content))
        return json_reply(202, {"status": "OK"})

    def _next_invocation(self) -> Reply:
        """`invocation/next`: wait for an invocation and hand it over; its time counts from here."""
        invocation = self.invocations.get()
        if invocation is None:
            return Reply(0, wire=Close())
        request_id, event = invocation
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.timeout_seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": (
                f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
            ),
        }
        self.reports.put(Report("taken"))
        return Reply(200, event, headers)
