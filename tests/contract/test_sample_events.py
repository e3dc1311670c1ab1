"""The events for `sam local invoke` are what Lambda would hand over."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from export_monitor.domain.start_events import StartEventError, parse_event, parse_start_event
from local.sqs_event import sqs_record

DIRECTORY = Path(__file__).parents[2] / "events"
BATCHES = ["sqs-batch", "sqs-batch-with-a-bad-message", "sqs-sns-notification"]
COMPLETED, FAILED = "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2", "DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY"


def sample(name: str) -> Any:
    return json.loads((DIRECTORY / f"{name}.json").read_text("utf-8"))


def parsed(body: str) -> str:
    try:
        return parse_start_event(body, "cgc.exports").export_id
    except StartEventError as error:
        return str(error)


def test_every_sample_is_tested_here() -> None:
    samples = {*BATCHES, "eventbridge-export-started"}
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sqs-batch", [COMPLETED, FAILED, "slowExport"]),
        ("sqs-sns-notification", [COMPLETED]),
        (
            "sqs-batch-with-a-bad-message",
            [COMPLETED, "export_id: must be 1 to 128 letters, digits, '-' or '_'", FAILED],
        ),
    ],
)
def test_batch_is_understood_but_for_its_bad_message(name: str, expected: list[str]) -> None:
    assert [parsed(record["body"]) for record in sample(name)["Records"]] == expected


def test_direct_event_is_understood() -> None:
    assert parse_event(sample("eventbridge-export-started"), "cgc.exports").export_id == COMPLETED
