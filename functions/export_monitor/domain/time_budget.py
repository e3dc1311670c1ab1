"""The time that an invocation has left, and what each step may use of it."""

import math
from collections.abc import Callable

from export_monitor.domain.model import UnavailableError

# What requests leave for publishing and for the visibility changes of a hundred messages, on a slow day.
_RESERVE_SECONDS = 15.0
_RESERVE_SHARE = 1 / 4
# What work leaves for visibility changes, and those for returning.
_VISIBILITY_SHARE = 1 / 12
_RETURN_SHARE = 1 / 60


class TimeBudget:
    """One invocation after the other. `now` and `deadline_at` are epoch seconds; everything else is seconds left."""

    def __init__(self) -> None:
        self.now = 0.0
        self.deadline_at = math.inf
        self._seconds_left: Callable[[], float] = lambda: math.inf
        self._total = 0.0

    def start(self, now: float, seconds_left: Callable[[], float]) -> "TimeBudget":
        """Start an invocation at this time; `seconds_left` returns what is left of it."""
        self._seconds_left = seconds_left
        self._total = seconds_left()
        self.now = now
        self.deadline_at = now + self._total
        return self

    @property
    def current_time(self) -> float:
        """The present time in epoch seconds."""
        return self.deadline_at - self._seconds_left()

    def for_requests(self) -> float:
        """Seconds in which the API and S3 may still be asked."""
        return self._seconds_left() - self._reserve

    def has_time_to_publish(self) -> bool:
        """Whether an event can still be published and recorded."""
        return self._seconds_left() > self._reserve / 2

    def require_time_to_publish(self) -> None:
        """Raise UnavailableError where an event could not be recorded any more before the claim on it ends."""
        if not self.has_time_to_publish():
            raise UnavailableError("the invocation's time is up")

    def for_work(self) -> float:
        """Seconds that any call of AWS may still take, except those that change the visibility of messages."""
        return self._seconds_left() - self._total * _VISIBILITY_SHARE

    def for_visibility_changes(self) -> float:
        """Seconds that changing the visibility of messages may still take."""
        return self._seconds_left() - self._total * _RETURN_SHARE

    @property
    def _reserve(self) -> float:
        return min(_RESERVE_SECONDS, self._total * _RESERVE_SHARE)
