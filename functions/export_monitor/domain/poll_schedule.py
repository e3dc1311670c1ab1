"""When an unfinished export is looked at again.

The delay is a tenth of the watch's age, so that an end is noticed within about a tenth of the time that the export
took, and the number of looks grows with the logarithm of its age. Every look costs one of the queue's receives.
"""

from dataclasses import dataclass

# `maxReceiveCount` of the queue's redrive policy, in template.yaml; a test holds the two together.
MAX_RECEIVES = 1000
# What the longest watch may use by the schedule alone: 70 looks while the floor below is under a second, then
# ln(864,000 s / 70 s) / ln(71/70) = 664 more to its last moment after ten days.
PLANNED_RECEIVES = 750
# Kept back when what is left is spread, for crashes to come.
SPARE_RECEIVES = 20

_GROWTH = 0.1
_FLOOR = 1 / 70
_JITTER = 0.1
# SQS hides a message for at most 12 hours from its receipt; the invocation (60 s) and slack are taken off.
_LONGEST_HIDE_SECONDS = 12 * 3600 - 200


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """The settings of the schedule. `horizon_seconds` is the age that no watch outlives but by a delay or a grace."""

    min_seconds: float
    max_seconds: float
    horizon_seconds: float

    def delay(self, age: float) -> float:
        """Seconds until a watch of this age (seconds) is looked at again, before jitter and budget."""
        return max(min(max(age * _GROWTH, self.min_seconds), self.max_seconds), age * _FLOOR)

    def within_budget(self, delay: float, age: float, receive_count: int, until: float = 0.0) -> float:
        """Stretch a delay, where more receives than planned are gone, so that the rest lasts to the horizon.

        `until` is the age at which this watch ends, where that is known to lie beyond the horizon.
        """
        if receive_count > PLANNED_RECEIVES:
            left = max(1, MAX_RECEIVES - SPARE_RECEIVES - receive_count)
            delay = max(delay, (max(self.horizon_seconds, until) - age) / left)
        return min(delay, _LONGEST_HIDE_SECONDS)


def jittered(delay: float, random: float) -> float:
    """Spread a delay by up to a tenth either way; `random` is from 0 to 1."""
    return delay * (1 - _JITTER + 2 * _JITTER * random)


def add_jitter(delay: float, random: float) -> float:
    """Lengthen a delay by up to a tenth: for what must not be asked earlier; `random` is from 0 to 1."""
    return delay * (1 + _JITTER * random)
