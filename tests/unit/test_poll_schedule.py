"""When an unfinished export is polled again, and that its receives last."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_monitor.domain.grace import Conclude, GracePolicy, decide
from export_monitor.domain.model import StartEvent, Unavailable, Watch
from export_monitor.domain.poll_schedule import MAX_RECEIVES, RETENTION_SECONDS, PollSchedule, add_jitter
from export_monitor.domain.verdicts import Failing, Reason, Undetermined, Unfinished, Verdict
from tests.unit.builders import DAY, HOUR, a_failure, a_grace_policy, a_message

SCHEDULE = a_grace_policy().schedule
OUTAGE = Undetermined(Unavailable("outage"))
MISSING = Failing(a_failure(Reason.OBJECT_MISSING))


@pytest.mark.parametrize(
    ("age", "delay"),
    [
        (0, 5),
        (49, 5),
        (51, 5.1),
        (1000, 100),
        (9000, 900),
        (30_000, 900),
        (63_000, 900),
        (70_000, 1000),
        (345_600, 345_600 / 70),
    ],
)
def test_delay_is_a_tenth_of_the_age_within_bounds_and_never_less_than_a_seventieth(age: float, delay: float) -> None:
    assert SCHEDULE.delay(age) == pytest.approx(delay)


@pytest.mark.parametrize(
    ("delay", "slot"),
    [(5, 5), (24, 5), (49, 5), (50, 10), (99, 10), (100, 20), (900, 160), (5000, 640)],
)
def test_slot_is_the_shortest_interval_times_the_power_of_two_whose_half_is_within_a_tenth(
    delay: float, slot: float
) -> None:
    assert SCHEDULE.slot_seconds(delay) == slot


@given(st.floats(1, 60), st.floats(1, 3600), st.floats(0, 14 * DAY), st.floats(0, 3600), st.floats(0, 2 * DAY))
def test_interval_ends_on_a_slot_within_a_tenth_of_its_delay_or_half_of_the_shortest(
    low: float, high: float, age: float, phase: float, since: float
) -> None:
    schedule, now = PollSchedule(low, max(low, high), 0, phase), 1_700_000_000 + since
    delay = schedule.delay(age)
    end = schedule.aligned(now, delay)
    assert abs(end - delay) <= max(delay / 10, low / 2) + 1e-6
    slots = (now + end - phase) / schedule.slot_seconds(delay)
    assert slots == pytest.approx(round(slots), abs=1e-4)


@given(st.floats(1, 60), st.floats(1, 4000), st.floats(1, 4000))
def test_boundary_of_a_longer_slot_is_one_of_every_shorter(low: float, one: float, other: float) -> None:
    shorter, longer = sorted(PollSchedule(low, 3600, 0).slot_seconds(max(low, delay)) for delay in (one, other))
    assert (longer / shorter).is_integer()


def test_exports_that_are_polled_at_different_times_fall_due_together() -> None:
    ends = {1000.0 + since + SCHEDULE.aligned(1000.0 + since, 900 - since) for since in range(40)}
    assert len(ends) == 1


def test_stacks_with_different_phases_do_not_fall_due_together() -> None:
    other = replace(SCHEDULE, phase_seconds=2.5)
    assert other.aligned(1000, 100) % 5 == pytest.approx(2.5)
    assert SCHEDULE.aligned(1000, 100) % 5 == 0


@pytest.mark.parametrize(("now", "seconds"), [(1000.25, 0), (1000.0, 0.25), (1000.5, 0.75)])
def test_common_instant_is_the_next_whole_second_of_the_phase(now: float, seconds: float) -> None:
    assert replace(SCHEDULE, phase_seconds=7.25).seconds_to_common_instant(now) == pytest.approx(seconds)


def test_wait_for_a_rate_limit_is_only_lengthened() -> None:
    assert [add_jitter(100, dice) for dice in (0, 0.5, 1)] == pytest.approx([100, 105, 110])


def test_delay_is_not_stretched_while_the_receives_are_within_the_plan() -> None:
    assert SCHEDULE.within_budget(10, HOUR, 750) == 10
    assert SCHEDULE.within_budget(10, HOUR, 751) == pytest.approx((SCHEDULE.horizon_seconds - HOUR) / 229)


def test_last_receives_are_spent_on_one_poll_at_the_end() -> None:
    for receive_count in (979, 980, 999):
        assert SCHEDULE.within_budget(10, 90 * HOUR, receive_count) == SCHEDULE.horizon_seconds - 90 * HOUR
    assert SCHEDULE.within_budget(10, SCHEDULE.horizon_seconds, 999, until=SCHEDULE.horizon_seconds + 60) == 60


def test_no_message_is_hidden_for_longer_than_sqs_can_after_a_minute_of_handling() -> None:
    assert SCHEDULE.within_budget(DAY, 0, 1) <= 12 * HOUR - 60
    assert SCHEDULE.within_budget(10, 0, 999) <= 12 * HOUR - 60


def live_through(
    grace: GracePolicy, answer: Callable[[float], Verdict], seed: int, age: float = 0.0, receive_count: int = 1
) -> tuple[float, int, Conclude]:
    """Poll repeatedly: the age and the receives with which the watch ends, and its end."""
    dice = random.Random(seed)
    first_seen: float | None = None
    while True:
        verdict = answer(age)
        if isinstance(verdict, Failing) and first_seen is None:
            first_seen = age
        watch = Watch(StartEvent("an-export"), a_message(0.0, receive_count))
        decision = decide(verdict, watch, age, first_seen, grace, dice.random())
        if isinstance(decision, Conclude):
            return age, receive_count, decision
        # SQS hides for whole seconds.
        age += max(1, math.ceil(decision.seconds))
        receive_count += 1
        assert receive_count <= MAX_RECEIVES, f"moved to the dead-letter queue at the age of {age / HOUR:.1f} h"


@st.composite
def allowed_settings(draw: st.DrawFn) -> GracePolicy:
    """Whatever the template's parameters allow, their ends often."""

    def between(least: float, most: float) -> float:
        return draw(st.sampled_from([least, most]) | st.floats(least, most))

    min_poll = between(1, 60)
    return a_grace_policy(
        min_poll=min_poll,
        max_poll=between(min_poll, 3600),
        timeout=between(0.001, 168) * HOUR,
        refusal_grace=between(0, 72) * HOUR,
        object_grace=between(0, 3600),
        not_found_grace=between(0, 3600),
        phase=between(0, 3600),
    )


