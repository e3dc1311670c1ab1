"""Ends watches: publishes their final events, reports them, and counts the members of groups.

Each step after publication leaves what the steps before it did: a published event stays published, whatever fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from export_monitor.application.batch import Batch
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
)
from export_monitor.domain.events import build_message
from export_monitor.domain.grace import GracePolicy
from export_monitor.domain.model import Group
from export_monitor.domain.report_rows import ReportRow, earlier_row, report_row
from export_monitor.domain.unexpected import Unexpected, attempt


@dataclass(frozen=True, slots=True)
class Concluder:
    """Publishes the results of polls that end their watches."""

    ledger: ClaimLedger
    topic: Topic
    groups: Groups
    report: Reporter
    grace: GracePolicy
    api_base_url: str

    def conclude(self, results: Sequence[PollResult], batch: Batch) -> None:
        """Publish each result once; its message leaves the queue when all that follows is done."""
        conclusions: list[Conclusion] = []
        for result in results:
            with batch.retry_on_error([result.watch.message]):
                found = (result.watch, result.evidence, result.failure, result.now)
                conclusions.append(Conclusion(result, build_message(*found, self.api_base_url), report_row(*found)))
        for part in split_unique_exports(conclusions):
            self._publish(part, batch)

    def _publish(self, conclusions: Sequence[Conclusion], batch: Batch) -> None:
        outcome = attempt(partial(publish_once, conclusions, self.ledger, self.topic, batch.budget))
        if not isinstance(outcome, Unexpected):
            self._finish(outcome, batch)
        elif len(conclusions) == 1:
            batch.retry_after_unexpected([conclusions[0].watch.message], outcome.error)
        else:
            # Nothing has been published. One of them may have caused the error, so each is published by itself.
            for conclusion in conclusions:
                self._publish([conclusion], batch)

    def _finish(self, published: Sequence[PublishResult], batch: Batch) -> None:
        members: dict[str, list[tuple[Group, PublishResult]]] = {}
        for one in published:
            watch = one.conclusion.watch
            with batch.retry_on_error([watch.message], published=one.has_ended):
                if one.has_ended:
                    self._report_end(one, batch)
                else:
                    self._defer(one, batch)
            if one.has_ended and watch.start.group:
                members.setdefault(watch.start.group.id, []).append((watch.start.group, one))
        for results in members.values():
            self._count_members(results, batch)

    def _report_end(self, published: PublishResult, batch: Batch) -> None:
        result = published.conclusion.result
        if not result.watch.start.group:
            batch.complete(result.watch.message)
        if published.status is PublishStatus.PUBLISHED:
            report_published(result, batch.budget.current_time, self.report)
        else:
            report_already_published(result, self.report)

    def _defer(self, published: PublishResult, batch: Batch) -> None:
        result = published.conclusion.result
        message, status = result.watch.message, published.status
        if published.error:
            batch.retry_after_unexpected([message], published.error, published=status is PublishStatus.UNRECORDED)
            return
        seconds = batch.poll_delay(message)
        if published.retry_after_seconds is not None:
            seconds = self.grace.schedule.within_budget(
                published.retry_after_seconds, message.age(result.now), message.receive_count
            )
        batch.retry_after(message, seconds)
        failed = status is not PublishStatus.DEFERRED
        report_deferred(result, seconds, published.cause, self.report, failed=failed)

    def _count_members(self, published: Sequence[tuple[Group, PublishResult]], batch: Batch) -> None:
        """Count members of one group. Where that fails, only they come again, and are counted then."""
        messages = [one.conclusion.watch.message for _, one in published]

        def count() -> None:
            self.groups.record_results([(group, _row(one)) for group, one in published], batch.budget)

        cause = batch.cause_of_failure(count, messages)
        if cause is not None:
            ids = [message.message_id for message in messages]
            self.report.warning("group_update_failed", message_ids=ids, cause=cause)
        for message in messages:
            if cause is None:
                batch.complete(message)
            else:
                batch.retry_after_claims(message)


def _row(published: PublishResult) -> ReportRow:
    """What the reports of its groups say of an export whose watch has ended."""
    result = published.conclusion.result
    if published.row:
        return replace(published.row, context=result.watch.start.context)
    at = result.now if published.published_at is None else published.published_at
    return earlier_row(result.watch, result.evidence, result.failure, published.event_id, at)
