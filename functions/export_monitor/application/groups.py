"""Groups: recorded when a member is first polled, counted as members end, concluded with one report and one event.

A group has a message of its own in the queue, sent before anything is recorded. It concludes a group whose members are
not all announced, and one whose last member was counted by a worker that then crashed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from export_monitor.application.publishing import Topic
from export_monitor.application.reporting import Reporter
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import FailedMember, GroupProgress, concluded_message
from export_monitor.domain.model import Group, UnavailableError
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.time_budget import TimeBudget


class GroupStore(Protocol):
    """The table of groups: see adapters.aws.dynamodb.group_ledger. Everything raises UnavailableError."""

    def progress(self, group_id: str) -> GroupProgress | None: ...
    def register(self, group: Group, first_requested_at: float, now: float) -> None: ...
    def record_results(self, group_id: str, results: Sequence[ReportRow], now: float) -> list[str]: ...
    def claim(self, group_id: str, now: float, until: float) -> bool: ...
    def record(self, group_id: str, report_sha256: str, now: float) -> None: ...


class Reports(Protocol):
    """Writes the report of a closed group: see application.group_report."""

    # Raises UnavailableError.
    def write(
        self, progress: GroupProgress, concluded_at: float, budget: TimeBudget
    ) -> tuple[WrittenReport, list[FailedMember]]: ...


class GroupSender(Protocol):
    """The queue of exports being watched, which takes a group's own message too."""

    def send_group(self, group_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Groups:
    """Registers, counts and concludes groups. Times are in epoch seconds."""

    ledger: GroupStore
    queue: GroupSender
    topic: Topic
    reports: Reports
    report: Reporter
    api_base_url: str
    # When the first member of each group that this worker has met was announced, as far as it knows.
    _registered: dict[str, float] = field(default_factory=dict)

    def register(self, group: Group, first_requested_at: float, now: float) -> None:
        """Make sure that a group is watched and recorded, with its earliest announcement.

        Raises UnavailableError.
        """
        if first_requested_at >= self._registered.get(group.id, float("inf")):
            return
        if group.id not in self._registered and self.ledger.progress(group.id) is None:
            # Before anything is recorded, so that a crash can double this message but not lose it.
            self.queue.send_group(group.id)
        self.ledger.register(group, first_requested_at, now)
        self._registered[group.id] = first_requested_at

    def record_results(self, ends: Sequence[tuple[Group, ReportRow]], budget: TimeBudget) -> None:
        """Count members of one group whose watches have ended, and conclude the group if it is full now.

        Raises UnavailableError. It may be repeated, since each member counts once.
        """
        group_id = ends[0][0].id
        members = {end.export_id: end for _, end in reversed(ends)}
        excess = self.ledger.record_results(group_id, list(members.values()), budget.now)
        if excess:
            self.report.warning("group_overflow", group_id=group_id, export_ids=excess)
        progress = self.ledger.progress(group_id)
        if progress is None:
            raise UnavailableError("the group is not recorded any more")
        others = sorted({group.size for group, _ in ends} - {progress.group.size})
        if others:
            self.report.warning(
                "group_size_differs", group_id=group_id, size=progress.group.size, announced_sizes=others
            )
        if not progress.missing and not progress.is_concluded:
            self._conclude(progress, budget)

    def has_ended(self, group_id: str, watched_since: float, final_deadline: float, budget: TimeBudget) -> bool:
        """Poll a group: whether it is concluded, now or earlier. Raises UnavailableError.

        `final_deadline` is the age, in seconds, at which it is concluded although members are missing.
        """
        progress = self.ledger.progress(group_id)
        if progress is None:
            # The worker died before it recorded the group; the first member sends another message at its next poll.
            return budget.now - watched_since >= final_deadline
        if progress.is_concluded:
            return True
        is_due = not progress.missing or budget.now - progress.first_requested_at >= final_deadline
        return is_due and self._conclude(progress, budget)

    def _conclude(self, due: GroupProgress, budget: TimeBudget) -> bool:
        """Publish the group's event once; False if another worker has claimed it."""
        group_id = due.group.id
        if not self.ledger.claim(group_id, budget.now, budget.deadline_at):
            return False
        # Read again: members may have been counted before the claim, which closes the group.
        progress = self.ledger.progress(group_id)
        if progress is None or progress.closed_at is None:
            raise UnavailableError("the group is not recorded any more")
        report = self._publish(progress, progress.closed_at, budget)
        self.ledger.record(group_id, report.csv_sha256, budget.now)
        self.report.count("GroupsConcluded")
        self.report.info(
            "group_concluded",
            group_id=group_id,
            outcome=progress.outcome.value,
            completed=progress.completed,
            failed=progress.failed,
            missing=progress.missing,
        )
        return True

    def _publish(self, progress: GroupProgress, concluded_at: float, budget: TimeBudget) -> WrittenReport:
        """Write the group's report, then publish its event. Raises UnavailableError."""
        budget.require_time_to_publish()
        try:
            report, failures = self.reports.write(progress, concluded_at, budget)
            message = concluded_message(progress, failures, report, concluded_at, self.api_base_url)
            budget.require_time_to_publish()
        except UnavailableError:
            self.report.count("PublishFailures")
            raise
        unpublished = self.topic.publish([message]).get(message.event_id)
        if unpublished:
            self.report.count("PublishFailures")
            raise unpublished.error or UnavailableError(unpublished.cause)
        return report
