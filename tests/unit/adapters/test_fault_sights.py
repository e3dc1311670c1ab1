"""Since when a fault has been there: noted with one write, healed when it went unseen for long."""

from typing import Any

import pytest

from export_monitor.adapters.fault_sights import FaultSights
from export_monitor.adapters.ledger import Ledger
from export_monitor.domain.claims import Claim, Refusal
from export_monitor.domain.model import Obstacle
from export_monitor.domain.patience import Sight
from tests.fakes import stubbed
from tests.unit.adapters.exports_table import exports

NOW = 1_700_000_000.25
DEADLINE = NOW + 45
HEALED = 900.0


@pytest.fixture
def sights(client: Any) -> FaultSights:
    return FaultSights(exports(client))


@pytest.fixture
def ledger(client: Any) -> Ledger:
    return Ledger(exports(client))


def seen(sights: FaultSights, export_id: str, fault: str, now: float) -> float | Obstacle:
    """Since when a fault that is seen now has been seen."""
    sight = Sight(export_id, fault, HEALED)
    return sights.first_seen_at([sight], now)[sight]


class TestFaults:
    FAULT = "VOLUME_UNAVAILABLE"

    def test_patience_counts_from_the_first_sight(self, sights: FaultSights) -> None:
        times = [seen(sights, "a", self.FAULT, NOW + after) for after in (0, 30, 900, 1800)]
        assert times == [pytest.approx(NOW, abs=0.001)] * 4

    def test_sight_costs_one_write(self) -> None:
        with stubbed("dynamodb") as (client, stub):
            stub.add_response("update_item", {})
            assert seen(FaultSights(exports(client)), "a", self.FAULT, NOW) == NOW

    def test_fault_that_went_unseen_for_too_long_had_healed_and_counts_anew(self, sights: FaultSights) -> None:
        seen(sights, "a", self.FAULT, NOW)
        assert seen(sights, "a", self.FAULT, NOW + 900) == pytest.approx(NOW, abs=0.001)
        anew = NOW + 900 + 901
        assert seen(sights, "a", self.FAULT, anew) == pytest.approx(anew, abs=0.001)
        assert seen(sights, "a", self.FAULT, anew + 60) == pytest.approx(anew, abs=0.001)

    def test_faults_of_another_kind_or_export_are_counted_apart(self, sights: FaultSights) -> None:
        seen(sights, "a", self.FAULT, NOW)
        for export_id, fault in (("a", "OBJECT"), ("b", self.FAULT)):
            assert seen(sights, export_id, fault, NOW + 60) == pytest.approx(NOW + 60, abs=0.001)

    def test_fault_ends_with_the_watch(self, sights: FaultSights, ledger: Ledger) -> None:
        seen(sights, "a", self.FAULT, NOW)
        seen(sights, "a", "OBJECT", NOW)
        failed = Claim("a", "a:failed:OBJECT_MISSING", "m1")
        ledger.claim([failed], NOW + 60, DEADLINE)
        ledger.record([failed], [], NOW + 60)
        for fault in (self.FAULT, "OBJECT"):
            assert seen(sights, "a", fault, NOW + 61) == pytest.approx(NOW + 61, abs=0.001)

    def test_sight_of_a_fault_leaves_what_was_published_alone(self, sights: FaultSights, ledger: Ledger) -> None:
        completed = Claim("a", "a:completed", "m1")
        ledger.claim([completed], NOW, DEADLINE)
        ledger.record([completed], [], NOW)
        seen(sights, "a", self.FAULT, NOW)
        assert ledger.claim([Claim("a", "a:completed", "m2")], NOW, DEADLINE)["a"].refusal is Refusal.OVER

    def test_sight_that_cannot_be_noted_says_nothing_of_its_age(self) -> None:
        with stubbed("dynamodb") as (client, stub):
            stub.add_client_error("update_item", "ThrottlingException")
            answer = seen(FaultSights(exports(client)), "a", self.FAULT, NOW)
        assert isinstance(answer, Obstacle)
        assert "ThrottlingException" in answer.text
