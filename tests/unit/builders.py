"""Small constructors of what the tests speak of: a watch, and a completed export with its volume, file and object."""

from dataclasses import replace
from typing import Any

from export_monitor.domain.grace import GracePolicy
from export_monitor.domain.model import (
    ExportJob,
    Group,
    JsonObject,
    QueueMessage,
    SourceFile,
    StartEvent,
    StoredObject,
    Volume,
    Watch,
)
from export_monitor.domain.poll_schedule import PollSchedule
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.verdicts import Failure, Reason

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
HOUR = 3600.0
DAY = 24 * HOUR


def a_message(sent_at: float = NOW, receive_count: int = 1, message_id: str = "a-message") -> QueueMessage:
    """A message as SQS hands it over; nothing asks for its body any more."""
    return QueueMessage(message_id, "receipt", "{}", sent_at, receive_count)


def a_watch(
    age: float = 600.0,
    receive_count: int = 1,
    context: JsonObject | None = None,
    group: Group | None = None,
    export_id: str = "an-export",
) -> Watch:
    """A watch that has this age, in seconds, at NOW."""
    return Watch(StartEvent(export_id, context or {}, group), a_message(NOW - age, receive_count))


def a_grace_policy(
    min_poll: float = 5,
    max_poll: float = 900,
    timeout: float = 72 * HOUR,
    refusal_grace: float = 24 * HOUR,
    object_grace: float = 120,
    not_found_grace: float = 300,
    phase: float = 0,
) -> GracePolicy:
    """The template's defaults, in seconds, where nothing else is said."""
    horizon = timeout + refusal_grace + max(object_grace, 30)
    schedule = PollSchedule(min_poll, max_poll, horizon, phase)
    return GracePolicy(schedule, timeout, object_grace, not_found_grace, refusal_grace)


def a_job(state: str = "COMPLETED", export_id: str = "an-export", **changes: Any) -> ExportJob:
    """A job that started a minute before NOW and asks for nothing special."""
    body = {
        "href": "https://elsewhere",
        "id": export_id,
        "state": state,
        "source": {"file": "f"},
        "destination": {"volume": "o/v", "location": "dir/reads.txt"},
        "started_on": "2023-11-14T22:12:20Z",
        "finished_on": "2023-11-14T22:13:10Z",
        "result": {"id": "f"},
        "novel": 1,
    }
    job = ExportJob(export_id, state, body, "f", "o/v", "dir/reads.txt", started_at=NOW - 60, finished_at=NOW - 10)
    return replace(job, **changes)


def a_volume(**changes: Any) -> Volume:
    """A volume on Amazon S3 without a prefix."""
    return replace(Volume("o/v", "s3", "bucket", ""), **changes)


def a_file(**changes: Any) -> SourceFile:
    """The job's source file."""
    return replace(SourceFile("f", "reads.txt", "o/p", 1234), **changes)


def an_object(**changes: Any) -> StoredObject:
    """The object that the job should have written: every check passes."""
    return replace(StoredObject("bucket", "dir/reads.txt", 1234, "etag", last_modified_at=NOW - 20), **changes)


def a_row(export_id: str = "an-export", **changes: Any) -> ReportRow:
    """The row of an export that has completed, in a group's report; of a failed one with a `reason`."""
    outcome = "failed" if changes.get("reason") else "completed"
    return replace(ReportRow(export_id, outcome, "2023-11-14T22:13:20Z"), **changes)


def a_failure(reason: Reason = Reason.EXPORT_FAILED, **changes: Any) -> Failure:
    """A failure that the API has no words of its own for."""
    return replace(Failure(reason, "What went wrong."), **changes)
