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
    before,
    doubling,
    durations,
    fixed,
    lone_lag,
    measure,
    watch,
)
from tests.unit.builders import DAY


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
def test_end_is_noticed_within_about_a_tenth_of_the_time_it_took(duration: float, seed: int) -> None:
    lag, _ = watch(app(), duration, random.Random(seed))
    # A slot ends up to a tenth of the delay later, or 2.5 s if that is more, and a message is hidden for whole seconds.
    assert 0 <= lag <= max(0.11 * duration, 7.5) + 1


def test_lag_depends_on_when_the_export_starts_within_a_time_slot() -> None:
    assert len({watch(app(), 100, random.Random(seed)) for seed in range(10)}) > 1


@pytest.mark.parametrize("seconds", [2, 10, 60, 600, 7200])
def test_lone_export_is_noticed_earlier_than_with_a_wait_on_a_quiet_queue(seconds: float) -> None:
    assert lone_lag(app(), seconds, samples=300) < lone_lag(before(), seconds, samples=300)


def test_lone_export_of_a_few_seconds_is_noticed_within_a_few() -> None:
    assert lone_lag(before(), 2, samples=300) == pytest.approx(18, abs=0.2)
    assert lone_lag(app(), 2, samples=300) < 5.5


def test_end_is_noticed_later_where_the_queue_answers_later() -> None:
    assert measure(before(20), samples=200).lag_share > measure(before(2), samples=200).lag_share


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
