"""How long a watch waits: every row of the table of grace periods, just before and just after."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.grace import FAULTS, Conclude, GracePolicy, Wait, decide, fault_key, poll_delay, resets_after
from export_monitor.domain.model import Unavailable
from export_monitor.domain.verdicts import Completed, Failed, Failing, Reason, Undetermined, Unfinished, Verdict
from tests.unit.builders import DAY, HOUR, NOW, a_failure, a_grace_policy, a_message, a_watch

GRACE = a_grace_policy()
SCHEDULE = GRACE.schedule
TIMEOUT, FINAL_DEADLINE = 72 * HOUR, 96 * HOUR
OUTAGE = Undetermined(Unavailable("the API rejects the token"))
UNASKED = Undetermined(Unavailable("the share is used up", not_attempted=True))


def outcome(
    verdict: Verdict,
    age: float,
    first_seen: float | None = None,
    receive_count: int = 1,
    dice: float = 0.5,
    grace: GracePolicy = GRACE,
) -> Any:
    """Decide at an age; `first_seen` is the age at which the fault was first seen."""
    first_seen_at = None if first_seen is None else NOW - age + first_seen
    return decide(verdict, a_watch(age, receive_count), NOW, first_seen_at, grace, dice)


def faulty(reason: Reason) -> Failing:
    return Failing(a_failure(reason))


@pytest.mark.parametrize("age", [0, 10, TIMEOUT, 300 * HOUR])
def test_late_or_not_completed_export_has_completed(age: float) -> None:
    assert outcome(Completed(), age) == Conclude()


@pytest.mark.parametrize("age", [0, 10, TIMEOUT, 300 * HOUR])
def test_late_or_not_failed_export_has_failed_for_its_own_reason(age: float) -> None:
    assert outcome(Failed(a_failure()), age) == Conclude(a_failure())


def test_unfinished_waits_the_poll_delay() -> None:
    assert outcome(Unfinished("RUNNING"), 1000) == Wait(SCHEDULE.aligned(NOW, 100), "the job is RUNNING")


def test_unfinished_has_timed_out_from_the_time_out_on() -> None:
    assert isinstance(outcome(Unfinished("RUNNING"), TIMEOUT - 1), Wait)
    ended = outcome(Unfinished("RUNNING"), TIMEOUT)
    assert ended.failure.reason is Reason.TIMED_OUT
    assert "RUNNING" in ended.failure.message


def test_blocked_watch_waits_until_the_final_deadline_and_names_the_cause() -> None:
    assert outcome(OUTAGE, 1000) == Wait(SCHEDULE.aligned(NOW, 100), "the API rejects the token")
    assert isinstance(outcome(OUTAGE, TIMEOUT), Wait)
    assert isinstance(outcome(OUTAGE, FINAL_DEADLINE - 1), Wait)
    ended = outcome(OUTAGE, FINAL_DEADLINE)
    assert ended.failure.reason is Reason.TIMED_OUT
    assert "the API rejects the token" in ended.failure.message


def test_poll_that_the_rate_limit_left_out_is_spread_over_the_shortest_slots() -> None:
    waits = {outcome(UNASKED, 9000, dice=number / 100).seconds for number in range(101)}
    assert 810 - 2.5 <= min(waits) < 815
    assert 985 < max(waits) <= 990 + 2.5
    assert len(waits) == 37
    assert {(NOW + seconds) % 5 for seconds in waits} == {0}


def test_known_wait_of_a_blocked_watch_is_kept_and_only_lengthened() -> None:
    assert outcome(Undetermined(Unavailable("o", retry_after_seconds=200)), 10, dice=0).seconds == 200
    assert outcome(Undetermined(Unavailable("o", retry_after_seconds=200)), 10, dice=1).seconds == pytest.approx(220)


def test_late_message_that_could_not_be_asked_for_is_not_judged_by_its_age() -> None:
    assert isinstance(outcome(UNASKED, FINAL_DEADLINE), Wait)
    assert isinstance(outcome(UNASKED, 200 * HOUR), Wait)


def test_message_that_can_no_longer_wait_ends_though_it_was_not_asked_for() -> None:
    for ended in (outcome(UNASKED, 200 * HOUR, receive_count=980), outcome(UNASKED, 13 * DAY)):
        assert ended.failure.reason is Reason.TIMED_OUT
        assert "the share is used up" in ended.failure.message


def test_young_watch_never_times_out_for_having_been_received_often() -> None:
    assert isinstance(outcome(UNASKED, HOUR, receive_count=985), Wait)
    assert isinstance(outcome(OUTAGE, HOUR, receive_count=985), Wait)
    assert isinstance(outcome(Unfinished("RUNNING"), HOUR, receive_count=985), Wait)


@pytest.mark.parametrize(
    ("reason", "first_seen", "grace"),
    [
        (Reason.EXPORT_NOT_FOUND, 10, 300),
        (Reason.EXPORT_NOT_FOUND, HOUR, 300),
        (Reason.EXPORT_NOT_FOUND, HOUR + 1, 24 * HOUR),
        (Reason.EXPORT_FORBIDDEN, 10, 24 * HOUR),
        (Reason.VOLUME_UNAVAILABLE, 10, 24 * HOUR),
        (Reason.OBJECT_FORBIDDEN, 10, 24 * HOUR),
        (Reason.OBJECT_MISSING, 10, 120),
        (Reason.OBJECT_MISMATCH, 10, 120),
        # the time-out shortens no grace period …
        (Reason.EXPORT_NOT_FOUND, TIMEOUT + 1, 24 * HOUR - 1),
        (Reason.OBJECT_MISSING, TIMEOUT, 120),
        # … the last moment does …
        (Reason.EXPORT_NOT_FOUND, 80 * HOUR, 16 * HOUR),
        (Reason.EXPORT_FORBIDDEN, 80 * HOUR, 16 * HOUR),
        (Reason.VOLUME_UNAVAILABLE, 80 * HOUR, 16 * HOUR),
        (Reason.OBJECT_FORBIDDEN, 80 * HOUR, 16 * HOUR),
        (Reason.OBJECT_MISSING, FINAL_DEADLINE - 60, 60),
        (Reason.OBJECT_MISMATCH, FINAL_DEADLINE - 60, 60),
        (Reason.EXPORT_NOT_FOUND, 97 * HOUR, 0),
        (Reason.EXPORT_FORBIDDEN, 97 * HOUR, 0),
        (Reason.VOLUME_UNAVAILABLE, 97 * HOUR, 0),
        (Reason.OBJECT_FORBIDDEN, 97 * HOUR, 0),
        # … but an object that was first missed later has its grace
        (Reason.OBJECT_MISSING, FINAL_DEADLINE, 120),
        (Reason.OBJECT_MISSING, 97 * HOUR, 120),
        (Reason.OBJECT_MISMATCH, 200 * HOUR, 120),
    ],
)
def test_fault_is_retried_for_its_grace_period(reason: Reason, first_seen: float, grace: float) -> None:
    if grace:
        assert isinstance(outcome(faulty(reason), first_seen, first_seen), Wait)
        assert isinstance(outcome(faulty(reason), first_seen + grace - 1, first_seen), Wait)
    assert outcome(faulty(reason), first_seen + grace, first_seen) == Conclude(a_failure(reason))


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.name.startswith("OBJECT_MIS")])
def test_without_grace_a_fault_ends_when_it_is_first_seen(reason: Reason) -> None:
    grace = a_grace_policy(object_grace=0, not_found_grace=0, refusal_grace=0)
    assert outcome(faulty(reason), 10, 10, grace=grace) == Conclude(a_failure(reason))
    for other in (Reason.EXPORT_NOT_FOUND, Reason.EXPORT_FORBIDDEN, Reason.VOLUME_UNAVAILABLE, Reason.OBJECT_FORBIDDEN):
        assert outcome(faulty(other), 10, 10, grace=grace) == Conclude(a_failure(other))


def test_fault_seen_for_the_first_time_counts_from_now() -> None:
    assert isinstance(outcome(faulty(Reason.EXPORT_NOT_FOUND), 1000), Wait)


def test_job_that_was_unknown_before_the_watch_began_was_not_known_before() -> None:
    assert outcome(faulty(Reason.EXPORT_NOT_FOUND), 300, first_seen=-HOUR) == Conclude(
        a_failure(Reason.EXPORT_NOT_FOUND)
    )


@pytest.mark.parametrize("reason", [Reason.OBJECT_MISSING, Reason.OBJECT_MISMATCH])
def test_object_is_polled_every_thirty_seconds_or_sooner(reason: Reason) -> None:
    assert outcome(faulty(reason), 50 * HOUR, 50 * HOUR).seconds == 30
    assert outcome(faulty(reason), 20, 20).seconds == SCHEDULE.aligned(NOW, 5)


@pytest.mark.parametrize("reason", [Reason.OBJECT_MISSING, Reason.EXPORT_NOT_FOUND, Reason.EXPORT_FORBIDDEN])
def test_last_poll_of_a_fault_is_at_the_end_of_its_grace_period(reason: Reason) -> None:
    grace = a_grace_policy(object_grace=300, refusal_grace=300)
    assert outcome(faulty(reason), 1290, 1000, grace=grace).seconds == pytest.approx(10)


def test_other_faults_are_polled_by_the_schedule() -> None:
    assert outcome(faulty(Reason.EXPORT_FORBIDDEN), 5000, 10).seconds == SCHEDULE.aligned(NOW, 500)


def test_missing_and_mismatching_object_are_one_fault_and_every_other_its_own() -> None:
    assert fault_key(a_failure(Reason.OBJECT_MISSING)) == fault_key(a_failure(Reason.OBJECT_MISMATCH))
    assert fault_key(a_failure(Reason.EXPORT_FORBIDDEN)) == "EXPORT_FORBIDDEN"
    waited_for = set(Reason) - {Reason.EXPORT_FAILED, Reason.TIMED_OUT}
    assert {fault_key(a_failure(reason)) for reason in waited_for} == set(FAULTS)


def test_fault_heals_in_two_poll_delays_and_no_less_than_a_quarter_of_an_hour() -> None:
    assert resets_after(10, SCHEDULE) == 900
    assert resets_after(4500, SCHEDULE) == 900
    assert resets_after(9000, SCHEDULE) == 1800


def test_fault_that_is_polled_by_the_schedule_does_not_count_anew_between_two_polls() -> None:
    for age in (60.0, HOUR, 9000.0, 50 * HOUR, 95 * HOUR):
        latest = max(poll_delay(a_message(NOW - age), NOW + second, GRACE) for second in range(200))
        assert latest < resets_after(age + latest, SCHEDULE)


def test_watch_is_never_younger_than_its_start() -> None:
    assert a_watch(age=-5).age(NOW) == 0


verdicts = st.one_of(
    st.just(Completed()),
    st.sampled_from(["PENDING", "ODD"]).map(Unfinished),
    st.builds(a_failure, st.sampled_from(Reason)).map(Failed),
    st.builds(a_failure, st.sampled_from(sorted(set(Reason) - {Reason.EXPORT_FAILED, Reason.TIMED_OUT}))).map(Failing),
    st.builds(Unavailable, st.just("o"), st.none() | st.floats(0, 330), st.booleans()).map(Undetermined),
)


@given(verdicts, st.floats(-HOUR, 14 * DAY), st.none() | st.floats(0, 14 * DAY), st.integers(1, 1000), st.floats(0, 1))
def test_every_poll_ends_the_watch_or_waits_for_a_time_that_sqs_can_hide(
    verdict: Verdict, age: float, first_seen: float | None, receive_count: int, dice: float
) -> None:
    decision = outcome(verdict, age, first_seen, receive_count, dice)
    assert decision == outcome(verdict, age, first_seen, receive_count, dice)
    if isinstance(decision, Wait):
        assert 0 <= decision.seconds <= 12 * HOUR - 60
        assert decision.cause
    else:
        assert (decision.failure is None) == isinstance(verdict, Completed)


def test_fault_whose_grace_period_ends_soon_is_polled_then_though_receives_run_short() -> None:
    assert outcome(faulty(Reason.OBJECT_MISSING), HOUR + 20, HOUR, receive_count=900).seconds == pytest.approx(100)
