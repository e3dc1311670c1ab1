"""The Lambda handler of the content worker: SQS batches of messages that ask for content to be verified."""

import os
import time
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from export_monitor.adapters.aws.sqs_records import queue_message
from export_monitor.adapters.telemetry import Telemetry
from export_monitor.content_bootstrap import ContentApp, bootstrap_content

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# A message that finds its work done measures nothing.
warnings.filterwarnings("ignore", "No application metrics to publish")

logger = Logger(location=None)
metrics = Metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Handle one batch; return the messages that stay in the queue as batch item failures."""
    app = _app()
    budget = app.budget.start(time.time(), lambda: float(context.get_remaining_time_in_millis()) / 1000)
    messages = [queue_message(record) for record in event["Records"]]
    staying = [message.message_id for message in messages if app.worker.process(message, budget)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in staying]}


@cache
def _app() -> ContentApp:
    return bootstrap_content(os.environ, Telemetry(logger, metrics))
