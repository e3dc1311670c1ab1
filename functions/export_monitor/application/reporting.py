"""What an operator hears of each result: one log line, one metric for its outcome, and what was measured on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from export_monitor.domain.grace import Conclude, Wait
from export_monitor.domain.model import State, Watch
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

# While a watch waits for one of these, somebody has to grant access.
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
    """A watch, what its poll found at the time `now` (epoch seconds), and what follows from it."""

    watch: Watch
    now: float
    verdict: Verdict
    evidence: Evidence
    decision: Wait | Conclude

    @property
    def failure(self) -> Failure | None:
        """The failure that ends the watch, or that will end it if the fault lasts."""
        if isinstance(self.decision, Conclude):
            return self.decision.failure
        return self.verdict.failure if isinstance(self.verdict, Failing) else None


def report_waiting(result: PollResult, delay_seconds: float, cause: str, report: Reporter) -> None:
    """The watch goes on: its message is hidden for these seconds."""
    report.count("UnfinishedPolls")
    if result.failure and result.failure.reason in ACCESS_DENIED_REASONS:
        report.count("AccessDenied")
    if isinstance(result.verdict, Unfinished) and result.verdict.state not in set(State):
        report.warning("unknown_job_state", export_id=result.watch.export_id, state=result.verdict.state)
    _log(result, "waiting", report, delay_seconds, cause)


def report_deferred(result: PollResult, delay_seconds: float, cause: str, report: Reporter, *, failed: bool) -> None:
    """The watch has ended, but its event is not published yet; `failed` where SNS or DynamoDB failed."""
    report.count("UnfinishedPolls")
    if failed:
        report.count("PublishFailures")
    _log(result, "deferred", report, delay_seconds, cause)


def report_already_published(result: PollResult, report: Reporter) -> None:
    """The watch has ended with an event that was published before."""
    _log(result, "already_published", report)


def report_published(result: PollResult, published_at: float, report: Reporter) -> None:
    """The watch has ended, and its event was published at this time (epoch seconds)."""
    evidence = result.evidence
    finished_at = evidence.job.finished_at if evidence.job else None
    # An event that is sent again says nothing about how quickly its end was noticed.
    is_measured = not result.watch.start.republish
    lag_seconds = max(0.0, published_at - finished_at) if is_measured and finished_at is not None else None
    report.count("ExportsFailed" if result.failure else "ExportsCompleted")
    if lag_seconds is not None:
        report.measure_seconds("DetectionLagSeconds", lag_seconds)
    if evidence.object and evidence.verification and evidence.verification.status is CheckStatus.PASSED:
        report.count("ExportsVerified")
        report.measure_bytes("VerifiedBytes", evidence.object.size)
    _log(result, "failed" if result.failure else "completed", report, lag_seconds=lag_seconds)


def _log(
    result: PollResult,
    outcome: str,
    report: Reporter,
    delay_seconds: float | None = None,
    cause: str | None = None,
    lag_seconds: float | None = None,
) -> None:
    job, verification, failure = result.evidence.job, result.evidence.verification, result.failure
    report.info(
        "export_polled",
        export_id=result.watch.export_id,
        message_id=result.watch.message.message_id,
        project=result.evidence.file.project if result.evidence.file else None,
        state=job.state if job else None,
        outcome=outcome,
        reason=failure.reason.value if failure else None,
        blocked_by=result.verdict.unavailable.message if isinstance(result.verdict, Undetermined) else None,
        cause=cause or (failure.message if failure else None),
        failed_checks=[check.name for check in verification.failed] if verification else None,
        receive_count=result.watch.receive_count,
        age_seconds=round(result.watch.age(result.now), 1),
        delay_seconds=None if delay_seconds is None else round(delay_seconds, 1),
        lag_seconds=None if lag_seconds is None else round(lag_seconds, 1),
    )
