"""Whether enough exports are watched that it pays to let their messages become visible together."""

from collections import deque

# From this many polls a minute and worker on, fewer invocations save more than the waits for a common instant cost:
# see docs/cost.md.
CROWDED_POLLS_PER_MINUTE = 20


class Crowding:
    """Counts the messages that one worker kept within the last minute. Times are in epoch seconds."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, int]] = deque()

    def add(self, now: float, kept: int) -> None:
        """Count the messages that an invocation keeps."""
        self._kept.append((now, kept))

    def is_crowded(self, now: float) -> bool:
        """Whether enough messages were kept that several usually fall due together."""
        while self._kept and self._kept[0][0] <= now - 60:
            self._kept.popleft()
        return sum(number for _, number in self._kept) >= CROWDED_POLLS_PER_MINUTE
