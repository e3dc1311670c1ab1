"""A deployed stack, checked from outside: `make e2e STACK=cgc-export-monitor`.

It uses your AWS credentials and region, and does what a user does. An export that does not exist is announced, and must
fail as unknown to the API. That takes the stack's `NotFoundGraceSeconds`, five minutes unless you
changed it. With `EXPORT_ID=…`, the id of an export that has completed and whose object is still there, its object is
verified too.

What an operator may notice: the event (and e-mail) of a failed group, one failed export in the metrics, and
`DeadLetterAlarm`, if it is evaluated while the invalid message is in the queue. Everything else that the check makes
is removed in any case. The file's name keeps it out of `make test`.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

# In addition to the grace period: the polls, and delivery by SNS.
SLACK_SECONDS = 180


@dataclass(frozen=True)
class Deployed:
    """The stack's outputs and parameters, and its function's variables."""

    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    variables: Mapping[str, str]

    @property
    def conclusion_seconds(self) -> float:
        """How long until it is certain that an export is unknown, or that an object is not there."""
        graces = (self.variables["NOT_FOUND_GRACE_SECONDS"], self.variables["OBJECT_GRACE_SECONDS"])
        return max(float(grace) for grace in graces) * 1.2 + SLACK_SECONDS

    def announce(self, detail: Mapping[str, Any]) -> None:
        """Put a start event on the stack's bus."""
        entry = {
            # An emulated stack does not list its parameters.
            "EventBusName": self.parameters.get("EventBusName", "default"),
            "Source": self.variables["START_EVENT_SOURCE"],
            "DetailType": "Export Started",
            "Detail": json.dumps(detail),
        }
        answer = boto3.client("events").put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=os.environ["STACK"])["Stacks"]
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    function = boto3.client("lambda").get_function_configuration(FunctionName=outputs["ExportMonitorFunctionArn"])
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}
    return Deployed(outputs, parameters, function["Environment"]["Variables"])


@pytest.fixture(scope="module")
def run_id() -> str:
    """A unique name for this run's group, queue and export."""
    return f"e2e-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def subscriber(deployed: Deployed, run_id: str) -> Iterator[str]:
    """The URL of a queue that gets the stack's events, for as long as the checks take."""
    with subscribed(deployed.outputs["ExportEventsTopicArn"], run_id) as url:
        yield url


@contextmanager
def subscribed(topic_arn: str, name: str) -> Iterator[str]:
    """The URL of a queue that gets all events of the topic; it has the name, and is removed in the end.

    A filter policy may take a quarter of an hour to apply, and until then lets nothing in or everything.
    """
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    try:
        queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy(queue_arn, topic_arn))})
        subscription = sns.subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=queue_arn,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        try:
            yield url
        finally:
            sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    finally:
        sqs.delete_queue(QueueUrl=url)


def completed_group(run_id: str) -> str:
    """The group of the export that has completed; the other one's is named as the run is."""
    return f"{run_id}-completed"


def policy(queue_arn: str, topic_arn: str) -> dict[str, Any]:
    """Lets that topic alone send to the queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def take(
    url: str,
    wanted: Callable[[Mapping[str, Any]], bool],
    seconds: float,
    foreign: Callable[[Mapping[str, Any]], bool] = lambda _: False,
) -> Mapping[str, Any]:
    """The first wanted message of a queue; it is deleted, and so are foreign ones.

    Others stay, hidden for half a minute.
    """
    sqs, end = boto3.client("sqs"), time.monotonic() + seconds
    while True:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=30, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", []):
            is_wanted = wanted(message)
            if is_wanted or foreign(message):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            if is_wanted:
                return message
        if time.monotonic() > end:
            pytest.fail(f"nothing came to {url} in {seconds:.0f} s")


def event(url: str, run_id: str, event_type: str, subject: str, seconds: float) -> Any:
    """The data of the event of this type about this subject. Events of other groups than the run's are dropped."""

    def is_wanted(message: Mapping[str, Any]) -> bool:
        body = json.loads(message["Body"])
        return (body["type"], body.get("subject")) == (event_type, subject)

    def is_foreign(message: Mapping[str, Any]) -> bool:
        group = message.get("MessageAttributes", {}).get("group", {}).get("StringValue")
        return group not in (run_id, completed_group(run_id))

    return json.loads(take(url, is_wanted, seconds, is_foreign)["Body"])["data"]


