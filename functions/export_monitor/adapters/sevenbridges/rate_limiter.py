"""How fast one worker may ask the API: a sliding window of a minute, and a time before which nothing is asked.

While more is wanted than the window holds, what begins a round of questions is spread over the minute. In one burst it
would all go to the batch that comes first when the window opens, minute after minute.
"""

import math
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 60.0
# A portion for each five seconds, about as often as a batch comes.
_PORTIONS = 12


class RateLimiter:
    """Counts a worker's requests. `clock` is monotonic, in seconds."""

    def __init__(self, requests_per_window: int, clock: Callable[[], float]) -> None:
        self._limit = requests_per_window
        self._clock = clock
        self._sent: deque[float] = deque()
        self._portion = math.ceil(requests_per_window / _PORTIONS)
        self._short_until = float("-inf")
        self._closed_until = float("-inf")

    def try_acquire(self, reserved: int | None = None) -> bool:
        """Count a request that is about to be sent, or refuse it because the window is full.

        `owed` is given with a request that begins a round of questions: how many others are called for already. It is
        refused where these would find no room, and spread with its like over the minute that follows a refusal.
        """
        now = self._clock()
        while self._sent and now - self._sent[0] >= _WINDOW_SECONDS:
            self._sent.popleft()
        is_full = len(self._sent) + (reserved or 0) >= self._limit
        is_spread = reserved is not None and now < self._short_until
        if is_full or (is_spread and self._has_had_its_portion(now)):
            self._short_until = now + _WINDOW_SECONDS
            return False
        self._sent.append(now)
        return True

    def pause_for(self, seconds: float) -> None:
        """Ask nothing for so long."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def pause_remaining(self) -> float:
        """Seconds during which nothing may be asked; 0 where the way is free."""
        return max(0.0, self._closed_until - self._clock())

    def _has_had_its_portion(self, now: float) -> bool:
        if len(self._sent) < self._portion:
            return False
        return now - self._sent[-self._portion] < _WINDOW_SECONDS / _PORTIONS
