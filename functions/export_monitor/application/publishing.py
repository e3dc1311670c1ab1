"""Publishes the ends of watches once: claim, publish, record.

A crash before the publication lets the claim lapse, and the redelivered message begins anew. Between publishing and
recording, a crash or a lost answer is the one way to a second copy of an event, and that has the same id.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.events import SnsMessage, Unpublished
from export_monitor.domain.model import Watch
from export_monitor.domain.unexpected import Unexpected, attempt

# A DynamoDB transaction takes so many items.
_AT_ONCE = 100
# A message waits so much longer than the claim that it waits for.
_BEYOND_CLAIM_SECONDS = 1.0
_SOON_SECONDS = 1.0
_NO_TIME = "the invocation's time is up"
_UNRECORDED = "what was published could not be recorded"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A watch that is over, and the message that says so."""

    watch: Watch
    message: SnsMessage


class PublishStatus(Enum):
    """What became of an ending: its event is out, perhaps not recorded; or it waits; or AWS did not do its part."""

    PUBLISHED = auto()
    ALREADY_PUBLISHED = auto()
    UNRECORDED = auto()
    DEFERRED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class PublishResult:
    """An ending's fate; one that is not over is polled again after `seconds` (None: the poll interval).

    Of the others, `published` is the id of the event that ended the watch. `error` is an unexpected one that stood in
    the way.
    """

    ending: Conclusion
    fate: PublishStatus
    seconds: float | None = 0.0
    cause: str | None = None
    published: str = ""
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether the watch has ended, by this event or by an earlier one."""
        return self.fate in (PublishStatus.PUBLISHED, PublishStatus.ALREADY_PUBLISHED)


class ClaimLedger(Protocol):
    """The ledger: see adapters.ledger."""

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]: ...
    # Returns the ids of the exports that could not be recorded.
    def record(self, published: Sequence[Claim], over: Sequence[Claim], now: float) -> set[str]: ...


class Topic(Protocol):
    """SNS: what could not be published comes back by event id, with why."""

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]: ...


def split_unique_exports(conclusions: Sequence[Conclusion]) -> Iterator[list[Conclusion]]:
    """Split endings so that no export stands twice in one part, the oldest watch of each first."""
    waiting = sorted(conclusions, key=lambda ending: ending.watch.sent_at)
    while waiting:
        first: dict[str, Conclusion] = {}
        for ending in waiting:
            if len(first) < _AT_ONCE:
                first.setdefault(ending.watch.start.export_id, ending)
        yield list(first.values())
        waiting = [ending for ending in waiting if first.get(ending.watch.start.export_id) is not ending]


def publish_once(
    conclusions: Sequence[Conclusion],
    claims: ClaimLedger,
    topic: Topic,
    now: float,
    claim_until: float,
    has_time: Callable[[], bool],
) -> list[PublishResult]:
    """Publish endings of different exports, each once.

    `claim_until` (epoch seconds) is the invocation's deadline; `has_time` says whether enough is left to publish and to
    record it. Raises only what the claiming raises, when nothing has been published yet.
    """
    if not has_time():
        return [PublishResult(ending, PublishStatus.DEFERRED, _SOON_SECONDS, _NO_TIME) for ending in conclusions]
    refused = claims.claim([_claim(ending) for ending in conclusions], now, claim_until)
    over, unclaimed, granted = _sorted(conclusions, refused)
    beyond = claim_until - now + _BEYOND_CLAIM_SECONDS
    if not has_time():
        # The claims took it all, and stand; what is published now could not be recorded.
        return [PublishResult(ending, PublishStatus.DEFERRED, beyond, _NO_TIME) for ending in conclusions]
    failures = topic.publish([ending.message for ending in granted])
    published = [ending for ending in granted if ending.message.event_id not in failures]
    unrecorded = attempt(lambda: claims.record([_claim(one) for one in published], [_claim(one) for one in over], now))

    def recorded(ending: Conclusion, fate: PublishStatus, event_id: str) -> PublishResult:
        if isinstance(unrecorded, Unexpected):
            return PublishResult(ending, PublishStatus.UNRECORDED, beyond, _UNRECORDED, error=unrecorded.error)
        if ending.watch.start.export_id in unrecorded:
            return PublishResult(ending, PublishStatus.UNRECORDED, beyond, _UNRECORDED)
        return PublishResult(ending, fate, published=event_id)

    return [
        *(recorded(ending, PublishStatus.PUBLISHED, ending.message.event_id) for ending in published),
        *(recorded(one, PublishStatus.ALREADY_PUBLISHED, refused[one.watch.start.export_id].published) for one in over),
        *(_unclaimed(ending, refused[ending.watch.start.export_id]) for ending in unclaimed),
        *(
            PublishResult(ending, PublishStatus.FAILED, beyond, failure.cause, error=failure.error)
            for ending in granted
            if (failure := failures.get(ending.message.event_id))
        ),
    ]


def _sorted(
    conclusions: Sequence[Conclusion], refused: dict[str, RejectedClaim]
) -> tuple[list[Conclusion], list[Conclusion], list[Conclusion]]:
    """Endings that are over, those that may not be published yet, and those that may."""
    over: list[Conclusion] = []
    unclaimed: list[Conclusion] = []
    granted: list[Conclusion] = []
    for ending in conclusions:
        claim = refused.get(ending.watch.start.export_id)
        if claim is None:
            granted.append(ending)
        elif claim.status is ClaimStatus.ALREADY_PUBLISHED:
            over.append(ending)
        else:
            unclaimed.append(ending)
    return over, unclaimed, granted


def _unclaimed(ending: Conclusion, claim: RejectedClaim) -> PublishResult:
    fate = PublishStatus.FAILED if claim.status is ClaimStatus.UNKNOWN else PublishStatus.DEFERRED
    seconds = None if claim.retry_after_seconds is None else claim.retry_after_seconds + _BEYOND_CLAIM_SECONDS
    return PublishResult(ending, fate, seconds, claim.cause)


def _claim(ending: Conclusion) -> Claim:
    return Claim(ending.watch.start.export_id, ending.message.event_id, ending.watch.message_id)
