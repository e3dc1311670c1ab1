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
    """A report on the current invocation, with the posted body.

    `taken`: the process received it; `returned`, `raised`: it responded; `not_initialised`: the import failed; `ended`:
    the process ended.
    """

    what: Literal["taken", "returned", "raised", "not_initialised", "ended"]
    body: bytes = b""


class RuntimeApi:
    """Gives invocations to a process and takes its responses; serves from its creation until `close`."""

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
        """The next report; None after the timeout."""
        try:
            return self.reports.get(timeout=timeout_seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Stop serving, and release a request that waits for an invocation."""
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
        """`invocation/next`: wait for an invocation and return it; its timeout starts here."""
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
