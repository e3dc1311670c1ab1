"""The composition root: it chooses every part of the app once. Clients are made when they are first needed."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from export_monitor.adapters.aws.calls import AwsCalls
from export_monitor.adapters.aws.clients import lazy_clients, real_clients
from export_monitor.adapters.aws.dynamodb.content_checks import ContentChecks
from export_monitor.adapters.aws.dynamodb.fault_log import FaultLog
from export_monitor.adapters.aws.dynamodb.group_ledger import GroupLedger
from export_monitor.adapters.aws.dynamodb.ledger import Ledger
from export_monitor.adapters.aws.dynamodb.table import Table
from export_monitor.adapters.aws.dynamodb.watched_exports import WatchedExports
from export_monitor.adapters.aws.reports import ReportBucket
from export_monitor.adapters.aws.s3 import ExportedObjects
from export_monitor.adapters.aws.secrets import ApiToken
from export_monitor.adapters.aws.sns import EventsTopic
from export_monitor.adapters.aws.sqs import ExportQueue
from export_monitor.adapters.report_page import render
from export_monitor.adapters.sevenbridges.client import CgcApi
from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.adapters.sevenbridges.session import ApiSession, Transport
from export_monitor.adapters.sevenbridges.transport import HttpTransport
from export_monitor.application.concluding import Concluder
from export_monitor.application.content_requests import ContentRequests
from export_monitor.application.delays import DelayNotifier
from export_monitor.application.discovery import Discovery
from export_monitor.application.enqueue import StartEventEnqueuer
from export_monitor.application.group_report import GroupReports
from export_monitor.application.groups import Groups
from export_monitor.application.reporting import Reporter
from export_monitor.application.status import Status
from export_monitor.application.topping_up import ToppingUp
from export_monitor.application.watcher import ContentChecking, ExportWatcher
from export_monitor.domain.crowding import Crowding
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.settings import ContentSettings, read_settings

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
    status: Status
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
    client = lazy_clients(overrides.client or real_clients())
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
    ledger = Ledger(exports)
    group_ledger = GroupLedger(Table(calls, client("dynamodb"), settings.group_ledger_table_name))
    store = ReportBucket(calls, client("s3"), settings.report_bucket)
    reports = GroupReports(group_ledger, store, render)
    groups = Groups(group_ledger, queue, topic, reports, report, settings.api_base_url)
    registry = WatchedExports(exports) if settings.discovery_minutes else None
    watcher = ExportWatcher(
        api=api(settings.requests_per_minute_and_worker),
        objects=ExportedObjects(calls, client("s3"), settings.export_buckets, report.count, overrides.monotonic),
        queue=queue,
        faults=FaultLog(exports),
        groups=groups,
        concluder=Concluder(ledger, topic, groups, report, settings.grace, settings.api_base_url),
        report=report,
        grace=settings.grace,
        start_event_source=settings.start_event_source,
        registry=registry,
        random=overrides.random,
        pause=overrides.pause,
        content=_content_checking(settings.content, calls, client) if settings.content else None,
        crowding=Crowding(),
        delays=DelayNotifier(ledger, topic, report, settings.api_base_url, settings.delayed_after)
        if settings.delayed_after
        else None,
    )
    enqueuer = StartEventEnqueuer(queue, settings.start_event_source, report)
    discovery = None
    if registry:
        share = min(_DISCOVERY_REQUESTS, _DISCOVERY_REQUESTS_PER_MINUTE * settings.discovery_minutes)
        discovery = Discovery(api(share), registry, queue, report, settings.export_buckets)
    batches = ToppingUp(watcher, queue, report, watcher.crowding)
    return App(watcher, batches, enqueuer, discovery, Status(group_ledger, ledger, settings.report_bucket), budget)


def _content_checking(
    settings: ContentSettings, calls: AwsCalls, client: Callable[..., Callable[[], Any]]
) -> ContentChecking:
    checks = ContentChecks(Table(calls, client("dynamodb"), settings.table_name))
    # It only sends.
    queue = ExportQueue(calls, client("sqs"), settings.queue_url, dead_letter_queue_url="")
    return ContentChecking(ContentRequests(checks, queue), settings.policy)
