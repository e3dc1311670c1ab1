"""The model of rounds: what it counts, and how time slots, the top-up and the window act in it."""

from dataclasses import replace

import pytest

from benchmarks.rounds import (
    BEFORE,
    DAY,
    NOW,
    PHASE_SECONDS,
    Export,
    Record,
    Simulation,
    Way,
    announced_at_once,
    default_schedule,
    ended_at_once,
    month,
    steady,
)
from local.template import template
from tests.unit.builders import a_grace_policy

WAYS = pytest.mark.parametrize("way", [BEFORE, NOW], ids=["before", "now"])


def test_settings_are_the_template_s() -> None:
    usual = a_grace_policy().schedule
    assert (default_schedule().min_seconds, default_schedule().max_seconds) == (usual.min_seconds, usual.max_seconds)
    mapping = template()["Resources"]["ExportMonitorFunction"]["Properties"]["Events"]["ExportQueue"]["Properties"]
    assert mapping["BatchSize"] == NOW.batch_size
    assert mapping.get("MaximumBatchingWindowInSeconds", 0) == NOW.window_seconds
    assert mapping["ScalingConfig"]["MaximumConcurrency"] == 2


@WAYS
def test_every_export_ends_once(way: Way) -> None:
    record = Simulation(way, [Export(number, 100.0 + number) for number in range(50)]).run(400)
    assert len(record.lags) == 50
    assert sum(ended * times for (_, ended), times in record.rounds.items()) == 50
    assert all(0 <= lag < 50 for lag, _ in record.lags)


@WAYS
def test_lone_export_has_a_round_to_itself(way: Way) -> None:
    record = Simulation(way, [Export(0.0, 1000.0)]).run(2000)
    assert record.polls == record.invocations
    # The end is read with one more request.
    assert record.api_requests == record.invocations + 1
    assert record.paused_seconds == 0


def test_quiet_queue_is_waited_on_only_with_a_window() -> None:
    assert announced_at_once(NOW, 1) < 1
    assert announced_at_once(BEFORE, 1) == pytest.approx(20, abs=0.5)


def test_exports_on_the_same_slots_share_rounds() -> None:
    exports = [Export(number * 7.3, DAY) for number in range(100)]
    together, apart = (Simulation(way, exports).run(3600) for way in (NOW, replace(NOW, has_slots=False)))
    assert together.polls / together.invocations > 2 * apart.polls / apart.invocations
    assert together.paused_seconds > 0 == apart.paused_seconds


def test_full_batch_is_topped_up_to_a_hundred() -> None:
    record = Simulation(NOW, [Export(0.0, DAY)] * 1000).run(2)
    assert max(kept for kept, _ in record.rounds) == 100


@WAYS
def test_requests_stay_within_the_share(way: Way) -> None:
    assert Simulation(way, [Export(0.0, DAY)] * 20_000).run(60).api_requests <= 100


@WAYS
def test_burst_that_ends_at_once_is_noticed_completely(way: Way) -> None:
    record = ended_at_once(way, exports=500, age=1800)
    assert len(record.lags) == 500
    assert record.longest_wait < 10


def test_steady_crowd_has_the_same_age_at_every_time() -> None:
    exports = steady(100_000, DAY)
    early, late = (sum(one.announced_at <= at < one.ends_at for one in exports) for at in (0.0, DAY - 1))
    assert early == pytest.approx(late, rel=0.2)


def test_same_seed_gives_the_same_record() -> None:
    assert month(NOW, 10_000, polls=500) == month(NOW, 10_000, polls=500)


def test_slots_pile_up_no_work_that_workers_cannot_do_before_the_next_one() -> None:
    # Old enough for the longest poll delay and its slots of 160 s.
    simulation = Simulation(NOW, [Export(-9100.0 - number, DAY) for number in range(6000)])
    simulation.run(PHASE_SECONDS + 160)
    simulation.record = Record()
    for number in range(2, 8):
        boundary = PHASE_SECONDS + 160 * number
        simulation.run(boundary + 1)
        assert simulation.backlog > 100
        simulation.run(boundary + 155)
        assert simulation.backlog == 0
    assert 0 < simulation.record.longest_wait < 1.2
