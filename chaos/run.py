"""The results of a campaign, as input of the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.exports import Export
from chaos.timing import Times
from local.stack import DeadLetter, Notification


@dataclass(frozen=True)
class Timeline:
    """What happened to an export, in epoch seconds: its first and last start event, job and object."""

    export: Export
    first_announced_at: float
    last_announced_at: float
    job_began_at: float | None = None
    object_put_at: float | None = None
    etag: str | None = None

    def is_sure(self, times: Times) -> bool:
        """Whether late jobs and objects came within their grace period, which a slow machine may miss."""
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
        """The earliest end of its watch by the contract."""
        end = self.export.end
        if not end.shows_job or not end.ends:
            return self.first_announced_at + end.grace
        return max(self.first_announced_at, self._ended_at) + end.grace

    @property
    def _ended_at(self) -> float:
        return (self.job_began_at or self.first_announced_at) + self.export.job_seconds


@dataclass(frozen=True)
class BadStart:
    """An invalid start event: a text unique to its body, and how its `error` must begin."""

    mark: str
    error: str


@dataclass(frozen=True)
class Publication:
    """An event in a PublishBatch that reached the service.

    `call` is the same for all attempts of one SDK call. `answer_lost`: the function got no answer, or only after its
    timeout.
    """

    event_id: str
    worker: int
    asked_at: float
    call: str
    answer_lost: bool = False


@dataclass(frozen=True)
class ReportWrite:
    """An object, as `bucket/key`, that the function wrote to the bucket of reports."""

    object: str
    content: bytes
    asked_at: float


@dataclass(frozen=True)
class Record:
    """A successful write of the ledger that marks an event as sent."""

    event_id: str
    asked_at: float


@dataclass(frozen=True)
class InvocationRecord:
    """One invocation of a worker."""

    worker: int
    began_at: float
    ended_at: float
    status: str


@dataclass(frozen=True)
class Run:
    """A whole campaign.

    `faults` counts the injected faults by kind; `raised` are errors that the function raised; `late` is the largest
    delay in seconds of a step of the campaign.
    """

    seed: int
    times: Times
    source: str
    timelines: Mapping[str, Timeline]
    bad_starts: Sequence[BadStart]
    received: Sequence[Notification]
    publications: Sequence[Publication]
    records: Sequence[Record]
    invocations: Sequence[InvocationRecord]
    report_writes: Sequence[ReportWrite] = ()
    dead_letters: Sequence[DeadLetter] = ()
    messages_left: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    raised: Sequence[str] = ()
    seconds: float = 0
    late: float = 0
