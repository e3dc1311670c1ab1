"""The cost model: what it counts, and that the page in docs/ is what it says."""

from dataclasses import replace

import pytest

from benchmarks.cost import EVENT_BYTES, EXPORTS, PRICES, Month, Settings, add_rounds, month, polls_of_an_export, report
from export_monitor.domain.assessment import Snapshot, assess
from export_monitor.domain.events import build_message
from export_monitor.domain.model import StartEvent, Watch
from local.artifact import ROOT
from tests.unit.builders import HOUR, NOW, a_file, a_job, a_message, a_volume, an_object

SETTINGS = Settings.deployed()


def test_page_is_the_model_s_report() -> None:
    assert (ROOT / "docs" / "cost.md").read_text(encoding="utf-8") == report(), "run `make cost`"


@pytest.mark.parametrize(
    ("kept", "ended", "api_requests", "sqs", "sns", "writes"),
    [(1, 0, 1, 2, 0, 0), (100, 0, 1, 110, 0, 0), (0, 1, 2, 2, 1, 2), (0, 100, 2, 110, 10, 400), (98, 2, 2, 111, 1, 8)],
)
def test_exports_of_a_round_share_its_requests(
    kept: int, ended: int, api_requests: int, sqs: int, sns: int, writes: int
) -> None:
    one = Month(0)
    add_rounds(one, 1, kept, ended)
    assert one.api_requests == api_requests
    assert (one.used["SQS, polls of the idle queue included"], one.used["SNS, events"]) == (sqs, sns)
    assert (one.used["DynamoDB, writes"], one.used["Lambda, invocations"]) == (writes, 1)


@pytest.mark.parametrize("exports", EXPORTS)
def test_every_export_that_starts_ends_once(exports: int) -> None:
    one = month(exports, SETTINGS)
    assert one.ends == pytest.approx(exports)
    assert one.used["Lambda, invocations"] == pytest.approx(one.rounds)


def test_lone_export_has_a_round_to_itself_and_the_busiest_batches_are_full() -> None:
    lone, busy = month(1, SETTINGS), month(10_000_000_000, SETTINGS)
    assert lone.polls / lone.rounds == pytest.approx(1, abs=0.001)
    assert busy.polls / busy.rounds == pytest.approx(SETTINGS.batch_size)
    assert busy.rounds < busy.api_requests < 2 * busy.rounds


def test_the_more_exports_the_less_each_costs_and_asks() -> None:
    months = [month(exports, SETTINGS) for exports in EXPORTS]
    for each in ([one.dollars() / one.exports for one in months], [one.api_requests / one.exports for one in months]):
        assert each == sorted(each, reverse=True)


def test_smaller_batches_and_shorter_windows_take_more_rounds() -> None:
    usual = month(1_000_000, SETTINGS)
    for settings in (replace(SETTINGS, batch_size=10), replace(SETTINGS, window_seconds=0)):
        other = month(1_000_000, settings)
        assert other.polls == pytest.approx(1_000_000 * polls_of_an_export(settings))
        assert other.rounds > usual.rounds
        assert other.api_requests > usual.api_requests


def test_every_amount_has_a_price_and_every_price_an_amount() -> None:
    assert set(PRICES) == set(month(1000, SETTINGS).used)


def test_event_is_as_long_as_assumed_and_ten_fit_into_one_publication() -> None:
    _, evidence = assess(Snapshot(a_job(), a_volume(), a_file(), an_object()), NOW)
    watch = Watch(StartEvent("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2"), a_message(NOW - HOUR, 36))
    message = build_message(watch, evidence, None, NOW, "https://cgc-api.sbgenomics.com/v2")
    assert message.size_bytes == pytest.approx(EVENT_BYTES, rel=0.2)
    assert 10 * EVENT_BYTES <= 64 * 1024
