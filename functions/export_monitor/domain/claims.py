"""The right to publish: asked for before an event is published, so that of several workers one does."""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Claim:
    """The wish to publish one event as the end of one watch."""

    export_id: str
    event_id: str
    message_id: str


class Refusal(Enum):
    """Why a claim was not given: the watch is over or its event was published; or somebody else is about to."""

    OVER = auto()
    BUSY = auto()


@dataclass(frozen=True, slots=True)
class RefusedClaim:
    """A claim that was not given; a live claim of another worker ends in so many seconds."""

    refusal: Refusal
    wait_seconds: float = 0.0
