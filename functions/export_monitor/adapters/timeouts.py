"""Calls that are waited for no longer than may be: a timeout of a socket bounds each read, never the whole."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

Result = TypeVar("Result")


class CallTimeoutError(Exception):
    """A call that did not come back in time, or, where it was not `begun`, was not made any more."""

    def __init__(self, *, started: bool) -> None:
        super().__init__("it did not answer in time" if started else "there was no time left for it")
        self.started = started


class TimeoutExecutor:
    """Makes calls side by side, so many at once. What is late is left to itself, with the thread that it holds."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._executor = ThreadPoolExecutor(number)

    def run(self, calls: Sequence[Callable[[], Result]], limit_seconds: float) -> list[Result | Exception]:
        """What each call gave or raised, a LateError where it did neither within the limit."""
        if limit_seconds <= 0:
            return [CallTimeoutError(started=False) for _ in calls]
        futures = [self._executor.submit(call) for call in calls]
        if wait(futures, limit_seconds).not_done:
            self._executor.shutdown(wait=False)
            self._executor = ThreadPoolExecutor(self._number)
        return [_outcome(future) for future in futures]


def _outcome(future: Future[Any]) -> Any:
    # What has not begun can still be called off.
    if future.cancel():
        return CallTimeoutError(started=False)
    if not future.done():
        return CallTimeoutError(started=True)
    error = future.exception()
    return error if isinstance(error, Exception) else future.result()
