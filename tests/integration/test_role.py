"""The function's role allows what the function does, and nothing else but what is listed here with its reason."""

import json
from dataclasses import replace

import pytest

from local.export_jobs import documented_failed
from local.simulated_platform import Platform
from local.stack import Stack
from tests.integration.role import rights_exceeded, rights_given, rights_unused, rights_used
from tests.integration.steps import completed, run_until_drained

pytestmark = pytest.mark.once

USED_BY_AWS = {
    "sqs:GetQueueAttributes": "the event source mapping reads the number of messages",
    "logs:CreateLogStream": "Lambda writes the function's log with its role",
    "logs:PutLogEvents": "likewise",
    "xray:PutTraceSegments": "Lambda's active tracing sends with its role",
    "xray:PutTelemetryRecords": "likewise",
}
USED_WITHIN_OTHER_CALLS = {
    "s3:ListBucket": "with it S3 answers 404 where a key does not exist, without it 403",
    "kms:Decrypt": "S3 and Secrets Manager decrypt with the reader's role",
}
EXCEPTIONS = USED_BY_AWS | USED_WITHIN_OTHER_CALLS


def test_every_right_is_used_and_no_call_goes_beyond_them(stack: Stack, platform: Platform) -> None:
    platform.add_volume("rfranklin/versions", bucket="versions")
    properties = {"sse_algorithm": "AES256", "aws_canned_acl": "bucket-owner-full-control"}
    done = replace(completed("role-done"), location="role.dat", properties=properties)
    for job in (
        done,
        replace(done, id="role-version", volume="rfranklin/versions"),
        replace(done, id="role-later", steps=((0, "RUNNING"), (8, "COMPLETED"))),
        documented_failed(id="role-failed"),
    ):
        platform.add_job(job)
        stack.send(json.dumps({"export_id": job.id, "group": {"id": "role", "size": 4}}))
    # More than a batch, so that the function receives and deletes messages itself.
    for _ in range(12):
        stack.send("not understood")
    stack.invoke({"detail-type": "Export Started", "source": "cgc.exports", "detail": {"export_id": "role-unknown"}})
    platform.add_job(replace(done, id="role-forgotten", started_at=None), age_seconds=300)
    stack.discover()
    run_until_drained(stack, stack.mapping)
    assert {one.event["id"] for one in stack.receive(timeout_seconds=0)} == {
        "role-done:completed",
        "role-version:completed",
        "role-later:completed",
        "role-forgotten:completed",
        "role:concluded",
        "role-failed:failed:EXPORT_FAILED",
        "role-unknown:failed:EXPORT_NOT_FOUND",
    }
    assert rights_exceeded(stack) == set()
    used = rights_used(stack.aws.calls)
    assert rights_unused(rights_given(stack), used) == EXCEPTIONS.keys()
    assert {action for action, _ in used}.isdisjoint(EXCEPTIONS)
