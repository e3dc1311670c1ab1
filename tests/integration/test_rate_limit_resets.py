"""What a 429 of the API does to a worker, its messages and the other worker, in virtual time."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pytest

from benchmarks.share_of_rate_limit import Line, Load, Simulation, busiest, figures
from local.faults import Match, Status

pytestmark = pytest.mark.once

THROTTLED_FROM = 60.0
JITTER = 1.1
# A visibility is in whole seconds; then a message waits for a poller, the batching window and the start of its batch.
UNTIL_ASKED = 5.0


@dataclass
class Throttled:
    """A run in which one worker got a 429, at the time `at`."""

    run: Simulation
    line: Line
    other: Line
    at: float

    @property
    def quiet_for(self) -> float:
        """How long that worker sent nothing."""
        return next(moment for moment in self.line.sent_at if moment > self.at) - self.at


@cache
def run_with_one_429(reset: str | None, *, in_bulk: bool = True) -> Throttled:
    """300 exports, and a 429 for the first request after a minute; `reset` is its header, None for none."""
    run = Simulation(Load(exports=300, in_bulk=in_bulk, seconds=600))
    # A platform that shows a reset would add its own where there is none.
    run.platform.rate.reset_unit = None
    headers = {} if reset is None else {"X-RateLimit-Reset": reset}

    def throttle() -> None:
        run.time.sleep(THROTTLED_FROM)
        run.platform.fail(Match(), Status(429, {"status": 429, "code": 1000, "message": "Too many."}, headers))

    run.run(throttle)
    [line] = [one for one in run.lines if 429 in one.statuses]
    [other] = [one for one in run.lines if one is not line]
    return Throttled(run, line, other, line.answered_at[line.statuses.index(429)])


RESET_IN_200_SECONDS = Simulation(Load(exports=0)).began_at + THROTTLED_FROM + 200


@pytest.mark.parametrize("in_bulk", [True, False], ids=["bulk", "single"])
@pytest.mark.parametrize(
    "reset", [f"{RESET_IN_200_SECONDS:.0f}", f"{RESET_IN_200_SECONDS * 1000:.0f}"], ids=["seconds", "milliseconds"]
)
def test_reset_200_seconds_ahead_stops_every_request_of_that_worker_until_then(reset: str, in_bulk: bool) -> None:
    throttled = run_with_one_429(reset, in_bulk=in_bulk)
    late_by = throttled.at + throttled.quiet_for - RESET_IN_200_SECONDS
    assert 0 <= late_by <= (JITTER - 1) * 200 + UNTIL_ASKED


def test_messages_of_a_throttled_worker_wait_until_the_reset_and_a_little_longer() -> None:
    throttled = run_with_one_429(f"{RESET_IN_200_SECONDS:.0f}")
    # The batch that was throttled, and those that the worker got later; at that age a poll delay is less than a minute.
    waits = [
        (at, seconds)
        for at, _, seconds in throttled.run.queue.hides
        if throttled.at <= at < RESET_IN_200_SECONDS - 60 and seconds > 60
    ]
    assert len(waits) >= 100
    ends = [at + seconds - RESET_IN_200_SECONDS for at, seconds in waits]
    # A delay counts from the end of the invocation.
    assert min(ends) >= 0
    assert max(ends) <= (JITTER - 1) * 200 + UNTIL_ASKED
    assert max(ends) - min(ends) > 10


def test_other_worker_goes_on() -> None:
    throttled = run_with_one_429(f"{RESET_IN_200_SECONDS:.0f}")
    meanwhile = [moment for moment in throttled.other.sent_at if throttled.at < moment < RESET_IN_200_SECONDS]
    assert meanwhile
    assert set(throttled.other.statuses) == {200}


def test_429s_with_a_reset_in_the_past_cause_no_tight_loop() -> None:
    run = Simulation(Load(exports=300, seconds=480))
    headers = {"X-RateLimit-Reset": f"{run.began_at - 100:.0f}"}
    run.platform.fail(Match(), Status(429, {"status": 429, "code": 1000, "message": "Too many."}, headers), None)

    def recover() -> None:
        run.time.sleep(240)
        run.platform.faults.clear()

    run.run(recover)
    for line in run.lines:
        rejected_at = [at for at, status in zip(line.sent_at, line.statuses, strict=True) if status == 429]
        assert rejected_at
        assert min(later - earlier for earlier, later in pairwise(rejected_at)) >= 1
        assert busiest(line.sent_at, 60) <= 50
    found = figures(run)
    assert found.left_in_queue == 300
    # Polling is back to normal as soon as the API answers.
    assert found.longest_wait_for_answer < 240 + 60
