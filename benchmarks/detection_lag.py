"""How late each way of polling notices the end of an export, and with how many polls.

Exports take from two seconds to a day, evenly spread on a logarithmic scale. The number of polls is the mean over all
exports; the mean lag, as a share of the export's duration, is over exports longer than a minute. The app uses the real
schedule with jitter, and waits for the mapping's batching window before every poll. The other ways have no window,
which is in their favour, and poll for the first time when the export starts.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from export_monitor.domain.poll_schedule import PollSchedule, jittered
from local.template import template

HOUR = 3600.0
SHORTEST_SECONDS = 2.0
LONGEST_SECONDS = 24 * HOUR
MINUTE_SECONDS = 60.0

_SAMPLES = 4000
_SEED = 5

# Seconds from a poll, at this age of the watch, to the next.
Delay = Callable[[float, random.Random], float]


@dataclass(frozen=True, slots=True)
class Polling:
    """A way of polling. `window_seconds` passes before each poll, including the first."""

    name: str
    delay: Delay
    window_seconds: float = 0.0

    def polls(self, randomness: random.Random) -> Iterator[float]:
        """The ages at which an export is polled."""
        age = self.window_seconds
        while True:
            yield age
            age += self.delay(age, randomness) + self.window_seconds


@dataclass(frozen=True, slots=True)
class Row:
    """Averages of a way of polling; `lag_share` (lag / duration) is over exports longer than a minute."""

    name: str
    lag_share: float
    polls: float


def default_schedule() -> PollSchedule:
    """The real schedule with the template's defaults."""
    defaults = {name: parameter.get("Default") for name, parameter in template()["Parameters"].items()}
    horizon = (defaults["WatchTimeoutHours"] + defaults["RefusalGraceHours"]) * HOUR
    return PollSchedule(defaults["MinPollSeconds"], defaults["MaxPollSeconds"], horizon)


def batching_window() -> float:
    """The mapping's window, in seconds."""
    mapping = template()["Resources"]["ExportMonitorFunction"]["Properties"]["Events"]["ExportQueue"]["Properties"]
    return float(mapping["MaximumBatchingWindowInSeconds"])


def app(window_seconds: float | None = None) -> Polling:
    """The app with its defaults; a longer window simulates a quiet queue."""
    schedule = default_schedule()

    def delay(age: float, randomness: random.Random) -> float:
        return jittered(schedule.delay(age), randomness.random())

    return Polling("this app", delay, batching_window() if window_seconds is None else window_seconds)


def fixed(seconds: float) -> Polling:
    """A poll at a fixed interval."""
    return Polling(f"every {seconds:g} s", lambda _age, _random: seconds)


def doubling(first_seconds: float, longest_seconds: float) -> Polling:
    """Polls at 0, at `first_seconds`, then at twice the last age, at most `longest_seconds` apart."""
    name = f"doubling from {first_seconds:g} s to at most {longest_seconds:g} s"
    return Polling(name, lambda age, _random: min(max(age, first_seconds), longest_seconds))


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


def rows() -> list[Row]:
    """The app, then the ways of polling it is compared with."""
    return [measure(one) for one in (app(), fixed(10), fixed(60), doubling(5, 900))]
