"""One batch of the queue's messages, looked at: understand, gather, decide, then publish or hide.

A message leaves the queue only when its watch has ended with a published event, or when it lies in the dead-letter
queue instead. Whatever else happens, it is kept.
"""

import random as random_module
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from export_monitor.batch import Batch, Invocation, Queue
from export_monitor.domain.assessment import Answers, assess
from export_monitor.domain.events import ending_message
from export_monitor.domain.groups import member_end
from export_monitor.domain.messages import understand_messages
from export_monitor.domain.model import Obstacle, QueueMessage, UnavailableError, Watch
from export_monitor.domain.patience import End, Patience, Sight, Wait, decide, fault_key, healed_after
from export_monitor.domain.unexpected import Unexpected, attempt
from export_monitor.domain.verdicts import Evidence, Faulty, Verdict
from export_monitor.gathering import Api, Objects, gather
from export_monitor.grouping import Groups
from export_monitor.publication import Claims, Ending, Fate, Settled, Topic, publish_once, rounds
from export_monitor.reporting import Look, Reporter, tell_kept, tell_published, tell_published_before, tell_waiting

FirstSeen: TypeAlias = Mapping[Sight, float | Obstacle | Unexpected]

# A crash may have eaten a message's first receive.
_MARKED_RECEIVES = 2


