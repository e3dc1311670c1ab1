"""Rounds of many watched exports in virtual time: the settings before time slots next to the present ones.

A *round* is one invocation and the exports that it polls. The poll schedule with its time slots, the crowding rule and
the rate limiter are the real ones; requests only take time. With a batching window, the mapping sees that it is over
when a poll of the queue returns: after up to 20 seconds on a quiet queue, as AWS documents.
"""

import math
import random
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.application.topping_up import FULL_BATCH
from export_monitor.domain.crowding import Crowding
from export_monitor.domain.messages import MAX_MESSAGES
from export_monitor.domain.poll_schedule import PollSchedule
from local.template import template

HOUR, DAY = 3600.0, 86400.0
MONTH_SECONDS = 730 * HOUR
EXPORTS_A_MONTH = (1_000, 10_000, 100_000, 1_000_000)
SHORTEST_SECONDS, LONGEST_SECONDS = 60.0, DAY
# Assumed: what a round takes, what its ended exports add, what each poll and each end adds. Calls of SQS take from 5 to
# 30 ms, so messages that are hidden at a common instant become visible within 25 ms.
ROUND_SECONDS, ENDING_SECONDS, POLL_SECONDS, END_SECONDS = 0.2, 0.2, 0.001, 0.008
_SQS_SECONDS = (0.005, 0.03)
QUIET_QUEUE_SECONDS = 20.0
_ROUNDING_SECONDS = 0.005
JITTER = (0.9, 1.1)
# Until the random first polls of the exports that were announced earlier have no influence.
_WARM_UP_SECONDS = 1800.0
PHASE_SECONDS = 1234.567

# When a worker goes on, and whether it does so earlier if a message is visible.
Wait = tuple[float, bool]
Watched = tuple[int, "Export"]


@dataclass(frozen=True, slots=True)
class Way:
    """How messages come: batches of this size, and polls on time slots with a top-up, or with jitter."""

    batch_size: int
    window_seconds: float
    has_slots: bool


BEFORE = Way(100, 2.0, has_slots=False)
NOW = Way(FULL_BATCH, 0.0, has_slots=True)


@dataclass(frozen=True, slots=True)
class Export:
    """When it is announced and when it ends, in seconds since the start of the simulation."""

    announced_at: float
    ends_at: float


@dataclass
class Record:
    """Rounds by their numbers of unfinished and of ended exports, and the detection lags as (seconds, duration)."""

    seconds: float = 0.0
    rounds: Counter[tuple[int, int]] = field(default_factory=Counter)
    api_requests: int = 0
    receives: int = 0
    paused_seconds: float = 0.0
    lags: list[tuple[float, float]] = field(default_factory=list)
    # From one poll to the next, as a share of the poll delay.
    longest_wait: float = 0.0

    @property
    def invocations(self) -> int:
        return self.rounds.total()

    @property
    def polls(self) -> int:
        return sum((kept + ended) * times for (kept, ended), times in self.rounds.items())

    def in_five_minutes(self, number: float) -> float:
        return number * 300 / self.seconds

    @property
    def mean_lag_share(self) -> float:
        return sum(lag / duration for lag, duration in self.lags) / max(1, len(self.lags))


