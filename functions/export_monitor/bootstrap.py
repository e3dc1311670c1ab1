"""The composition root: the real parts, chosen once. Clients are made when they are first needed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import boto3
import botocore.session
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config
from botocore.utils import parse_timestamp

from export_monitor.adapters.aws.calls import MAX_CONCURRENCY, AwsCalls, Deadline
from export_monitor.adapters.aws.dynamodb.fault_log import FaultLog
from export_monitor.adapters.aws.dynamodb.group_ledger import GroupLedger
from export_monitor.adapters.aws.dynamodb.ledger import Ledger
from export_monitor.adapters.aws.dynamodb.table import Table
from export_monitor.adapters.aws.dynamodb.watched_exports import WatchedExports
from export_monitor.adapters.aws.s3 import ExportedObjects
from export_monitor.adapters.aws.secrets import ApiToken
from export_monitor.adapters.aws.sns import EventsTopic
from export_monitor.adapters.aws.sqs import ExportQueue
from export_monitor.adapters.sevenbridges.client import CgcApi
from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.adapters.sevenbridges.session import ApiSession
from export_monitor.adapters.sevenbridges.transport import HttpTransport
from export_monitor.adapters.telemetry import Telemetry
from export_monitor.application.discovery import Discovery
from export_monitor.application.enqueue import StartEventEnqueuer
from export_monitor.application.groups import Groups
from export_monitor.application.watcher import ExportWatcher
from export_monitor.settings import read_settings

# AWS answers these calls in tens of milliseconds; how long both tries may take in all is for adapters.aws to say.
_AWS_LIMITS = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=MAX_CONCURRENCY,
    # Both would be done anew for each of a batch's hundred calls: tests check parameters, and the name suffices.
    parameter_validation=False,
    user_agent="cgc-export-monitor",
)


# The API's limit is 1,000 requests in five minutes; discovery takes a tenth of it at most, whatever its interval is.
_DISCOVERY_REQUESTS = 100
_DISCOVERY_REQUESTS_PER_MINUTE = 20


@dataclass(frozen=True, slots=True)
class App:
    """What an invocation may be for, and the deadline that it sets to calls of AWS."""

    watch: ExportWatcher
    enqueuer: StartEventEnqueuer
    discovery: Discovery | None
    deadline: Deadline


def bootstrap(environment: Mapping[str, str], logger: Logger, metrics: Metrics) -> App:
    """Build the parts from the environment. Raises SettingsError."""
    settings = read_settings(environment)
    telemetry = Telemetry(logger, metrics)
    client = _clients()
    deadline = Deadline()
    calls = AwsCalls(deadline.for_work)
    queue = ExportQueue(
        AwsCalls(deadline.for_visibility_changes),
        client("sqs"),
        settings.export_queue_url,
        settings.dead_letter_queue_url,
    )
    token = ApiToken(calls, client("secretsmanager", settings.token_secret_region), settings.token_secret_arn)

    def api(requests_per_minute: int) -> CgcApi:
        rate_limiter = RateLimiter(requests_per_minute, time.monotonic)
        return CgcApi(ApiSession(settings.api_base_url, HttpTransport(), token, rate_limiter, telemetry.count))

    topic = EventsTopic(calls, client("sns"), settings.events_topic_arn)
    exports = Table(calls, client("dynamodb"), settings.ledger_table_name)
    marks = WatchedExports(exports) if settings.discovery_minutes else None
    watch = ExportWatcher(
        api=api(settings.requests_per_minute_and_worker),
        objects=ExportedObjects(calls, client("s3"), settings.export_buckets, telemetry.count),
        queue=queue,
        ledger=Ledger(exports),
        faults=FaultLog(exports),
        topic=topic,
        groups=Groups(
            GroupLedger(Table(calls, client("dynamodb"), settings.group_ledger_table_name)),
            queue,
            topic,
            telemetry,
            settings.api_base_url,
        ),
        report=telemetry,
        grace=settings.grace,
        start_event_source=settings.start_event_source,
        api_base_url=settings.api_base_url,
        marks=marks,
    )
    enqueuer = StartEventEnqueuer(queue, settings.start_event_source, telemetry)
    discovery = None
    if marks:
        share = min(_DISCOVERY_REQUESTS, _DISCOVERY_REQUESTS_PER_MINUTE * settings.discovery_minutes)
        discovery = Discovery(api(share), marks, queue, telemetry, settings.export_buckets)
    return App(watch, enqueuer, discovery, deadline)


def _clients() -> Callable[..., Callable[[], Any]]:
    """For a service, and its region where it is not the function's own, what gives its client.

    A client is made at the first call, from one session, then kept.
    """
    session = cache(_session)
    # Clients may be used by several threads, but not be made by them.
    making = Lock()

    @cache
    def made(service: str, region: str | None) -> Any:
        # The stubs know a literal for each service; each adapter names its client's type itself.
        client = session().client(service, region, config=_AWS_LIMITS)  # type: ignore[call-overload]
        client.meta.events.register("before-call.sns.PublishBatch", _encode_once)
        return client

    def client(service: str, region: str | None = None) -> Callable[[], Any]:
        def given() -> Any:
            with making:
                return made(service, region)

        return given

    return client


def _session() -> boto3.Session:
    core = botocore.session.Session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    return boto3.Session(botocore_session=core)


def _encode_once(params: dict[str, Any], **_: object) -> None:
    # botocore encodes a form to sign it and again to send it, and the events of a batch are long.
    params["body"] = urlencode(params["body"]).encode()


def _timestamp(value: Any) -> datetime:
    """A date of an AWS answer. Headers have one form, for which botocore's parser, which knows many, takes long."""
    try:
        return parsedate_to_datetime(value)
    except (AttributeError, TypeError, ValueError):
        return parse_timestamp(value)
