"""What an operator hears of each look: one log line, one metric for its outcome, and what was measured on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from export_monitor.domain.model import QueueMessage, State, Watch
from export_monitor.domain.patience import End, Wait
from export_monitor.domain.verdicts import CheckStatus, Evidence, Failure, Faulty, Hindered, Reason, Unfinished, Verdict

# While these are waited for, somebody has to mend a right.
REFUSED_ACCESS = (Reason.EXPORT_FORBIDDEN, Reason.VOLUME_UNAVAILABLE, Reason.OBJECT_FORBIDDEN)


class Reporter(Protocol):
    """Log lines and metrics: see adapters.telemetry."""

    @property
    def count(self) -> Callable[[str], None]: ...
    def measure_seconds(self, metric: str, value: float) -> None: ...
    def measure_bytes(self, metric: str, value: int) -> None: ...
    def note(self, event: str, **fields: Any) -> None: ...
    def warn(self, event: str, **fields: Any) -> None: ...
    def traceback(self, event: str, error: Exception, **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Look:
    """A message, what its export was found to be at the time `now` (epoch seconds), and what follows."""

    message: QueueMessage
    watch: Watch
    now: float
    verdict: Verdict
    evidence: Evidence
    decision: Wait | End

    @property
    def failure(self) -> Failure | None:
        """What the watch ends with, or would end with if what it waits for does not come right."""
        if isinstance(self.decision, End):
            return self.decision.failure
        return self.verdict.failure if isinstance(self.verdict, Faulty) else None


def tell_waiting(look: Look, delay_seconds: float, because: str, report: Reporter) -> None:
    """The watch goes on: its message is hidden for so long."""
    report.count("ExportsWaiting")
    if look.failure and look.failure.reason in REFUSED_ACCESS:
        report.count("AccessRefused")
    if isinstance(look.verdict, Unfinished) and look.verdict.state not in set(State):
        report.warn("unknown_state", export_id=look.watch.start.export_id, state=look.verdict.state)
    _tell(look, "waiting", report, delay_seconds, because)


def tell_kept(look: Look, delay_seconds: float, because: str, report: Reporter, *, held_back: bool) -> None:
    """The watch has ended, but its event is not published yet; `held_back` where AWS did not do its part."""
    report.count("ExportsWaiting")
    if held_back:
        report.count("EventsHeldBack")
    _tell(look, "kept", report, delay_seconds, because)


def tell_published_before(look: Look, report: Reporter) -> None:
    """The watch has ended with an event that was published before."""
    _tell(look, "published_before", report)


def tell_published(look: Look, published_at: float, report: Reporter) -> None:
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
    look: Look,
    outcome: str,
    report: Reporter,
    delay_seconds: float | None = None,
    because: str | None = None,
    lag_seconds: float | None = None,
) -> None:
    job, verification, failure = look.evidence.job, look.evidence.verification, look.failure
    report.note(
        "export_looked_at",
        export_id=look.watch.start.export_id,
        message_id=look.watch.message_id,
        state=job.state if job else None,
        outcome=outcome,
        reason=failure.reason.value if failure else None,
        obstacle=look.verdict.obstacle.text if isinstance(look.verdict, Hindered) else None,
        because=because or (failure.message if failure else None),
        failed_checks=[check.name for check in verification.failed] if verification else None,
        receives=look.watch.receives,
        age_seconds=round(look.watch.age(look.now), 1),
        delay_seconds=None if delay_seconds is None else round(delay_seconds, 1),
        lag_seconds=None if lag_seconds is None else round(lag_seconds, 1),
    )
