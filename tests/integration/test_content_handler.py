"""The content worker's function as Lambda calls it."""

import importlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from moto import mock_aws

from export_monitor.content_bootstrap import bootstrap_content
from export_monitor.domain.content.results import ContentVerdict
from export_monitor.settings import SettingsError
from local.sqs_event import sqs_record
from tests.fakes import REGION, RecordingReporter
from tests.integration.content_world import ContentWorld
from tests.integration.steps import Context
from tests.unit.content.files import samples

QUEUE_ARN = f"arn:aws:sqs:{REGION}:123456789012:content"
# Powertools keeps loggers by their service's name, with the stream that they were first given.
_numbers = itertools.count()

Handle = Callable[[], dict[str, Any]]


@pytest.fixture
def world() -> Iterator[ContentWorld]:
    with mock_aws():
        yield ContentWorld(part_bytes=1 << 32)


@pytest.fixture
def handle(world: ContentWorld, monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Let a new execution environment handle the messages that are in the queue; its answer."""
    powertools = {"SERVICE_NAME": f"content-{next(_numbers)}", "METRICS_NAMESPACE": "CgcExportMonitor"}
    set_by_lambda = {"AWS_DEFAULT_REGION": REGION, **{f"POWERTOOLS_{name}": one for name, one in powertools.items()}}
    for name, value in {**world.environment(), **set_by_lambda}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "export_monitor.content_handler", raising=False)
    module = cache(lambda: importlib.import_module("export_monitor.content_handler"))

    def handled() -> dict[str, Any]:
        received = world.sqs.receive_message(
            QueueUrl=world.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        records = [sqs_record(message, QUEUE_ARN) for message in received["Messages"]]
        return dict(module().lambda_handler({"Records": records}, Context()))

    return handled


def test_object_is_planned_read_and_judged_by_two_invocations(
    handle: Handle, world: ContentWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    target = world.put(samples()["reads.bam"].content)
    world.answer(target)
    assert handle() == {"batchItemFailures": []}
    assert handle() == {"batchItemFailures": []}
    assert isinstance(world.answer(target), ContentVerdict)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["message"] for one in lines if "message" in one] == ["content_part_verified", "content_verified"]
    [metrics] = [one for one in lines if "_aws" in one]
    names = [(one["Name"], one["Unit"]) for one in metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert names == [
        ("ContentBytesVerified", "Bytes"),
        ("ContentUnitsVerified", "Count"),
        ("ContentSeconds", "Seconds"),
    ]
    assert metrics["ContentBytesVerified"] == [target.size]


def test_message_that_fails_is_a_batch_item_failure(handle: Handle, world: ContentWorld) -> None:
    world.sqs.delete_queue(QueueUrl=world.dead_letter_queue_url)
    world.send("rubbish")
    [failure] = handle()["batchItemFailures"]
    assert failure["itemIdentifier"]


def test_variables_are_validated_before_anything_else() -> None:
    with pytest.raises(SettingsError, match="CONTENT_PART_MIB"):
        bootstrap_content({}, RecordingReporter())


def test_worker_imports_neither_the_api_s_client_nor_the_watch() -> None:
    unwanted = ["requests", "export_monitor.bootstrap", "export_monitor.application.watcher"]
    code = f"import sys, export_monitor.content_handler; print([one for one in {unwanted} if one in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, env={"PYTHONPATH": "functions"}, check=True)  # noqa: S603 -- ours
    assert ran.stdout.strip() == b"[]"
