"""Whether so many exports are watched that it pays to let their messages become visible together."""

from collections import deque

# From this many polls a minute and worker on, fewer invocations save more than the waits for a common instant cost:
# see docs/cost.md.
CROWDED_POLLS_PER_MINUTE = 20


class Crowding:
    """Counts the messages that one worker kept within the last minute."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, int]] = deque()

    def add(self, now: float, kept: int) -> bool:
        """Count the messages kept by an invocation at this time (epoch seconds); returns whether it is crowded."""
        self._kept.append((now, kept))
        while self._kept[0][0] <= now - 60:
            self._kept.popleft()
        return sum(number for _, number in self._kept) >= CROWDED_POLLS_PER_MINUTE
