"""The events for `sam local invoke` are what Lambda would hand over."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from export_monitor.domain.start_events import parse_event, parse_start_event
from export_monitor.domain.status_requests import (
    ExportStatusRequest,
    GroupStatusRequest,
    StatusRequest,
    is_status_request,
    parse_status_request,
)
from local.sqs_event import sqs_record

DIRECTORY = Path(__file__).parents[2] / "events"
COMPLETED, FAILED = "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2", "DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY"
STATUS_REQUESTS = {
    "status-of-export": ExportStatusRequest(COMPLETED),
    "status-of-group": GroupStatusRequest("run-42"),
}
BATCHES = {"sqs-batch": [COMPLETED, FAILED, "slowExport"], "sqs-sns-notification": [COMPLETED]}


def sample(name: str) -> Any:
    return json.loads((DIRECTORY / f"{name}.json").read_text("utf-8"))


def test_every_sample_is_tested_here() -> None:
    samples = {*BATCHES, *STATUS_REQUESTS, "eventbridge-export-started"}
    assert {path.stem for path in DIRECTORY.glob("*.json")} == samples
    assert set(re.findall(r"^\| `(.+)\.json`", (DIRECTORY / "README.md").read_text("utf-8"), re.MULTILINE)) == samples


@pytest.mark.parametrize("name", BATCHES)
def test_record_has_the_shape_that_the_mapping_gives_it(name: str) -> None:
    for record in sample(name)["Records"]:
        received = {
            "MessageId": record["messageId"],
            "ReceiptHandle": record["receiptHandle"],
            "Body": record["body"],
            "Attributes": record["attributes"],
            "MD5OfBody": hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest(),
        }
        assert record == sqs_record(received, record["eventSourceARN"])
        assert record["attributes"].keys() == {
            "ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp",
        }  # fmt: skip


@pytest.mark.parametrize(("name", "export_ids"), BATCHES.items())
def test_batch_is_understood(name: str, export_ids: list[str]) -> None:
    bodies = [record["body"] for record in sample(name)["Records"]]
    assert [parse_start_event(body, "cgc.exports").export_id for body in bodies] == export_ids


@pytest.mark.parametrize(("name", "request_"), STATUS_REQUESTS.items())
def test_status_request_is_understood(name: str, request_: StatusRequest) -> None:
    assert is_status_request(sample(name))
    assert parse_status_request(sample(name)) == request_


def test_direct_event_is_understood() -> None:
    assert parse_event(sample("eventbridge-export-started"), "cgc.exports").export_id == COMPLETED
