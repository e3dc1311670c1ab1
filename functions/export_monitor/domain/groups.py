"""Groups of exports: how many members have completed and failed, and the event when all have concluded.

A group is watched with its own message, which is sent when its first member is polled. Members are counted when their
watches conclude, each export once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from export_monitor.domain.advice import advice, advice_by_code
from export_monitor.domain.events import MAX_MESSAGE_BYTES, SnsMessage, compact_json, event_id
from export_monitor.domain.mail import group_email_text, group_subject_line
from export_monitor.domain.model import ExportJob, Group, JsonObject
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
class MemberResult:
    """How a member concluded; it completed if `failed` is None."""

    export_id: str
    failed: FailedMember | None = None


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How far a group has come. Its size is the first one that was registered; times are in epoch seconds."""

    group: Group
    completed: int
    failed: int
    first_requested_at: float
    concluded_at: float | None = None

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


def failed_member(export_id: str, failure: Failure, job: ExportJob | None) -> FailedMember:
    """A failed member as the group's event shows it."""
    return FailedMember(
        export_id=export_id,
        reason=failure.reason.value,
        message=failure.message[:_MESSAGE_CHARACTERS],
        code=failure.code,
        file=job.file_id if job else None,
        volume=job.volume if job else None,
        location=job.location if job else None,
    )


def member_result(export_id: str, published: str, failure: Failure | None, job: ExportJob | None) -> MemberResult:
    """How a member concluded, by the id of its published event. `failure` and `job`, found now, add the details."""
    if published == event_id(export_id, None):
        return MemberResult(export_id)
    if failure is None or published != event_id(export_id, failure):
        reason = Reason(published.rpartition(":")[2])
        failure = Failure(reason, "It was published as failed before.")
    return MemberResult(export_id, failed_member(export_id, failure, job))


def concluded_message(
    progress: GroupProgress, failures: Sequence[FailedMember], now: float, api_base_url: str
) -> SnsMessage:
    """The message that says how a group concluded, with as many of its failures as fit into SNS's size limit."""
    ordered = sorted(failures, key=lambda one: one.export_id)
    fitting, too_large = 0, len(ordered) + 1
    while too_large - fitting > 1:
        middle = (fitting + too_large) // 2
        if _message(progress, ordered, middle, now, api_base_url).size_bytes <= MAX_MESSAGE_BYTES:
            fitting = middle
        else:
            too_large = middle
    return _message(progress, ordered, fitting, now, api_base_url)


def _message(
    progress: GroupProgress, failures: Sequence[FailedMember], shown: int, now: float, api_base_url: str
) -> SnsMessage:
    event = _event(progress, failures, shown, now, api_base_url)
    return SnsMessage(
        event_id=event["id"],
        subject=group_subject_line(event),
        body=compact_json({"default": compact_json(event), "email": group_email_text(event, _steps(failures))}),
        attributes={"type": CONCLUDED_TYPE, "group": progress.group.id, "outcome": progress.outcome.value},
    )


def _event(
    progress: GroupProgress, failures: Sequence[FailedMember], shown: int, now: float, api_base_url: str
) -> JsonObject:
    return {
        "specversion": "1.0",
        "id": f"{progress.group.id}:concluded",
        "source": f"{api_base_url}/storage/exports",
        "type": CONCLUDED_TYPE,
        "subject": progress.group.id,
        "time": format_rfc3339(now),
        "datacontenttype": "application/json",
        "data": {
            "group": {"id": progress.group.id, "size": progress.group.size},
            "outcome": progress.outcome.value,
            "completed": progress.completed,
            "failed": progress.failed,
            "missing": progress.missing,
            "first_requested_at": format_rfc3339(progress.first_requested_at),
            "concluded_at": format_rfc3339(now),
            "failures_truncated": shown < len(failures),
            "failures": [_failure(one) for one in failures[:shown]],
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
