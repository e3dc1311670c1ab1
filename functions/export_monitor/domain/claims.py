"""The right to publish: asked for before an event is published, so that of several workers one does."""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Claim:
    """The wish to publish one event as the end of one watch."""

    export_id: str
    event_id: str
    message_id: str


class ClaimStatus(Enum):
    """Why a claim was not given.

    The watch is over or its event was published; somebody else is about to; or nobody knows, since the ledger could
    not be asked.
    """

    ALREADY_PUBLISHED = auto()
    IN_PROGRESS = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class RejectedClaim:
    """A claim that was not given, how long (seconds) to wait before the next try, and why.

    `wait_seconds` is None where nothing tells when the claim that stands in the way ends. Where the watch is over,
    `published` is the id of the event that ended it.
    """

    status: ClaimStatus
    retry_after_seconds: float | None = None
    cause: str = "another worker is publishing it"
    published: str = ""
