"""What a campaign saw, as values: the material for the judge."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.exports import Export
from chaos.timing import Times
from local.stack import DeadLetter, Notification


@dataclass(frozen=True)
class Story:
    """How an export really went, in epoch seconds: its first and last start event, its job's begin, its object."""

    export: Export
    first_announced_at: float
    last_announced_at: float
    job_began_at: float | None = None
    object_put_at: float | None = None
    etag: str | None = None

    def is_sure(self, times: Times) -> bool:
        """Whether what came late came within its grace: on a machine that is too slow, the end cannot be told."""
        export, ended_at = self.export, self._ended_at
        if export.job_after is not None and self.job_began_at is None:
            return False
        if (self.job_began_at or 0) - self.first_announced_at > times.unknown_grace - 2:
            return False
        if export.end.ends and ended_at - self.first_announced_at > times.timeout - times.clock_jump - 2:
            return False
        return not export.body_after or (self.object_put_at or math.inf) - ended_at < times.object_grace - 2

    @property
    def may_end_at(self) -> float:
        """When its watch may end at the earliest by the contract: what the wait for its event counts from."""
        end = self.export.end
        if not end.shows_job or not end.ends:
            return self.first_announced_at + end.grace
        return max(self.first_announced_at, self._ended_at) + end.grace

    @property
    def _ended_at(self) -> float:
        return (self.job_began_at or self.first_announced_at) + self.export.job_seconds


@dataclass(frozen=True)
class BadStart:
    """A start event that cannot be understood: a text that only its body holds, and how its `error` must begin."""

    mark: str
    error: str


@dataclass(frozen=True)
class Publication:
    """An event in a PublishBatch that reached the service.

    `call` is the same for each try that the SDK makes of one call. `answer_lost` where the function cannot have got
    the answer, or only after it had given up waiting.
    """

    event_id: str
    worker: int
    asked_at: float
    call: str
    answer_lost: bool = False


@dataclass(frozen=True)
class Record:
    """A write of the ledger that said of an event that it was sent, and succeeded."""

    event_id: str
    asked_at: float


@dataclass(frozen=True)
class Handled:
    """One invocation of a worker."""

    worker: int
    began_at: float
    ended_at: float
    status: str


@dataclass(frozen=True)
class Run:
    """A whole campaign.

    `faults` counts those that bit, by kind; `raised` are errors that left the function. By `late` seconds at most the
    campaign's own steps were behind their time.
    """

    seed: int
    times: Times
    source: str
    stories: Mapping[str, Story]
    bad_starts: Sequence[BadStart]
    received: Sequence[Notification]
    publications: Sequence[Publication]
    records: Sequence[Record]
    invocations: Sequence[Handled]
    letters: Sequence[DeadLetter] = ()
    messages_left: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    raised: Sequence[str] = ()
    seconds: float = 0
    late: float = 0
