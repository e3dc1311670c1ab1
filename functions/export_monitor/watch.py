"""One batch of the queue's messages, looked at: understand, gather, decide, then publish or hide.

A message leaves the queue only when its watch has ended with a published event, or when it lies in the dead-letter
queue instead. Whatever else happens, it is kept.
"""

import random as random_module
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from export_monitor.batch import Batch, Invocation, Queue
from export_monitor.domain.assessment import Answers, assess
from export_monitor.domain.events import ending_message
from export_monitor.domain.groups import MemberEnd, member_end
from export_monitor.domain.messages import understand_messages
from export_monitor.domain.model import Group, Obstacle, QueueMessage, UnavailableError, Watch
from export_monitor.domain.patience import End, Patience, Sight, Wait, decide, fault_key, healed_after
from export_monitor.domain.verdicts import Evidence, Faulty, Verdict
from export_monitor.gathering import Api, Objects, gather
from export_monitor.grouping import Groups
from export_monitor.publication import Claims, Ending, Fate, Settled, Topic, publish_once, rounds
from export_monitor.reporting import Look, Reporter, tell_kept, tell_published, tell_published_before, tell_waiting

# A crash may have eaten a message's first receive.
_MARKED_RECEIVES = 2


class Faults(Protocol):
    """Since when faults have been there: see adapters.fault_sights."""

    def first_seen_at(self, sights: Collection[Sight], now: float) -> dict[Sight, float | Obstacle]: ...