class Faults(Protocol):
    """Since when faults have been there: see adapters.fault_sights."""

    def first_seen_at(self, sights: Collection[Sight], now: float) -> FirstSeen: ...


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
        for message, error in understood.failed:
            batch.keep_unexpected([message], error)
        for message, group_id in understood.groups:
            with batch.keeping([message]):
                self._look_at_group(message, group_id, batch)
        # Last, so that a dead-letter queue that does not answer holds nothing up.
        for message, rule in understood.rejected:
            self.report.count("StartEventsRejected")
            batch.set_aside(message, rule)
        return batch.hide()

    def _look_at_exports(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: Batch) -> None:
        oldest = max(watch.age(batch.invocation.now) for _, watch in watches)
        self.report.measure_seconds("OldestWatchAgeSeconds", oldest)
        with batch.keeping([message for message, _ in watches]):
            self._begin(watches, batch)
            answers = gather(self._overdue(watches, batch), self.api, self.objects, batch.may_ask_for)
            self._publish(self._decide(watches, answers, batch), batch)

    def _begin(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: Batch) -> None:
        """Let it be known which exports and which groups are watched.

        What fails here holds nothing up. An export that is not marked is discovered, which does no harm; a member whose
        group is not recorded can be polled, and counting it fails until the group is.
        """
        now = batch.invocation.now
        steps: list[tuple[Callable[[], None], list[QueueMessage]]] = []
        new = [(message, watch) for message, watch in watches if watch.receives <= _MARKED_RECEIVES]
        if self.marks and new:
            ids = {watch.start.export_id for _, watch in new}
            steps.append((partial(self.marks.mark_watched, ids, now), [message for message, _ in new]))
        members: dict[str, list[QueueMessage]] = {}
        for message, watch in sorted(watches, key=lambda pair: pair[1].sent_at):
            group = watch.start.group
            if group and group.id not in members:
                steps.append((partial(self.groups.begin, group, watch.sent_at, now), members.setdefault(group.id, [])))
            if group:
                members[group.id].append(message)
        for step, messages in steps:
            cause = self._failure(step, messages, batch)
            if cause is not None:
                self.report.warn("watches_not_begun", message_ids=_ids(messages), because=cause)

    def _failure(self, step: Callable[[], None], messages: Sequence[QueueMessage], batch: Batch) -> str | None:
        """Take a step that must undo no other; why it failed, if it did."""
        outcome = attempt(step)
        if not isinstance(outcome, Unexpected):
            return None
        if not isinstance(outcome.error, UnavailableError):
            batch.report_unexpected(messages, outcome.error)
        return str(outcome.error)

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
        self,
        watches: Sequence[tuple[QueueMessage, Watch]],
        answers: Mapping[str, Answers | Unexpected],
        batch: Batch,
    ) -> list[Look]:
        """Look at each; those whose watch is over come back, the others are kept."""
        now = batch.invocation.now
        assessed: list[tuple[QueueMessage, Watch, Verdict, Evidence]] = []
        failed: dict[int, tuple[Exception, list[QueueMessage]]] = {}
        for message, watch in watches:
            answer = answers[watch.start.export_id]
            outcome = answer if isinstance(answer, Unexpected) else attempt(partial(assess, answer, now))
            if isinstance(outcome, Unexpected):
                failed.setdefault(id(outcome.error), (outcome.error, []))[1].append(message)
            else:
                assessed.append((message, watch, *outcome))
        # An error that stands in several exports' way is logged once.
        for error, messages in failed.values():
            batch.keep_unexpected(messages, error)
        sights = {sight for _, watch, verdict, _ in assessed if (sight := self._sight(watch, verdict, now))}
        first_seen_at = self._first_seen_at(sights, now) if sights else {}
        ends = []
        for message, watch, verdict, evidence in assessed:
            with batch.keeping([message]):
                sight = self._sight(watch, verdict, now)
                first_seen = first_seen_at[sight] if sight else None
                if isinstance(first_seen, Unexpected):
                    raise first_seen.error
                decision: Wait | End
                if isinstance(first_seen, Obstacle):
                    # How long the fault has been there is not known, so nothing ends by it.
                    decision = Wait(batch.poll_delay(message), first_seen.text)
                else:
                    decision = decide(verdict, watch, now, first_seen, self.patience, self.random())
                look = Look(message, watch, now, verdict, evidence, decision)
                if isinstance(decision, Wait):
                    batch.keep(message, decision.seconds)
                    tell_waiting(look, decision.seconds, decision.because, self.report)
                else:
                    ends.append(look)
        return ends

    def _first_seen_at(self, sights: Collection[Sight], now: float) -> FirstSeen:
        outcome = attempt(partial(self.faults.first_seen_at, sights, now))
        return dict.fromkeys(sights, outcome) if isinstance(outcome, Unexpected) else outcome

    def _sight(self, watch: Watch, verdict: Verdict, now: float) -> Sight | None:
        if not isinstance(verdict, Faulty):
            return None
        healed = healed_after(watch.age(now), self.patience.schedule)
        return Sight(watch.start.export_id, fault_key(verdict.failure), healed)

    def _publish(self, looks: Sequence[Look], batch: Batch) -> None:
        by_message = {look.watch.message_id: look for look in looks}
        endings: list[Ending] = []
        for look in looks:
            with batch.keeping([look.message]):
                endings.append(self._ending(look))
        for part in rounds(endings):
            self._publish_part(part, by_message, batch)

    def _publish_part(self, part: Sequence[Ending], looks: Mapping[str, Look], batch: Batch) -> None:
        now, deadline_at = batch.invocation.now, batch.invocation.deadline_at
        settled = attempt(partial(publish_once, part, self.ledger, self.topic, now, deadline_at, batch.may_publish))
        if not isinstance(settled, Unexpected):
            members: dict[str, list[Settled]] = {}
            for one in settled:
                look = looks[one.ending.watch.message_id]
                with batch.keeping([look.message], published=one.is_over):
                    self._settle(look, one, batch)
                if one.is_over and look.watch.start.group:
                    members.setdefault(look.watch.start.group.id, []).append(one)
            for ended in members.values():
                self._count_members(ended, looks, batch)
        elif len(part) == 1:
            batch.keep_unexpected([looks[part[0].watch.message_id].message], settled.error)
        else:
            # Nothing has been published: one of them may be what stood in the others' way.
            for ending in part:
                self._publish_part([ending], looks, batch)

    def _ending(self, look: Look) -> Ending:
        message = ending_message(look.watch, look.evidence, look.failure, look.now, self.api_base_url)
        return Ending(look.watch, message)

    def _settle(self, look: Look, settled: Settled, batch: Batch) -> None:
        """Report an ending; its message stays while its event is not out, or while its member is not counted."""
        if settled.error:
            batch.keep_unexpected([look.message], settled.error, published=settled.fate is Fate.UNRECORDED)
            return
        if not settled.is_over:
            seconds = batch.poll_delay(look.message)
            if settled.seconds is not None:
                age = look.watch.age(look.now)
                seconds = self.patience.schedule.within_budget(settled.seconds, age, look.watch.receives)
            batch.keep(look.message, seconds)
            held_back = settled.fate is not Fate.WAITING
            tell_kept(look, seconds, settled.because or "", self.report, held_back=held_back)
            return
        if not look.watch.start.group:
            batch.done(look.message)
        if settled.fate is Fate.PUBLISHED:
            tell_published(look, batch.invocation.present, self.report)
        else:
            tell_published_before(look, self.report)

    def _count_members(self, ended: Sequence[Settled], looks: Mapping[str, Look], batch: Batch) -> None:
        """Count members of one group whose events are out. Where that fails, they alone come again and are counted."""
        here = [(looks[one.ending.watch.message_id], one) for one in ended]
        messages = [look.message for look, _ in here]

        def count() -> None:
            members = [
                (
                    look.watch.start.group,
                    member_end(look.watch.start.export_id, one.published, look.failure, look.evidence.job),
                )
                for look, one in here
                if look.watch.start.group
            ]
            invocation = batch.invocation
            self.groups.count(members, invocation.now, invocation.deadline_at, batch.may_publish)

        cause = self._failure(count, messages, batch)
        if cause is not None:
            self.report.warn("group_members_not_counted", message_ids=_ids(messages), because=cause)
        for message in messages:
            if cause is None:
                batch.done(message)
            else:
                batch.keep_by_schedule(message)


def _ids(messages: Sequence[QueueMessage]) -> list[str]:
    return [message.message_id for message in messages]
