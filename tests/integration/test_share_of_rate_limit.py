"""Thousands of exports share the rate limit, in virtual time; `benchmarks` has the long runs."""

import pytest

from benchmarks.share_of_rate_limit import Figures, Load, Simulation, figures
from benchmarks.virtual_time import FUNCTION_TIMEOUT_SECONDS
from export_monitor.domain.poll_schedule import PLANNED_RECEIVES, PollSchedule

pytestmark = pytest.mark.once

HOUR = 3600.0
# The first minutes are the busiest: every export is due every few seconds, and where requests are fast, a worker ends a
# full batch each second. With single reads 2,000 exports always need more than the rate limit allows.
CROWDS = {
    "bulk": Load(exports=5000, in_bulk=True, seconds=300, request_seconds=(0.1, 0.2)),
    "single": Load(exports=2000, in_bulk=False, seconds=1.8 * HOUR),
}
# In the first minutes all are due before two workers have polled each once, and the queue has no order.
QUEUEING_SECONDS = 90.0


@pytest.fixture(scope="module", params=CROWDS)
def crowd(request: pytest.FixtureRequest) -> Simulation:
    """Exports that were announced at the same time and never end."""
    simulation = Simulation(CROWDS[request.param])
    simulation.run()
    return simulation


@pytest.fixture(scope="module")
def found(crowd: Simulation) -> Figures:
    return figures(crowd)


def test_load_needs_more_than_the_rate_limit_allows(found: Figures) -> None:
    # Otherwise the other tests would prove nothing.
    assert found.answers < found.polls
    assert found.busiest_minute >= 90


def test_requests_stay_within_the_limit_of_each_worker_and_of_both(found: Figures) -> None:
    assert max(found.busiest_minute_by_worker) <= 50
    assert found.busiest_minute <= 100
    assert found.busiest_five_minutes <= 500
    assert found.refused_by_rate_window == 0


def test_no_export_is_lost(found: Figures, crowd: Simulation) -> None:
    assert found.left_in_queue == crowd.load.exports
    assert found.dead_letters == found.unexpected == found.events == 0


def test_every_export_is_polled_when_its_poll_delay_is_over(found: Figures) -> None:
    assert found.longest_invocation < FUNCTION_TIMEOUT_SECONDS
    # A poll's time is the start of its invocation, and a delay counts from the API's answer.
    assert found.latest_poll <= found.longest_invocation + QUEUEING_SECONDS


def test_polls_use_no_more_receives_than_planned(found: Figures, crowd: Simulation) -> None:
    schedule = crowd.settings.grace.schedule
    assert found.most_receives <= most_polls(schedule, found.virtual_seconds) < PLANNED_RECEIVES


def test_bulk_reads_bring_answers_of_every_export_within_minutes(found: Figures, crowd: Simulation) -> None:
    if crowd.load.in_bulk:
        assert found.longest_wait_for_answer < 300


def test_no_export_waits_for_an_answer_many_times_longer_than_others(found: Figures, crowd: Simulation) -> None:
    if not crowd.load.in_bulk:
        # A fair wait: the time the rate limit needs for one request per export.
        assert found.longest_wait_for_answer < 5 * 60 * crowd.load.exports / 100
        assert found.p99_wait_for_answer < 3 * 60 * crowd.load.exports / 100


def test_share_is_spent_on_ends_that_can_be_published() -> None:
    simulation = Simulation(Load(exports=1000, in_bulk=False, seconds=2 * HOUR, ends_after=(60, 120)))
    simulation.run()
    assert figures(simulation).left_in_queue == 0
    # An ended export costs two requests, for its job and its file, and few before that.
    assert figures(simulation).requests < 3 * 1000


@pytest.mark.parametrize("in_bulk", [True, False], ids=["bulk", "single"])
def test_every_export_that_ends_has_one_event(in_bulk: bool) -> None:
    simulation = Simulation(Load(exports=500, in_bulk=in_bulk, seconds=12 * HOUR, ends_after=(60, 600)))
    simulation.run()
    found = figures(simulation)
    assert {event_id.partition(":")[0] for event_id in simulation.topic.published} == set(simulation.export_ids)
    assert found.events == 500
    assert found.events_published_twice == found.left_in_queue == found.dead_letters == found.unexpected == 0
    assert simulation.account.counts["ExportsVerified"] == simulation.account.counts["ExportsCompleted"] > 400
    assert max(found.busiest_minute_by_worker) <= 50


@pytest.mark.parametrize("in_bulk", [True, False], ids=["bulk", "single"])
def test_share_is_kept_where_the_api_is_slow(in_bulk: bool) -> None:
    load = Load(exports=300, in_bulk=in_bulk, seconds=900, request_seconds=(0.5, 9.5))
    simulation = Simulation(load)
    simulation.run()
    found = figures(simulation)
    assert found.longest_invocation < FUNCTION_TIMEOUT_SECONDS
    assert max(found.busiest_minute_by_worker) <= 50
    assert found.left_in_queue == load.exports
    assert found.unexpected == found.dead_letters == 0


def most_polls(schedule: PollSchedule, seconds: float) -> int:
    """The most polls of an export in this time, if every delay ends on the earliest time slot that may be nearest."""
    age, polls = 0.0, 1
    while age < seconds:
        delay = schedule.delay(age)
        age += delay - schedule.slot_seconds(delay) / 2
        polls += 1
    return polls
