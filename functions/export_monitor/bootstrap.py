"""The composition root: it chooses every part of the app once. Clients are made when they are first needed."""

import random
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
from botocore.config import Config
from botocore.utils import parse_timestamp

from export_monitor.adapters.aws.calls import MAX_CONCURRENCY, AwsCalls
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
from export_monitor.adapters.sevenbridges.session import ApiSession, Transport
from export_monitor.adapters.sevenbridges.transport import HttpTransport
from export_monitor.application.concluding import Concluder
from export_monitor.application.discovery import Discovery
from export_monitor.application.enqueue import StartEventEnqueuer
from export_monitor.application.groups import Groups
from export_monitor.application.reporting import Reporter
from export_monitor.application.topping_up import ToppingUp
from export_monitor.application.watcher import ExportWatcher
from export_monitor.domain.crowding import Crowding
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.settings import read_settings

# AWS answers these calls in tens of milliseconds; adapters.aws.calls limits both attempts together.
_AWS_LIMITS = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=MAX_CONCURRENCY,
    # Both would be computed for each of a batch's hundred calls. Tests validate parameters.
    parameter_validation=False,
    user_agent="cgc-export-monitor",
)

# The API's limit is 1,000 requests in five minutes; discovery takes a tenth of it at most, whatever its interval is.
_DISCOVERY_REQUESTS = 100
_DISCOVERY_REQUESTS_PER_MINUTE = 20


@dataclass(frozen=True, slots=True)
class App:
    """What an invocation may ask for. The handler starts `budget`, which limits all calls of AWS."""

    watcher: ExportWatcher
    batches: ToppingUp
    enqueuer: StartEventEnqueuer
    discovery: Discovery | None
    budget: TimeBudget


@dataclass(frozen=True, slots=True)
class Overrides:
    """The parts that tests, benchmarks and simulations replace; None is the real part.

    `client` returns the client of an AWS service by its name and region; `calls` makes every call of AWS.
    """

    client: "Callable[[str, str | None], Any] | None" = None
    calls: AwsCalls | None = None
    transport: Callable[[], Transport] = HttpTransport
    monotonic: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    random: Callable[[], float] = random.random
    pause: Callable[[float], None] = time.sleep


_REAL = Overrides()


def bootstrap(environment: Mapping[str, str], report: Reporter, overrides: Overrides = _REAL) -> App:
    """Build the app from the function's environment variables. Raises SettingsError."""
    settings = read_settings(environment)
    budget = TimeBudget()
    calls = overrides.calls or AwsCalls(budget.for_work)
    client = _lazy(overrides.client or _clients())
    queue = ExportQueue(
        overrides.calls or AwsCalls(budget.for_visibility_changes),
        client("sqs"),
        settings.export_queue_url,
        settings.dead_letter_queue_url,
    )
    token = ApiToken(calls, client("secretsmanager", settings.token_secret_region), settings.token_secret_arn)

    def api(requests_per_minute: int) -> CgcApi:
        limiter = RateLimiter(requests_per_minute, overrides.monotonic)
        transport = overrides.transport()
        session = ApiSession(
            settings.api_base_url, transport, token, limiter, report.count, wall_clock=overrides.wall_clock
        )
        return CgcApi(session, overrides.monotonic)

    topic = EventsTopic(calls, client("sns"), settings.events_topic_arn)
    exports = Table(calls, client("dynamodb"), settings.ledger_table_name)
    group_ledger = GroupLedger(Table(calls, client("dynamodb"), settings.group_ledger_table_name))
    groups = Groups(group_ledger, queue, topic, report, settings.api_base_url)
    registry = WatchedExports(exports) if settings.discovery_minutes else None
    watcher = ExportWatcher(
        api=api(settings.requests_per_minute_and_worker),
        objects=ExportedObjects(calls, client("s3"), settings.export_buckets, report.count, overrides.monotonic),
        queue=queue,
        faults=FaultLog(exports),
        groups=groups,
        concluder=Concluder(Ledger(exports), topic, groups, report, settings.grace, settings.api_base_url),
        report=report,
        grace=settings.grace,
        start_event_source=settings.start_event_source,
        registry=registry,
        random=overrides.random,
        pause=overrides.pause,
        crowding=Crowding(),
    )
    enqueuer = StartEventEnqueuer(queue, settings.start_event_source, report)
    discovery = None
    if registry:
        share = min(_DISCOVERY_REQUESTS, _DISCOVERY_REQUESTS_PER_MINUTE * settings.discovery_minutes)
        discovery = Discovery(api(share), registry, queue, report, settings.export_buckets)
    return App(watcher, ToppingUp(watcher, queue, report, watcher.crowding), enqueuer, discovery, budget)


def _lazy(client: Callable[[str, str | None], Any]) -> Callable[..., Callable[[], Any]]:
    """For a service, and its region where it is not the function's own, a function that returns its client.

    A client is made when it is first needed. Threads may share clients, but must not make them at the same time.
    """
    making = Lock()

    def of(service: str, region: str | None = None) -> Callable[[], Any]:
        def given() -> Any:
            with making:
                return client(service, region)

        return given

    return of


def _clients() -> Callable[[str, str | None], Any]:
    """The real clients, all of one session, each made once."""
    session = cache(_session)

    @cache
    def client(service: str, region: str | None) -> Any:
        # The stubs know a literal for each service; each adapter names its client's type itself.
        made = session().client(service, region, config=_AWS_LIMITS)  # type: ignore[call-overload]
        made.meta.events.register("before-call.sns.PublishBatch", _encode_once)
        return made

    return client


def _session() -> boto3.Session:
    core = botocore.session.Session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    return boto3.Session(botocore_session=core)


def _encode_once(params: dict[str, Any], **_: object) -> None:
    # botocore encodes a form to sign it and again to send it, and the events of a batch are long.
    params["body"] = urlencode(params["body"]).encode()


def _timestamp(value: Any) -> datetime:
    """A date of an AWS response. Headers have one format; botocore's parser tries many, which takes long."""
    try:
        return parsedate_to_datetime(value)
    except (AttributeError, TypeError, ValueError):
        return parse_timestamp(value)
