"""The composition root: the real parts, chosen once. Clients are made when they are first needed."""

import time
from collections.abc import Callable, Mapping
from functools import cache
from threading import Lock
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config

from export_monitor.adapters.api_token import ApiToken
from export_monitor.adapters.aws import SIDE_BY_SIDE, AwsCalls, Deadline
from export_monitor.adapters.cgc import CgcApi
from export_monitor.adapters.export_queue import ExportQueue
from export_monitor.adapters.http import HttpExchange
from export_monitor.adapters.ledger import Ledger
from export_monitor.adapters.objects import ExportedObjects
from export_monitor.adapters.pace import Pace
from export_monitor.adapters.telemetry import Telemetry
from export_monitor.adapters.topic import EventsTopic
from export_monitor.announcement import Announcement
from export_monitor.settings import read_settings
from export_monitor.watch import ExportWatch

# AWS answers these calls in tens of milliseconds; how long both tries may take in all is for adapters.aws to say.
_AWS_LIMITS = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=SIDE_BY_SIDE,
)


def bootstrap(
    environment: Mapping[str, str], logger: Logger, metrics: Metrics
) -> tuple[ExportWatch, Announcement, Deadline]:
    """Build the watch and the announcement from the environment, and the deadline of their calls of AWS.

    Raises SettingsError.
    """
    settings = read_settings(environment)
    telemetry = Telemetry(logger, metrics)
    client = _clients()
    deadline = Deadline()
    calls = AwsCalls(deadline.left_for_work)
    queue = ExportQueue(
        AwsCalls(deadline.left_for_handing_back),
        client("sqs"),
        settings.export_queue_url,
        settings.dead_letter_queue_url,
    )
    api = CgcApi(
        settings.api_base_url,
        HttpExchange(),
        ApiToken(calls, client("secretsmanager"), settings.token_secret_arn),
        Pace(settings.requests_per_minute_and_worker, time.monotonic),
        telemetry.count,
    )
    watch = ExportWatch(
        api=api,
        objects=ExportedObjects(calls, client("s3"), settings.export_buckets),
        queue=queue,
        ledger=Ledger(calls, client("dynamodb"), settings.ledger_table_name),
        topic=EventsTopic(calls, client("sns"), settings.events_topic_arn),
        report=telemetry,
        patience=settings.patience,
        start_event_source=settings.start_event_source,
        api_base_url=settings.api_base_url,
    )
    return watch, Announcement(queue, settings.start_event_source, telemetry), deadline


def _clients() -> Callable[[str], Callable[[], Any]]:
    """For a service, what gives its client: made at the first call, from one session, then kept."""
    session = cache(boto3.Session)
    # Clients may be used by several threads, but not be made by them.
    making = Lock()

    @cache
    def made(service: str) -> Any:
        # The stubs know a literal for each service; each adapter names its client's type itself.
        return session().client(service, config=_AWS_LIMITS)  # type: ignore[call-overload]

    def client(service: str) -> Callable[[], Any]:
        def given() -> Any:
            with making:
                return made(service)

        return given

    return client
