"""The cost model: what it counts, and that the page in docs/ is what it says."""

import pytest

from benchmarks import rounds
from benchmarks.cost import (
    EVENT_BYTES,
    GROUP_SIZE,
    ITEM_BYTES,
    PRICES,
    REPORT_BYTES_OF_A_ROW,
    SQS,
    Month,
    add_pauses,
    add_rounds,
    month,
    report,
)
from benchmarks.report import example_rows
from benchmarks.rounds import EXPORTS_A_MONTH, Way
from export_monitor.adapters.report_page import render
from export_monitor.domain.assessment import Snapshot, assess
from export_monitor.domain.events import build_message
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import Group, StartEvent, Watch
from export_monitor.domain.report_csv import csv_lines
from export_monitor.domain.report_rows import row_to_json
from local.artifact import ROOT
from tests.unit.builders import HOUR, NOW, a_file, a_job, a_message, a_volume, an_object

POLLS = 3000


@pytest.mark.once
def test_page_is_the_model_s_report() -> None:
    assert (ROOT / "docs" / "cost.md").read_text(encoding="utf-8") == report(), "run `make cost`"


@pytest.mark.parametrize(
    ("kept", "ended", "api_requests", "sqs", "sns", "writes"),
    [
        (1, 0, 1, 1, 0, 0),
        (100, 0, 1, 10, 0, 0),
        (0, 1, 2, 1, 1, 6.3),
        (0, 100, 2, 10, 10, 642),
        (98, 2, 2, 11, 1, 14.8),
    ],
)
def test_exports_of_a_round_share_its_requests(
    kept: int, ended: int, api_requests: int, sqs: int, sns: int, writes: float
) -> None:
    one = Month(0)
    add_rounds(one, 1, kept, ended)
    assert one.api_requests == api_requests
    assert (one.used[SQS], one.used["SNS, events"]) == (sqs, sns)
    assert (one.used["DynamoDB, writes"], one.used["Lambda, invocations"]) == (pytest.approx(writes), 1)


@pytest.mark.parametrize("way", [rounds.BEFORE, rounds.NOW], ids=["before", "now"])
@pytest.mark.parametrize("exports", EXPORTS_A_MONTH)
def test_about_as_many_exports_end_as_start(exports: int, way: Way) -> None:
    one = month(exports, way, POLLS)
    assert one.ends == pytest.approx(exports, rel=0.4)
    assert one.used["Lambda, invocations"] == pytest.approx(one.rounds)


def test_month_without_exports_costs_what_is_always_there() -> None:
    idle = month(0)
    assert (idle.polls, idle.rounds, idle.used["Lambda, time"]) == (0, 0, 0)
    assert idle.used[SQS] > 0


def test_pauses_cost_lambda_time() -> None:
    one = Month(0)
    add_pauses(one, 10)
    assert one.used["Lambda, time"] == pytest.approx(5)


def test_the_more_exports_the_less_each_costs_and_asks() -> None:
    months = [month(exports, polls=POLLS) for exports in EXPORTS_A_MONTH]
    for each in ([one.dollars() / one.exports for one in months], [one.api_requests / one.exports for one in months]):
        assert each == sorted(each, reverse=True)


def test_rows_of_reports_are_as_long_as_assumed() -> None:
    rows = example_rows(GROUP_SIZE)
    progress = GroupProgress(Group("run-42", GROUP_SIZE), GROUP_SIZE, 0, NOW)
    report = WrittenReport("reports", "run-42", GROUP_SIZE, "")
    written = b"".join(csv_lines(rows)) + "".join(render(progress, NOW, rows, report)).encode()
    assert len(written) / GROUP_SIZE == pytest.approx(REPORT_BYTES_OF_A_ROW, rel=0.2)
    # With its key, and what was published when.
    assert len(row_to_json(rows[0])) + 300 == pytest.approx(ITEM_BYTES, rel=0.2)


def test_every_amount_has_a_price_and_every_price_an_amount() -> None:
    assert set(PRICES) == set(month(1000, polls=POLLS).used)


def test_event_is_as_long_as_assumed_and_ten_fit_into_one_publication() -> None:
    _, evidence = assess(Snapshot(a_job(), a_volume(), a_file(), an_object()), NOW)
    watch = Watch(StartEvent("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2"), a_message(NOW - HOUR, 36))
    message = build_message(watch, evidence, None, NOW, "https://cgc-api.sbgenomics.com/v2")
    assert message.size_bytes == pytest.approx(EVENT_BYTES, rel=0.2)
    assert 10 * EVENT_BYTES <= 64 * 1024