class Marks(Protocol):
    """The exports that are watched, so that they are not discovered: see adapters.watch_marks."""

    # Raises UnavailableError.
    def mark_watched(self, export_ids: Collection[str], now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class ExportWatch:
    """Looks at batches of messages.

    `marks` is None where no exports are discovered. `random` gives numbers from 0 to 1 that spread the delays.
    """

    api: Api
    objects: Objects
    queue: Queue
    ledger: Claims
    faults: Faults
    topic: Topic
    report: Reporter
    patience: Patience
    groups: Groups
    start_event_source: str
    api_base_url: str
    marks: Marks | None = None
    random: Callable[[], float] = random_module.random

    def look_at(self, messages: Sequence[QueueMessage], invocation: Invocation) -> list[str]:
        """Handle each message once; the ids of those that stay in the queue, hidden until they are due."""
        batch = Batch(invocation, self.queue, self.patience, self.report, self.random)
        understood = understand_messages(messages, self.start_event_source)
        if understood.watches:
            self._look_at_exports(understood.watches, batch)
        for message, group_id in understood.groups:
            with batch.keeping([message]):
                self._look_at_group(message, group_id, batch)
        # Last, so that a dead-letter queue that does not answer holds nothing up.
        for message, error in understood.rejected:
            self.report.count("StartEventsRejected")
            batch.set_aside(message, error)
        return batch.hide()

    def _look_at_exports(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: Batch) -> None:
        oldest = max(watch.age(batch.invocation.now) for _, watch in watches)
        self.report.measure_seconds("OldestWatchAgeSeconds", oldest)
        with batch.keeping([message for message, _ in watches]):
            self._begin([watch for _, watch in watches], batch)
            answers = gather(self._overdue(watches, batch), self.api, self.objects, batch.may_ask_for)
            self._publish(self._decide(watches, answers, batch), batch)

    def _begin(self, watches: Sequence[Watch], batch: Batch) -> None:
        """Let it be known which exports and which groups are watched."""
        now = batch.invocation.now
        try:
            new = {watch.start.export_id for watch in watches if watch.receives <= _MARKED_RECEIVES}
            if self.marks and new:
                self.marks.mark_watched(new, now)
            self.groups.begin(watches, now)
        except UnavailableError as error:
            # An export that is not marked is discovered, which does no harm. A member whose group is not begun can be
            # looked at; counting it fails until the group is.
            self.report.warn("watches_not_begun", because=str(error))

    def _look_at_group(self, message: QueueMessage, group_id: str, batch: Batch) -> None:
        now, until = batch.invocation.now, batch.invocation.deadline_at
        try:
            if self.groups.is_over(group_id, message.sent_at, self.patience.last_moment, now, until, batch.may_publish):
                batch.done(message)
                return
        except UnavailableError as error:
            self.report.warn("group_not_concluded", group_id=group_id, because=str(error))
        batch.keep_by_schedule(message)

    def _overdue(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: Batch) -> dict[str, bool]:
        overdue: dict[str, bool] = {}
        for _, watch in watches:
            is_overdue = watch.age(batch.invocation.now) >= self.patience.timeout
            overdue[watch.start.export_id] = is_overdue or overdue.get(watch.start.export_id, False)
        return overdue

    def _decide(
        self, watches: Sequence[tuple[QueueMessage, Watch]], answers: dict[str, Answers], batch: Batch
    ) -> list[Look]:
        """Look at each; those whose watch is over come back, the others are kept."""
        now = batch.invocation.now
        assessed: list[tuple[QueueMessage, Watch, Verdict, Evidence]] = []
        for message, watch in watches:
            with batch.keeping([message]):
                assessed.append((message, watch, *assess(answers[watch.start.export_id], now)))
        sights = {sight for _, watch, verdict, _ in assessed if (sight := self._sight(watch, verdict, now))}
        first_seen_at = self.faults.first_seen_at(sights, now) if sights else {}
        ends = []
        for message, watch, verdict, evidence in assessed:
            with batch.keeping([message]):
                sight = self._sight(watch, verdict, now)
                first_seen = first_seen_at[sight] if sight else None
                decision: Wait | End
                if isinstance(first_seen, Obstacle):
                    # How long the fault has been there is not known, so nothing ends by it.
                    decision = Wait(batch.poll_delay(message), first_seen.text)
                else:
                    decision = decide(verdict, watch, now, first_seen, self.patience, self.random())
                look = Look(message, watch, now, verdict, evidence, decision)
                if isinstance(decision, Wait):
                    tell_waiting(look, decision.seconds, decision.because, self.report)
                    batch.keep(message, decision.seconds)
                else:
                    ends.append(look)
        return ends

    def _sight(self, watch: Watch, verdict: Verdict, now: float) -> Sight | None:
        if not isinstance(verdict, Faulty):
            return None
        healed = healed_after(watch.age(now), self.patience.schedule)
        return Sight(watch.start.export_id, fault_key(verdict.failure), healed)

    def _publish(self, looks: Sequence[Look], batch: Batch) -> None:
        now, deadline_at = batch.invocation.now, batch.invocation.deadline_at
        by_message = {look.watch.message_id: look for look in looks}
        endings: list[Ending] = []
        for look in looks:
            with batch.keeping([look.message]):
                endings.append(self._ending(look))
        for part in rounds(endings):
            part_looks = [by_message[ending.watch.message_id] for ending in part]
            with batch.keeping([look.message for look in part_looks]):
                settled = publish_once(part, self.ledger, self.topic, now, deadline_at, batch.may_publish)
                uncounted = self._count_members(settled, by_message, batch)
                for one in settled:
                    self._settle(by_message[one.ending.watch.message_id], one, uncounted, batch)

    def _ending(self, look: Look) -> Ending:
        message = ending_message(look.watch, look.evidence, look.failure, look.now, self.api_base_url)
        return Ending(look.watch, message)

    def _count_members(self, settled: Sequence[Settled], looks: Mapping[str, Look], batch: Batch) -> bool:
        """Count the members of groups whose watches are over; whether that failed."""
        members: list[tuple[Group, MemberEnd]] = []
        for one in settled:
            look = looks[one.ending.watch.message_id]
            group = look.watch.start.group
            if group and one.published:
                export_id = look.watch.start.export_id
                members.append((group, member_end(export_id, one.published, look.failure, look.evidence.job)))
        try:
            self.groups.count(members, batch.invocation.now, batch.invocation.deadline_at, batch.may_publish)
        except UnavailableError as error:
            self.report.warn("group_members_not_counted", because=str(error))
            return True
        return False

    def _settle(self, look: Look, settled: Settled, uncounted: bool, batch: Batch) -> None:
        if settled.fate in (Fate.WAITING, Fate.HELD_BACK):
            age = look.watch.age(look.now)
            seconds = self.patience.schedule.within_budget(settled.seconds, age, look.watch.receives)
            batch.keep(look.message, seconds)
            held_back = settled.fate is Fate.HELD_BACK
            tell_kept(look, seconds, settled.because or "", self.report, held_back=held_back)
            return
        if uncounted and look.watch.start.group:
            # It comes again, publishes nothing more, and is counted.
            batch.keep_by_schedule(look.message)
        else:
            batch.done(look.message)
        if settled.fate is Fate.PUBLISHED:
            tell_published(look, batch.invocation.present, self.report)
        else:
            tell_published_before(look, self.report)
