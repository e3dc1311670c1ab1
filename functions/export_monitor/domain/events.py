"""The CloudEvents that conclude watches, and the SNS messages that carry them.

An event is a CloudEvents 1.0 object in structured mode (github.com/cloudevents/spec, v1.0.2); `schemas/` holds its
JSON Schema. An SNS message is all that SNS counts against its size limit.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

from export_monitor.domain.advice import advice
from export_monitor.domain.mail import email_text, subject_line
from export_monitor.domain.model import ExportJob, JsonObject, SourceFile, StoredObject, Watch
from export_monitor.domain.timestamps import format_rfc3339
from export_monitor.domain.verdicts import CheckResult, Evidence, Failure, Verification

COMPLETED_TYPE = "cgc.export.completed.v1"
FAILED_TYPE = "cgc.export.failed.v1"
DELAYED_TYPE = "cgc.export.delayed.v1"

# SNS's limit in bytes for a message with its attributes and subject, and for a whole PublishBatch.
MAX_MESSAGE_BYTES = 256 * 1024

# The largest number that SNS filter policies can compare.
_MAX_FILTER_NUMBER = 10**9

_DOCUMENTED_FIELDS = (
    "id", "state", "source", "destination", "started_on", "finished_on", "properties", "overwrite", "error",
)  # fmt: skip
_CLIPPED_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """One entry of a PublishBatch. An `int` attribute has the data type Number, all others String."""

    event_id: str
    subject: str
    body: str
    attributes: dict[str, str | int]

    @property
    def size_bytes(self) -> int:
        """What SNS counts: body, subject, and every attribute's name, data type and value."""
        attributes = (f"{name}String{value}" for name, value in self.attributes.items())
        return sum(len(text.encode()) for text in (self.body, self.subject, *attributes))


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Why a message was not published; `error` is set if it is unexpected and a developer must see it."""

    cause: str
    error: Exception | None = None


def event_id(export_id: str, failure: Failure | None) -> str:
    """The id of an event: always the same for the same outcome of the same export."""
    return f"{export_id}:failed:{failure.reason}" if failure else f"{export_id}:completed"


def delayed_event_id(export_id: str) -> str:
    """The id of the event that says that an export is delayed."""
    return f"{export_id}:delayed"


@dataclass(frozen=True, slots=True)
class Delay:
    """Why a watch goes on: the last state that the API gave (None if it gave none), and what the watch waits for."""

    state: str | None
    waiting_for: str


def build_delayed_message(watch: Watch, evidence: Evidence, delay: Delay, now: float, api_base_url: str) -> SnsMessage:
    """The message that says that a watch is delayed, shortened if it exceeds SNS's size limit."""
    seen = replace(evidence, object=None, verification=None)

    def event(job: JsonObject) -> dict[str, Any]:
        event = _event(watch, seen, job, None, now, api_base_url)
        data = event["data"] | {"watch": event["data"]["watch"] | {"concluded_at": None}, "delay": asdict(delay)}
        kind = {"id": delayed_event_id(watch.export_id), "type": DELAYED_TYPE, "time": format_rfc3339(now)}
        return event | kind | {"data": data}

    messages = (_message(watch, seen, event(job)) for job, _ in _shrinking_payloads(evidence.job, None))
    return next(message for message in messages if message.size_bytes <= MAX_MESSAGE_BYTES)


def build_message(
    watch: Watch, evidence: Evidence, failure: Failure | None, now: float, api_base_url: str
) -> SnsMessage:
    """The message that concludes a watch, shortened if it exceeds SNS's size limit."""
    messages = (
        _message(watch, evidence, _event(watch, evidence, job, cut, now, api_base_url))
        for job, cut in _shrinking_payloads(evidence.job, failure)
    )
    # The last one always fits: context, names and keys are limited when they are read.
    return next(message for message in messages if message.size_bytes <= MAX_MESSAGE_BYTES)


def _message(watch: Watch, evidence: Evidence, event: JsonObject) -> SnsMessage:
    return SnsMessage(
        event_id=event["id"],
        subject=subject_line(event),
        body=compact_json({"default": compact_json(event), "email": email_text(event)}),
        attributes=_attributes(watch, evidence, event),
    )


