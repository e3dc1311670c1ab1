"""The baseline: a plain function that reads each job with its own request and publishes those that have ended.

Messages about unfinished exports return to the queue and are received again after its visibility timeout.
"""

import json
import os
from functools import cache
from typing import Any

import boto3
import requests
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
session = requests.Session()
secrets = boto3.client("secretsmanager")
sns = boto3.client("sns")

API_BASE_URL = os.environ["API_BASE_URL"]
TOPIC_ARN = os.environ["EXPORT_EVENTS_TOPIC_ARN"]


@cache
def token() -> str:
    """The API token."""
    return secrets.get_secret_value(SecretId=os.environ["TOKEN_SECRET_ARN"])["SecretString"]


def get(path: str) -> dict[str, Any]:
    """Read something from the API."""
    response = session.get(f"{API_BASE_URL}{path}", headers={"X-SBG-Auth-Token": token()}, timeout=10)
    response.raise_for_status()
    body: dict[str, Any] = response.json()
    return body


def publish(job: dict[str, Any], file: dict[str, Any] | None) -> None:
    """Notify subscribers that an export has ended."""
    sns.publish(
        TopicArn=TOPIC_ARN,
        Subject=f"Export {job['id']} {job['state']}",
        Message=json.dumps({"export": job, "file": file}),
        MessageAttributes={"state": {"DataType": "String", "StringValue": job["state"]}},
    )


def is_over(export_id: str) -> bool:
    """Poll an export; if it has ended, publish it."""
    job = get(f"/storage/exports/{export_id}")
    state = job["state"]
    logger.info("export", extra={"export_id": export_id, "state": state})
    if state not in ("COMPLETED", "FAILED"):
        metrics.add_metric("UnfinishedPolls", MetricUnit.Count, 1)
        return False
    file = get(f"/files/{job['source']['file']}") if state == "COMPLETED" else None
    publish(job, file)
    metrics.add_metric("ExportsCompleted" if state == "COMPLETED" else "ExportsFailed", MetricUnit.Count, 1)
    return True


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 -- Lambda's signature
    """Handle a batch of the queue's messages."""
    kept = []
    for record in event["Records"]:
        try:
            is_done = is_over(json.loads(record["body"])["export_id"])
        except Exception:
            logger.exception("could not poll the export")
            is_done = False
        if not is_done:
            kept.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": kept}
