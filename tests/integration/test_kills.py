"""The built function in AWS's own runtime client, killed with SIGKILL: nothing is lost, nothing stays unfinished."""

import hashlib
import json
from dataclasses import replace
from typing import Literal

import pytest

from local.event_source_mapping import EventSourceMapping
from local.faults import Disconnect
from local.simulated_platform import Platform
from local.stack import Stack
from tests.integration.steps import NthCall, completed, run_until_drained

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("operation", "moment", "nth", "at_most"),
    [
        ("GetSecretValue", "before", 1, 1),
        ("TransactWriteItems", "before", 1, 1),
        ("TransactWriteItems", "after", 1, 1),
        ("PublishBatch", "before", 1, 1),
        ("PublishBatch", "after", 1, 2),
        ("TransactWriteItems", "before", 2, 2),
        ("TransactWriteItems", "after", 2, 1),
        ("UpdateItem", "before", 1, 1),
        ("UpdateItem", "after", 2, 1),
        ("ChangeMessageVisibilityBatch", "before", 1, 1),
        ("ChangeMessageVisibilityBatch", "after", 1, 1),
    ],
)
def test_kill_at_any_moment_loses_no_export(
    stack: Stack, platform: Platform, operation: str, moment: Literal["before", "after"], nth: int, at_most: int
) -> None:
    export_ids = [f"{name}-{operation}-{moment}-{nth}" for name in ("done", "done-too", "running")]
    for export_id in export_ids:
        platform.add_job(completed(export_id))
        stack.send(json.dumps({"export_id": export_id}))
    platform.add_job(replace(completed(export_ids[-1]), steps=((0, "RUNNING"), (4, "COMPLETED"))))
    environment = stack.environment(timeout_seconds=5)
    killed = NthCall(operation, nth, Disconnect(moment, environment.kill))
    stack.aws.fault_for = killed
    mapping = EventSourceMapping(
        stack.deployment.mapping, stack.client("sqs"), [environment], redeliver_immediately=True
    )
    run_until_drained(stack, mapping)
    environment.kill()
    assert killed.met
    published = [one.event["id"] for one in stack.receive(timeout_seconds=0)]
    assert set(published) == {f"{export_id}:completed" for export_id in export_ids}
    assert max(published.count(event_id) for event_id in published) <= at_most


@pytest.mark.parametrize(
    ("operation", "moment", "nth", "at_most"),
    [
        ("ReceiveMessage", "before", 2, 1),
        ("ReceiveMessage", "after", 1, 1),
        ("PublishBatch", "after", 2, 2),
        ("ChangeMessageVisibilityBatch", "before", 1, 1),
        ("DeleteMessageBatch", "before", 1, 1),
        ("DeleteMessageBatch", "after", 1, 1),
    ],
)
def test_kill_of_a_batch_that_is_topped_up_loses_no_export(
    stack: Stack, platform: Platform, operation: str, moment: Literal["before", "after"], nth: int, at_most: int
) -> None:
    name = f"topped-up-{operation}-{nth}-{moment}"
    running = replace(completed(f"{name}-running"), steps=((0, "RUNNING"), (3, "COMPLETED")))
    jobs = [running, *(completed(f"{name}-{number}") for number in range(12))]
    for job in jobs:
        platform.add_job(job)
        stack.send(json.dumps({"export_id": job.id}))
    environment = stack.environment(timeout_seconds=5)
    killed = NthCall(operation, nth, Disconnect(moment, environment.kill))
    stack.aws.fault_for = killed
    # The messages that the function received itself come back after the queue's visibility timeout.
    queue_url, sqs = stack.deployment.outputs["ExportQueueUrl"], stack.client("sqs")
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"VisibilityTimeout": "6"})
    mapping = EventSourceMapping(stack.deployment.mapping, sqs, [environment], redeliver_immediately=True)
    run_until_drained(stack, mapping)
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"VisibilityTimeout": "360"})
    environment.kill()
    assert killed.met
    published = [one.event["id"] for one in stack.receive(timeout_seconds=0)]
    assert set(published) == {f"{job.id}:completed" for job in jobs}
    assert max(published.count(event_id) for event_id in published) <= at_most


@pytest.mark.parametrize(
    ("nth", "moment", "csv_versions"), [(1, "before", 1), (1, "after", 2), (2, "before", 2), (2, "after", 2)]
)
def test_kill_while_a_report_is_written_leaves_one_report_and_then_its_event(
    stack: Stack, platform: Platform, nth: int, moment: Literal["before", "after"], csv_versions: int
) -> None:
    group_id = f"killed-{nth}-{moment}"
    # moto's CloudFormation does not do this.
    stack.client("s3").put_bucket_versioning(
        Bucket=stack.deployment.outputs["ReportBucketName"], VersioningConfiguration={"Status": "Enabled"}
    )
    export_ids = [f"{group_id}-{name}" for name in ("done", "done-too")]
    for export_id in export_ids:
        platform.add_job(completed(export_id))
        stack.send(json.dumps({"export_id": export_id, "group": {"id": group_id, "size": 2}}))
    environment = stack.environment(timeout_seconds=5)
    killed = NthCall("PutObject", nth, Disconnect(moment, environment.kill))
    stack.aws.fault_for = killed
    mapping = EventSourceMapping(
        stack.deployment.mapping, stack.client("sqs"), [environment], redeliver_immediately=True
    )
    run_until_drained(stack, mapping)
    environment.kill()
    assert killed.met
    [event] = [one.event for one in stack.receive(timeout_seconds=0) if one.event["subject"] == group_id]
    contents = {name: report_versions(stack, group_id, name) for name in ("csv", "html")}
    assert len(contents["csv"]) == csv_versions
    assert {name: len(set(written)) for name, written in contents.items()} == {"csv": 1, "html": 1}
    report = event["data"]["report"]
    assert (report["rows"], report["csv_sha256"]) == (2, hashlib.sha256(contents["csv"][0]).hexdigest())


def report_versions(stack: Stack, group_id: str, name: str) -> list[bytes]:
    """The contents of all versions of a part of a group's report."""
    s3, bucket, key = (
        stack.client("s3"),
        stack.deployment.outputs["ReportBucketName"],
        f"groups/{group_id}/report.{name}",
    )
    versions = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    return [s3.get_object(Bucket=bucket, Key=key, VersionId=one["VersionId"])["Body"].read() for one in versions]
