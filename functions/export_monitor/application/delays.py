"""Says once of each export that its watch takes long. The watch goes on, whether or not that is published.

An event that could not be published is tried again at the next poll.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from export_monitor.application.batch import Batch
from export_monitor.application.publishing import (
    ClaimLedger,
    Conclusion,
    PublishResult,
    PublishStatus,
    Topic,
    publish_once,
    split_unique_exports,
)
from export_monitor.application.reporting import PollResult, Reporter
from export_monitor.domain.events import Delay, build_delayed_message
from export_monitor.domain.grace import Wait
from export_monitor.domain.unexpected import Unexpected, attempt
from export_monitor.domain.verdicts import Failing, Undetermined, Unfinished


@dataclass(frozen=True, slots=True)
class DelayNotifier:
    """Publishes the event of a watch that has not ended at the age of `after_seconds`."""

    ledger: ClaimLedger
    topic: Topic
    report: Reporter
    api_base_url: str
    after_seconds: float
    # The exports whose event this worker knows to be published, so that each is claimed once.
    _known: set[str] = field(default_factory=set)

    def notify(self, results: Sequence[PollResult], batch: Batch) -> None:
        """Publish the delays of the watches that stay in the queue. Raises nothing."""
        due = [one for one in results if self._is_due(one) and batch.is_retried(one.watch.message)]
        delays: list[Conclusion] = []
        for result in due:
            outcome = attempt(partial(self._conclusion, result))
            if isinstance(outcome, Unexpected):
                batch.report_unexpected([result.watch.message], outcome.error)
            else:
                delays.append(outcome)
        for part in split_unique_exports(delays):
            published = attempt(partial(publish_once, part, self.ledger, self.topic, batch.budget))
            if isinstance(published, Unexpected):
                batch.report_unexpected([one.watch.message for one in part], published.error)
            else:
                for one in published:
                    self._report(one, batch)

    def _is_due(self, result: PollResult) -> bool:
        return result.watch.age(result.now) >= self.after_seconds and result.watch.export_id not in self._known

    def _conclusion(self, result: PollResult) -> Conclusion:
        job = result.evidence.job
        delay = Delay(job.state if job else None, waiting_for(result))
        message = build_delayed_message(result.watch, result.evidence, delay, result.now, self.api_base_url)
        return Conclusion(result, message)

    def _report(self, one: PublishResult, batch: Batch) -> None:
        export_id = one.conclusion.watch.export_id
        if one.error:
            batch.report_unexpected([one.conclusion.watch.message], one.error)
        if one.has_ended:
            self._known.add(export_id)
        if one.status is PublishStatus.PUBLISHED:
            self.report.count("ExportsDelayed")
            self.report.info("export_delayed", export_id=export_id)
        elif one.status in (PublishStatus.FAILED, PublishStatus.UNRECORDED):
            self.report.count("PublishFailures")
            self.report.warning("delay_not_published", export_id=export_id, cause=one.cause)


def waiting_for(result: PollResult) -> str:
    """What a watch waits for, in words."""
    match result.verdict if isinstance(result.decision, Wait) else None:
        case Unfinished():
            return "the job to end"
        case Failing(failure):
            return f"this to be fixed: {failure.message}"
        case Undetermined(unavailable):
            return f"an answer: {unavailable.message}"
    return "its final event to be published"