seeds = st.integers(0, 2**32)


@pytest.mark.parametrize("seed", range(5))
def test_longest_watch_of_all_ends_within_750_receives(seed: int) -> None:
    grace = a_grace_policy(min_poll=1, max_poll=1, timeout=168 * HOUR, refusal_grace=72 * HOUR)
    age, receive_count, _ = live_through(grace, lambda age: OUTAGE, seed)
    assert age >= grace.final_deadline
    assert 700 < receive_count <= 750


@settings(max_examples=60, deadline=None)
@given(allowed_settings(), seeds)
def test_longest_watch_of_any_setting_ends_within_750_receives(grace: GracePolicy, seed: int) -> None:
    def answer(age: float) -> Verdict:
        return Unfinished("RUNNING") if age < grace.timeout else OUTAGE

    assert live_through(grace, answer, seed)[1] <= 750


@settings(max_examples=60, deadline=None)
@given(allowed_settings(), seeds)
def test_object_that_is_first_missed_at_the_very_end_still_has_receives_for_its_grace(
    grace: GracePolicy, seed: int
) -> None:
    age, _, end = live_through(grace, lambda age: OUTAGE if age < grace.final_deadline else MISSING, seed)
    assert end.failure == MISSING.failure
    assert age >= grace.final_deadline + grace.object_grace - 1e-3


@settings(max_examples=60, deadline=None)
@given(allowed_settings(), seeds, st.integers(751, 900), st.floats(0, 1), st.sampled_from(["outage", "late object"]))
def test_receives_that_are_left_last_to_the_end_whatever_used_up_the_others(
    grace: GracePolicy, seed: int, spent: int, share: float, trouble: str
) -> None:
    def answer(age: float) -> Verdict:
        return OUTAGE if trouble == "outage" or age < grace.final_deadline else MISSING

    begun_at = share * grace.final_deadline
    age, receive_count, _ = live_through(grace, answer, seed, age=begun_at, receive_count=spent)
    assert age >= grace.final_deadline
    assert receive_count <= MAX_RECEIVES


@pytest.mark.parametrize("horizon_hours", [0.001, 1, 96, 240])
def test_receives_last_until_sqs_deletes_the_message_of_an_event_that_cannot_be_published(horizon_hours: float) -> None:
    schedule = replace(SCHEDULE, horizon_seconds=horizon_hours * HOUR)
    age, receive_count = 0.0, 0
    while age < RETENTION_SECONDS:
        receive_count += 1
        # The claim of an invocation that could not publish ends after a minute.
        age += schedule.within_budget(61, age, receive_count)
    assert receive_count <= MAX_RECEIVES


@pytest.mark.parametrize("not_attempted", [False, True])
@pytest.mark.parametrize("retry_after_seconds", [0.0, 1.0, 330.0])
def test_rate_limit_that_never_lets_up_does_not_use_up_the_receives(
    retry_after_seconds: float, not_attempted: bool
) -> None:
    grace = a_grace_policy(timeout=168 * HOUR, refusal_grace=72 * HOUR)
    verdict = Undetermined(Unavailable("the rate limit is used up", retry_after_seconds, not_attempted))
    age, _, end = live_through(grace, lambda age: verdict, seed=1)
    assert age >= grace.final_deadline
    assert end.failure is not None
    assert end.failure.reason is Reason.TIMED_OUT


@settings(max_examples=20, deadline=None)
@given(allowed_settings(), seeds)
def test_watch_that_can_never_be_asked_about_ends_before_the_queue_forgets_its_message(
    grace: GracePolicy, seed: int
) -> None:
    verdict = Undetermined(Unavailable("the share is used up", not_attempted=True))
    age, _, end = live_through(grace, lambda age: verdict, seed)
    assert grace.final_deadline <= age < 14 * DAY - HOUR
    assert end.failure is not None
    assert "the share is used up" in end.failure.message


def test_end_is_noticed_within_about_a_tenth_of_the_time_that_the_export_took() -> None:
    def answer(ended: float) -> Callable[[float], Any]:
        return lambda age: Unfinished("RUNNING") if age < ended else Failing(a_failure(Reason.OBJECT_MISSING))

    grace = a_grace_policy(object_grace=0)
    for ended in (60.0, 600.0, 3600.0, 8000.0):
        noticed, _, _ = live_through(grace, answer(ended), seed=7)
        assert ended <= noticed <= ended * 1.125
