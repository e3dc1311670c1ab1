"""Content checks on the local stack: the events, both roles, metrics and log, and what the alarm needs to fire."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from export_monitor.domain.content.target import ContentMessage, ContentTarget
from local.aws_calls import ServiceError
from local.bam import bam, with_a_flipped_bit
from local.emulator import ACCOUNT_ID, REGION
from local.export_jobs import Job
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack
from local.template import template
from tests.cloudwatch import Alarm, Datapoint, Metric, again, dimensions, emitted, shown_on
from tests.integration.role import rights_exceeded, rights_given, rights_unused, rights_used
from tests.integration.steps import drained, failing
from tests.integration.test_log_queries import COMPARISON, LITERAL, names
from tests.integration.test_role import EXCEPTIONS

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "content-check.md").read_text("utf-8")
RETRY_SECONDS = template()["Resources"]["ContentQueue"]["Properties"]["VisibilityTimeout"]
OBJECTS = {"sound": bam(60), "damaged": with_a_flipped_bit(bam(61))}
PARAMETERS = {
    "MinPollSeconds": "1",
    "MaxPollSeconds": "1",
    "ObjectGraceSeconds": "0",
    "ContentCheckMaxGiB": "1",
    # So that the objects, which have almost two megabytes, have two parts each.
    "ContentPartMiB": "1",
    "KmsKeyArns": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    platform = Platform(TOKEN)
    with Stack(platform, buckets=("bucket", "versions"), parameters=PARAMETERS, polls=False) as stack:
        enabled = {"Status": "Enabled"}
        stack.client("s3").put_bucket_versioning(Bucket="versions", VersioningConfiguration=enabled)
        platform.deliver = lambda job: stack.put_object(job.volume.partition("/")[2], job.location, OBJECTS[job.id])
        for bucket in stack.buckets:
            platform.add_volume(f"rfranklin/{bucket}", bucket=bucket)
        for name, content in OBJECTS.items():
            platform.add_file(name, name=f"{name}.bam", size=len(content), project="rfranklin/my-project")
        yield stack


def announce(stack: Stack, name: str, bucket: str) -> None:
    job = Job(id=name, file=name, volume=f"rfranklin/{bucket}", location=f"{name}.bam")
    stack.platform.add_job(job)
    stack.send(json.dumps({"export_id": name}))


def log_of(stack: Stack) -> list[str]:
    """Every line so far, complete once the processes that wrote it have ended."""
    for environment in stack.content_environments:
        environment.kill()
    return list(stack.log_lines)


@pytest.fixture(scope="module")
def lines(stack: Stack) -> list[str]:
    """The log of a run with a sound and a damaged object, a message that cannot be read, and a failure of DynamoDB."""
    mapping, end = stack.content_mapping, time.monotonic() + 60
    assert mapping is not None
    stack.content_aws.fault_for = failing("UpdateItem", ServiceError(500, "InternalServerError"))
    etag = stack.put_object("bucket", "failing.bam", OBJECTS["sound"])
    send(stack, ContentMessage(ContentTarget("bucket", "failing.bam", len(OBJECTS["sound"]), etag)).to_body())
    mapping.run_once()
    stack.content_aws.fault_for = lambda _: None
    send(stack, "not understood")
    announce(stack, "sound", "bucket")
    announce(stack, "damaged", "versions")
    while not drained(stack) and time.monotonic() < end:
        stack.mapping.run_once()
        mapping.run_once()
    return log_of(stack)


def send(stack: Stack, body: str) -> None:
    """Send a message straight to the content queue."""
    url = stack.deployment.physical_ids["ContentQueue"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=body)


def verdicts(lines: list[str]) -> dict[str, str]:
    ends = [json.loads(line) for line in lines if '"content_verified"' in line]
    return {one["object"]: one["outcome"] for one in ends}


def test_damaged_object_fails_its_export_at_the_byte_where_its_block_begins(stack: Stack, lines: list[str]) -> None:
    assert verdicts(lines) == {"s3://bucket/sound.bam": "passed", "s3://versions/damaged.bam": "failed"}
    parts = [json.loads(line)["part"] for line in lines if '"content_part_verified"' in line]
    assert max(parts) > 0
    events = {one.event["id"]: one.event["data"]["verification"] for one in stack.receive(2)}
    assert events.keys() == {"sound:completed", "damaged:failed:OBJECT_MISMATCH"}
    assert events["sound:completed"]["content"]["bytes_read"] == len(OBJECTS["sound"])
    offset = events["damaged:failed:OBJECT_MISMATCH"]["content"]["fault"]["offset"]
    # 30 of the 61 blocks of reads, and that of the header, are before the one that holds the middle.
    assert OBJECTS["damaged"][:offset].count(b"BC\x02\0") == 31


def test_role_of_the_worker_allows_what_it_does_and_nothing_else(stack: Stack, lines: list[str]) -> None:
    assert verdicts(lines)
    assert rights_exceeded(stack) == set()
    given, used = rights_given(stack, "ContentCheckRole"), rights_used(stack.content_aws.calls)
    # Its messages are received and deleted by the mapping alone, and it treats a missing key like a denied one.
    of_the_mapping = {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
    assert rights_unused(given, used) == EXCEPTIONS.keys() - {"s3:ListBucket"} | of_the_mapping


def test_role_of_the_watch_uses_what_it_has_for_content_checks(stack: Stack, lines: list[str]) -> None:
    assert verdicts(lines)
    of_content = {
        stack.deployment.physical_ids["ContentChecks"],
        stack.deployment.physical_ids["ContentQueue"].rpartition("/")[2],
    }
    given = {right for right in rights_given(stack) if re.split("[:/]", right[1])[-1] in of_content}
    assert {action for action, _ in given} == {"sqs:SendMessage", "dynamodb:GetItem", "dynamodb:UpdateItem"}
    assert rights_unused(given, rights_used(stack.aws.calls)) == set()


def test_worker_makes_no_call_that_needs_the_token(stack: Stack, lines: list[str]) -> None:
    assert lines
    assert {call.service for call in stack.content_aws.calls} == {"s3", "sqs", "dynamodb"}
    assert TOKEN not in "\n".join(lines)


def test_metrics_of_the_worker_are_those_of_the_dashboard(stack: Stack, lines: list[str]) -> None:
    cloudwatch = stack.client("cloudwatch")
    [dashboard] = cloudwatch.list_dashboards()["DashboardEntries"]
    body = cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"]
    shown = {one for one in shown_on(body) if one.name.startswith("Content")}
    metrics = {metric for metric in emitted(lines) if metric.name.startswith("Content")}
    assert shown == metrics
    assert len(metrics) == 5
    worker = dimensions({"FunctionName": stack.deployment.functions["ContentCheckFunction"].function.name})
    assert worker in {one.dimensions for one in shown_on(body)}


def alarm_of(stack: Stack, name: str) -> Alarm:
    [described] = [
        one
        for one in stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        if one["AlarmName"].endswith(f"-{name}")
    ]
    return Alarm.of(described)


@pytest.mark.parametrize("name", ["ContentErrorsAlarm", "ContentFunctionErrorsAlarm"])
def test_alarm_fires_where_a_check_keeps_failing_and_not_after_one_failure(
    stack: Stack, lines: list[str], name: str
) -> None:
    alarm = alarm_of(stack, name)
    worker = stack.deployment.functions["ContentCheckFunction"].function.name
    died = Metric("AWS/Lambda", "Errors", dimensions({"FunctionName": worker}))
    once = (emitted(lines) | {died: [Datapoint(time.time(), 1)]})[alarm.metric][:1]
    often = again(once, RETRY_SECONDS, times=4)
    assert alarm.state(once, once[-1].at) == "OK"
    assert alarm.state(often, often[-1].at) == "ALARM"
    assert alarm.state(often, often[-1].at + 7200) == "OK"


def test_queries_name_what_the_worker_logs(lines: list[str]) -> None:
    queries = re.findall(r"```logs-insights\n(.+?)```", PAGE, re.DOTALL)
    assert len(queries) == 2
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    for query in queries:
        [message] = re.findall(r'message = "(\w+)"', query)
        assert names(query) - {name for line in logged if line.get("message") == message for name in line} == set()
        for name, _, literal in COMPARISON.findall(query):
            assert {text[1:-1] for text in LITERAL.findall(literal)} <= {line.get(name) for line in logged}


def test_message_that_is_not_understood_becomes_a_dead_letter(stack: Stack, lines: list[str]) -> None:
    assert any("message_dead_lettered" in line for line in lines)
    [letter] = stack.dead_letters()
    assert (letter.body, letter.error) == ("not understood", "the body is not JSON")
