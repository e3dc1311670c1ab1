"""The API's rate limit: a number of requests per window, then refusals until the window ends.

Source: https://docs.cancergenomicscloud.org/docs/api-rate-limit
"""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass
class RateWindow:
    """A window that begins with the first request after the last one ended.

    `reset_unit` is how its end is shown: epoch seconds as documented, milliseconds as in one old sample, or not at all.
    All attributes can be changed at any time.
    """

    limit: int = 1000
    seconds: float = 300
    reset_unit: Literal["seconds", "milliseconds"] | None = "seconds"
    _used: int = 0
    _ends_at: float = 0

    def count(self, now: float) -> bool:
        """Count one request; false if it exceeds the limit."""
        self._renew(now)
        self._used += 1
        return self._used <= self.limit

    def headers(self, now: float) -> dict[str, str]:
        """Limit, remaining requests and the reset, if shown, as the headers of every response."""
        self._renew(now)
        shown = {"limit": self.limit, "remaining": max(0, self.limit - self._used)}
        if self.reset_unit is not None:
            # Rounded up, so that the window is open at that time.
            shown["reset"] = math.ceil(self._ends_at * (1000 if self.reset_unit == "milliseconds" else 1))
        return {f"X-RateLimit-{name.title()}": str(value) for name, value in shown.items()}

    def _renew(self, now: float) -> None:
        if now >= self._ends_at:
            self._used = 0
            self._ends_at = now + self.seconds
