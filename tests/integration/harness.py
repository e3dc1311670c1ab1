"""A watcher between a simulated platform and an AWS account in moto, made of the real parts."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from export_monitor.application.watcher import ExportWatcher
from export_monitor.bootstrap import App, Overrides, bootstrap
from export_monitor.domain.events import SnsMessage, Unpublished
from export_monitor.domain.model import QueueMessage
from export_monitor.domain.time_budget import TimeBudget
from local.export_jobs import AT_ONCE, Job, documented_completed
from local.simulated_platform import Platform
from tests.fakes import SYNCHRONOUS, AwsAccount, Clock, RecordingReporter

HOUR = 3600.0
TIMEOUT, FINAL_DEADLINE = 72 * HOUR, 96 * HOUR
FILE = "576159f7f53e9e1de6ae7b5f0"
JOBS = "/(bulk/)?storage/exports/.*"


@dataclass
class World:
    """A watch between a simulated platform and an account; `now` is when it looks, in epoch seconds."""

    aws: AwsAccount
    platform: Platform
    base_url: str
    share: int = 100
    delayed_after_hours: float = 0
    # Of the function, in place of the parameters' defaults.
    variables: dict[str, str] = field(default_factory=dict)
    report: RecordingReporter = field(default_factory=RecordingReporter)
    monotonic: Clock = field(default_factory=Clock)
    now: float = field(default_factory=time.time)
    time_left: float = 60.0
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = self.worker()

    def worker(self) -> ExportWatcher:
        """A watcher like that of another execution environment: it shares nothing but AWS and the platform."""
        return self.app().watcher

    def app(self) -> App:
        """The app of another execution environment."""
        environment = self.aws.environment(self.base_url, requests_per_minute=2 * self.share)
        environment |= {"DELAYED_AFTER_HOURS": str(self.delayed_after_hours)} | self.variables
        overrides = Overrides(
            client=lambda service, _: self.aws.client(service),
            calls=SYNCHRONOUS,
            monotonic=self.monotonic,
            wall_clock=lambda: self.now,
            random=lambda: 0.5,
            pause=self.pauses.append,
        )
        return bootstrap(environment, self.report, overrides)

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

    def invocation(self) -> TimeBudget:
        return TimeBudget().start(self.now, lambda: self.time_left)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic.advance(seconds)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(envelope["Message"]) for envelope in self.aws.published()]

    def event_ids(self) -> list[str]:
        return sorted(event["id"] for event in self.events())

    @property
    def last_line(self) -> dict[str, Any]:
        """The fields of the last poll's log line."""
        return self.report.logged("export_polled")[-1]

    @property
    def asked(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.platform.requests]


def with_parts(watcher: ExportWatcher, **parts: Any) -> ExportWatcher:
    """The watcher with other parts, those of its concluder among them."""
    of_concluder = {name: parts.pop(name) for name in ("ledger", "topic") if name in parts}
    of_concluder |= {name: parts[name] for name in ("groups", "report") if name in parts}
    return replace(watcher, concluder=replace(watcher.concluder, **of_concluder), **parts)


def completed(export_id: str, **changes: Any) -> Job:
    """A job that completes at once, unless the changes say otherwise."""
    return documented_completed(**{"id": export_id, "steps": AT_ONCE, **changes})


class Vanishing:
    """A topic whose process dies before anything is published."""

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        raise SystemExit


class Refusing:
    """A topic that takes nothing."""

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        return {message.event_id: Unpublished("SNS: InternalError") for message in messages}
