"""Claims: before a worker publishes an event it claims the export, so that only one of several workers publishes."""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's request to publish one event, which concludes one watch."""

    export_id: str
    event_id: str
    message_id: str


class ClaimStatus(Enum):
    """Why a claim was rejected.

    ALREADY_PUBLISHED: the watch is concluded or its event was published. IN_PROGRESS: another worker has the claim.
    UNKNOWN: the ledger could not be reached.
    """

    ALREADY_PUBLISHED = auto()
    IN_PROGRESS = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class RejectedClaim:
    """A rejected claim, and how long (seconds) to wait before the next attempt.

    `retry_after_seconds` is None if it is not known when the other worker's claim expires. `published` is the id of the
    event that concluded the watch, for ALREADY_PUBLISHED.
    """

    status: ClaimStatus
    retry_after_seconds: float | None = None
    cause: str = "another worker is publishing it"
    published: str = ""
