"""One batch of the queue's messages, looked at: understand, gather, decide, then publish or hide.

A message leaves the queue only when its watch has ended with a published event, or when it lies in the dead-letter
queue instead. Whatever else happens, it is kept.
"""

import random as random_module
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from export_monitor.application.batch import Batch, Invocation, Queue
from export_monitor.application.gathering import Api, Objects, gather
from export_monitor.application.groups import Groups
from export_monitor.application.publishing import (
    ClaimLedger,
    Conclusion,
    PublishResult,
    PublishStatus,
    Topic,
    publish_once,
    split_unique_exports,
)
from export_monitor.application.reporting import (
    PollResult,
    Reporter,
    report_already_published,
    report_deferred,
    report_published,
    report_waiting,
)
from export_monitor.domain.assessment import Snapshot, assess
from export_monitor.domain.events import build_message
from export_monitor.domain.grace import Conclude, FaultObservation, GracePolicy, Wait, decide, fault_key, resets_after
from export_monitor.domain.groups import member_result
from export_monitor.domain.messages import parse_batch
from export_monitor.domain.model import QueueMessage, Unavailable, UnavailableError, Watch
from export_monitor.domain.unexpected import Unexpected, attempt
from export_monitor.domain.verdicts import Evidence, Failing, Verdict

FirstSeen: TypeAlias = Mapping[FaultObservation, float | Unavailable | Unexpected]

# A crash may have eaten a message's first receive.
_MARKED_RECEIVES = 2


class FaultHistory(Protocol):
    """Since when faults have been there: see adapters.aws.dynamodb.fault_log."""

    def first_seen_at(self, observations: Collection[FaultObservation], now: float) -> FirstSeen: ...


