"""The cost model: what it counts, and that the page in docs/ is what it says."""

import contextlib
import io
import math
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from benchmarks import cost, usage
from benchmarks.cost_model import (
    EVENT_BYTES,
    MONTH_SECONDS,
    Load,
    Round,
    full_batches,
    looks_for_each,
    most_exports,
    share_a_minute,
)
from benchmarks.detection_lag import app
from benchmarks.prices import PRICES
from benchmarks.usage import LOOK_LINE_BYTES, METRICS_LINE_BYTES, bare, dollars, standing, this_app
from export_monitor.adapters.telemetry import Telemetry
from export_monitor.domain.assessment import Answers, assess
from export_monitor.domain.events import ending_message
from export_monitor.domain.model import QueueMessage, StartEvent, Watch
from export_monitor.domain.patience import Wait
from export_monitor.domain.verdicts import Evidence, Unfinished
from export_monitor.reporting import Look, tell_waiting
from local.artifact import ROOT
from tests.unit.builders import HOUR, NOW, a_file, a_job, a_volume, an_object

EXPORT_ID = "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2"
MESSAGE_ID = "059f36b4-87a3-44ab-83d2-661975830a7d"
FUNCTION = "cgc-export-monitor-ExportMonitorFunction-AbCdEfGhIjKl"


def test_page_is_what_the_model_says() -> None:
    assert (ROOT / "docs" / "cost.md").read_text(encoding="utf-8") == cost.report(), "run `make cost`"


@pytest.mark.parametrize(
    ("one", "api_requests", "aws_requests"),
    [
        (Round(kept=100), 1, 10),
        (Round(kept=1), 1, 1),
        (Round(completed=100), 2, 112),
        (Round(failed=100), 2, 12),
        (Round(completed_bams=100), 2, 312),
        (Round(kept=98, completed=1, failed=1), 2, 10 + 1 + 2 + 1),
    ],
    ids=["unfinished", "one unfinished", "completed", "failed", "completed BAMs", "an ordinary batch"],
)
def test_round_of_a_hundred_shares_its_requests(one: Round, api_requests: int, aws_requests: int) -> None:
    assert one.api_requests == api_requests
    assert one.aws_requests == aws_requests


def test_transaction_s_writes_cost_twice_and_a_lone_write_once() -> None:
    assert Round(failed=1).write_units == 2
    assert Round(failed=2).write_units == 8
    assert Round(kept=5).write_units == 0


@pytest.mark.parametrize("exports", cost.LOADS)
def test_every_export_that_begins_ends_once(exports: int) -> None:
    assert Load(exports).each_month(lambda one: one.ended) == pytest.approx(exports)


@pytest.mark.parametrize("exports", cost.LOADS)
def test_every_look_is_in_one_round(exports: int) -> None:
    load = Load(exports)
    assert load.each_month(lambda one: one.kept + one.ended) == pytest.approx(exports * looks_for_each(app()))


def test_lone_export_has_a_round_to_itself_and_the_busiest_batches_are_full() -> None:
    assert Load(1).batch == pytest.approx(1, abs=0.001)
    assert Load(100_000_000).batch == pytest.approx(100)


def test_bulk_reading_costs_one_request_for_a_hundred_looks_and_one_for_their_files() -> None:
    load = Load(100_000_000)
    assert load.looks / 100 < load.api_requests < 2 * load.looks / 100
    assert load.api_requests == pytest.approx(full_batches(load))


def test_the_more_exports_the_less_each_costs_and_asks() -> None:
    loads = [Load(exports) for exports in cost.LOADS]
    each = [dollars(this_app(load)) / load.exports for load in loads]
    asked = [load.api_requests / load.exports for load in loads]
    assert each == sorted(each, reverse=True)
    assert asked == sorted(asked, reverse=True)


def test_what_is_idle_is_paid_for_without_any_export() -> None:
    assert dollars(this_app(Load(1e-9))) == pytest.approx(dollars(standing()))
    assert dollars(standing()) > 0


def test_other_ways_are_compared_without_logs_traces_metrics_alarms_and_dashboard() -> None:
    load = Load(1000)
    left_out = set(this_app(load)) - set(bare(this_app(load)))
    assert left_out == {"logs", "log storage", "traces", "metrics", "alarms", "dashboards"}
    others = [usage.step_functions(load, app()), usage.durable_function(load, app()), usage.polling_task(load)]
    assert all(not left_out & set(other) for other in others)


def test_every_amount_has_a_price_and_every_price_a_use() -> None:
    load = Load(1000)
    used = [this_app(load), usage.step_functions(load, app()), usage.durable_function(load, app())]
    assert set(PRICES) == {name for amounts in [*used, usage.polling_task(load)] for name in amounts}


def test_limit_of_exports_fills_the_share_of_the_rate_limit() -> None:
    most = most_exports(share_a_minute(), lambda load: load.api_requests)
    assert Load(most).api_requests / MONTH_SECONDS * 60 == pytest.approx(share_a_minute(), rel=0.001)


def test_log_and_metrics_lines_are_as_long_as_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    look_line, metrics_line = lines_of_one_look(monkeypatch)
    assert len(look_line.encode()) == pytest.approx(LOOK_LINE_BYTES, rel=0.1)
    assert len(metrics_line.encode()) == pytest.approx(METRICS_LINE_BYTES, rel=0.1)


def test_event_is_as_long_as_assumed_and_ten_fit_into_one_request() -> None:
    _, evidence = assess(Answers(a_job(export_id=EXPORT_ID), a_volume(), a_file(), an_object()), NOW)
    watch = Watch(StartEvent(EXPORT_ID), MESSAGE_ID, NOW - HOUR, 36)
    message = ending_message(watch, evidence, None, NOW, "https://cgc-api.sbgenomics.com/v2")
    assert message.size_bytes == pytest.approx(EVENT_BYTES, rel=0.2)
    assert Round(completed=100).publishes == math.ceil(100 / 10)


def lines_of_one_look(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """What a round with one unfinished export writes, by Powertools and within an invocation."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
    log, printed = io.StringIO(), io.StringIO()
    logger = Logger(service="cgc-export-monitor", location=None, stream=log, level="INFO")
    metrics = Metrics(service="cgc-export-monitor", namespace="CgcExportMonitor")
    context: Any = SimpleNamespace(
        function_name=FUNCTION,
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}",
        aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    )

    @logger.inject_lambda_context
    @metrics.log_metrics
    def handle(_event: Any, _context: Any) -> None:
        telemetry = Telemetry(logger, metrics)
        telemetry.measure_seconds("OldestWatchAgeSeconds", 3600.123)
        message = QueueMessage(MESSAGE_ID, "receipt", "{}", NOW - HOUR, 36)
        watch = Watch(StartEvent(EXPORT_ID), MESSAGE_ID, NOW - HOUR, 36)
        evidence = Evidence(a_job("RUNNING", EXPORT_ID))
        wait = Wait(360.2, "the job is RUNNING")
        look = Look(message, watch, NOW, Unfinished("RUNNING"), evidence, wait)
        tell_waiting(look, wait.seconds, wait.because, telemetry)

    with contextlib.redirect_stdout(printed):
        handle({}, context)
    return log.getvalue(), printed.getvalue()
