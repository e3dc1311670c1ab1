"""How late ends are noticed: by the app, and by the ways of polling it is compared with."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.detection_lag import (
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    Polling,
    app,
    batching_window,
    default_schedule,
    doubling,
    durations,
    fixed,
    measure,
    watch,
)
from tests.unit.builders import DAY, a_grace_policy

WINDOW = 2


@pytest.mark.parametrize(
    ("polling", "lag_share", "polls"),
    [(fixed(60), 0.079, 136), (fixed(10), 0.012, 811), (doubling(5, 900), 0.23, 16)],
    ids=["each minute", "each ten seconds", "doubling"],
)
def test_other_ways_of_polling_have_the_figures_behind_the_target(
    polling: Polling, lag_share: float, polls: float
) -> None:
    row = measure(polling)
    assert row.lag_share == pytest.approx(lag_share, rel=0.03)
    assert row.polls == pytest.approx(polls, rel=0.01)


def test_mean_lag_of_the_app_is_at_most_0_045_of_the_duration_with_at_most_45_polls() -> None:
    row = measure(app())
    assert row.lag_share <= 0.045
    assert row.polls <= 45


@given(st.floats(0.1, 3 * DAY), st.integers(0, 1000))
def test_end_is_noticed_within_about_a_tenth_of_the_time_it_took_and_the_batching_window(
    duration: float, seed: int
) -> None:
    lag, _ = watch(app(), duration, random.Random(seed))
    # With 10 % jitter, a tenth becomes 0.11 and the shortest delay of 5 s 5.5 s.
    assert 0 <= lag <= max(0.11 * duration, 5.5) + WINDOW


def test_end_is_noticed_later_where_the_queue_answers_later() -> None:
    assert measure(app(window_seconds=20), samples=200).lag_share > measure(app(), samples=200).lag_share


def test_schedule_and_window_are_the_template_s() -> None:
    usual = a_grace_policy().schedule
    assert (default_schedule().min_seconds, default_schedule().max_seconds) == (usual.min_seconds, usual.max_seconds)
    assert batching_window() == WINDOW


def test_export_that_ends_at_a_poll_is_noticed_by_that_poll() -> None:
    assert watch(fixed(60), 120, random.Random(0)) == (0, 3)
    assert watch(fixed(60), 121, random.Random(0)) == (59, 4)


def test_durations_are_spread_over_the_logarithm_from_two_seconds_to_a_day() -> None:
    drawn = list(durations(random.Random(0), samples=1000))
    assert drawn == sorted(drawn)
    assert SHORTEST_SECONDS <= drawn[0] < 2.1
    assert 0.98 * LONGEST_SECONDS < drawn[-1] <= LONGEST_SECONDS
    assert drawn[500] == pytest.approx((SHORTEST_SECONDS * LONGEST_SECONDS) ** 0.5, rel=0.02)


def test_same_seed_gives_the_same_row() -> None:
    assert measure(app(), samples=50) == measure(app(), samples=50)
    assert measure(app(), samples=50) != measure(app(), samples=50, seed=6)
