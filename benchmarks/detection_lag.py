"""How late each way of polling notices the end of an export, and with how many polls.

Exports take from two seconds to a day, evenly spread on a logarithmic scale. The number of polls is the mean over all
exports; the mean lag, as a share of the export's duration, is over exports longer than a minute. The app uses the real
schedule with its time slots, in which an export starts at a random time. The app before time slots waited before every
poll, as AWS documents for a batching window on a quiet queue. The other ways wait for nothing, and poll for the first
time when the export starts.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from benchmarks.rounds import HOUR, JITTER, QUIET_QUEUE_SECONDS, default_schedule

SHORTEST_SECONDS = 2.0
LONGEST_SECONDS = 24 * HOUR
MINUTE_SECONDS = 60.0

_SAMPLES = 4000
_SEED = 5


@dataclass(frozen=True, slots=True)
class Polling:
    """A way of polling: the ages at which an export is polled."""

    name: str
    polls: Callable[[random.Random], Iterator[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """Averages of a way of polling; `lag_share` (lag / duration) is over exports longer than a minute."""

    name: str
    lag_share: float
    polls: float


def app() -> Polling:
    """The app with its defaults, from a random time on."""
    schedule = default_schedule()

    def polls(randomness: random.Random) -> Iterator[float]:
        age, started_at = 0.0, randomness.uniform(0, HOUR)
        while True:
            yield age
            # SQS hides messages for whole seconds.
            age += max(1, math.ceil(schedule.aligned(started_at + age, schedule.delay(age))))

    return Polling("this app", polls)


def before(window_seconds: float = QUIET_QUEUE_SECONDS) -> Polling:
    """The app before time slots; `window_seconds` passes before each poll, including the first."""
    schedule = default_schedule()

    def polls(randomness: random.Random) -> Iterator[float]:
        age = window_seconds
        while True:
            yield age
            age += math.ceil(schedule.delay(age) * randomness.uniform(*JITTER)) + window_seconds

    return Polling(f"with jitter and a wait of {window_seconds:g} s", polls)


def fixed(seconds: float) -> Polling:
    """A poll at a fixed interval."""
    return Polling(f"every {seconds:g} s", lambda _random: count(0.0, seconds))


def doubling(first_seconds: float, longest_seconds: float) -> Polling:
    """Polls at 0, at `first_seconds`, then at twice the last age, at most `longest_seconds` apart."""

    def polls(_random: random.Random) -> Iterator[float]:
        age = 0.0
        while True:
            yield age
            age += min(max(age, first_seconds), longest_seconds)

    return Polling(f"doubling from {first_seconds:g} s to at most {longest_seconds:g} s", polls)


def watch(polling: Polling, duration_seconds: float, randomness: random.Random) -> tuple[float, int]:
    """The detection lag of one export in seconds, and the number of polls."""
    for number, age in enumerate(polling.polls(randomness), start=1):
        if age >= duration_seconds:
            return age - duration_seconds, number
    raise AssertionError("polls never end")


def durations(randomness: random.Random, samples: int = _SAMPLES) -> Iterator[float]:
    """Durations in seconds, one from each of `samples` equal steps of the logarithmic scale."""
    for step in range(samples):
        share = (step + randomness.random()) / samples
        yield SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** share


def measure(polling: Polling, samples: int = _SAMPLES, seed: int = _SEED) -> Row:
    """Simulate `samples` exports."""
    randomness = random.Random(seed)  # noqa: S311 -- seeded
    shares, polls = [], 0
    for duration in durations(randomness, samples):
        lag, number = watch(polling, duration, randomness)
        polls += number
        if duration > MINUTE_SECONDS:
            shares.append(lag / duration)
    return Row(polling.name, sum(shares) / len(shares), polls / samples)


def lone_lag(polling: Polling, duration_seconds: float, samples: int = 2000, seed: int = _SEED) -> float:
    """The mean detection lag of exports of about this duration, in seconds.

    They take up to 10 % longer or shorter. The lag of one exact duration depends on how far it is from the last poll
    before it, at each of which the next is a tenth of the age away.
    """
    randomness = random.Random(seed)  # noqa: S311 -- seeded
    lasted = (duration_seconds * randomness.uniform(0.9, 1.1) for _ in range(samples))
    return sum(watch(polling, seconds, randomness)[0] for seconds in lasted) / samples


def rows() -> list[Row]:
    """The app, then the ways of polling it is compared with."""
    return [measure(one) for one in (app(), before(), fixed(10), fixed(60), doubling(5, 900))]
