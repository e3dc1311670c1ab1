"""Publishes the ends of watches once: claim, publish, record.

A crash before the publication lets the claim lapse, and the redelivered message begins anew. Between publishing and
recording, a crash or a lost answer is the one way to a second copy of an event, and that has the same id.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from export_monitor.domain.claims import Claim, Refusal, RefusedClaim
from export_monitor.domain.events import Message, Unpublished
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
class Ending:
    """A watch that is over, and the message that says so."""

    watch: Watch
    message: Message


class Fate(Enum):
    """What became of an ending: its event is out, perhaps not recorded; or it waits; or AWS did not do its part."""

    PUBLISHED = auto()
    PUBLISHED_BEFORE = auto()
    UNRECORDED = auto()
    WAITING = auto()
    HELD_BACK = auto()


@dataclass(frozen=True, slots=True)
class Settled:
    """An ending's fate; one that is not over is polled again after `seconds` (None: the poll interval).

    Of the others, `published` is the id of the event that ended the watch. `error` is an unexpected one that stood in
    the way.
    """

    ending: Ending
    fate: Fate
    seconds: float | None = 0.0
    because: str | None = None
    published: str = ""
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether the watch has ended, by this event or by an earlier one."""
        return self.fate in (Fate.PUBLISHED, Fate.PUBLISHED_BEFORE)


class Claims(Protocol):
    """The ledger: see adapters.ledger."""

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RefusedClaim]: ...
    # Returns the ids of the exports that could not be recorded.
    def record(self, published: Sequence[Claim], over: Sequence[Claim], now: float) -> set[str]: ...


class Topic(Protocol):
    """SNS: what could not be published comes back by event id, with why."""

    def publish(self, messages: Sequence[Message]) -> dict[str, Unpublished]: ...


def rounds(endings: Sequence[Ending]) -> Iterator[list[Ending]]:
    """Split endings so that no export stands twice in one part, the oldest watch of each first."""
    waiting = sorted(endings, key=lambda ending: ending.watch.sent_at)
    while waiting:
        first: dict[str, Ending] = {}
        for ending in waiting:
            if len(first) < _AT_ONCE:
                first.setdefault(ending.watch.start.export_id, ending)
        yield list(first.values())
        waiting = [ending for ending in waiting if first.get(ending.watch.start.export_id) is not ending]


def publish_once(
    endings: Sequence[Ending],
    claims: Claims,
    topic: Topic,
    now: float,
    claim_until: float,
    has_time: Callable[[], bool],
) -> list[Settled]:
    """Publish endings of different exports, each once.

    `claim_until` (epoch seconds) is the invocation's deadline; `has_time` says whether enough is left to publish and to
    record it. Raises only what the claiming raises, when nothing has been published yet.
    """
    if not has_time():
        return [Settled(ending, Fate.WAITING, _SOON_SECONDS, _NO_TIME) for ending in endings]
    refused = claims.claim([_claim(ending) for ending in endings], now, claim_until)
    over, unclaimed, granted = _sorted(endings, refused)
    beyond = claim_until - now + _BEYOND_CLAIM_SECONDS
    if not has_time():
        # The claims took it all, and stand; what is published now could not be recorded.
        return [Settled(ending, Fate.WAITING, beyond, _NO_TIME) for ending in endings]
    failures = topic.publish([ending.message for ending in granted])
    published = [ending for ending in granted if ending.message.event_id not in failures]
    unrecorded = attempt(lambda: claims.record([_claim(one) for one in published], [_claim(one) for one in over], now))

    def recorded(ending: Ending, fate: Fate, event_id: str) -> Settled:
        if isinstance(unrecorded, Unexpected):
            return Settled(ending, Fate.UNRECORDED, beyond, _UNRECORDED, error=unrecorded.error)
        if ending.watch.start.export_id in unrecorded:
            return Settled(ending, Fate.UNRECORDED, beyond, _UNRECORDED)
        return Settled(ending, fate, published=event_id)

    return [
        *(recorded(ending, Fate.PUBLISHED, ending.message.event_id) for ending in published),
        *(recorded(one, Fate.PUBLISHED_BEFORE, refused[one.watch.start.export_id].published) for one in over),
        *(_unclaimed(ending, refused[ending.watch.start.export_id]) for ending in unclaimed),
        *(
            Settled(ending, Fate.HELD_BACK, beyond, failure.because, error=failure.error)
            for ending in granted
            if (failure := failures.get(ending.message.event_id))
        ),
    ]


def _sorted(
    endings: Sequence[Ending], refused: dict[str, RefusedClaim]
) -> tuple[list[Ending], list[Ending], list[Ending]]:
    """Endings that are over, those that may not be published yet, and those that may."""
    over: list[Ending] = []
    unclaimed: list[Ending] = []
    granted: list[Ending] = []
    for ending in endings:
        claim = refused.get(ending.watch.start.export_id)
        if claim is None:
            granted.append(ending)
        elif claim.refusal is Refusal.OVER:
            over.append(ending)
        else:
            unclaimed.append(ending)
    return over, unclaimed, granted


def _unclaimed(ending: Ending, claim: RefusedClaim) -> Settled:
    fate = Fate.HELD_BACK if claim.refusal is Refusal.UNKNOWN else Fate.WAITING
    seconds = None if claim.wait_seconds is None else claim.wait_seconds + _BEYOND_CLAIM_SECONDS
    return Settled(ending, fate, seconds, claim.because)


def _claim(ending: Ending) -> Claim:
    return Claim(ending.watch.start.export_id, ending.message.event_id, ending.watch.message_id)
