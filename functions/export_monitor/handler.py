"""The Lambda handler: an SQS batch, a direct start event or status request, or the discovery schedule."""

import os
import time
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from export_monitor.adapters.aws.sqs_records import queue_message
from export_monitor.adapters.telemetry import Telemetry
from export_monitor.bootstrap import App, bootstrap
from export_monitor.domain.status_requests import is_status_request

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# What the schedule of the template invokes the function with.
DISCOVER = {"discover": "exports"}

# Powertools flushes a metric at a hundred values, and then warns of an empty set at the end.
warnings.filterwarnings("ignore", "No application metrics to publish")

# The message of a log line identifies where it was written.
logger = Logger(location=None)
metrics = Metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: Any, context: "LambdaContext") -> dict[str, Any]:
    """Handle one invocation. For a batch, return the messages that stay in the queue as batch item failures."""
    app = _app()
    budget = app.budget.start(time.time(), lambda: float(context.get_remaining_time_in_millis()) / 1000)
    if app.discovery and event == DISCOVER:
        app.discovery.discover(budget)
        return {}
    if is_status_request(event):
        return dict(app.status.answer(event))
    if not _is_batch(event):
        return dict(app.enqueuer.enqueue(event))
    staying = app.batches.process_batch([queue_message(record) for record in event["Records"]], budget)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in staying]}


@cache
def _app() -> App:
    return bootstrap(os.environ, Telemetry(logger, metrics))


def _is_batch(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, dict) else None
    first = records[0] if isinstance(records, list) and records else None
    return isinstance(first, dict) and first.get("eventSource") == "aws:sqs"
