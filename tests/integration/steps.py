"""Steps and wrong answers that several tests share."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from local.emulator import ACCOUNT_ID, REGION
from local.event_source_mapping import EventSourceMapping
from local.export_jobs import AT_ONCE, Job, documented_completed, documented_failed
from local.faults import Call, Close, Drip, Fault, Hang, Raw, Status, Truncated, WrongJob, html_page, redirect
from local.stack import Stack

# Answers about an export that are not the API's own answer about it.
WRONG_ANSWERS = [
    Status(500, {"status": 500, "code": 90004, "message": "unexpected"}),
    Status(503, {"status": 503, "code": 0, "message": "maintenance"}),
    Status(401, "Unauthorized"),
    Status(403, "Forbidden"),
    Status(404, {"status": "NOT_FOUND", "message": "HTTP 404 Not Found"}),
    html_page(502),
    html_page(200),
    Truncated(),
    WrongJob(documented_failed().id),
    redirect("http://127.0.0.1:9/v2/storage/exports/a"),
    Hang(60),
    Drip(3),
    Close(),
    Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
    Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{"),
    Raw(b"rubbish\r\n\r\n"),
]


def answer_id(fault: Fault) -> str:
    return type(fault).__name__ + str(getattr(fault, "status", ""))


@dataclass
class Context:
    """Lambda's context, as far as it is used."""

    function_name: str = "a-stack-export-monitor"
    memory_limit_in_mb: int = 512
    aws_request_id: str = "b2a00769-a599-4ce2-b76a-c72a9139626f"

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def completed(export_id: str) -> Job:
    return documented_completed(id=export_id, steps=AT_ONCE)


def drained(stack: Stack) -> bool:
    """Whether the queue of exports holds nothing, neither visible nor hidden.

    The emulator counts one after the other, and a message may become visible between the two, so it is asked twice.
    """
    return stack.messages_left() == 0 == stack.messages_left()


def run_until_drained(stack: Stack, mapping: EventSourceMapping, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not drained(stack) and time.monotonic() < end:
        mapping.run_once()
        time.sleep(0.1)
    assert drained(stack)


def failing(operation: str, fault: Fault) -> Callable[[Call], Fault | None]:
    """For an `AwsProxy`: every call of this operation meets the fault."""
    return lambda call: fault if call.operation == operation else None


@dataclass
class NthCall:
    """For an `AwsProxy`: the nth call of an operation fails, and no other; `met` is whether it was made."""

    operation: str
    nth: int
    fault: Fault
    met: bool = False
    _seen: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, call: Call) -> Fault | None:
        with self._lock:
            self._seen += call.operation == self.operation
            is_due = call.operation == self.operation and self._seen == self.nth
            self.met = self.met or is_due
        return self.fault if is_due else None
