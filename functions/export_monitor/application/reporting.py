"""What an operator hears of each look: one log line, one metric for its outcome, and what was measured on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from export_monitor.domain.grace import Conclude, Wait
from export_monitor.domain.model import QueueMessage, State, Watch
from export_monitor.domain.verdicts import (
    CheckStatus,
    Evidence,
    Failing,
    Failure,
    Reason,
    Undetermined,
    Unfinished,
    Verdict,
)

# While these are waited for, somebody has to mend a right.
ACCESS_DENIED_REASONS = (Reason.EXPORT_FORBIDDEN, Reason.VOLUME_UNAVAILABLE, Reason.OBJECT_FORBIDDEN)


class Reporter(Protocol):
    """Log lines and metrics: see adapters.telemetry."""

    @property
    def count(self) -> Callable[[str], None]: ...
    def measure_seconds(self, metric: str, value: float) -> None: ...
    def measure_bytes(self, metric: str, value: int) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def exception(self, event: str, error: Exception, **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class PollResult:
    """A message, what its export was found to be at the time `now` (epoch seconds), and what follows."""

    message: QueueMessage
    watch: Watch
    now: float
    verdict: Verdict
    evidence: Evidence
    decision: Wait | Conclude

    @property
    def failure(self) -> Failure | None:
        """What the watch ends with, or would end with if what it waits for does not come right."""
        if isinstance(self.decision, Conclude):
            return self.decision.failure
        return self.verdict.failure if isinstance(self.verdict, Failing) else None


def report_waiting(look: PollResult, delay_seconds: float, cause: str, report: Reporter) -> None:
    """The watch goes on: its message is hidden for so long."""
    report.count("UnfinishedPolls")
    if look.failure and look.failure.reason in ACCESS_DENIED_REASONS:
        report.count("AccessDenied")
    if isinstance(look.verdict, Unfinished) and look.verdict.state not in set(State):
        report.warning("unknown_job_state", export_id=look.watch.start.export_id, state=look.verdict.state)
    _tell(look, "waiting", report, delay_seconds, cause)


def report_deferred(look: PollResult, delay_seconds: float, cause: str, report: Reporter, *, failed: bool) -> None:
    """The watch has ended, but its event is not published yet; `held_back` where AWS did not do its part."""
    report.count("UnfinishedPolls")
    if failed:
        report.count("PublishFailures")
    _tell(look, "deferred", report, delay_seconds, cause)


def report_already_published(look: PollResult, report: Reporter) -> None:
    """The watch has ended with an event that was published before."""
    _tell(look, "already_published", report)


def report_published(look: PollResult, published_at: float, report: Reporter) -> None:
    """The watch has ended, and its event was published at this time (epoch seconds)."""
    evidence = look.evidence
    finished_at = evidence.job.finished_at if evidence.job else None
    lag_seconds = None if finished_at is None else max(0.0, published_at - finished_at)
    report.count("ExportsFailed" if look.failure else "ExportsCompleted")
    if lag_seconds is not None:
        report.measure_seconds("DetectionLagSeconds", lag_seconds)
    if evidence.object and evidence.verification and evidence.verification.status is CheckStatus.PASSED:
        report.count("ExportsVerified")
        report.measure_bytes("VerifiedBytes", evidence.object.size)
    _tell(look, "failed" if look.failure else "completed", report, lag_seconds=lag_seconds)


def _tell(
    look: PollResult,
    outcome: str,
    report: Reporter,
    delay_seconds: float | None = None,
    cause: str | None = None,
    lag_seconds: float | None = None,
) -> None:
    job, verification, failure = look.evidence.job, look.evidence.verification, look.failure
    report.info(
        "export_polled",
        export_id=look.watch.start.export_id,
        message_id=look.watch.message_id,
        state=job.state if job else None,
        outcome=outcome,
        reason=failure.reason.value if failure else None,
        blocked_by=look.verdict.unavailable.message if isinstance(look.verdict, Undetermined) else None,
        cause=cause or (failure.message if failure else None),
        failed_checks=[check.name for check in verification.failed] if verification else None,
        receive_count=look.watch.receive_count,
        age_seconds=round(look.watch.age(look.now), 1),
        delay_seconds=None if delay_seconds is None else round(delay_seconds, 1),
        lag_seconds=None if lag_seconds is None else round(lag_seconds, 1),
    )
