"""The composition root of the content worker."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from export_monitor.adapters.aws.calls import AwsCalls
from export_monitor.adapters.aws.clients import AWS_LIMITS, lazy_clients, real_clients
from export_monitor.adapters.aws.content_objects import ContentObjects
from export_monitor.adapters.aws.dynamodb.content_checks import ContentChecks
from export_monitor.adapters.aws.dynamodb.table import Table
from export_monitor.adapters.aws.sqs import ExportQueue
from export_monitor.application.content_reporting import ContentReporter
from export_monitor.application.content_verification import ContentVerification
from export_monitor.application.content_worker import ContentWorker
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.settings import read_content_settings

# The content's own checksums are verified; S3's would cost time.
_LIMITS = AWS_LIMITS.merge(Config(response_checksum_validation="when_required"))


@dataclass(frozen=True, slots=True)
class ContentApp:
    """The worker. The handler starts `budget`, which limits all calls of AWS."""

    worker: ContentWorker
    budget: TimeBudget


@dataclass(frozen=True, slots=True)
class ContentOverrides:
    """The parts that tests and benchmarks replace; None is the real part."""

    client: "Callable[[str, str | None], Any] | None" = None
    calls: AwsCalls | None = None
    pause: Callable[[float], None] = time.sleep


_REAL = ContentOverrides()


def bootstrap_content(
    environment: Mapping[str, str], report: ContentReporter, overrides: ContentOverrides = _REAL
) -> ContentApp:
    """Build the worker from the function's environment variables. Raises SettingsError."""
    settings = read_content_settings(environment)
    budget = TimeBudget()
    # What is read must still be recorded, joined and sent.
    calls = overrides.calls or AwsCalls(budget.for_visibility_changes)
    client = lazy_clients(overrides.client or real_clients(_LIMITS))
    queue = ExportQueue(calls, client("sqs"), settings.content_queue_url, settings.dead_letter_queue_url)
    verification = ContentVerification(
        checks=ContentChecks(Table(calls, client("dynamodb"), settings.content_checks_table_name)),
        messages=queue,
        objects=ContentObjects(client("s3"), settings.export_buckets, budget.for_work, overrides.pause),
        report=report,
        part_bytes=settings.part_bytes,
    )
    return ContentApp(ContentWorker(verification, queue, report), budget)
