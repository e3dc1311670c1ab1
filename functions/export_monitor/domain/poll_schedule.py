"""When an unfinished export is polled again.

The delay is a tenth of the watch's age. So the end of an export is noticed after about a tenth of its duration, and the
number of polls grows with the logarithm of its age. Every poll costs one of the message's receives.

Intervals end on common time slots, so that exports that are watched at the same time fall due together and are read
with one request.
"""

import math
from dataclasses import dataclass

# `maxReceiveCount` of the queue's redrive policy in template.yaml; a test compares the two.
MAX_RECEIVES = 1000
# `MessageRetentionPeriod` of the queue: after 14 days, SQS deletes a message silently. The same test compares it.
RETENTION_SECONDS = 14 * 24 * 3600
# What the longest watch uses by the schedule alone: 70 polls while the floor below is under a second, then
# ln(864,000 s / 70 s) / ln(71/70) = 664 more until its final deadline after ten days.
PLANNED_RECEIVES = 750
# Reserved for crashes when the remaining receives are spread over the remaining time.
SPARE_RECEIVES = 20

_GROWTH = 0.1
_FLOOR = 1 / 70
# How much the end of an interval may deviate from the delay, and by how much waits for a rate limit are spread.
_TOLERANCE = 0.1
# SQS limits the visibility timeout to 12 hours from the receive; the invocation (60 s) and a margin are subtracted.
_MAX_VISIBILITY_SECONDS = 12 * 3600 - 200


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """The settings of the schedule. No watch gets older than `horizon_seconds` plus one delay or grace period.

    `phase_seconds` shifts the time slots of one stack against those of another that uses the same token.
    """

    min_seconds: float
    max_seconds: float
    horizon_seconds: float
    phase_seconds: float = 0.0

    def delay(self, age: float) -> float:
        """Seconds until a watch of this age (seconds) is polled again, without time slots and receive budget."""
        return max(min(max(age * _GROWTH, self.min_seconds), self.max_seconds), age * _FLOOR)

    def slot_seconds(self, delay: float) -> float:
        """The distance of the time slots for this delay: `min_seconds` times a power of two.

        It is the largest whose half is at most a tenth of the delay, or `min_seconds` if there is none.
        """
        doublings = math.floor(math.log2(max(1.0, 2 * _TOLERANCE * delay / self.min_seconds)))
        return math.ldexp(self.min_seconds, doublings)

    def aligned(self, now: float, delay: float) -> float:
        """Seconds from `now` (epoch seconds) to the boundary of a time slot that is nearest to the end of the delay."""
        return self._to_boundary(now, delay, self.slot_seconds(delay))

    def spread(self, now: float, delay: float, random: float) -> float:
        """Seconds from `now` to a boundary of the shortest time slots at about the end of the delay.

        It is for polls that the rate limit left out: on the boundaries of longer slots, they would meet the same crowd
        again. `random` is from 0 to 1.
        """
        return self._to_boundary(now, delay * (1 - _TOLERANCE + 2 * _TOLERANCE * random), self.min_seconds)

    def _to_boundary(self, now: float, delay: float, slot: float) -> float:
        since_boundary = math.fmod(now - self.phase_seconds, slot)
        return slot * math.floor((since_boundary + delay) / slot + 0.5) - since_boundary

    def seconds_to_common_instant(self, now: float) -> float:
        """Seconds (0 to 1) until a whole second of this stack's phase.

        SQS hides messages for whole seconds from the call on. So messages become visible together if they were hidden
        at different of these instants.
        """
        return (self.phase_seconds - now) % 1.0

    def within_budget(self, delay: float, age: float, receive_count: int, until: float = 0.0) -> float:
        """Lengthen a delay if more receives than planned are used, so that the rest lasts until the horizon.

        `until` is the age at which this watch ends, if that is known to be after the horizon. A watch that is older,
        because its event cannot be published, goes on until SQS deletes its message.
        """
        if receive_count > PLANNED_RECEIVES:
            left = max(1, MAX_RECEIVES - SPARE_RECEIVES - receive_count)
            end = max(self.horizon_seconds, until)
            delay = max(delay, ((end if age < end else RETENTION_SECONDS) - age) / left)
        return min(delay, _MAX_VISIBILITY_SECONDS)


def add_jitter(delay: float, random: float) -> float:
    """Lengthen a delay by up to a tenth, for requests that must not be sent earlier; `random` is from 0 to 1."""
    return delay * (1 + _TOLERANCE * random)
