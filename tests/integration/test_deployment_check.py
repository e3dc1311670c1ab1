"""The check of a deployed stack (`make e2e`), on the local one: it passes, leaves nothing behind, and can fail."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.emulator import CREDENTIALS, REGION
from local.export_jobs import AT_ONCE, documented_completed
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack, deliver_to
from tests.e2e.check_deployed_stack import event, subscribed

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
QUICK = {"MinPollSeconds": "1", "MaxPollSeconds": "1", "NotFoundGraceSeconds": "0", "ObjectGraceSeconds": "0"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    platform = Platform(TOKEN)
    platform.add_volume("rfranklin/output", bucket="bucket")
    platform.add_file("576159f7f53e9e1de6ae7b5f0", name="output.vcf", size=1234, project="rfranklin/my-project")
    with Stack(platform, parameters=QUICK, workers=1) as running:
        platform.deliver = deliver_to(running)
        yield running


def variables(stack: Stack) -> dict[str, str]:
    return {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": stack.emulator.endpoint_url}


def checked(stack: Stack, *arguments: str, export_id: str = "") -> "subprocess.CompletedProcess[str]":
    """The recipe of `make e2e`, with the emulator in the place of AWS."""
    [recipe] = re.findall(r" -m (pytest .*check_deployed_stack\.py)$", MAKEFILE, re.MULTILINE)
    return subprocess.run(  # noqa: S603 -- the Makefile's own recipe
        [sys.executable, "-m", *recipe.split(), *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "STACK": "cgc-export-monitor", "EXPORT_ID": export_id, **variables(stack)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def what_is_there(stack: Stack) -> Any:
    queues = stack.client("sqs").list_queues()["QueueUrls"]
    counts = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.deployment.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    subscriptions = stack.client("sns").list_subscriptions()["Subscriptions"]
    return queues, counts, [one["SubscriptionArn"] for one in subscriptions]


def test_healthy_stack_passes_and_nothing_is_left_behind(stack: Stack) -> None:
    before = what_is_there(stack)
    job = stack.platform.add_job(documented_completed(steps=AT_ONCE))
    done = checked(stack, export_id=job.id)
    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout
    assert what_is_there(stack) == before


@pytest.fixture
def of_the_emulator(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3 in this process speak to the emulator."""
    for name, value in variables(stack).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.usefixtures("of_the_emulator")
def test_check_finds_its_event_among_others(stack: Stack) -> None:
    sns, topic_arn = stack.client("sns"), stack.deployment.outputs["ExportEventsTopicArn"]

    def publish(event_type: str, subject: str, **attributes: str) -> None:
        event = {"type": event_type, "subject": subject, "data": {"of": subject}}
        sns.publish(
            TopicArn=topic_arn,
            Message=json.dumps(event),
            MessageAttributes={name: {"DataType": "String", "StringValue": one} for name, one in attributes.items()},
        )

    with subscribed(topic_arn, "e2e-run") as url:
        for number in range(15):
            publish("cgc.export.failed.v1", f"other-{number}", **({"group": "another"} if number % 2 else {}))
        publish("cgc.export.group.concluded.v1", "e2e-run", group="e2e-run")
        publish("cgc.export.failed.v1", "e2e-run", group="e2e-run")
        assert event(url, "e2e-run", "cgc.export.failed.v1", "e2e-run", 20) == {"of": "e2e-run"}
        left = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        # The run's other event, which is waited for next.
        assert int(left["ApproximateNumberOfMessagesNotVisible"]) + int(left["ApproximateNumberOfMessages"]) == 1


def test_alarm_that_has_fired_is_named(stack: Stack) -> None:
    cloudwatch, name = stack.client("cloudwatch"), "cgc-export-monitor-TokenRejectedAlarm"
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="The token was rejected.")
    done = checked(stack, "-k", "none_has_fired")
    assert done.returncode == 1
    assert f"('{name}', 'The token was rejected.')" in done.stdout


def test_check_is_no_part_of_make_test() -> None:
    collected = [path.name for path in (ROOT / "tests" / "e2e").glob("*.py")]
    assert [name for name in collected if name.startswith("test_") or name.endswith("_test.py")] == []
    assert collected