class Simulation:
    """Two workers that poll exports. `run` continues; the record may be replaced in between."""

    def __init__(self, way: Way, exports: Iterable[Export], seed: int = 1) -> None:
        self._way = way
        self._random = random.Random(seed)  # noqa: S311 -- seeded
        self._schedule = default_schedule(PHASE_SECONDS)
        self._queue = [(self._first_poll(export), number, export) for number, export in enumerate(exports)]
        heapify(self._queue)
        self._polled_at: dict[int, float] = {}
        self.now = 0.0
        self.record = Record()
        self._workers = [self._work() for _ in range(2)]
        self._waits = [next(worker) for worker in self._workers]

    def run(self, until: float) -> Record:
        """Continue until this time."""
        began_at = self.now
        while True:
            due = max(self.now, self._queue[0][0]) if self._queue else math.inf
            moments = [min(at, due) if is_polling else at for at, is_polling in self._waits]
            worker = self._random.choice([number for number, at in enumerate(moments) if at == min(moments)])
            if moments[worker] > until:
                break
            self.now = moments[worker]
            self._waits[worker] = next(self._workers[worker])
        self.now = until
        self.record.seconds += until - began_at
        return self.record

    @property
    def backlog(self) -> int:
        """How many messages are visible."""
        return sum(due_at <= self.now for due_at, _, _ in self._queue)

    @property
    def polled(self) -> int:
        """How many exports were polled."""
        return len(self._polled_at)

    def _first_poll(self, export: Export) -> float:
        if export.announced_at >= 0:
            return export.announced_at
        return self._random.random() * self._schedule.delay(-export.announced_at)

    def _work(self) -> Generator[Wait, None, None]:
        limit = int(template()["Parameters"]["ApiRequestsPerMinute"]["Default"]) // 2
        crowding, limiter = Crowding(), RateLimiter(limit, lambda: self.now)
        while True:
            batch = yield from self._gather(crowding)
            if batch:
                yield from self._round(batch, crowding, limiter)

    def _call(self) -> Wait:
        return self.now + self._random.uniform(*_SQS_SECONDS), False

    def _gather(self, crowding: Crowding) -> Generator[Wait, None, list[Watched]]:
        yield math.inf, True
        yield self._call()
        batch = self._receive(10)
        window_ends_at = self.now + self._way.window_seconds
        while batch and len(batch) < self._way.batch_size and self.now < window_ends_at:
            yield self.now + QUIET_QUEUE_SECONDS, True
            batch += self._receive(10)
        is_worth_it = len(batch) >= FULL_BATCH or crowding.is_crowded(self.now)
        calls = 1 if self._way.has_slots and batch and is_worth_it else 0
        while calls and len(batch) < MAX_MESSAGES:
            yield self._call()
            received = self._receive(min(10 * calls, MAX_MESSAGES - len(batch)))
            batch += received
            calls = 2 * calls if received else 0
        return batch

    def _receive(self, limit: int) -> list[Watched]:
        """Receive up to `limit` visible messages, ten with each call."""
        self.record.receives += math.ceil(limit / 10)
        received: list[Watched] = []
        while self._queue and self._queue[0][0] <= self.now and len(received) < limit:
            received.append(heappop(self._queue)[1:])
        return received

    def _round(self, batch: list[Watched], crowding: Crowding, limiter: RateLimiter) -> Generator[Wait, None, None]:
        began_at, is_read = self.now, limiter.try_acquire(0)
        self._note_polls(batch)
        yield self.now + ROUND_SECONDS * self._random.uniform(0.5, 1.5) + POLL_SECONDS * len(batch), False
        answered_at = self.now
        kept = [one for one in batch if not is_read or one[1].ends_at > began_at]
        ended = [one for _, one in batch if is_read and one.ends_at <= began_at]
        self.record.rounds[len(kept), len(ended)] += 1
        self.record.api_requests += is_read + bool(ended)
        self.record.lags += [(began_at - one.ends_at, one.ends_at - one.announced_at) for one in ended]
        if ended:
            limiter.try_acquire()
            yield self.now + ENDING_SECONDS + END_SECONDS * len(ended), False
        crowding.add(self.now, len(kept))
        if self._way.has_slots and crowding.is_crowded(self.now) and 0 < len(kept) < MAX_MESSAGES:
            pause = self._schedule.seconds_to_common_instant(self.now)
            self.record.paused_seconds += pause
            yield self.now + pause, False
        for start in range(0, len(kept), 10):
            self._hide(kept[start : start + 10], answered_at, is_read)

    def _note_polls(self, batch: list[Watched]) -> None:
        for number, export in batch:
            last = self._polled_at.get(number)
            if last is not None:
                share = (self.now - last) / self._schedule.delay(last - export.announced_at)
                self.record.longest_wait = max(self.record.longest_wait, share)
            self._polled_at[number] = self.now

    def _hide(self, watched: list[Watched], answered_at: float, is_read: bool) -> None:
        hidden_at, _ = self._call()
        for number, export in watched:
            delay = self._schedule.delay(answered_at - export.announced_at)
            if self._way.has_slots and is_read:
                until_due = self._schedule.aligned(answered_at, delay)
            else:
                until_due = delay * self._random.uniform(*JITTER)
            if self._way.has_slots and not is_read:
                # What the rate limit left out is spread over the shortest slots.
                until_due += self._schedule.aligned(answered_at + until_due, 0.0)
            # SQS hides for whole seconds.
            seconds = max(1, math.ceil(answered_at + until_due - self.now - _ROUNDING_SECONDS))
            heappush(self._queue, (hidden_at + seconds, number, export))


def default_schedule(phase_seconds: float = 0.0) -> PollSchedule:
    """The real schedule with the template's defaults."""
    defaults = {name: parameter.get("Default") for name, parameter in template()["Parameters"].items()}
    horizon = (defaults["WatchTimeoutHours"] + defaults["RefusalGraceHours"]) * HOUR
    return PollSchedule(defaults["MinPollSeconds"], defaults["MaxPollSeconds"], horizon, phase_seconds)


def steady(exports_a_month: float, seconds: float, seed: int = 1) -> list[Export]:
    """Exports announced at random times until then, and the unfinished ones of the day before."""
    randomness = random.Random(seed)  # noqa: S311 -- seeded
    exports, now = [], -LONGEST_SECONDS
    while (now := now + randomness.expovariate(exports_a_month / MONTH_SECONDS)) < seconds:
        ends_at = now + SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** randomness.random()
        if ends_at > 0:
            exports.append(Export(now, ends_at))
    return exports


def month(way: Way, exports_a_month: float, polls: int = 40_000) -> Record:
    """A part of a month with about this many polls, of which each export takes about 50."""
    until = _WARM_UP_SECONDS + polls / 50 / exports_a_month * MONTH_SECONDS
    simulation = Simulation(way, steady(exports_a_month, until))
    simulation.run(_WARM_UP_SECONDS)
    simulation.record = Record()
    return simulation.run(until)


def announced_at_once(way: Way, exports: int = 10_000) -> float:
    """Seconds until each of many exports that were announced at once was polled."""
    simulation = Simulation(way, [Export(0.0, DAY)] * exports)
    while simulation.polled < exports:
        simulation.run(simulation.now + 0.1)
    return simulation.now


def ended_at_once(way: Way, exports: int = 10_000, age: float = 2 * HOUR) -> Record:
    """The record of many exports that were announced within a quarter of an hour, and end at once at about this age."""
    simulation = Simulation(way, [Export(900 * number / exports - age, 900.0) for number in range(exports)])
    return simulation.run(900 + age)
