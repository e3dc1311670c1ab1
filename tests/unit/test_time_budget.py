"""What each step may use of an invocation's time."""

import math

from export_monitor.domain.time_budget import TimeBudget


def test_nothing_is_cut_off_before_the_first_invocation() -> None:
    budget = TimeBudget()
    assert budget.for_work() == budget.for_visibility_changes() == budget.for_requests() == math.inf


def test_each_step_leaves_time_for_those_that_follow() -> None:
    left = 60.0
    budget = TimeBudget().start(1000.0, lambda: left)
    assert (budget.now, budget.deadline_at) == (1000.0, 1060.0)
    left = 20.0
    assert budget.for_requests() == 5.0
    assert budget.for_work() == 15.0
    assert budget.for_visibility_changes() == 19.0
    assert budget.current_time == 1040.0


def test_publishing_needs_half_of_what_requests_leave() -> None:
    left = 60.0
    budget = TimeBudget().start(0.0, lambda: left)
    left = 7.6
    assert budget.has_time_to_publish()
    left = 7.5
    assert not budget.has_time_to_publish()


def test_short_invocation_reserves_a_quarter() -> None:
    left = 4.0
    budget = TimeBudget().start(0.0, lambda: left)
    assert budget.for_requests() == 3.0


def test_next_invocation_starts_anew() -> None:
    budget = TimeBudget().start(0.0, lambda: 1.0)
    budget.start(100.0, lambda: 60.0)
    assert (budget.now, budget.deadline_at, budget.for_work()) == (100.0, 160.0, 55.0)
