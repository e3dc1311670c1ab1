"""Processes one batch of the queue's messages: parse, gather, decide, then conclude or retry.

A message leaves the queue only when its watch has ended with a published event, or when it is in the dead-letter queue
instead. Whatever else happens, it stays.
"""

import random as random_module
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from export_monitor.application.batch import Batch, Queue
from export_monitor.application.concluding import Concluder
from export_monitor.application.delays import DelayNotifier
from export_monitor.application.gathering import Api, Contents, Objects, gather, with_content
from export_monitor.application.groups import Groups
from export_monitor.application.reporting import PollResult, Reporter, report_waiting
from export_monitor.domain.assessment import Snapshot, assess, without_unfinished_content
from export_monitor.domain.content.eligibility import ContentPolicy
from export_monitor.domain.crowding import Crowding
from export_monitor.domain.grace import (
    Conclude,
    FaultObservation,
    GracePolicy,
    Wait,
    decide,
    fault_key,
    poll_delay,
    resets_after,
)
from export_monitor.domain.messages import MAX_MESSAGES, parse_batch
from export_monitor.domain.model import QueueMessage, Unavailable, UnavailableError, Watch
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.unexpected import Unexpected, attempt
from export_monitor.domain.verdicts import Evidence, Failing, Verdict

FirstSeen: TypeAlias = Mapping[FaultObservation, float | Unavailable | Unexpected]

# A crash may have used up a message's first receive.
_REGISTERED_RECEIVES = 2


class FaultHistory(Protocol):
    """When each fault was first seen: see adapters.aws.dynamodb.fault_log."""

    def first_seen_at(self, observations: Collection[FaultObservation], now: float) -> FirstSeen: ...