def _shrinking_payloads(job: ExportJob | None, failure: Failure | None) -> Iterator[tuple[JsonObject, Failure | None]]:
    whole = {name: value for name, value in job.body.items() if name not in ("href", "result")} if job else {}
    yield whole, failure
    yield {name: value for name, value in whole.items() if name in _DOCUMENTED_FIELDS}, failure
    clipped = failure and Failure(failure.reason, failure.message[:_CLIPPED_CHARACTERS], failure.code, failure.status)
    yield {"id": job.id, "state": job.state} if job else {}, clipped


def _event(
    watch: Watch, evidence: Evidence, job: JsonObject, failure: Failure | None, now: float, api_base_url: str
) -> dict[str, Any]:
    finished = evidence.job.finished_at if evidence.job else None
    group = watch.start.group
    return {
        "specversion": "1.0",
        "id": event_id(watch.start.export_id, failure),
        "source": f"{api_base_url}/storage/exports",
        "type": FAILED_TYPE if failure else COMPLETED_TYPE,
        "subject": watch.start.export_id,
        "time": format_rfc3339(now if finished is None else finished),
        "datacontenttype": "application/json",
        "data": {
            "export": job or {"id": watch.start.export_id},
            "file": _file(evidence.file) if evidence.file else None,
            "object": _object(evidence.object) if evidence.object else None,
            "verification": _verification(evidence.verification) if evidence.verification else None,
            "failure": _failure(failure, evidence) if failure else None,
            "watch": {
                "origin": watch.origin,
                "requested_at": format_rfc3339(watch.message.sent_at),
                "concluded_at": format_rfc3339(now),
                "polls": watch.receive_count,
            },
            "group": {"id": group.id, "size": group.size} if group else None,
            "context": watch.start.context,
        },
    }


def _file(file: SourceFile) -> JsonObject:
    return {"id": file.id, "name": file.name, "project": file.project, "size": file.size}


def _object(found: StoredObject) -> JsonObject:
    return {
        "uri": f"s3://{found.bucket}/{found.key}",
        "bucket": found.bucket,
        "key": found.key,
        "version_id": found.version_id,
        "etag": found.etag,
        "size": found.size,
        "storage_class": found.storage_class,
        "readable": found.readable,
        "encryption": found.encryption,
        "kms_key_id": found.kms_key_id,
        "last_modified": format_rfc3339(found.last_modified_at),
        "checksums": dict(found.checksums),
        "checksum_type": found.checksum_type,
    }


def _verification(verification: Verification) -> JsonObject:
    published = {"status": verification.status, "checks": [_check(check) for check in verification.checks]}
    # Fields with the names of the contract.
    return published | ({"content": asdict(verification.content)} if verification.content else {})


def _check(check: CheckResult) -> JsonObject:
    shown = {"name": check.name, "status": check.status, "expected": check.expected, "actual": check.actual}
    return shown if check.reason is None else {**shown, "reason": check.reason}


def _failure(failure: Failure, evidence: Evidence) -> JsonObject:
    return {
        "reason": failure.reason,
        "message": failure.message,
        "advice": advice(failure, evidence),
        "code": failure.code,
        "status": failure.status,
        "more_info": failure.more_info,
    }


def _attributes(watch: Watch, evidence: Evidence, event: JsonObject) -> dict[str, str | int]:
    failure = event["data"]["failure"]
    job, group = evidence.job, watch.start.group
    found = evidence.object or evidence.volume
    values = {
        "type": event["type"],
        "project": evidence.file.project if evidence.file else None,
        "volume": job.volume if job else None,
        "bucket": found.bucket if found else None,
        "verification": evidence.verification.status if evidence.verification else None,
        "group": group.id if group else None,
        "reason": failure["reason"] if failure else None,
    }
    attributes: dict[str, str | int] = {name: value for name, value in values.items() if _is_attribute(value)}
    if failure and failure["code"] is not None and abs(failure["code"]) <= _MAX_FILTER_NUMBER:
        attributes["error_code"] = failure["code"]
    return attributes


def _is_attribute(value: str | None) -> TypeGuard[str]:
    # SNS rejects empty values and control characters.
    return bool(value) and str(value).isprintable()


def compact_json(value: JsonObject) -> str:
    """A JSON object as SNS messages contain it."""
    # Escaped to ASCII, because SQS rejects some characters that a location or a context may contain.
    return json.dumps(value, separators=(",", ":"))
