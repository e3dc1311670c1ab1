"""Lambda's way in: a batch of the queue's messages, a start event handed straight to the function, or the schedule."""

import os
import time
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from export_monitor.application.batch import Invocation
from export_monitor.bootstrap import App, bootstrap
from export_monitor.domain.model import QueueMessage

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# What the schedule of the template invokes the function with.
DISCOVER = {"discover": "exports"}

# Powertools writes metrics out when a hundred values of one are there, and then misses them at the end.
warnings.filterwarnings("ignore", "No application metrics to publish")

# Where in this code a line was written says nothing that its name does not.
logger = Logger(location=None)
metrics = Metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: Any, context: "LambdaContext") -> dict[str, Any]:
    """Handle one invocation. A batch's answer names the messages that stay in the queue."""
    parts = _parts()
    invocation = _invocation(context)
    parts.deadline.begin(invocation.time_left)
    if parts.discovery and event == DISCOVER:
        parts.discovery.discover(invocation.now, invocation.time_left)
        return {}
    if not _is_batch(event):
        return dict(parts.enqueuer.enqueue(event))
    kept = parts.watch.process_batch([_message(record) for record in event["Records"]], invocation)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in kept]}


@cache
def _parts() -> App:
    return bootstrap(os.environ, logger, metrics)


def _is_batch(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, dict) else None
    first = records[0] if isinstance(records, list) and records else None
    return isinstance(first, dict) and first.get("eventSource") == "aws:sqs"


def _message(record: dict[str, Any]) -> QueueMessage:
    return QueueMessage(
        message_id=record["messageId"],
        receipt_handle=record["receiptHandle"],
        body=record["body"],
        sent_at=int(record["attributes"]["SentTimestamp"]) / 1000,
        receive_count=int(record["attributes"]["ApproximateReceiveCount"]),
        attributes=record.get("messageAttributes", {}),
    )


def _invocation(context: "LambdaContext") -> Invocation:
    def time_left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    now = time.time()
    return Invocation(now, now + time_left(), time_left)