class WatchRegistry(Protocol):
    """The exports that have a watch, so that they are not discovered: see adapters.aws.dynamodb.watched_exports."""

    # Raises UnavailableError.
    def add(self, export_ids: Collection[str], now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class ContentChecking:
    """What is needed to have contents verified: the workers' results, and which objects are eligible."""

    contents: Contents
    policy: ContentPolicy


@dataclass(frozen=True, slots=True)
class Assessed:
    """A watch, and what the answers say of its export."""

    watch: Watch
    verdict: Verdict
    evidence: Evidence
    observation: FaultObservation | None


@dataclass(frozen=True, slots=True)
class ExportWatcher:
    """Polls the exports and groups of a batch.

    `registry` is None where discovery is off. `random` returns numbers from 0 to 1 that spread waits for a rate limit.
    `pause` sleeps for a number of seconds. `content` is None where contents are not checked, and `delays` where delays
    are not published.
    """

    api: Api
    objects: Objects
    queue: Queue
    faults: FaultHistory
    groups: Groups
    concluder: Concluder
    report: Reporter
    grace: GracePolicy
    start_event_source: str
    pause: Callable[[float], None]
    crowding: Crowding
    registry: WatchRegistry | None = None
    content: ContentChecking | None = None
    delays: DelayNotifier | None = None
    random: Callable[[], float] = random_module.random

    def process_batch(self, messages: Sequence[QueueMessage], budget: TimeBudget) -> list[str]:
        """Process each message once. Returns the ids of those that stay in the queue, hidden until they are due."""
        batch = Batch(budget, self.queue, self.grace, self.report)
        parsed = parse_batch(messages, self.start_event_source)
        if parsed.watches:
            self._poll_exports(parsed.watches, batch)
        for message, error in parsed.failed:
            batch.retry_after_unexpected([message], error)
        for message, group_id in parsed.groups:
            # An incomplete group is due at its final deadline, so that the first error must not end its watch.
            with batch.retry_on_error([message], published=True):
                self._poll_group(message, group_id, batch)
        # Last, so that a dead-letter queue that does not answer holds up nothing else.
        for message, rule in parsed.rejected:
            self.report.count("StartEventsRejected")
            batch.dead_letter(message, rule)
        self._await_common_instant(batch)
        return batch.apply_visibility()

    def _await_common_instant(self, batch: Batch) -> None:
        """Where many exports are watched, hide messages at an instant from which they become visible together.

        A hundred messages do not wait: more are due, and these will fill a request of the API again.
        """
        now = batch.budget.current_time
        self.crowding.add(now, batch.retried)
        is_crowded = batch.retried > 0 and self.crowding.is_crowded(now)
        if is_crowded and batch.retried < MAX_MESSAGES and batch.budget.has_time_to_publish():
            self.pause(self.grace.schedule.seconds_to_common_instant(now))

    def _poll_exports(self, watches: Sequence[Watch], batch: Batch) -> None:
        now = batch.budget.now
        self.report.measure_seconds("OldestWatchAgeSeconds", max(watch.age(now) for watch in watches))
        with batch.retry_on_error([watch.message for watch in watches]):
            self._register(watches, batch)
            overdue: dict[str, bool] = {}
            for watch in watches:
                is_overdue = watch.age(now) >= self.grace.timeout
                overdue[watch.export_id] = is_overdue or overdue.get(watch.export_id, False)
            snapshots = gather(overdue, self.api, self.objects, batch.budget.for_requests)
            if self.content:
                snapshots = with_content(snapshots, self.content.contents, self.content.policy, now)
            answered_at = batch.budget.current_time
            self._decide(self._assess(watches, snapshots, answered_at, batch), answered_at, batch)

    def _register(self, watches: Sequence[Watch], batch: Batch) -> None:
        """Record which exports and which groups are watched.

        A failure holds up nothing. An export that is not registered is discovered, which does no harm. A member whose
        group is not recorded can be polled, and is counted once the group is recorded.
        """
        now = batch.budget.now
        steps: list[tuple[Callable[[], None], list[Watch]]] = []
        new = [watch for watch in watches if watch.receive_count <= _REGISTERED_RECEIVES]
        if self.registry and new:
            steps.append((partial(self.registry.add, {watch.export_id for watch in new}, now), new))
        members: dict[str, list[Watch]] = {}
        for watch in sorted(watches, key=lambda watch: watch.message.sent_at):
            group = watch.start.group
            if group and group.id not in members:
                register = partial(self.groups.register, group, watch.message.sent_at, now)
                steps.append((register, members.setdefault(group.id, [])))
            if group:
                members[group.id].append(watch)
        for step, concerned in steps:
            messages = [watch.message for watch in concerned]
            cause = batch.cause_of_failure(step, messages)
            if cause is not None:
                ids = [message.message_id for message in messages]
                self.report.warning("watch_registration_failed", message_ids=ids, cause=cause)

    def _poll_group(self, message: QueueMessage, group_id: str, batch: Batch) -> None:
        try:
            if self.groups.has_ended(group_id, message.sent_at, self.grace.final_deadline, batch.budget):
                batch.complete(message)
                return
        except UnavailableError as error:
            self.report.warning("group_conclusion_failed", group_id=group_id, cause=str(error))
            batch.retry_after_claims(message)
        else:
            batch.retry_on_schedule(message)

    def _assess(
        self, watches: Sequence[Watch], snapshots: Mapping[str, Snapshot | Unexpected], now: float, batch: Batch
    ) -> list[Assessed]:
        """Assess each watch; those with an unexpected error are retried."""
        assessed: list[Assessed] = []
        failed: dict[int, tuple[Exception, list[QueueMessage]]] = {}
        for watch in watches:
            snapshot = snapshots[watch.export_id]
            if not isinstance(snapshot, Unexpected) and watch.age(now) >= self.grace.final_deadline:
                snapshot = without_unfinished_content(snapshot)
            outcome = snapshot if isinstance(snapshot, Unexpected) else attempt(partial(assess, snapshot, now))
            if isinstance(outcome, Unexpected):
                failed.setdefault(id(outcome.error), (outcome.error, []))[1].append(watch.message)
            else:
                verdict, evidence = outcome
                assessed.append(Assessed(watch, verdict, evidence, self._observation(watch, verdict, now)))
        # An error that concerns several exports is logged once.
        for error, messages in failed.values():
            batch.retry_after_unexpected(messages, error)
        return assessed

    def _observation(self, watch: Watch, verdict: Verdict, now: float) -> FaultObservation | None:
        if not isinstance(verdict, Failing):
            return None
        after = resets_after(watch.age(now), self.grace.schedule)
        return FaultObservation(watch.export_id, fault_key(verdict.failure), after)

    def _decide(self, assessed: Sequence[Assessed], now: float, batch: Batch) -> None:
        """Retry the watches that wait, and conclude the others."""
        observations = {one.observation for one in assessed if one.observation}
        first_seen_at = self._first_seen_at(observations, now) if observations else {}
        results: list[PollResult] = []
        concluded: list[PollResult] = []
        for one in assessed:
            with batch.retry_on_error([one.watch.message]):
                first_seen = first_seen_at[one.observation] if one.observation else None
                if isinstance(first_seen, Unexpected):
                    raise first_seen.error
                decision = self._decision(one, first_seen, now)
                result = PollResult(one.watch, now, one.verdict, one.evidence, decision)
                results.append(result)
                if isinstance(decision, Wait):
                    batch.retry_at(one.watch.message, now + decision.seconds)
                    report_waiting(result, decision.seconds, decision.cause, self.report)
                else:
                    concluded.append(result)
        self.concluder.conclude(concluded, batch)
        if self.delays:
            # Last, so that they hold up no final event.
            self.delays.notify(results, batch)

    def _decision(self, one: Assessed, first_seen: float | Unavailable | None, now: float) -> Wait | Conclude:
        if isinstance(first_seen, Unavailable):
            # Without knowing how long the fault has lasted, it can end nothing.
            return Wait(poll_delay(one.watch.message, now, self.grace), first_seen.message)
        return decide(one.verdict, one.watch, now, first_seen, self.grace, self.random())

    def _first_seen_at(self, observations: Collection[FaultObservation], now: float) -> FirstSeen:
        outcome = attempt(partial(self.faults.first_seen_at, observations, now))
        return dict.fromkeys(observations, outcome) if isinstance(outcome, Unexpected) else outcome
