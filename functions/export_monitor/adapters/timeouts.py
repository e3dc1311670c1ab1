"""Calls with a time limit for the whole of them: a socket's timeout limits each read only."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

Result = TypeVar("Result")


class CallTimeoutError(Exception):
    """A call that did not return in time, or was not `started` because no time was left."""

    def __init__(self, *, started: bool) -> None:
        super().__init__("it did not answer in time" if started else "there was no time left for it")
        self.started = started


class TimeoutExecutor:
    """Makes calls in parallel, up to `number` at once. A late call is abandoned, with the thread that it holds."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._executor = ThreadPoolExecutor(number)

    def run(self, calls: Sequence[Callable[[], Result]], limit_seconds: float) -> list[Result | Exception]:
        """What each call returned or raised: a CallTimeoutError where it did neither within the limit."""
        if limit_seconds <= 0:
            return [CallTimeoutError(started=False) for _ in calls]
        futures = [self._executor.submit(call) for call in calls]
        if wait(futures, limit_seconds).not_done:
            self._executor.shutdown(wait=False)
            self._executor = ThreadPoolExecutor(self._number)
        return [_outcome(future) for future in futures]


def _outcome(future: Future[Any]) -> Any:
    # A call that has not started can still be cancelled.
    if future.cancel():
        return CallTimeoutError(started=False)
    if not future.done():
        return CallTimeoutError(started=True)
    error = future.exception()
    return error if isinstance(error, Exception) else future.result()