def alarms(deployed: Deployed) -> list[Any]:
    """The alarms that notify the stack's topic."""
    pages = boto3.client("cloudwatch").get_paginator("describe_alarms").paginate()
    topic_arn = deployed.outputs["AlarmsTopicArn"]
    return [one for page in pages for one in page["MetricAlarms"] if topic_arn in one["AlarmActions"]]


def test_alarms_exist_and_none_has_fired(deployed: Deployed) -> None:
    found = alarms(deployed)
    assert len(found) == (13 if deployed.variables["CONTENT_QUEUE_URL"] else 11)
    assert not [(one["AlarmName"], one["StateReason"]) for one in found if one["StateValue"] == "ALARM"]


def test_dashboard_is_there(deployed: Deployed) -> None:
    name = deployed.outputs["DashboardUrl"].rpartition("/")[2]
    assert json.loads(boto3.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])["widgets"]


@pytest.mark.parametrize(
    "output",
    ["ExportQueueUrl", "DeadLetterQueueUrl", "UndeliveredEventsQueueUrl", "ExportEventsTopicArn", "AlarmsTopicArn"],
)
def test_queues_and_topics_reject_plain_http(deployed: Deployed, output: str) -> None:
    address = deployed.outputs[output]
    if output.endswith("Arn"):
        attributes = boto3.client("sns").get_topic_attributes(TopicArn=address)["Attributes"]
    else:
        attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=address, AttributeNames=["Policy"])["Attributes"]
    tls_only = {"Bool": {"aws:SecureTransport": "false"}}
    statements = json.loads(attributes["Policy"])["Statement"]
    assert any(one["Effect"] == "Deny" and one.get("Condition") == tls_only for one in statements)


def test_export_that_does_not_exist_fails_as_not_found_and_concludes_its_group(
    deployed: Deployed, subscriber: str, run_id: str
) -> None:
    deployed.announce({"export_id": run_id, "context": {"run": run_id}, "group": {"id": run_id, "size": 1}})
    failed = event(subscriber, run_id, "cgc.export.failed.v1", run_id, deployed.conclusion_seconds)
    assert failed["failure"]["reason"] == "EXPORT_NOT_FOUND"
    assert failed["context"] == {"run": run_id}
    concluded = event(subscriber, run_id, "cgc.export.group.concluded.v1", run_id, SLACK_SECONDS)
    assert (concluded["outcome"], concluded["failed"]) == ("failed", 1)


@pytest.mark.skipif(not os.environ.get("EXPORT_ID"), reason="EXPORT_ID names no export that has completed")
def test_export_that_has_completed_completes_its_group(deployed: Deployed, subscriber: str, run_id: str) -> None:
    # Its own event may have been published long ago, and then is not published again; its group's is.
    group_id = completed_group(run_id)
    deployed.announce({"export_id": os.environ["EXPORT_ID"], "group": {"id": group_id, "size": 1}})
    concluded = event(subscriber, run_id, "cgc.export.group.concluded.v1", group_id, deployed.conclusion_seconds)
    assert (concluded["outcome"], concluded["failures"]) == ("completed", [])


def test_invalid_start_event_becomes_a_dead_letter_with_its_error(deployed: Deployed, run_id: str) -> None:
    body = json.dumps({"export_id": f"../{run_id}"})
    boto3.client("sqs").send_message(QueueUrl=deployed.outputs["ExportQueueUrl"], MessageBody=body)
    letter = take(deployed.outputs["DeadLetterQueueUrl"], lambda message: message["Body"] == body, SLACK_SECONDS)
    assert letter["MessageAttributes"]["error"]["StringValue"].startswith("export_id: ")
