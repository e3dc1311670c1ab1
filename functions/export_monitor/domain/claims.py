"""Claims: before a worker publishes an event it claims the export, so that only one of several workers publishes."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from export_monitor.domain.events import delayed_event_id, event_id
from export_monitor.domain.report_rows import ReportRow


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's request to publish one event of a watch. All events but a delay conclude the watch.

    With `republish`, an event that concludes it is published even if it, or the export's completion, was before. `row`
    is what the reports of the export's groups say of it; None for a delay.
    """

    export_id: str
    event_id: str
    message_id: str
    republish: bool = False
    row: ReportRow | None = None

    @property
    def completed_event_id(self) -> str:
        """The id of the event that says that the export has completed."""
        return event_id(self.export_id, None)

    @property
    def concludes(self) -> bool:
        """Whether the event concludes its watch."""
        return self.event_id != delayed_event_id(self.export_id)

    @property
    def barred_by(self) -> tuple[str, ...]:
        """The ids of the events that must not have been published before."""
        if self.republish:
            return () if self.concludes else (self.event_id,)
        return tuple(dict.fromkeys((self.event_id, self.completed_event_id)))

    def ended_by(self, published: Collection[str], last: str | None = None) -> str:
        """The id of the event that concluded the watch, of those that were published for the export.

        `last` is the one that was recorded last, given if the watch is known to have concluded.
        """
        # A completion that was published stands, unless the watch was to publish what is found now.
        own = (last or self.event_id, self.event_id)
        first = (*own, self.completed_event_id) if self.republish else (self.completed_event_id, *own)
        candidates = (*first, *sorted(set(published) - {delayed_event_id(self.export_id)}))
        return next((event for event in candidates if event in published), self.event_id)


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

    `retry_after_seconds` is None if it is not known when the other worker's claim expires. For ALREADY_PUBLISHED,
    `published` is the id of the event that concluded the watch, `published_at` when it was published (epoch seconds),
    and `row` what was found then; both are None if that was not recorded.
    """

    status: ClaimStatus
    retry_after_seconds: float | None = None
    cause: str = "another worker is publishing it"
    published: str = ""
    published_at: float | None = None
    row: ReportRow | None = None
