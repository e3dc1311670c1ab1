"""Calls of AWS, none of which takes longer than the invocation that makes it."""

import time
from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from export_monitor.adapters.timeouts import CallTimeoutError, Result, TimeoutExecutor

# How a call fails: the service returns an error, cannot be reached, or does not answer in time.
AWS_ERRORS = (ClientError, BotoCoreError, CallTimeoutError)
# How many calls are made in parallel, and how many connections each client keeps.
MAX_CONCURRENCY = 16
# Twice a client's timeouts for connecting and reading (bootstrap), without its pause between the two attempts.
CALL_LIMIT_SECONDS = 12.0


class AwsCalls:
    """Makes calls in threads, and abandons them when no time is left (`seconds_left`)."""

    def __init__(self, seconds_left: Callable[[], float], sleep: Callable[[float], None] = time.sleep) -> None:
        self._threads = TimeoutExecutor(MAX_CONCURRENCY)
        self._seconds_left = seconds_left
        self._sleep = sleep

    def backoff(self, seconds: float) -> None:
        """Wait before another attempt. Raises CallTimeoutError where no time would be left for it."""
        if self._seconds_left() <= seconds:
            raise CallTimeoutError(started=False)
        self._sleep(seconds)

    def call(self, call: Callable[[], Result], within_seconds: float = CALL_LIMIT_SECONDS) -> Result:
        """What the call returns. Raises what it raises, usually one of AWS_ERRORS."""
        [outcome] = self.call_all([call], within_seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def call_all(
        self, calls: Sequence[Callable[[], Result]], within_seconds: float = CALL_LIMIT_SECONDS
    ) -> list[Result | Exception]:
        """What each call returned or raised: one of AWS_ERRORS, or an unexpected error that concerns it alone."""
        return self._threads.run(calls, min(within_seconds, self._seconds_left()))
