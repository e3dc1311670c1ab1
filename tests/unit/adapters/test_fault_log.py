"""Since when a fault has been there: noted with one write, healed when it went unseen for long."""

from typing import Any

import pytest

from export_monitor.adapters.aws.dynamodb.fault_log import FaultLog
from export_monitor.adapters.aws.dynamodb.ledger import Ledger
from export_monitor.domain.claims import Claim, ClaimStatus
from export_monitor.domain.grace import FaultObservation
from export_monitor.domain.model import Unavailable
from tests.fakes import stubbed
from tests.unit.adapters.exports_table import exports

NOW = 1_700_000_000.25
DEADLINE = NOW + 45
HEALED = 900.0


@pytest.fixture
def observations(client: Any) -> FaultLog:
    return FaultLog(exports(client))


@pytest.fixture
def ledger(client: Any) -> Ledger:
    return Ledger(exports(client))


def seen(observations: FaultLog, export_id: str, fault: str, now: float) -> float | Unavailable:
    """Since when a fault that is seen now has been seen."""
    observation = FaultObservation(export_id, fault, HEALED)
    return observations.first_seen_at([observation], now)[observation]


class TestFaults:
    FAULT = "VOLUME_UNAVAILABLE"

    def test_grace_period_counts_from_the_first_time_a_fault_was_seen(self, observations: FaultLog) -> None:
        times = [seen(observations, "a", self.FAULT, NOW + after) for after in (0, 30, 900, 1800)]
        assert times == [pytest.approx(NOW, abs=0.001)] * 4

    def test_seeing_a_fault_costs_one_write(self) -> None:
        with stubbed("dynamodb") as (client, stub):
            stub.add_response("update_item", {})
            assert seen(FaultLog(exports(client)), "a", self.FAULT, NOW) == NOW

    def test_fault_that_was_not_seen_for_too_long_is_over_and_counts_anew(self, observations: FaultLog) -> None:
        seen(observations, "a", self.FAULT, NOW)
        assert seen(observations, "a", self.FAULT, NOW + 900) == pytest.approx(NOW, abs=0.001)
        anew = NOW + 900 + 901
        assert seen(observations, "a", self.FAULT, anew) == pytest.approx(anew, abs=0.001)
        assert seen(observations, "a", self.FAULT, anew + 60) == pytest.approx(anew, abs=0.001)

    def test_faults_of_another_kind_or_export_are_counted_apart(self, observations: FaultLog) -> None:
        seen(observations, "a", self.FAULT, NOW)
        for export_id, fault in (("a", "OBJECT"), ("b", self.FAULT)):
            assert seen(observations, export_id, fault, NOW + 60) == pytest.approx(NOW + 60, abs=0.001)

    def test_fault_ends_with_the_watch(self, observations: FaultLog, ledger: Ledger) -> None:
        seen(observations, "a", self.FAULT, NOW)
        seen(observations, "a", "OBJECT", NOW)
        failed = Claim("a", "a:failed:OBJECT_MISSING", "m1")
        ledger.claim([failed], NOW + 60, DEADLINE)
        ledger.record([failed], [], NOW + 60)
        for fault in (self.FAULT, "OBJECT"):
            assert seen(observations, "a", fault, NOW + 61) == pytest.approx(NOW + 61, abs=0.001)

    def test_recording_a_fault_leaves_what_was_published_alone(self, observations: FaultLog, ledger: Ledger) -> None:
        completed = Claim("a", "a:completed", "m1")
        ledger.claim([completed], NOW, DEADLINE)
        ledger.record([completed], [], NOW)
        seen(observations, "a", self.FAULT, NOW)
        assert (
            ledger.claim([Claim("a", "a:completed", "m2")], NOW, DEADLINE)["a"].status is ClaimStatus.ALREADY_PUBLISHED
        )

    def test_fault_that_cannot_be_recorded_has_no_known_age(self) -> None:
        with stubbed("dynamodb") as (client, stub):
            stub.add_client_error("update_item", "ThrottlingException")
            answer = seen(FaultLog(exports(client)), "a", self.FAULT, NOW)
        assert isinstance(answer, Unavailable)
        assert "ThrottlingException" in answer.message
