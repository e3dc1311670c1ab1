"""The status of a group or of an export, from what is recorded: no request goes to the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import JsonObject
from export_monitor.domain.status_requests import GroupStatusRequest, parse_status_request
from export_monitor.domain.timestamps import format_rfc3339


class GroupRecords(Protocol):
    """The table of groups: see adapters.aws.dynamodb.group_ledger. Raises UnavailableError."""

    def progress(self, group_id: str) -> GroupProgress | None: ...


class PublishedEvents(Protocol):
    """What was published: see adapters.aws.dynamodb.ledger. Raises UnavailableError."""

    # The time of each event's last publication (epoch seconds; None if it was not recorded), by the event's id.
    # None if nothing is recorded of the export.
    def published(self, export_id: str) -> Mapping[str, float | None] | None: ...


class UnknownError(LookupError):
    """Nothing is recorded of the group or the export."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answers status requests."""

    groups: GroupRecords
    events: PublishedEvents
    report_bucket: str

    def answer(self, event: dict[str, Any]) -> JsonObject:
        """Answer a status request. Raises StatusRequestError, UnknownError or UnavailableError."""
        request = parse_status_request(event)
        if isinstance(request, GroupStatusRequest):
            return self._of_group(request.group_id)
        return self._of_export(request.export_id)

    def _of_group(self, group_id: str) -> JsonObject:
        progress = self.groups.progress(group_id)
        if progress is None:
            raise UnknownError(f"status_of.group: unknown group {group_id}: none of its exports was polled so far")
        return {
            "group": {"id": progress.group.id, "size": progress.group.size},
            "completed": progress.completed,
            "failed": progress.failed,
            "remaining": progress.missing,
            "first_requested_at": format_rfc3339(progress.first_requested_at),
            "concluded_at": _time(progress.concluded_at),
            "report": self._report(progress),
        }

    def _report(self, progress: GroupProgress) -> JsonObject | None:
        if progress.report_sha256 is None:
            return None
        rows = progress.completed + progress.failed
        return WrittenReport(self.report_bucket, progress.group.id, rows, progress.report_sha256).as_json()

    def _of_export(self, export_id: str) -> JsonObject:
        published = self.events.published(export_id)
        if published is None:
            raise UnknownError(f"status_of.export_id: unknown export {export_id}: no event of it was published")
        in_order = sorted(published.items(), key=lambda event: (event[1] or 0, event[0]))
        return {
            "export_id": export_id,
            "published": [{"id": event_id, "published_at": _time(at)} for event_id, at in in_order],
        }


def _time(at: float | None) -> str | None:
    return None if at is None else format_rfc3339(at)
