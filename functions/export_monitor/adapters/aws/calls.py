"""Calls of AWS, none of which outlasts the invocation that makes them."""

import math
import time
from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from export_monitor.adapters.timeouts import CallTimeoutError, Result, TimeoutExecutor

# How a call fails: refused by the service, not reached, or not answered in time.
AwsError = ClientError | BotoCoreError | CallTimeoutError
AWS_ERRORS = (ClientError, BotoCoreError, CallTimeoutError)
# So many calls are made side by side, and so many connections each client keeps.
MAX_CONCURRENCY = 16
# Twice what a client waits for a connection and an answer (bootstrap), without what it waits between its two tries.
CALL_LIMIT_SECONDS = 12.0


class Deadline:
    """What is left of the present invocation, in seconds, for the work and for handing messages back after it."""

    def __init__(self) -> None:
        self._time_left: Callable[[], float] = lambda: math.inf
        self._to_hand_back = self._to_return = 0.0

    def begin(self, time_left: Callable[[], float]) -> None:
        """Begin an invocation; a twelfth of its time is kept for handing back, a sixtieth for returning."""
        total = time_left()
        self._time_left = time_left
        self._to_hand_back = total / 12
        self._to_return = total / 60

    def for_work(self) -> float:
        return self._time_left() - self._to_hand_back

    def for_visibility_changes(self) -> float:
        return self._time_left() - self._to_return


class AwsCalls:
    """Makes calls in threads, and cuts them off when there is no time left (`time_left` is in seconds)."""

    def __init__(self, time_left: Callable[[], float], sleep: Callable[[float], None] = time.sleep) -> None:
        self._threads = TimeoutExecutor(MAX_CONCURRENCY)
        self._time_left = time_left
        self._sleep = sleep

    def backoff(self, seconds: float) -> None:
        """Wait before another try. Raises LateError where that leaves no time for it."""
        if self._time_left() <= seconds:
            raise CallTimeoutError(started=False)
        self._sleep(seconds)

    def call(self, call: Callable[[], Result]) -> Result:
        """What the call gives. Raises what it raises, one of AWS_ERRORS as a rule."""
        [outcome] = self.call_all([call])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def call_all(
        self, calls: Sequence[Callable[[], Result]], within_seconds: float = CALL_LIMIT_SECONDS
    ) -> list[Result | Exception]:
        """What each call returned or raised: one of AWS_ERRORS, or an unexpected error that concerns it alone."""
        return self._threads.run(calls, min(within_seconds, self._time_left()))
