"""Log lines and metrics as CloudWatch gets them."""

import io
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from export_monitor.adapters.telemetry import Telemetry

# Loggers are kept by their service's name, with the stream that they were first given.
_numbers = itertools.count()


@contextmanager
def telemetry() -> Iterator[tuple[Telemetry, Metrics, io.StringIO]]:
    stream = io.StringIO()
    logger = Logger(service=f"telemetry-{next(_numbers)}", stream=stream, location=None)
    metrics = Metrics(namespace="CgcExportMonitor", service="a-stack")
    yield Telemetry(logger, metrics), metrics, stream
    # Metrics are the class's, not the instance's.
    metrics.clear_metrics()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_is_one_json_object_with_its_fields_but_those_without_a_value() -> None:
    with telemetry() as (report, _, stream):
        report.info("export_polled", export_id="a", delay_seconds=0, state=None)
        report.warning("message_dead_lettered", error="export_id: is needed")
    note, warning = lines(stream)
    assert (note["level"], note["message"], note["export_id"], note["delay_seconds"]) == (
        "INFO", "export_polled", "a", 0,
    )  # fmt: skip
    assert "state" not in note
    assert (warning["level"], warning["error"]) == ("WARNING", "export_id: is needed")


def test_traceback_is_in_the_line_itself() -> None:
    def go_wrong() -> None:
        raise LookupError("what nobody foresaw")

    with telemetry() as (report, _, stream):
        try:
            go_wrong()
        except LookupError as error:
            report.exception("unexpected_error", error, message_ids=["m"])
    [line] = lines(stream)
    assert line["level"] == "ERROR"
    assert line["exception_name"] == "LookupError"
    assert "in go_wrong" in line["exception"]
    assert line["message_ids"] == ["m"]


@pytest.mark.parametrize(
    ("emit", "unit", "value"),
    [
        (lambda report: report.count("Metric"), "Count", 1),
        (lambda report: report.measure_count("Metric", 70_000), "Count", 70_000),
        (lambda report: report.measure_seconds("Metric", 2.00049), "Seconds", 2.0),
        (lambda report: report.measure_bytes("Metric", 5 * 1024**4), "Bytes", 5 * 1024**4),
    ],
)
def test_metric_carries_its_unit(emit: Any, unit: str, value: float) -> None:
    with telemetry() as (report, metrics, _):
        emit(report)
        emitted = metrics.serialize_metric_set()
    [declared] = emitted["_aws"]["CloudWatchMetrics"]
    assert declared["Metrics"] == [{"Name": "Metric", "Unit": unit}]
    assert emitted["Metric"] == [value]
