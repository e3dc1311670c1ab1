"""Groups: begun when a member is first looked at, counted as members end, concluded with one event.

A group has a message of its own in the queue, sent before anything else is known of it. It ends a group whose members
do not all come, and one whose last member was counted by somebody who then died.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from export_monitor.domain.groups import FailedMember, MemberEnd, Tally, concluded_message
from export_monitor.domain.model import Group, UnavailableError, Watch
from export_monitor.publication import Topic
from export_monitor.reporting import Reporter


class GroupLedger(Protocol):
    """The table of groups: see adapters.group_ledger. Everything raises UnavailableError."""

    def tally(self, group_id: str) -> Tally | None: ...
    def begin(self, group: Group, first_requested_at: float, now: float) -> None: ...
    def count(self, group_id: str, ends: Sequence[MemberEnd], now: float) -> list[str]: ...
    def claim(self, group_id: str, now: float, until: float) -> bool: ...
    def record(self, group_id: str, now: float) -> None: ...
    def failures(self, group_id: str) -> list[FailedMember]: ...


class GroupSender(Protocol):
    """The queue of exports being watched, which takes a group's own message too."""

    def send_group(self, group_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Groups:
    """Begins, counts and concludes groups. Times are in epoch seconds."""

    ledger: GroupLedger
    queue: GroupSender
    topic: Topic
    report: Reporter
    api_base_url: str
    # When the first member of each group that this worker has met was announced, as far as it knows.
    _begun: dict[str, float] = field(default_factory=dict)

    def begin(self, watches: Sequence[Watch], now: float) -> None:
        """See to it that each member's group is watched and known. Raises UnavailableError."""
        first: dict[str, Watch] = {}
        for watch in sorted(watches, key=lambda watch: watch.sent_at):
            if watch.start.group:
                first.setdefault(watch.start.group.id, watch)
        for group_id, watch in first.items():
            if watch.start.group and watch.sent_at < self._begun.get(group_id, float("inf")):
                if group_id not in self._begun and self.ledger.tally(group_id) is None:
                    # Before anything is recorded, so that a crash can double this message but not lose it.
                    self.queue.send_group(group_id)
                self.ledger.begin(watch.start.group, watch.sent_at, now)
                self._begun[group_id] = watch.sent_at

    def count(
        self, ends: Sequence[tuple[Group, MemberEnd]], now: float, until: float, has_time: Callable[[], bool]
    ) -> None:
        """Count members whose watches are over, and conclude the groups that are full by that.

        `has_time` says whether enough is left to publish and to record it. Raises UnavailableError; it may be
        repeated, since each member counts once.
        """
        by_group: defaultdict[str, dict[str, MemberEnd]] = defaultdict(dict)
        sizes: defaultdict[str, set[int]] = defaultdict(set)
        for group, end in ends:
            by_group[group.id].setdefault(end.export_id, end)
            sizes[group.id].add(group.size)
        for group_id, members in by_group.items():
            beyond = self.ledger.count(group_id, list(members.values()), now)
            if beyond:
                self.report.warn("group_members_beyond_size", group_id=group_id, export_ids=beyond)
            tally = self.ledger.tally(group_id)
            if tally and sizes[group_id] - {tally.group.size}:
                others = sorted(sizes[group_id] - {tally.group.size})
                self.report.warn("group_size_differs", group_id=group_id, size=tally.group.size, others=others)
            if tally and not tally.missing and not tally.is_concluded:
                self._conclude(tally, now, until, has_time)

    def is_over(
        self,
        group_id: str,
        watched_since: float,
        last_moment: float,
        now: float,
        until: float,
        has_time: Callable[[], bool],
    ) -> bool:
        """Look at a group: whether it is concluded, by this look or before. Raises UnavailableError.

        `last_moment` is the age, in seconds, at which it is concluded though members are missing.
        """
        tally = self.ledger.tally(group_id)
        if tally is None:
            # Its first member's watch died before it was recorded, and sends another message when it comes again.
            return now - watched_since >= last_moment
        if tally.is_concluded:
            return True
        is_due = not tally.missing or now - tally.first_requested_at >= last_moment
        return is_due and self._conclude(tally, now, until, has_time)

    def _conclude(self, tally: Tally, now: float, until: float, has_time: Callable[[], bool]) -> bool:
        """Publish the group's event, once; false where somebody else is about to."""
        if not self.ledger.claim(tally.group.id, now, until):
            return False
        # Read again: members may have been counted before the claim, and none is while it stands.
        tally = self.ledger.tally(tally.group.id) or tally
        failures = self.ledger.failures(tally.group.id) if tally.failed else []
        message = concluded_message(tally, failures, now, self.api_base_url)
        if not has_time():
            # What is published now could not be recorded before the claim ends.
            raise UnavailableError("the invocation's time is up")
        unpublished: Mapping[str, str] = self.topic.publish([message])
        if unpublished:
            self.report.count("EventsHeldBack")
            raise UnavailableError(unpublished[message.event_id])
        self.ledger.record(tally.group.id, now)
        self.report.count("GroupsConcluded")
        self.report.note(
            "group_concluded",
            group_id=tally.group.id,
            outcome=tally.outcome.value,
            completed=tally.completed,
            failed=tally.failed,
            missing=tally.missing,
        )
        return True
