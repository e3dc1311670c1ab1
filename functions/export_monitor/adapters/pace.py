"""How fast one worker may ask the API: a sliding window of a minute, and a time before which nothing is asked."""

from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 60.0


class Pace:
    """Counts a worker's requests. `clock` is monotonic, in seconds."""

    def __init__(self, requests_per_window: int, clock: Callable[[], float]) -> None:
        self._limit = requests_per_window
        self._clock = clock
        self._sent: deque[float] = deque()
        self._closed_until = float("-inf")

    def admit(self) -> bool:
        """Count a request that is about to be sent, or refuse it because the window is full."""
        now = self._clock()
        while self._sent and now - self._sent[0] >= _WINDOW_SECONDS:
            self._sent.popleft()
        if len(self._sent) >= self._limit:
            return False
        self._sent.append(now)
        return True

    def close_for(self, seconds: float) -> None:
        """Ask nothing for so long."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def closed_for(self) -> float:
        """Seconds during which nothing may be asked; 0 where the way is free."""
        return max(0.0, self._closed_until - self._clock())
