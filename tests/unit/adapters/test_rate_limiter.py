"""The pace: a sliding window of a minute, and a time before which nothing is asked."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from tests.fakes import Clock


def test_lone_batch_is_not_slowed() -> None:
    rate_limiter = RateLimiter(50, Clock())
    assert [rate_limiter.try_acquire() for _ in range(51)] == [True] * 50 + [False]


def test_refused_request_does_not_count() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(1, clock)
    assert rate_limiter.try_acquire()
    clock.advance(59)
    assert not rate_limiter.try_acquire()
    clock.advance(1)
    assert rate_limiter.try_acquire()


def test_share_comes_back_as_the_requests_leave_the_window_one_by_one() -> None:
    clock = Clock(0)
    rate_limiter = RateLimiter(2, clock)
    assert rate_limiter.try_acquire()
    clock.now = 30
    assert rate_limiter.try_acquire()
    clock.now = 60
    assert rate_limiter.try_acquire()
    assert not rate_limiter.try_acquire()
    clock.now = 90
    assert rate_limiter.try_acquire()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 20), st.lists(st.floats(0, 20), max_size=200))
def test_no_sixty_seconds_see_more_requests_than_the_share(share: int, pauses: list[float]) -> None:
    clock = Clock(0)
    rate_limiter = RateLimiter(share, clock)
    sent = []
    for pause in pauses:
        clock.advance(pause)
        if rate_limiter.try_acquire():
            sent.append(clock.now)
    for first, one_too_many in zip(sent, itertools.islice(sent, share, None), strict=False):
        assert one_too_many - first >= 60


def test_request_is_refused_where_its_follow_ups_would_find_no_room() -> None:
    rate_limiter = RateLimiter(5, Clock())
    assert [rate_limiter.try_acquire(reserved=2) for _ in range(4)] == [True, True, True, False]
    assert [rate_limiter.try_acquire() for _ in range(3)] == [True, True, False]


def test_what_begins_a_round_is_spread_over_the_minute_after_a_refusal() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(48, clock)
    for _ in range(48):
        assert rate_limiter.try_acquire(reserved=0)
    assert not rate_limiter.try_acquire(reserved=0)
    clock.advance(60)
    # The window is empty, and the rejected requests still wait: one portion per four seconds.
    assert not rate_limiter.try_acquire(reserved=48)
    assert [rate_limiter.try_acquire(reserved=0) for _ in range(5)] == [True] * 4 + [False]
    assert rate_limiter.try_acquire()
    clock.advance(5)
    assert rate_limiter.try_acquire(reserved=0)


def test_share_that_sufficed_for_a_minute_is_given_in_one_burst_again() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(48, clock)
    assert not rate_limiter.try_acquire(reserved=48)
    clock.advance(60)
    assert all(rate_limiter.try_acquire(reserved=0) for _ in range(48))


def test_pause_lasts_its_time_and_a_shorter_one_does_not_end_it() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(1, clock)
    assert rate_limiter.pause_remaining() == 0
    rate_limiter.pause_for(10)
    rate_limiter.pause_for(1)
    assert rate_limiter.pause_remaining() == 10
    clock.advance(10)
    assert rate_limiter.pause_remaining() == 0
