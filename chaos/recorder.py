"""Reads from AWS calls what was published and what was recorded."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.run import Publication, Record, ReportWrite
from local.aws_calls import called, messages_published
from local.aws_proxy import ForwardedCall
from local.faults import Disconnect, Drip, Fault

# The function's clients time out after five seconds.
_GIVEN_UP_SECONDS = 4.5
_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}:(completed|failed:[A-Z_]+)")


class Recorder:
    """Collects the calls that the workers' proxies report, from any thread."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.records: list[Record] = []
        self.report_writes: list[ReportWrite] = []

    def reached(self, worker: int, reached: ForwardedCall) -> None:
        """Record a call of this worker that reached its service."""
        if reached.status != 200:
            return
        call_made, at, content = called(reached.request), reached.asked_at, reached.request.content
        operation = call_made.operation
        if operation in ("Publish", "PublishBatch"):
            call = reached.request.headers.get("amz-sdk-invocation-id", "")
            lost = answer_is_lost(reached.fault, reached.replied_at - at)
            self.publications.extend([Publication(one, worker, at, call, lost) for one in published_ids(content)])
        elif operation in ("UpdateItem", "TransactWriteItems"):
            self.records.extend([Record(one, at) for one in recorded_ids(content)])
        elif operation == "PutObject":
            self.report_writes.append(ReportWrite(call_made.resource, content, at))


def answer_is_lost(fault: Fault | None, seconds: float) -> bool:
    """Whether a call with this fault and duration may have left the function without an answer."""
    return isinstance(fault, Disconnect | Drip) or seconds >= _GIVEN_UP_SECONDS


def published_ids(body: bytes) -> list[str]:
    """The event ids in a call to SNS."""
    return [str(json.loads(texts["default"])["id"]) for _, texts in messages_published(body)]


def recorded_ids(body: bytes) -> list[str]:
    """The event ids that a write of the ledger marks as sent: those in string sets."""
    return [text for text in _set_members(json.loads(body)) if _EVENT_ID.fullmatch(text)]


def _set_members(asked: Mapping[str, Any]) -> Iterator[str]:
    updates = [next(iter(item.values())) for item in asked.get("TransactItems", ())] or [asked]
    for update in updates:
        for value in update.get("ExpressionAttributeValues", {}).values():
            yield from value.get("SS", ())
