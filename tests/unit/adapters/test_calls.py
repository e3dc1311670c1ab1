"""Calls of AWS: in parallel, cut off at the end of the invocation, and what late ones return."""

import threading
from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError

from export_monitor.adapters.aws.calls import MAX_CONCURRENCY, AwsCalls
from export_monitor.adapters.timeouts import CallTimeoutError

REFUSED = ClientError({"Error": {"Code": "Throttling"}}, "Publish")


@pytest.fixture
def hanging() -> Iterator[Callable[[], str]]:
    """A call that comes back only when the test is over."""
    over = threading.Event()

    def hang() -> str:
        over.wait()
        return "too late"

    yield hang
    over.set()


def refuse() -> str:
    raise REFUSED


def calls(time_left: float = 60.0) -> AwsCalls:
    return AwsCalls(lambda: time_left)


def test_call_gives_what_it_gives_and_raises_what_it_raises() -> None:
    assert calls().call(lambda: 7) == 7
    with pytest.raises(ClientError):
        calls().call(refuse)


def test_failure_of_one_call_leaves_the_others_alone() -> None:
    assert calls().call_all([lambda: "a", refuse, lambda: "b"]) == ["a", REFUSED, "b"]


def test_unexpected_error_of_one_call_leaves_the_others_alone() -> None:
    odd = ZeroDivisionError()

    def break_down() -> str:
        raise odd

    assert calls().call_all([lambda: "a", break_down, lambda: "b"]) == ["a", odd, "b"]
    with pytest.raises(ZeroDivisionError):
        calls().call(break_down)


def test_many_calls_are_made_side_by_side() -> None:
    together = threading.Barrier(MAX_CONCURRENCY)
    # The barrier breaks, and so the test fails, where fewer calls are made at once.
    assert len(calls().call_all([lambda: together.wait(timeout=30)] * 2 * MAX_CONCURRENCY)) == 2 * MAX_CONCURRENCY


def test_call_that_hangs_is_late_and_disturbs_neither_its_neighbours_nor_later_ones(
    hanging: Callable[[], str],
) -> None:
    some = calls()
    first, second = some.call_all([hanging, lambda: "in time"], within_seconds=0.2)
    assert isinstance(first, CallTimeoutError)
    assert first.started
    assert second == "in time"
    assert some.call(lambda: "later") == "later"


def test_call_that_had_to_wait_for_a_thread_did_not_start(hanging: Callable[[], str]) -> None:
    made: list[str] = []
    outcomes = calls().call_all(
        [hanging] * MAX_CONCURRENCY + [lambda: made.append("late")],  # type: ignore[list-item, func-returns-value]
        within_seconds=0.2,
    )
    assert [isinstance(one, CallTimeoutError) and one.started for one in outcomes] == [True] * MAX_CONCURRENCY + [False]
    assert made == []


def test_time_that_is_left_cuts_a_call_off(hanging: Callable[[], str]) -> None:
    with pytest.raises(CallTimeoutError, match="did not answer in time"):
        calls(time_left=0.1).call(hanging)


def test_no_call_is_made_without_time_for_it() -> None:
    made: list[int] = []
    with pytest.raises(CallTimeoutError, match="no time left"):
        calls(time_left=0.0).call(lambda: made.append(1))
    assert made == []


def test_pause_is_made_only_where_time_is_left_after_it() -> None:
    pauses: list[float] = []
    some = AwsCalls(lambda: 3.0, pauses.append)
    some.backoff(2.9)
    with pytest.raises(CallTimeoutError):
        some.backoff(3.0)
    assert pauses == [2.9]
