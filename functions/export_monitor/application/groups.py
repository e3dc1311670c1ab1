"""Groups: begun when a member is first looked at, counted as members end, concluded with one event.

A group has a message of its own in the queue, sent before anything else is known of it. It ends a group whose members
do not all come, and one whose last member was counted by somebody who then died.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from export_monitor.application.publishing import Topic
from export_monitor.application.reporting import Reporter
from export_monitor.domain.groups import FailedMember, GroupProgress, MemberResult, concluded_message
from export_monitor.domain.model import Group, UnavailableError


class GroupStore(Protocol):
    """The table of groups: see adapters.aws.dynamodb.group_ledger. Everything raises UnavailableError."""

    def progress(self, group_id: str) -> GroupProgress | None: ...
    def register(self, group: Group, first_requested_at: float, now: float) -> None: ...
    def record_results(self, group_id: str, ends: Sequence[MemberResult], now: float) -> list[str]: ...
    def claim(self, group_id: str, now: float, until: float) -> bool: ...
    def record(self, group_id: str, now: float) -> None: ...
    def failures(self, group_id: str) -> list[FailedMember]: ...


class GroupSender(Protocol):
    """The queue of exports being watched, which takes a group's own message too."""

    def send_group(self, group_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Groups:
    """Begins, counts and concludes groups. Times are in epoch seconds."""

    ledger: GroupStore
    queue: GroupSender
    topic: Topic
    report: Reporter
    api_base_url: str
    # When the first member of each group that this worker has met was announced, as far as it knows.
    _begun: dict[str, float] = field(default_factory=dict)

    def register(self, group: Group, first_requested_at: float, now: float) -> None:
        """See to it that a group is watched and recorded, and that its earliest announcement is known.

        Raises UnavailableError.
        """
        if first_requested_at >= self._begun.get(group.id, float("inf")):
            return
        if group.id not in self._begun and self.ledger.progress(group.id) is None:
            # Before anything is recorded, so that a crash can double this message but not lose it.
            self.queue.send_group(group.id)
        self.ledger.register(group, first_requested_at, now)
        self._begun[group.id] = first_requested_at

    def record_results(
        self, ends: Sequence[tuple[Group, MemberResult]], now: float, until: float, has_time: Callable[[], bool]
    ) -> None:
        """Count members of one group whose watches are over, and conclude it if it is full by that.

        `has_time` says whether enough is left to publish and to record it. Raises UnavailableError; it may be
        repeated, since each member counts once.
        """
        group_id = ends[0][0].id
        members = {end.export_id: end for _, end in reversed(ends)}
        excess = self.ledger.record_results(group_id, list(members.values()), now)
        if excess:
            self.report.warning("group_overflow", group_id=group_id, export_ids=excess)
        progress = self.ledger.progress(group_id)
        if progress is None:
            return
        others = sorted({group.size for group, _ in ends} - {progress.group.size})
        if others:
            self.report.warning(
                "group_size_differs", group_id=group_id, size=progress.group.size, announced_sizes=others
            )
        if not progress.missing and not progress.is_concluded:
            self._conclude(progress, now, until, has_time)

    def is_over(
        self,
        group_id: str,
        watched_since: float,
        final_deadline: float,
        now: float,
        until: float,
        has_time: Callable[[], bool],
    ) -> bool:
        """Look at a group: whether it is concluded, by this look or before. Raises UnavailableError.

        `last_moment` is the age, in seconds, at which it is concluded though members are missing.
        """
        progress = self.ledger.progress(group_id)
        if progress is None:
            # Its first member's watch died before it was recorded, and sends another message when it comes again.
            return now - watched_since >= final_deadline
        if progress.is_concluded:
            return True
        is_due = not progress.missing or now - progress.first_requested_at >= final_deadline
        return is_due and self._conclude(progress, now, until, has_time)

    def _conclude(self, progress: GroupProgress, now: float, until: float, has_time: Callable[[], bool]) -> bool:
        """Publish the group's event, once; false where somebody else is about to."""
        if not self.ledger.claim(progress.group.id, now, until):
            return False
        # Read again: members may have been counted before the claim, and none is while it stands.
        progress = self.ledger.progress(progress.group.id) or progress
        failures = self.ledger.failures(progress.group.id) if progress.failed else []
        message = concluded_message(progress, failures, now, self.api_base_url)
        if not has_time():
            # What is published now could not be recorded before the claim ends.
            raise UnavailableError("the invocation's time is up")
        unpublished = self.topic.publish([message]).get(message.event_id)
        if unpublished:
            self.report.count("PublishFailures")
            raise unpublished.error or UnavailableError(unpublished.cause)
        self.ledger.record(progress.group.id, now)
        self.report.count("GroupsConcluded")
        self.report.info(
            "group_concluded",
            group_id=progress.group.id,
            outcome=progress.outcome.value,
            completed=progress.completed,
            failed=progress.failed,
            missing=progress.missing,
        )
        return True
