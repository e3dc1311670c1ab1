"""A run with every kind of incident that is logged or counted, on the `stack` fixture."""

import json
import time
from dataclasses import replace

from local.aws_calls import ServiceError
from local.export_jobs import documented_failed
from local.faults import Match, Status
from local.lambda_runtime import Invocation
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack, deliver_to
from tests.integration.steps import completed, failing


def invoke_with_an_odd_record(stack: Stack) -> Invocation:
    """An invocation by hand with a record that SQS never sends: it can neither be parsed nor dead-lettered."""
    return _invoke_by_hand(stack, "not understood", messageAttributes={"trace": {}})


def invoke_with_a_late_export(stack: Stack, export_id: str) -> Invocation:
    """An invocation by hand with the message of a watch that is two hours old."""
    return _invoke_by_hand(stack, json.dumps({"export_id": export_id}), age_seconds=7200)


def _invoke_by_hand(stack: Stack, body: str, age_seconds: float = 0, **more: object) -> Invocation:
    record = {
        "eventSource": "aws:sqs",
        "messageId": "made-by-hand",
        "receiptHandle": "none",
        "body": body,
        "attributes": {"SentTimestamp": str(int((time.time() - age_seconds) * 1000)), "ApproximateReceiveCount": "1"},
    }
    return stack.invoke({"Records": [record | more]})


def direct(stack: Stack, export_id: str) -> Invocation:
    """A start event handed straight to the function."""
    return stack.invoke({"detail-type": "Export Started", "source": "cgc.exports", "detail": {"export_id": export_id}})


def send(stack: Stack, *export_ids: str) -> dict[str, str]:
    """Announce exports by the queue; their messages' ids."""
    return {export_id: stack.send(json.dumps({"export_id": export_id})) for export_id in export_ids}


def log_of(stack: Stack) -> list[str]:
    """Every line so far, complete once the processes that wrote it have ended."""
    for environment in stack.environments:
        environment.kill()
    return list(stack.log_lines)


def run_eventfully(stack: Stack) -> dict[str, str]:
    """Let everything happen; the ids of the messages by their exports, those that cannot be parsed by their body.

    done completes, failed and unknown fail, sealed waits for a bucket that the function may not read, slow and slower
    wait. held has ended, but first S3 fails, and then SNS rejects its event. One direct start event is valid, one is
    not. Then the API fails, its rate limit is used up, and finally it rejects the token.
    """
    platform = stack.platform
    _reset(stack)
    _prepare(platform)
    messages = send(stack, "slow")
    time.sleep(0.2)
    messages |= send(stack, "done", "failed", "unknown", "sealed", "slower")
    messages["not understood"] = stack.send("not understood")
    _run_once(stack)
    stack.aws.fault_for = failing("HeadObject", ServiceError(503, "SlowDown"))
    messages |= send(stack, "held")
    _run_once(stack)
    stack.aws.fault_for = failing("PublishBatch", ServiceError(403, "AuthorizationError"))
    while not any(line.get("outcome") == "deferred" for line in stack.logs()):
        _run_once(stack)
    stack.aws.fault_for = lambda _: None
    platform.fail(Match(), Status(500, "out of order"), times=1)
    _run_once(stack)
    platform.fail(Match(), Status(429, headers={"X-RateLimit-Reset": str(int(time.time()) + 1)}), times=1)
    _run_once(stack)
    direct(stack, "announced")
    direct(stack, "../not-understood")
    invoke_with_an_odd_record(stack)
    invoke_with_a_late_export(stack, "slow")
    # A new process, which knows nothing of the rate limit, once all waiting messages are due.
    stack.environments[0].kill()
    platform.tokens = set()
    _wait_for_messages(stack, 4)
    _run_once(stack)
    platform.tokens = {TOKEN}
    return messages


def run_group_and_discovery(stack: Stack) -> None:
    """A group of one is concluded; discovery finds an export without a start event, and then gets no answer."""
    stack.send(json.dumps({"export_id": "failed", "group": {"id": "of-one", "size": 1}}))
    while not any(line.get("message") == "group_concluded" for line in stack.logs()):
        _run_once(stack)
    stack.platform.add_job(replace(completed("forgotten"), started_at=None), age_seconds=300)
    stack.discover()
    stack.platform.fail(Match(), Status(500, "out of order"), times=1)
    stack.discover()


def _reset(stack: Stack) -> None:
    """Remove what earlier tests left."""
    stack.platform.faults.clear()
    stack.platform.tokens = {TOKEN}
    stack.platform.deliver = deliver_to(stack)
    stack.aws.fault_for = lambda _: None
    stack.client("secretsmanager").put_secret_value(SecretId=stack.secret_arn, SecretString=TOKEN)
    stack.environments[0].kill()
    stack.log_lines.clear()


def _prepare(platform: Platform) -> None:
    platform.add_volume("rfranklin/elsewhere", bucket="of-another-account")
    for export_id in ("done", "held"):
        platform.add_job(completed(export_id))
    for export_id in ("slow", "slower"):
        platform.add_job(replace(completed(export_id), steps=((0, "RUNNING"),)))
    platform.add_job(documented_failed(id="failed"))
    platform.add_job(replace(completed("sealed"), volume="rfranklin/elsewhere", delivers=False))


def _run_once(stack: Stack) -> None:
    """One invocation by the mapping, as soon as a message is visible."""
    while stack.mapping.run_once() is None:
        time.sleep(0.1)


def _wait_for_messages(stack: Stack, count: int) -> None:
    """Wait until this many messages are visible."""
    name = "ApproximateNumberOfMessages"
    for _ in range(300):
        answer = stack.client("sqs").get_queue_attributes(
            QueueUrl=stack.deployment.outputs["ExportQueueUrl"], AttributeNames=[name]
        )
        if int(answer["Attributes"][name]) >= count:
            return
        time.sleep(0.1)
    raise TimeoutError("too few messages became visible")
