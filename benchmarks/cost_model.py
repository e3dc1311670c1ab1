"""How exports share rounds, reckoned from the real poll schedule, the template and the requests of each round.

A *round* is one invocation: a batch of messages, each looked at once. Its requests are a matter of counting (`Round`);
how many exports share a round follows from how many looks fall into the mapping's batching window (`Load`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

from benchmarks.detection_lag import (
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    Polling,
    Row,
    app,
    batching_window,
    fixed,
    measure,
    template,
)

MONTH_HOURS = 730.0
MONTH_SECONDS = MONTH_HOURS * 3600
FIVE_MINUTES_A_MONTH = MONTH_SECONDS / 300

# ---- What is assumed of time: a round waits for the API and for AWS, and each look and each end needs CPU besides.
# The CPU is as `make bench` measures it, on the 0.29 of a core that 512 MB buy, and rounded up; the waits are an API
# that answers within 150 ms and services of AWS that answer within 15.
ROUND_SECONDS = 0.20
ENDING_SECONDS = 0.20
LOOK_SECONDS = 0.001
END_SECONDS = 0.008

# What SNS bills is chunks, and an event has so many bytes; a test holds that against a real one.
SNS_CHUNK_BYTES = 64 * 1024
EVENT_BYTES = 3000


@dataclass(frozen=True, slots=True)
class Round:
    """A batch that was looked at: exports that go on, and those that completed, as a BAM or else, or failed."""

    kept: int = 0
    completed: int = 0
    completed_bams: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        return self.completed + self.completed_bams + self.failed

    @property
    def api_requests(self) -> int:
        """The jobs, and the files of those that have ended; the volume is remembered."""
        return 1 + (self.ended > 0)

    @property
    def hides(self) -> int:
        return math.ceil(self.kept / 10)

    @property
    def deletes(self) -> int:
        """By the mapping, of what the function did not hand back."""
        return math.ceil(self.ended / 10)

    @property
    def s3_requests(self) -> int:
        """A head, and both ends of a BAM."""
        return self.completed + 3 * self.completed_bams

    @property
    def transactions(self) -> int:
        """A claim and a record; a lone one is a plain write."""
        return 2 * (self.ended > 0)

    @property
    def write_units(self) -> int:
        """A transaction's writes cost twice."""
        return 2 * self.ended * (1 if self.ended == 1 else 2)

    @property
    def publishes(self) -> int:
        """By ten; what SNS bills is chunks of 64 KB."""
        return math.ceil(self.ended / 10) * math.ceil(10 * EVENT_BYTES / SNS_CHUNK_BYTES)

    @property
    def aws_requests(self) -> int:
        """Those that the function makes itself."""
        return self.hides + self.s3_requests + self.transactions + math.ceil(self.ended / 10)

    @property
    def seconds(self) -> float:
        """How long the invocation takes."""
        waits = ROUND_SECONDS + (ENDING_SECONDS if self.ended else 0)
        return waits + LOOK_SECONDS * (self.kept + self.ended) + END_SECONDS * self.ended


@dataclass(frozen=True)
class Load:
    """So many exports a month, begun independently of each other, with durations as in benchmarks.detection_lag."""

    exports: float
    workers: int = 2

    @cached_property
    def looks(self) -> float:
        """Looks a month."""
        return self.exports * looks_for_each(app())

    @property
    def looks_within_window(self) -> float:
        """How many fall due, on average, while one worker's batch waits for its window to end."""
        return self.looks / MONTH_SECONDS * batching_window() / self.workers

    @cached_property
    def batch(self) -> float:
        """The average number of exports that share a round."""
        return sum(share * size for size, share in _batch_sizes(self.looks_within_window))

    @property
    def rounds(self) -> float:
        """Invocations a month."""
        return self.looks / self.batch

    def each_month(self, count: Callable[[Round], float]) -> float:
        """A month's sum of what each round has."""
        return self.rounds * sum(
            size_share * end_share * count(Round(kept=size - ends, completed=ends))
            for size, size_share in _batch_sizes(self.looks_within_window)
            for ends, end_share in _ends(size)
        )

    @cached_property
    def api_requests(self) -> float:
        """Requests to the API a month, reading in bulk."""
        return self.each_month(lambda one: one.api_requests)

    @property
    def busy_share(self) -> float:
        """The part of the workers' time that they work."""
        return self.each_month(lambda one: one.seconds) / (self.workers * MONTH_SECONDS)


def most_exports(requests_a_minute: float, requests: Callable[[Load], float]) -> float:
    """The exports a month whose requests to the API fill so much of a minute."""
    low, high = 1.0, 1e9
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        if requests(Load(middle)) > requests_a_minute * MONTH_SECONDS / 60:
            high = middle
        else:
            low = middle
    return low


def full_batches(load: Load) -> float:
    """Requests to the API a month if every batch were full."""
    full = _batch_size()
    requests = sum(share * Round(kept=full - ends, completed=ends).api_requests for ends, share in _ends(full))
    return load.looks / full * requests


@cache
def _measured(name: str) -> Row:
    return measure({one.name: one for one in (app(), fixed(60))}[name])


def looks_for_each(polling: Polling) -> float:
    """The average number of looks at an export."""
    return _measured(polling.name).looks


def mean_duration() -> float:
    """Of an export, in seconds."""
    return (LONGEST_SECONDS - SHORTEST_SECONDS) / math.log(LONGEST_SECONDS / SHORTEST_SECONDS)


def share_a_minute() -> int:
    """Requests to the API that all workers may send in a minute."""
    return int(template()["Parameters"]["ApiRequestsPerMinute"]["Default"])


def memory_gb() -> float:
    """The function's memory."""
    return float(template()["Resources"]["ExportMonitorFunction"]["Properties"]["MemorySize"]) / 1024


def _batch_size() -> int:
    mapping = template()["Resources"]["ExportMonitorFunction"]["Properties"]["Events"]["ExportQueue"]["Properties"]
    return int(mapping["BatchSize"])


@cache
def _batch_sizes(waiting: float) -> list[tuple[int, float]]:
    """The sizes of batches and the share of each: the one that opens it, and whatever else falls due meanwhile."""
    full = _batch_size()
    shares = [math.exp(number * math.log(waiting) - waiting - math.lgamma(number + 1)) for number in range(full - 1)]
    return [*enumerate(shares, start=1), (full, max(0.0, 1 - sum(shares)))]


@cache
def _ends(size: int) -> list[tuple[int, float]]:
    """How many exports of a batch have ended, and how often that is so: each look is the last one of its export's."""
    chance = 1 / looks_for_each(app())
    return [(ends, math.comb(size, ends) * chance**ends * (1 - chance) ** (size - ends)) for ends in range(size + 1)]


def occupied(happenings: float, spans: float) -> float:
    """In how many of so many equal spans of time something happens, where it happens at any time."""
    return -spans * math.expm1(-happenings / spans)
