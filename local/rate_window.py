"""The API's rate limit: so many requests in a window, then nothing until the window ends.

Source: https://docs.cancergenomicscloud.org/docs/api-rate-limit
"""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass
class RateWindow:
    """A window that begins with the first request after the last one ended.

    `reset_unit` is how its end is shown: epoch seconds as documented, milliseconds as in one old sample, or not at all.
    Everything may be changed while it counts.
    """

    limit: int = 1000
    seconds: float = 300
    reset_unit: Literal["seconds", "milliseconds"] | None = "seconds"
    _used: int = 0
    _ends_at: float = 0

    def count(self, now: float) -> bool:
        """Count one request; false when it is one too many."""
        self._renew(now)
        self._used += 1
        return self._used <= self.limit

    def show(self, now: float) -> dict[str, int]:
        """Limit, remaining requests and, where it is shown, the reset, under the API's names."""
        self._renew(now)
        shown = {"limit": self.limit, "remaining": max(0, self.limit - self._used)}
        if self.reset_unit is not None:
            # Rounded up: who waits until then finds the window open.
            shown["reset"] = math.ceil(self._ends_at * (1000 if self.reset_unit == "milliseconds" else 1))
        return shown

    def headers(self, now: float) -> dict[str, str]:
        """The same as the headers that every answer carries."""
        return {f"X-RateLimit-{name.title()}": str(value) for name, value in self.show(now).items()}

    def _renew(self, now: float) -> None:
        if now >= self._ends_at:
            self._used = 0
            self._ends_at = now + self.seconds