class WatchRegistry(Protocol):
    """The exports that are watched, so that they are not discovered: see adapters.aws.dynamodb.watched_exports."""

    # Raises UnavailableError.
    def add(self, export_ids: Collection[str], now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class ExportWatcher:
    """Looks at batches of messages.

    `marks` is None where no exports are discovered. `random` gives numbers from 0 to 1 that spread the delays.
    """

    api: Api
    objects: Objects
    queue: Queue
    ledger: ClaimLedger
    faults: FaultHistory
    topic: Topic
    report: Reporter
    grace: GracePolicy
    groups: Groups
    start_event_source: str
    api_base_url: str
    marks: WatchRegistry | None = None
    random: Callable[[], float] = random_module.random

    def process_batch(self, messages: Sequence[QueueMessage], invocation: Invocation) -> list[str]:
        """Handle each message once; the ids of those that stay in the queue, hidden until they are due."""
        batch = Batch(invocation, self.queue, self.grace, self.report, self.random)
        parsed = parse_batch(messages, self.start_event_source)
        if parsed.watches:
            self._poll_exports(parsed.watches, batch)
        for message, error in parsed.failed:
            batch.retry_after_unexpected([message], error)
        for message, group_id in parsed.groups:
            with batch.retry_on_error([message]):
                self._poll_group(message, group_id, batch)
        # Last, so that a dead-letter queue that does not answer holds nothing up.
        for message, rule in parsed.rejected:
            self.report.count("StartEventsRejected")
            batch.dead_letter(message, rule)
        return batch.apply_visibility()

    def _poll_exports(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: Batch) -> None:
        oldest = max(watch.age(batch.invocation.now) for _, watch in watches)
        self.report.measure_seconds("OldestWatchAgeSeconds", oldest)
        with batch.retry_on_error([message for message, _ in watches]):
            self._begin(watches, batch)
            answers = gather(self._overdue(watches, batch), self.api, self.objects, batch.request_seconds_left)
            self._publish(self._decide(watches, answers, batch), batch)

    def _begin(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: Batch) -> None:
        """Let it be known which exports and which groups are watched.

        What fails here holds nothing up. An export that is not marked is discovered, which does no harm; a member whose
        group is not recorded can be polled, and counting it fails until the group is.
        """
        now = batch.invocation.now
        steps: list[tuple[Callable[[], None], list[QueueMessage]]] = []
        new = [(message, watch) for message, watch in watches if watch.receive_count <= _MARKED_RECEIVES]
        if self.marks and new:
            ids = {watch.start.export_id for _, watch in new}
            steps.append((partial(self.marks.add, ids, now), [message for message, _ in new]))
        members: dict[str, list[QueueMessage]] = {}
        for message, watch in sorted(watches, key=lambda pair: pair[1].sent_at):
            group = watch.start.group
            if group and group.id not in members:
                steps.append(
                    (partial(self.groups.register, group, watch.sent_at, now), members.setdefault(group.id, []))
                )
            if group:
                members[group.id].append(message)
        for step, messages in steps:
            cause = self._failure(step, messages, batch)
            if cause is not None:
                self.report.warning("watch_registration_failed", message_ids=_ids(messages), cause=cause)

    def _failure(self, step: Callable[[], None], messages: Sequence[QueueMessage], batch: Batch) -> str | None:
        """Take a step that must undo no other; why it failed, if it did."""
        outcome = attempt(step)
        if not isinstance(outcome, Unexpected):
            return None
        if not isinstance(outcome.error, UnavailableError):
            batch.report_unexpected(messages, outcome.error)
        return str(outcome.error)

    def _poll_group(self, message: QueueMessage, group_id: str, batch: Batch) -> None:
        now, until = batch.invocation.now, batch.invocation.deadline_at
        try:
            if self.groups.is_over(
                group_id, message.sent_at, self.grace.final_deadline, now, until, batch.has_time_to_publish
            ):
                batch.complete(message)
                return
        except UnavailableError as error:
            self.report.warning("group_conclusion_failed", group_id=group_id, cause=str(error))
        batch.retry_on_schedule(message)

    def _overdue(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: Batch) -> dict[str, bool]:
        overdue: dict[str, bool] = {}
        for _, watch in watches:
            is_overdue = watch.age(batch.invocation.now) >= self.grace.timeout
            overdue[watch.start.export_id] = is_overdue or overdue.get(watch.start.export_id, False)
        return overdue

    def _decide(
        self,
        watches: Sequence[tuple[QueueMessage, Watch]],
        answers: Mapping[str, Snapshot | Unexpected],
        batch: Batch,
    ) -> list[PollResult]:
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
            batch.retry_after_unexpected(messages, error)
        observations = {
            observation for _, watch, verdict, _ in assessed if (observation := self._observation(watch, verdict, now))
        }
        first_seen_at = self._first_seen_at(observations, now) if observations else {}
        ends = []
        for message, watch, verdict, evidence in assessed:
            with batch.retry_on_error([message]):
                observation = self._observation(watch, verdict, now)
                first_seen = first_seen_at[observation] if observation else None
                if isinstance(first_seen, Unexpected):
                    raise first_seen.error
                decision: Wait | Conclude
                if isinstance(first_seen, Unavailable):
                    # How long the fault has been there is not known, so nothing ends by it.
                    decision = Wait(batch.poll_delay(message), first_seen.message)
                else:
                    decision = decide(verdict, watch, now, first_seen, self.grace, self.random())
                look = PollResult(message, watch, now, verdict, evidence, decision)
                if isinstance(decision, Wait):
                    batch.retry_after(message, decision.seconds)
                    report_waiting(look, decision.seconds, decision.cause, self.report)
                else:
                    ends.append(look)
        return ends

    def _first_seen_at(self, observations: Collection[FaultObservation], now: float) -> FirstSeen:
        outcome = attempt(partial(self.faults.first_seen_at, observations, now))
        return dict.fromkeys(observations, outcome) if isinstance(outcome, Unexpected) else outcome

    def _observation(self, watch: Watch, verdict: Verdict, now: float) -> FaultObservation | None:
        if not isinstance(verdict, Failing):
            return None
        healed = resets_after(watch.age(now), self.grace.schedule)
        return FaultObservation(watch.start.export_id, fault_key(verdict.failure), healed)

    def _publish(self, looks: Sequence[PollResult], batch: Batch) -> None:
        by_message = {look.watch.message_id: look for look in looks}
        conclusions: list[Conclusion] = []
        for look in looks:
            with batch.retry_on_error([look.message]):
                conclusions.append(self._ending(look))
        for part in split_unique_exports(conclusions):
            self._publish_part(part, by_message, batch)

    def _publish_part(self, part: Sequence[Conclusion], looks: Mapping[str, PollResult], batch: Batch) -> None:
        now, deadline_at = batch.invocation.now, batch.invocation.deadline_at
        settled = attempt(
            partial(publish_once, part, self.ledger, self.topic, now, deadline_at, batch.has_time_to_publish)
        )
        if not isinstance(settled, Unexpected):
            members: dict[str, list[PublishResult]] = {}
            for one in settled:
                look = looks[one.ending.watch.message_id]
                with batch.retry_on_error([look.message], published=one.is_over):
                    self._settle(look, one, batch)
                if one.is_over and look.watch.start.group:
                    members.setdefault(look.watch.start.group.id, []).append(one)
            for ended in members.values():
                self._count_members(ended, looks, batch)
        elif len(part) == 1:
            batch.retry_after_unexpected([looks[part[0].watch.message_id].message], settled.error)
        else:
            # Nothing has been published: one of them may be what stood in the others' way.
            for ending in part:
                self._publish_part([ending], looks, batch)

    def _ending(self, look: PollResult) -> Conclusion:
        message = build_message(look.watch, look.evidence, look.failure, look.now, self.api_base_url)
        return Conclusion(look.watch, message)

    def _settle(self, look: PollResult, settled: PublishResult, batch: Batch) -> None:
        """Report an ending; its message stays while its event is not out, or while its member is not counted."""
        if settled.error:
            batch.retry_after_unexpected(
                [look.message], settled.error, published=settled.fate is PublishStatus.UNRECORDED
            )
            return
        if not settled.is_over:
            seconds = batch.poll_delay(look.message)
            if settled.seconds is not None:
                age = look.watch.age(look.now)
                seconds = self.grace.schedule.within_budget(settled.seconds, age, look.watch.receive_count)
            batch.retry_after(look.message, seconds)
            failed = settled.fate is not PublishStatus.DEFERRED
            report_deferred(look, seconds, settled.cause or "", self.report, failed=failed)
            return
        if not look.watch.start.group:
            batch.complete(look.message)
        if settled.fate is PublishStatus.PUBLISHED:
            report_published(look, batch.invocation.current_time, self.report)
        else:
            report_already_published(look, self.report)

    def _count_members(self, ended: Sequence[PublishResult], looks: Mapping[str, PollResult], batch: Batch) -> None:
        """Count members of one group whose events are out. Where that fails, they alone come again and are counted."""
        here = [(looks[one.ending.watch.message_id], one) for one in ended]
        messages = [look.message for look, _ in here]

        def count() -> None:
            members = [
                (
                    look.watch.start.group,
                    member_result(look.watch.start.export_id, one.published, look.failure, look.evidence.job),
                )
                for look, one in here
                if look.watch.start.group
            ]
            invocation = batch.invocation
            self.groups.record_results(members, invocation.now, invocation.deadline_at, batch.has_time_to_publish)

        cause = self._failure(count, messages, batch)
        if cause is not None:
            self.report.warning("group_update_failed", message_ids=_ids(messages), cause=cause)
        for message in messages:
            if cause is None:
                batch.complete(message)
            else:
                batch.retry_on_schedule(message)


def _ids(messages: Sequence[QueueMessage]) -> list[str]:
    return [message.message_id for message in messages]
