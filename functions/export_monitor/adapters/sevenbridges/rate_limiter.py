"""How fast one worker may send requests to the API: a sliding window of a minute, and pauses.

When requests exceed the limit, the requests that start new work are spread over the minute. Otherwise the batch that
comes first when the window opens would use the whole limit, minute after minute.
"""

import math
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 60.0
# One portion per four seconds, less than the shortest time slot by default, so that each slot has its portion.
_PORTIONS = 15


class RateLimiter:
    """Counts one worker's requests. `clock` is monotonic and in seconds."""

    def __init__(self, requests_per_window: int, clock: Callable[[], float]) -> None:
        self._limit = requests_per_window
        self._clock = clock
        self._sent: deque[float] = deque()
        self._portion = math.ceil(requests_per_window / _PORTIONS)
        self._spread_until = float("-inf")
        self._paused_until = float("-inf")

    def try_acquire(self, reserved: int | None = None) -> bool:
        """Count a request that is about to be sent; False if it must not be sent now.

        `reserved` is only passed with a request that starts new work: how many follow-up requests need room in the
        window. Such requests are spread over the minute that follows a rejection.
        """
        now = self._clock()
        while self._sent and now - self._sent[0] >= _WINDOW_SECONDS:
            self._sent.popleft()
        is_full = len(self._sent) + (reserved or 0) >= self._limit
        is_spread = reserved is not None and now < self._spread_until
        if is_full or (is_spread and self._is_portion_used(now)):
            self._spread_until = now + _WINDOW_SECONDS
            return False
        self._sent.append(now)
        return True

    def pause_for(self, seconds: float) -> None:
        """Send no request for this many seconds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def pause_remaining(self) -> float:
        """Seconds for which no request may be sent; 0 if there is no pause."""
        return max(0.0, self._paused_until - self._clock())

    def _is_portion_used(self, now: float) -> bool:
        if len(self._sent) < self._portion:
            return False
        return now - self._sent[-self._portion] < _WINDOW_SECONDS / _PORTIONS
