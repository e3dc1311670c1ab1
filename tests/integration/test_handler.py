"""The function as Lambda calls it: its environment, its events, its answers."""

import importlib
import itertools
import json
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
import pytest

from export_monitor.application.status import UnknownError
from export_monitor.bootstrap import bootstrap
from export_monitor.domain.start_events import StartEventError
from export_monitor.domain.status_requests import StatusRequestError
from export_monitor.settings import SettingsError
from local.export_jobs import NEVER
from local.sqs_event import sqs_record
from tests.fakes import REGION, TOKEN, RecordingReporter
from tests.integration.harness import World, completed
from tests.integration.steps import Context

QUEUE_ARN = f"arn:aws:sqs:{REGION}:123456789012:exports"
# Powertools keeps loggers by their service's name, with the stream that they were first given.
_numbers = itertools.count()


Handle = Callable[[Any], dict[str, Any]]


@pytest.fixture
def environment(world: World, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables that Lambda and the template set; a test may change them before the first event."""
    powertools = {"SERVICE_NAME": f"handler-{next(_numbers)}", "METRICS_NAMESPACE": "CgcExportMonitor"}
    set_by_lambda = {"AWS_DEFAULT_REGION": REGION, **{f"POWERTOOLS_{name}": one for name, one in powertools.items()}}
    for name, value in {**world.aws.environment(world.base_url), **set_by_lambda}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def handle(environment: pytest.MonkeyPatch) -> Handle:
    """The handler in a new execution environment, which reads its variables at the first event."""
    environment.delitem(sys.modules, "export_monitor.handler", raising=False)
    module = cache(lambda: importlib.import_module("export_monitor.handler"))
    return lambda event: module().lambda_handler(event, Context())


def envelope(detail: object) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Export Started",
        "source": "cgc.exports",
        "account": "123456789012",
        "time": "2016-06-15T19:17:39Z",
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def batch(world: World, *bodies: str) -> dict[str, Any]:
    """The event of messages with these bodies, as the mapping makes it of what it receives."""
    records = []
    for body in bodies:
        attributes = {"trace": {"DataType": "String", "StringValue": "deferred"}}
        world.aws.client("sqs").send_message(
            QueueUrl=world.aws.queue_url, MessageBody=body, MessageAttributes=attributes
        )
        records.append(sqs_record(world.aws.receive(), QUEUE_ARN))
    return {"Records": records}


def test_batch_is_answered_with_the_messages_that_stay(handle: Handle, world: World) -> None:
    world.platform.add_job(completed("done"))
    world.platform.add_job(completed("slow", steps=NEVER))
    event = batch(world, '{"export_id": "done"}', '{"export_id": "slow"}', "not JSON")
    answer = handle(event)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]}
    [published] = world.aws.published()
    assert json.loads(published["Message"])["id"] == "done:completed"
    [letter] = world.aws.dead_letters()
    assert letter["Body"] == "not JSON"
    assert letter["MessageAttributes"]["trace"]["StringValue"] == "deferred"


def test_watch_starts_when_its_message_was_sent(
    handle: Handle, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.platform.add_job(completed("slow", steps=NEVER))
    event = batch(world, '{"export_id": "slow"}')
    attributes = event["Records"][0]["attributes"]
    attributes["SentTimestamp"] = str(int(attributes["SentTimestamp"]) - 1_000_000)
    attributes["ApproximateReceiveCount"] = "7"
    handle(event)
    [line] = [one for one in lines(capsys) if one.get("message") == "export_polled"]
    assert line["age_seconds"] == pytest.approx(1000, abs=30)
    assert line["delay_seconds"] == pytest.approx(100, abs=13)
    assert (line["receive_count"], line["export_id"], line["outcome"]) == (7, "slow", "waiting")


def test_lines_and_metrics_of_an_invocation_are_json_without_the_token(
    handle: Handle, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.platform.add_job(completed("done"))
    handle(batch(world, '{"export_id": "done"}'))
    logged = lines(capsys)
    assert TOKEN not in repr(logged)
    [polled] = [line for line in logged if line.get("message") == "export_polled"]
    assert polled["function_request_id"] == Context.aws_request_id
    [metrics] = [line for line in logged if "_aws" in line]
    [declared] = metrics["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "CgcExportMonitor"
    assert {one["Name"] for one in declared["Metrics"]} == {
        "DetectionLagSeconds", "ExportsCompleted", "ExportsVerified", "OldestWatchAgeSeconds", "VerifiedBytes",
    }  # fmt: skip


def test_direct_start_event_is_put_into_the_queue(
    handle: Handle, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    detail = {"export_id": "a", "context": {"who": "ö"}, "group": {"id": "g", "size": 2}}
    answer = handle(envelope(detail))
    received = world.aws.receive()
    assert answer == {"export_id": "a", "message_id": received["MessageId"]}
    assert json.loads(received["Body"]) == detail
    [line] = [one for one in lines(capsys) if one.get("message") == "export_announced"]
    assert line["message_id"] == received["MessageId"]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (envelope({"export_id": "../x"}), "export_id"),
        (envelope([]), "detail"),
        ({**envelope({"export_id": "a"}), "source": "elsewhere"}, "source"),
        ({**envelope({"export_id": "a"}), "detail-type": "Export Ended"}, "detail-type"),
        ({}, "export_id"),
        (None, "body"),
        ({"Records": ["a"]}, "export_id"),
        ({"Records": [{"eventSource": "aws:s3"}]}, "export_id"),
    ],
)
def test_direct_event_that_cannot_be_parsed_raises_with_the_field(
    handle: Handle, world: World, event: Any, field: str
) -> None:
    with pytest.raises(StartEventError, match=f"^{field}: "):
        handle(event)
    assert world.aws.messages_in_queue() == 0


def test_status_of_an_export_is_the_answer_of_its_own_invocation(handle: Handle, world: World) -> None:
    world.platform.add_job(completed("done"))
    handle(batch(world, '{"export_id": "done"}'))
    requests = len(world.platform.requests)
    answer = handle({"status_of": {"export_id": "done"}})
    assert [one["id"] for one in answer["published"]] == ["done:completed"]
    with pytest.raises(UnknownError, match="unknown group run-42"):
        handle({"status_of": {"group": "run-42"}})
    with pytest.raises(StatusRequestError, match=r"^status_of: must be"):
        handle({"status_of": []})
    assert len(world.platform.requests) == requests
    assert world.aws.messages_in_queue() == 1


# Nothing was counted yet; the exception says what is wrong.
@pytest.mark.filterwarnings("ignore:No application metrics to publish:UserWarning")
def test_all_invalid_settings_are_raised_at_once(environment: pytest.MonkeyPatch, handle: Handle) -> None:
    environment.setenv("API_BASE_URL", "http://cgc-api.sbgenomics.com/v2")
    environment.setenv("MIN_POLL_SECONDS", "0")
    environment.delenv("LEDGER_TABLE_NAME")
    with pytest.raises(SettingsError) as caught:
        handle({"export_id": "a"})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "API_BASE_URL", "MIN_POLL_SECONDS", "LEDGER_TABLE_NAME",
    ]  # fmt: skip


def test_token_is_read_in_the_region_that_its_secret_s_arn_names(
    environment: pytest.MonkeyPatch, handle: Handle, world: World
) -> None:
    elsewhere = boto3.client("secretsmanager", region_name="eu-west-1")
    arn = elsewhere.create_secret(Name="cgc", SecretString=TOKEN)["ARN"]
    assert ":eu-west-1:" in arn
    # The secret in the function's own region is not the one that was named.
    world.aws.client("secretsmanager").put_secret_value(SecretId=world.aws.secret_arn, SecretString="of-another-user")
    environment.setenv("TOKEN_SECRET_ARN", arn)
    world.platform.add_job(completed("done"))
    assert handle(batch(world, json.dumps({"export_id": "done"}))) == {"batchItemFailures": []}
    assert [json.loads(one["Message"])["id"] for one in world.aws.published()] == ["done:completed"]


def test_share_of_the_rate_limit_is_half_of_it_for_each_worker(
    environment: pytest.MonkeyPatch, handle: Handle, world: World
) -> None:
    environment.setenv("API_REQUESTS_PER_MINUTE", "10")
    world.platform.bulk_enabled = False
    bodies = [json.dumps({"export_id": f"e{number}"}) for number in range(8)]
    assert len(handle(batch(world, *bodies))["batchItemFailures"]) == 8
    assert len(world.platform.requests) == 5


def test_schedule_reads_the_list_where_discovery_is_on(
    environment: pytest.MonkeyPatch, handle: Handle, world: World
) -> None:
    environment.setenv("DISCOVERY_MINUTES", "2")
    assert handle({"discover": "exports"}) == {}
    assert [one.path for one in world.platform.requests] == ["/storage/exports"]


def test_parts_are_made_once_and_reach_aws_only_when_they_are_needed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a region no client can be made.
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    parts = bootstrap(world.aws.environment("https://cgc-api.sbgenomics.com/v2"), RecordingReporter())
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for export_id in ("a", "b"):
        parts.enqueuer.enqueue({"export_id": export_id})
        assert json.loads(world.aws.receive()["Body"]) == {"export_id": export_id}


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Everything that was written to the standard streams, which must be JSON, line by line."""
    captured = capsys.readouterr()
    assert captured.err == ""
    return [json.loads(line) for line in captured.out.splitlines()]
