"""Groups of exports: how many members have completed and failed, and the event when all have concluded.

A group is watched with its own message, which is sent when its first member is polled. Members are counted when their
watches conclude, each export once. When a group is due, it is closed: nothing about it changes any more, and its report
and its event say the same whenever they are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from export_monitor.domain.advice import advice, advice_by_code
from export_monitor.domain.events import MAX_MESSAGE_BYTES, SnsMessage, compact_json
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.mail import group_email_text, group_subject_line
from export_monitor.domain.model import Group, JsonObject
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.timestamps import format_rfc3339
from export_monitor.domain.verdicts import Evidence, Failure, Reason

CONCLUDED_TYPE = "cgc.export.group.concluded.v1"
_MESSAGE_CHARACTERS = 500


class Outcome(StrEnum):
    """How a group concluded. INCOMPLETE: some members did not conclude in time. FAILED: all did, and some failed."""

    COMPLETED = "completed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class FailedMember:
    """What a person needs to decide about a failed export and to start it again."""

    export_id: str
    reason: str
    message: str
    code: int | None = None
    file: str | None = None
    volume: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How far a group has come. Its size is the first one that was registered; times are in epoch seconds.

    Once it is closed, its members and the time of its conclusion are fixed; `concluded_at` is that time once its event
    is published. `report_sha256` is the SHA-256 of its report's CSV; None until then, and for a group from before there
    were reports.
    """

    group: Group
    completed: int
    failed: int
    first_requested_at: float
    closed_at: float | None = None
    concluded_at: float | None = None
    report_sha256: str | None = None

    @property
    def is_concluded(self) -> bool:
        """Whether the group's event was published."""
        return self.concluded_at is not None

    @property
    def missing(self) -> int:
        """How many members have not concluded yet."""
        return self.group.size - self.completed - self.failed

    @property
    def outcome(self) -> Outcome:
        """How the group concludes, if it concludes now."""
        if self.missing:
            return Outcome.INCOMPLETE
        return Outcome.FAILED if self.failed else Outcome.COMPLETED


def failed_member(row: ReportRow) -> FailedMember:
    """A failed member as the group's event shows it."""
    return FailedMember(
        export_id=row.export_id,
        reason=row.reason or "",
        message=(row.message or "")[:_MESSAGE_CHARACTERS],
        code=row.code,
        file=row.file_id,
        volume=row.volume,
        location=row.location,
    )


def concluded_message(
    progress: GroupProgress,
    failures: Sequence[FailedMember],
    report: WrittenReport,
    concluded_at: float,
    api_base_url: str,
) -> SnsMessage:
    """The message that says how a group concluded, with as many of its failures as fit into SNS's size limit."""
    message = partial(_message, progress, report=report, concluded_at=concluded_at, api_base_url=api_base_url)
    ordered = sorted(failures, key=lambda one: one.export_id)
    fitting, too_large = 0, len(ordered) + 1
    while too_large - fitting > 1:
        middle = (fitting + too_large) // 2
        if message(ordered, middle).size_bytes <= MAX_MESSAGE_BYTES:
            fitting = middle
        else:
            too_large = middle
    return message(ordered, fitting)


def _message(
    progress: GroupProgress,
    failures: Sequence[FailedMember],
    shown: int,
    *,
    report: WrittenReport,
    concluded_at: float,
    api_base_url: str,
) -> SnsMessage:
    event = _event(progress, failures, shown, report, format_rfc3339(concluded_at), api_base_url)
    return SnsMessage(
        event_id=event["id"],
        subject=group_subject_line(event),
        body=compact_json({"default": compact_json(event), "email": group_email_text(event, _steps(failures))}),
        attributes={"type": CONCLUDED_TYPE, "group": progress.group.id, "outcome": progress.outcome.value},
    )


def _event(
    progress: GroupProgress,
    failures: Sequence[FailedMember],
    shown: int,
    report: WrittenReport,
    concluded_at: str,
    api_base_url: str,
) -> JsonObject:
    return {
        "specversion": "1.0",
        "id": f"{progress.group.id}:concluded",
        "source": f"{api_base_url}/storage/exports",
        "type": CONCLUDED_TYPE,
        "subject": progress.group.id,
        "time": concluded_at,
        "datacontenttype": "application/json",
        "data": {
            "group": {"id": progress.group.id, "size": progress.group.size},
            "outcome": progress.outcome.value,
            "completed": progress.completed,
            "failed": progress.failed,
            "missing": progress.missing,
            "first_requested_at": format_rfc3339(progress.first_requested_at),
            "concluded_at": concluded_at,
            "failures_truncated": shown < len(failures),
            "failures": [_failure(one) for one in failures[:shown]],
            "report": report.as_json(),
        },
    }


def _failure(one: FailedMember) -> JsonObject:
    return {
        "export_id": one.export_id,
        "reason": one.reason,
        "code": one.code,
        "message": one.message,
        "file": one.file,
        "volume": one.volume,
        "location": one.location,
    }


def _steps(failures: Sequence[FailedMember]) -> dict[str, str]:
    """What to do about each cause, by the label that the e-mail uses. Codes without advice share a label."""
    kinds = {(Reason(one.reason), one.code) for one in failures}
    causes = {(reason, code if advice_by_code(reason, code) else None) for reason, code in kinds}
    return {
        reason.value if code is None else f"{reason} {code}": advice(Failure(reason, "", code), Evidence())
        for reason, code in sorted(causes, key=str)
    }
