"""The content check's function on the local stack: its role, its metrics and log, and what its alarm needs to fire."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from export_monitor.domain.content.target import ContentMessage, ContentTarget
from local.aws_calls import ServiceError
from local.bam import bam, with_a_flipped_bit
from local.emulator import ACCOUNT_ID, REGION
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack
from local.template import template
from tests.cloudwatch import Alarm, again, dimensions, emitted, shown_on
from tests.integration.role import covers, rights_given, rights_used
from tests.integration.steps import failing
from tests.integration.test_log_queries import COMPARISON, LITERAL, names
from tests.integration.test_role import EXCEPTIONS

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "content-check.md").read_text("utf-8")
RETRY_SECONDS = template()["Resources"]["ContentQueue"]["Properties"]["VisibilityTimeout"]
# So that objects of a megabyte have several parts.
PARAMETERS = {
    "ContentCheckMaxGiB": "1",
    "ContentPartMiB": "1",
    "KmsKeyArns": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(Platform(TOKEN), buckets=("bucket", "versions"), parameters=PARAMETERS, polls=False) as stack:
        enabled = {"Status": "Enabled"}
        stack.client("s3").put_bucket_versioning(Bucket="versions", VersioningConfiguration=enabled)
        yield stack


def request(stack: Stack, bucket: str, key: str, content: bytes) -> ContentTarget:
    """Put an object and ask for its check, as the watch does."""
    put = stack.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    target = ContentTarget(bucket, key, len(content), put["ETag"].strip('"'), put.get("VersionId"))
    send(stack, ContentMessage(target).to_body())
    return target


def send(stack: Stack, body: str) -> None:
    url = stack.deployment.physical_ids["ContentQueue"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=body)


def log_of(stack: Stack) -> list[str]:
    """Every line so far, complete once the processes that wrote it have ended."""
    for environment in stack.content_environments:
        environment.kill()
    return list(stack.log_lines)


@pytest.fixture(scope="module")
def lines(stack: Stack) -> list[str]:
    """The log of a run with sound and damaged objects, a message that cannot be read, and one failure of DynamoDB."""
    stack.content_aws.fault_for = failing("UpdateItem", ServiceError(500, "InternalServerError"))
    request(stack, "bucket", "sound.bam", bam(60))
    assert stack.content_mapping is not None
    stack.content_mapping.run_once()
    stack.content_aws.fault_for = lambda _: None
    request(stack, "bucket", "sound.bam", bam(60))
    request(stack, "versions", "damaged.bam", with_a_flipped_bit(bam(61)))
    send(stack, "not understood")
    while stack.content_mapping.run_once():
        pass
    return log_of(stack)


def verdicts(lines: list[str]) -> dict[str, str]:
    ends = [json.loads(line) for line in lines if '"content_verified"' in line]
    return {one["object"]: one["outcome"] for one in ends}


def test_sound_and_damaged_objects_are_told_apart_in_several_parts(lines: list[str]) -> None:
    assert verdicts(lines) == {"s3://bucket/sound.bam": "passed", "s3://versions/damaged.bam": "failed"}
    parts = [json.loads(line)["part"] for line in lines if '"content_part_verified"' in line]
    assert max(parts) > 0


def test_role_of_the_worker_allows_what_it_does_and_nothing_else(stack: Stack, lines: list[str]) -> None:
    assert verdicts(lines)
    given, used = rights_given(stack, "ContentCheckRole"), rights_used(stack.content_aws.calls)
    assert {one for one in used if not any(covers(right, one) for right in given)} == set()
    # The function does not list the bucket, and the mapping receives and deletes its messages.
    of_the_mapping = {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
    actions = {action for action, _ in used}
    unused = {
        (action, resource)
        for action, resource in given
        if not any(covers((action, resource), one) for one in used)
        and not (action.startswith("s3:") and action in actions)
    }
    assert {action for action, _ in unused} == EXCEPTIONS.keys() - {"s3:ListBucket"} | of_the_mapping


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


def alarm_of(stack: Stack) -> Alarm:
    [described] = [
        one
        for one in stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        if one["AlarmName"].endswith("ContentErrorsAlarm")
    ]
    return Alarm.of(described)


def test_alarm_fires_where_a_check_keeps_failing_and_not_after_one_failure(stack: Stack, lines: list[str]) -> None:
    alarm = alarm_of(stack)
    once = emitted(lines)[alarm.metric][:1]
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
