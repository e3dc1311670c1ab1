"""Publishes each event of an export once: claim, publish, record.

After a crash before publishing, the claim expires and the redelivered message starts over. A crash or a lost answer
between publishing and recording is the only way to a second copy of an event, and the copy has the same id.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from export_monitor.application.reporting import PollResult
from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.events import SnsMessage, Unpublished
from export_monitor.domain.model import Watch
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.unexpected import Unexpected, attempt

# How many items a DynamoDB transaction takes.
_TRANSACTION_ITEMS = 100
# A message waits this much longer than the claim that it waits for.
_AFTER_CLAIM_SECONDS = 1.0
_SOON_SECONDS = 1.0
_NO_TIME = "the invocation's time is up"
_UNRECORDED = "the publication could not be recorded"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The result of a poll that ends its watch, the message that says so, and its row in reports (None for a delay)."""

    result: PollResult
    message: SnsMessage
    row: ReportRow | None = None

    @property
    def watch(self) -> Watch:
        """The watch that ends."""
        return self.result.watch

    @property
    def claim(self) -> Claim:
        """The claim on publishing this."""
        start, message_id = self.watch.start, self.watch.message.message_id
        return Claim(start.export_id, self.message.event_id, message_id, start.republish, self.row)


class PublishStatus(Enum):
    """What became of a conclusion.

    UNRECORDED is published, but DynamoDB does not know it yet. DEFERRED waits for another worker or for time. FAILED
    is not published, because SNS or DynamoDB failed.
    """

    PUBLISHED = auto()
    ALREADY_PUBLISHED = auto()
    UNRECORDED = auto()
    DEFERRED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What became of a conclusion.

    Where the watch has ended, `event_id` is the event that ended it; if it was published before, `published_at` (epoch
    seconds) and `row` say when, and what was found then, as far as it is known. Otherwise it is polled again after
    `retry_after_seconds` (None: the poll interval), and `cause` says why. `error` is an unexpected one.
    """

    conclusion: Conclusion
    status: PublishStatus
    retry_after_seconds: float | None = None
    cause: str = ""
    event_id: str = ""
    error: Exception | None = None
    published_at: float | None = None
    row: ReportRow | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the watch has ended, with this event or an earlier one."""
        return self.status in (PublishStatus.PUBLISHED, PublishStatus.ALREADY_PUBLISHED)


class ClaimLedger(Protocol):
    """Who may publish what: see adapters.aws.dynamodb.ledger."""

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]: ...
    # Returns the ids of the exports that could not be recorded.
    def record(self, published: Sequence[Claim], already_published: Sequence[Claim], now: float) -> set[str]: ...


class Topic(Protocol):
    """SNS: returns what could not be published, by event id."""

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]: ...


def split_unique_exports(conclusions: Sequence[Conclusion]) -> Iterator[list[Conclusion]]:
    """Split conclusions so that no part has an export twice; the oldest watch of each export comes first."""
    waiting = sorted(conclusions, key=lambda one: one.watch.message.sent_at)
    while waiting:
        first: dict[str, Conclusion] = {}
        for one in waiting:
            if len(first) < _TRANSACTION_ITEMS:
                first.setdefault(one.watch.export_id, one)
        yield list(first.values())
        waiting = [one for one in waiting if first.get(one.watch.export_id) is not one]


def publish_once(
    conclusions: Sequence[Conclusion], ledger: ClaimLedger, topic: Topic, budget: TimeBudget
) -> list[PublishResult]:
    """Publish conclusions of different exports, each once.

    Raises only what claiming raises, and then nothing has been published.
    """
    if not budget.has_time_to_publish():
        return [PublishResult(one, PublishStatus.DEFERRED, _SOON_SECONDS, _NO_TIME) for one in conclusions]
    rejected = ledger.claim([one.claim for one in conclusions], budget.now, budget.deadline_at)
    after_claim = budget.deadline_at - budget.now + _AFTER_CLAIM_SECONDS
    if not budget.has_time_to_publish():
        # The claims took all the time, and they stand. A publication could not be recorded any more.
        return [PublishResult(one, PublishStatus.DEFERRED, after_claim, _NO_TIME) for one in conclusions]
    return _publish_claimed(conclusions, rejected, ledger, topic, budget, after_claim)


def _publish_claimed(
    conclusions: Sequence[Conclusion],
    rejected: dict[str, RejectedClaim],
    ledger: ClaimLedger,
    topic: Topic,
    budget: TimeBudget,
    after_claim: float,
) -> list[PublishResult]:
    claimed = [one for one in conclusions if one.watch.export_id not in rejected]
    failures = topic.publish([one.message for one in claimed])
    ended = {one.watch.export_id: PublishStatus.PUBLISHED for one in claimed if one.message.event_id not in failures}
    for export_id, claim in rejected.items():
        if claim.status is ClaimStatus.ALREADY_PUBLISHED:
            ended[export_id] = PublishStatus.ALREADY_PUBLISHED
    published, already_published = (
        [
            one.claim
            for one in conclusions
            if ended.get(one.watch.export_id) is status and _is_recorded(one.claim, status)
        ]
        for status in (PublishStatus.PUBLISHED, PublishStatus.ALREADY_PUBLISHED)
    )
    unrecorded = attempt(lambda: ledger.record(published, already_published, budget.current_time))

    def result(one: Conclusion) -> PublishResult:
        export_id = one.watch.export_id
        if export_id not in ended:
            failure = failures.get(one.message.event_id)
            return _failed(one, failure, after_claim) if failure else _unclaimed(one, rejected[export_id])
        if isinstance(unrecorded, Unexpected):
            return PublishResult(one, PublishStatus.UNRECORDED, after_claim, _UNRECORDED, error=unrecorded.error)
        if export_id in unrecorded:
            return PublishResult(one, PublishStatus.UNRECORDED, after_claim, _UNRECORDED)
        if export_id not in rejected:
            return PublishResult(one, ended[export_id], event_id=one.message.event_id, row=one.row)
        earlier = rejected[export_id]
        return PublishResult(
            one, ended[export_id], event_id=earlier.published, published_at=earlier.published_at, row=earlier.row
        )

    return [result(one) for one in conclusions]


def _is_recorded(claim: Claim, status: PublishStatus) -> bool:
    # A delay that was published before concludes nothing.
    return claim.concludes or status is PublishStatus.PUBLISHED


def _failed(one: Conclusion, failure: Unpublished, after_claim: float) -> PublishResult:
    return PublishResult(one, PublishStatus.FAILED, after_claim, failure.cause, error=failure.error)


def _unclaimed(one: Conclusion, claim: RejectedClaim) -> PublishResult:
    status = PublishStatus.FAILED if claim.status is ClaimStatus.UNKNOWN else PublishStatus.DEFERRED
    seconds = None if claim.retry_after_seconds is None else claim.retry_after_seconds + _AFTER_CLAIM_SECONDS
    return PublishResult(one, status, seconds, claim.cause)
