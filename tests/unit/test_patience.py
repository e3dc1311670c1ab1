"""How long a watch waits: the schedule, and every row of the table of patience."""

import random
from typing import Any

import pytest

from export_monitor.domain.model import (
    Completed,
    Failed,
    Failure,
    Faulty,
    Hindered,
    Obstacle,
    Reason,
    StartEvent,
    Unfinished,
    Watch,
)
from export_monitor.domain.patience import End, Patience, Wait, decide, fault_key, healed_after
from export_monitor.domain.poll_schedule import PollSchedule, delayed, jittered

HOUR = 3600.0
SCHEDULE = PollSchedule(5, 900, 96 * HOUR + 120)
PATIENCE = Patience(SCHEDULE, timeout=72 * HOUR, object_grace=120, not_found_grace=300, refusal_grace=24 * HOUR)
NOW = 1_700_000_000.0


def watch(age: float, receives: int = 1) -> Watch:
    return Watch(StartEvent("an-export"), "a-message", NOW - age, receives)


def outcome(verdict: Any, age: float, first_seen: float | None = None, receives: int = 1, dice: float = 0.5) -> Any:
    """Decide at an age; `first_seen` is the age at which the fault was first seen."""
    first_seen_at = None if first_seen is None else NOW - age + first_seen
    return decide(verdict, watch(age, receives), NOW, first_seen_at, PATIENCE, dice)


@pytest.mark.parametrize(
    ("age", "delay"),
    [(0, 5), (49, 5), (51, 5.1), (1000, 100), (9000, 900), (30_000, 900), (70_000, 1000), (345_600, 345_600 / 70)],
)
def test_delay_is_a_tenth_of_the_age_within_bounds_and_never_less_than_a_seventieth(age: float, delay: float) -> None:
    assert SCHEDULE.delay(age) == pytest.approx(delay)


def test_jitter_is_a_tenth_either_way_and_delaying_only_later() -> None:
    assert [jittered(100, dice) for dice in (0, 0.5, 1)] == pytest.approx([90, 100, 110])
    assert [delayed(100, dice) for dice in (0, 0.5, 1)] == pytest.approx([100, 105, 110])


@pytest.mark.parametrize("min_seconds", [1, 5, 60])
@pytest.mark.parametrize("max_seconds", [60, 900, 3600])
@pytest.mark.parametrize("seed", range(3))
def test_longest_watch_ends_within_750_receives(min_seconds: float, max_seconds: float, seed: int) -> None:
    dice = random.Random(seed)
    horizon = (168 + 72) * HOUR + 3600
    schedule = PollSchedule(min_seconds, max_seconds, horizon)
    age, receives = 0.0, 0
    while age < (168 + 72) * HOUR:
        receives += 1
        age += schedule.within_budget(jittered(schedule.delay(age), dice.random()), age, receives)
    assert receives <= 750


@pytest.mark.parametrize("spent", [751, 900, 979])
def test_receives_that_are_left_last_to_the_end(spent: int) -> None:
    dice = random.Random(spent)
    age, receives = 3600.0, spent
    while age < SCHEDULE.horizon_seconds - 1:
        age += SCHEDULE.within_budget(jittered(SCHEDULE.delay(age), dice.random()), age, receives)
        receives += 1
    assert receives < 1000


def test_no_message_is_hidden_for_longer_than_sqs_can() -> None:
    assert SCHEDULE.within_budget(10, 0, 999) <= 12 * HOUR - 62


def test_completed_ends_at_once() -> None:
    assert outcome(Completed(), 10) == End()


def test_failed_ends_at_once() -> None:
    failure = Failure(Reason.EXPORT_FAILED, "m")
    assert outcome(Failed(failure), 10) == End(failure)


def test_unfinished_waits_the_poll_delay_until_its_time_is_up() -> None:
    assert outcome(Unfinished("RUNNING"), 1000) == Wait(100, "the job is RUNNING")
    assert isinstance(outcome(Unfinished("RUNNING"), 72 * HOUR - 1), Wait)
    ended = outcome(Unfinished("RUNNING"), 72 * HOUR)
    assert ended.failure.reason is Reason.TIMED_OUT
    assert "RUNNING" in ended.failure.message


