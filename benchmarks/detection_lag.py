"""How late the end of an export is noticed, and at how many looks, beside other ways of polling.

    PYTHONPATH=functions python -m benchmarks.detection_lag

Exports take from two seconds to a day, evenly spread over the logarithm. Looks are counted over all of them; the mean
lag, as a share of the time that the export took, is over those of more than a minute. The app's delays are the real
schedule's, with jitter, and with the mapping's batching window before every look. The other ways get no window, which
is in their favour, and look for the first time when the export starts.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from export_monitor.domain.poll_schedule import PollSchedule, jittered
from local.template import template

HOUR = 3600.0
SHORTEST_SECONDS = 2.0
LONGEST_SECONDS = 24 * HOUR
# Up to here a lag is told in seconds, above as a share.
MINUTE_SECONDS = 60.0
# With a window, Lambda's poller may wait so long before it invokes a function for a queue with next to no traffic:
# "Using Lambda with Amazon SQS" in AWS's guide.
QUIET_QUEUE_SECONDS = 20.0

_SAMPLES = 4000
_SEED = 5

# Seconds from one look, at this age of the watch, to the next.
Delay = Callable[[float, random.Random], float]


@dataclass(frozen=True, slots=True)
class Polling:
    """A way of polling. `window_seconds` passes before each look, the first one included."""

    name: str
    delay: Delay
    window_seconds: float = 0.0

    def looks(self, dice: random.Random) -> Iterator[float]:
        """The ages at which an export is looked at."""
        age = self.window_seconds
        while True:
            yield age
            age += self.delay(age, dice) + self.window_seconds


@dataclass(frozen=True, slots=True)
class Row:
    """What a way of polling costs and gives, on average.

    `lag_share` is of the duration, for exports of over a minute; `short_lag_seconds` is for the others.
    """

    name: str
    lag_share: float
    looks: float
    short_lag_seconds: float


def default_schedule() -> PollSchedule:
    """The real schedule with the template's defaults."""
    defaults = {name: parameter.get("Default") for name, parameter in template()["Parameters"].items()}
    horizon = (defaults["WatchTimeoutHours"] + defaults["RefusalGraceHours"]) * HOUR
    return PollSchedule(defaults["MinPollSeconds"], defaults["MaxPollSeconds"], horizon)


def batching_window() -> float:
    """The mapping's window, in seconds."""
    mapping = template()["Resources"]["ExportMonitorFunction"]["Properties"]["Events"]["ExportQueue"]["Properties"]
    return float(mapping["MaximumBatchingWindowInSeconds"])


def app(name: str = "this app", window_seconds: float | None = None) -> Polling:
    """The app with its defaults; another window stands for a queue that answers later."""
    schedule = default_schedule()

    def delay(age: float, dice: random.Random) -> float:
        return jittered(schedule.delay(age), dice.random())

    return Polling(name, delay, batching_window() if window_seconds is None else window_seconds)


def fixed(seconds: float) -> Polling:
    """A look each so many seconds."""
    return Polling(f"each {seconds:g} s", lambda _age, _dice: seconds)


def doubling(first_seconds: float, longest_seconds: float) -> Polling:
    """Looks at 0, at `first_seconds`, and at twice the last age, but never further apart than `longest_seconds`."""
    name = f"doubling from {first_seconds:g} s to at most {longest_seconds:g} s"
    return Polling(name, lambda age, _dice: min(max(age, first_seconds), longest_seconds))


def watch(polling: Polling, duration_seconds: float, dice: random.Random) -> tuple[float, int]:
    """The lag of one export's end in seconds, and the number of looks."""
    for number, age in enumerate(polling.looks(dice), start=1):
        if age >= duration_seconds:
            return age - duration_seconds, number
    raise AssertionError("looks never end")


def durations(dice: random.Random, samples: int = _SAMPLES) -> Iterator[float]:
    """Durations in seconds: one from each of so many equal steps of the logarithm."""
    for step in range(samples):
        share = (step + dice.random()) / samples
        yield SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** share


def measure(polling: Polling, samples: int = _SAMPLES, seed: int = _SEED) -> Row:
    """Watch so many exports."""
    dice = random.Random(seed)  # noqa: S311 -- seeded dice
    shares, short_lags, looks = [], [], 0
    for duration in durations(dice, samples):
        lag, number = watch(polling, duration, dice)
        looks += number
        if duration > MINUTE_SECONDS:
            shares.append(lag / duration)
        else:
            short_lags.append(lag)
    return Row(polling.name, _mean(shares), looks / samples, _mean(short_lags))


def rows() -> list[Row]:
    """The app, then what it is compared with."""
    return [
        measure(one)
        for one in (
            app(),
            app("this app, if its queue were always quiet", QUIET_QUEUE_SECONDS),
            fixed(10),
            fixed(60),
            doubling(5, 900),
        )
    ]


def main() -> None:
    """Print the table."""
    measured = rows()
    first = measured[0]
    print(f"{'':<44}{'mean lag':>9}{'looks':>7}{'short':>9}{'lag : app':>11}{'looks : app':>13}")
    for row in measured:
        print(
            f"{row.name:<44}{row.lag_share:>9.4f}{row.looks:>7.1f}{row.short_lag_seconds:>7.1f} s"
            f"{row.lag_share / first.lag_share:>11.2f}{row.looks / first.looks:>13.2f}"
        )
    print("mean lag: of the duration, exports of over a minute; short: the mean lag of the others; looks: of all")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
