"""The composition root: the real parts, chosen once. Clients are made when they are first needed."""

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config

from export_monitor.adapters.api_token import ApiToken
from export_monitor.adapters.cgc import CgcApi
from export_monitor.adapters.export_queue import ExportQueue
from export_monitor.adapters.http import HttpExchange
from export_monitor.adapters.ledger import Ledger
from export_monitor.adapters.objects import ExportedObjects
from export_monitor.adapters.pace import Pace
from export_monitor.adapters.telemetry import Telemetry
from export_monitor.adapters.topic import EventsTopic
from export_monitor.announcement import Announcement
from export_monitor.gathering import SIDE_BY_SIDE
from export_monitor.settings import read_settings
from export_monitor.watch import ExportWatch

# AWS answers these calls in tens of milliseconds. Two tries of 2 s + 5 s fit into what a batch keeps in reserve.
_AWS_LIMITS = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=SIDE_BY_SIDE,
)


def bootstrap(environment: Mapping[str, str], logger: Logger, metrics: Metrics) -> tuple[ExportWatch, Announcement]:
    """Build the watch and the announcement from the environment. Raises SettingsError."""
    settings = read_settings(environment)
    telemetry = Telemetry(logger, metrics)
    client = _clients()
    queue = ExportQueue(client("sqs"), settings.export_queue_url, settings.dead_letter_queue_url)
    api = CgcApi(
        settings.api_base_url,
        HttpExchange(),
        ApiToken(client("secretsmanager"), settings.token_secret_arn),
        Pace(settings.requests_per_minute_and_worker, time.monotonic),
        telemetry.count,
    )
    watch = ExportWatch(
        api=api,
        objects=ExportedObjects(client("s3"), settings.export_buckets),
        queue=queue,
        ledger=Ledger(client("dynamodb"), settings.ledger_table_name),
        topic=EventsTopic(client("sns"), settings.events_topic_arn),
        report=telemetry,
        patience=settings.patience,
        start_event_source=settings.start_event_source,
        api_base_url=settings.api_base_url,
    )
    return watch, Announcement(queue, settings.start_event_source, telemetry)


def _clients() -> Callable[[str], Callable[[], Any]]:
    """For a service, what gives its client: made at the first call, from one session, then kept."""
    session = cache(boto3.Session)

    def client(service: str) -> Callable[[], Any]:
        # The stubs know a literal for each service; each adapter names its client's type itself.
        return cache(lambda: session().client(service, config=_AWS_LIMITS))  # type: ignore[call-overload]

    return client