def test_hindered_waits_until_the_last_moment_and_names_the_obstacle() -> None:
    verdict = Hindered(Obstacle("the API refuses the token"))
    assert outcome(verdict, 1000) == Wait(100, "the API refuses the token")
    assert isinstance(outcome(verdict, 96 * HOUR - 1), Wait)
    ended = outcome(verdict, 96 * HOUR)
    assert ended.failure.reason is Reason.TIMED_OUT
    assert "the API refuses the token" in ended.failure.message


def test_known_wait_of_an_obstacle_is_kept_and_only_lengthened() -> None:
    assert outcome(Hindered(Obstacle("o", wait_seconds=200)), 10, dice=0).seconds == 200
    assert outcome(Hindered(Obstacle("o", wait_seconds=200)), 10, dice=1).seconds == pytest.approx(220)


def test_late_message_that_could_not_be_asked_for_is_not_judged_by_its_age() -> None:
    verdict = Hindered(Obstacle("share used up", unasked=True))
    assert isinstance(outcome(verdict, 200 * HOUR), Wait)
    assert isinstance(outcome(verdict, 200 * HOUR, receives=980), End)


def faulty(reason: Reason) -> Faulty:
    return Faulty(Failure(reason, "m"))


@pytest.mark.parametrize(
    ("reason", "first_seen", "patience"),
    [
        (Reason.EXPORT_NOT_FOUND, 10, 300),
        (Reason.EXPORT_NOT_FOUND, HOUR, 300),
        (Reason.EXPORT_NOT_FOUND, HOUR + 1, 24 * HOUR),
        (Reason.EXPORT_FORBIDDEN, 10, 24 * HOUR),
        (Reason.VOLUME_UNAVAILABLE, 10, 24 * HOUR),
        (Reason.OBJECT_FORBIDDEN, 10, 24 * HOUR),
        (Reason.OBJECT_MISSING, 10, 120),
        (Reason.OBJECT_MISMATCH, 10, 120),
        # nothing reaches beyond the last moment …
        (Reason.EXPORT_FORBIDDEN, 80 * HOUR, 16 * HOUR),
        (Reason.OBJECT_MISSING, 96 * HOUR - 60, 60),
        (Reason.EXPORT_FORBIDDEN, 97 * HOUR, 0),
        # … but an object that was first missed later has its grace
        (Reason.OBJECT_MISSING, 97 * HOUR, 120),
    ],
)
def test_fault_is_waited_for_as_long_as_its_patience(reason: Reason, first_seen: float, patience: float) -> None:
    if patience:
        assert isinstance(outcome(faulty(reason), first_seen + patience - 1, first_seen), Wait)
    assert outcome(faulty(reason), first_seen + patience, first_seen) == End(Failure(reason, "m"))


def test_fault_seen_for_the_first_time_counts_from_now() -> None:
    assert isinstance(outcome(faulty(Reason.EXPORT_NOT_FOUND), 1000), Wait)


@pytest.mark.parametrize("reason", [Reason.OBJECT_MISSING, Reason.OBJECT_MISMATCH])
def test_object_is_looked_at_every_thirty_seconds_or_sooner(reason: Reason) -> None:
    assert outcome(faulty(reason), 50 * HOUR, 50 * HOUR).seconds == 30
    assert outcome(faulty(reason), 20, 20).seconds == 5
    assert outcome(faulty(reason), 1110, 1000).seconds == 10


def test_other_faults_are_looked_at_by_the_schedule() -> None:
    assert outcome(faulty(Reason.EXPORT_FORBIDDEN), 5000, 10).seconds == pytest.approx(500)


def test_missing_and_mismatching_object_are_one_fault() -> None:
    assert fault_key(Failure(Reason.OBJECT_MISSING, "")) == fault_key(Failure(Reason.OBJECT_MISMATCH, ""))
    assert fault_key(Failure(Reason.EXPORT_FORBIDDEN, "")) == "EXPORT_FORBIDDEN"


def test_fault_heals_in_two_poll_delays_and_no_less_than_a_quarter_of_an_hour() -> None:
    assert healed_after(10, SCHEDULE) == 900
    assert healed_after(9000, SCHEDULE) == 1800


def test_watch_is_never_younger_than_its_start() -> None:
    assert watch(-5).age(NOW) == 0
