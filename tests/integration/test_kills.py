"""The built function in AWS's own runtime client, killed with SIGKILL: nothing is lost, nothing stays unfinished."""

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
        replace(stack.deployment.mapping, batching_window_seconds=0.2),
        stack.client("sqs"),
        [environment],
        redeliver_immediately=True,
    )
    run_until_drained(stack, mapping)
    environment.kill()
    assert killed.met
    published = [one.event["id"] for one in stack.receive(timeout_seconds=0)]
    assert set(published) == {f"{export_id}:completed" for export_id in export_ids}
    assert max(published.count(event_id) for event_id in published) <= at_most
