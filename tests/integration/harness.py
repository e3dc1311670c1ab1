"""A watch between a simulated platform and an account of AWS in moto, made of the real parts."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from export_monitor.adapters.aws.dynamodb.fault_log import FaultLog
from export_monitor.adapters.aws.dynamodb.group_ledger import GroupLedger
from export_monitor.adapters.aws.dynamodb.ledger import Ledger
from export_monitor.adapters.aws.dynamodb.table import Table
from export_monitor.adapters.aws.s3 import ExportedObjects
from export_monitor.adapters.aws.secrets import ApiToken
from export_monitor.adapters.aws.sns import EventsTopic
from export_monitor.adapters.aws.sqs import ExportQueue
from export_monitor.adapters.sevenbridges.client import CgcApi
from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.adapters.sevenbridges.session import ApiSession
from export_monitor.adapters.sevenbridges.transport import HttpTransport
from export_monitor.application.batch import Invocation
from export_monitor.application.groups import Groups
from export_monitor.application.watcher import ExportWatcher
from export_monitor.domain.events import SnsMessage, Unpublished
from export_monitor.domain.model import QueueMessage
from export_monitor.settings import read_settings
from local.export_jobs import AT_ONCE, Job, documented_completed
from local.simulated_platform import Platform
from tests.fakes import SYNCHRONOUS, AwsAccount, Clock, RecordingReporter

HOUR = 3600.0
TIMEOUT, FINAL_DEADLINE = 72 * HOUR, 96 * HOUR
FILE = "576159f7f53e9e1de6ae7b5f0"
SINGLE = "/storage/exports/.*"
JOBS = "/(bulk/)?storage/exports/.*"


@dataclass
class World:
    """A watch between a simulated platform and an account; `now` is when it looks, in epoch seconds."""

    aws: AwsAccount
    platform: Platform
    base_url: str
    share: int = 100
    report: RecordingReporter = field(default_factory=RecordingReporter)
    monotonic: Clock = field(default_factory=Clock)
    now: float = field(default_factory=time.time)
    time_left: float = 60.0

    def __post_init__(self) -> None:
        self.watch = self.worker()

    def worker(self) -> ExportWatcher:
        """A watch like that of another execution environment: nothing but AWS and the platform is shared."""
        settings = read_settings(self.aws.environment(self.base_url))
        aws = self.aws
        token = ApiToken(SYNCHRONOUS, lambda: aws.client("secretsmanager"), aws.secret_arn)
        rate_limiter = RateLimiter(self.share, self.monotonic)
        queue = ExportQueue(SYNCHRONOUS, lambda: aws.client("sqs"), aws.queue_url, aws.dead_letter_queue_url)
        topic = EventsTopic(SYNCHRONOUS, lambda: aws.client("sns"), aws.topic_arn)
        exports = Table(SYNCHRONOUS, lambda: aws.client("dynamodb"), settings.ledger_table_name)
        session = ApiSession(self.base_url, HttpTransport(), token, rate_limiter, self.report.count, lambda: self.now)
        return ExportWatcher(
            api=CgcApi(session, self.monotonic),
            objects=ExportedObjects(SYNCHRONOUS, lambda: aws.client("s3"), settings.export_buckets, self.report.count),
            queue=queue,
            ledger=Ledger(exports),
            faults=FaultLog(exports),
            topic=topic,
            groups=Groups(
                GroupLedger(Table(SYNCHRONOUS, lambda: aws.client("dynamodb"), settings.group_ledger_table_name)),
                queue,
                topic,
                self.report,
                settings.api_base_url,
            ),
            report=self.report,
            grace=settings.grace,
            start_event_source=settings.start_event_source,
            api_base_url=settings.api_base_url,
            random=lambda: 0.5,
        )

    def announced(self, detail: dict[str, Any] | str, age: float = 0.0, receive_count: int = 1) -> QueueMessage:
        """The received message of a watch of this age in seconds; its detail may be just the export's id."""
        body = json.dumps({"export_id": detail} if isinstance(detail, str) else detail)
        return self.sent(body, age, receive_count)

    def sent(self, body: str, age: float = 0.0, receive_count: int = 1) -> QueueMessage:
        self.aws.client("sqs").send_message(QueueUrl=self.aws.queue_url, MessageBody=body)
        received = self.aws.receive()
        return QueueMessage(received["MessageId"], received["ReceiptHandle"], body, self.now - age, receive_count)

    def look(self, *messages: QueueMessage) -> list[QueueMessage]:
        """Handle a batch; the messages that stay in the queue."""
        kept = self.watch.process_batch(messages, self.invocation())
        assert len(set(kept)) == len(kept)
        return [message for message in messages if message.message_id in kept]

    def invocation(self) -> Invocation:
        return Invocation(self.now, self.now + self.time_left, lambda: self.time_left)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic.advance(seconds)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(envelope["Message"]) for envelope in self.aws.published()]

    def event_ids(self) -> list[str]:
        return sorted(event["id"] for event in self.events())

    @property
    def last_line(self) -> dict[str, Any]:
        """What was told of the last export looked at."""
        return self.report.logged("export_polled")[-1]

    @property
    def asked(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.platform.requests]


def completed(export_id: str, **changes: Any) -> Job:
    """A job that completes at once, unless the changes say otherwise."""
    return documented_completed(**{"id": export_id, "steps": AT_ONCE, **changes})


class Vanishing:
    """A topic whose process dies before anything is published."""

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        raise SystemExit


class Breaking:
    """A topic that breaks in a way that nobody foresaw."""

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        raise RuntimeError("odd")


class Refusing:
    """A topic that takes nothing."""

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        return {message.event_id: Unpublished("SNS: InternalError") for message in messages}
