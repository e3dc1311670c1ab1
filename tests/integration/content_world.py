"""A content worker and an AWS account in moto, made of the real parts."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from export_monitor.adapters.aws.dynamodb.content_checks import ContentChecks
from export_monitor.adapters.aws.dynamodb.table import Table
from export_monitor.adapters.aws.sqs import ExportQueue
from export_monitor.application.content_requests import ContentAnswer, ContentRequests
from export_monitor.application.content_worker import ContentWorker
from export_monitor.content_bootstrap import ContentOverrides, bootstrap_content
from export_monitor.domain.content.check import ContentCheck
from export_monitor.domain.content.target import ContentMessage, ContentTarget, parse_content_message
from export_monitor.domain.model import QueueMessage
from export_monitor.domain.time_budget import TimeBudget
from local.moto_patches import patch_moto
from tests.fakes import SYNCHRONOUS, AwsAccount, RecordingReporter

TABLE = "content-checks"


@dataclass
class RecordedS3:
    """S3 as the worker's client: notes each GET, and lets a test interfere with it."""

    client: Any
    before_get: Callable[[dict[str, Any]], None] = lambda _: None
    ranges: list[str] = field(default_factory=list)

    def get_object(self, **asked: Any) -> Any:
        self.ranges.append(asked["Range"])
        self.before_get(asked)
        return self.client.get_object(**asked)


class ContentWorld:
    """A worker, the watch's side of it, and the account; `now` is in epoch seconds. To be made within `mock_aws`."""

    def __init__(self, part_bytes: int) -> None:
        patch_moto()
        self.settings = {"part_bytes": part_bytes}
        self.report = RecordingReporter()
        self.now = math.floor(time.time())
        self.time_left = 900.0
        self.s3 = RecordedS3(AwsAccount.client("s3"))
        self.sqs = AwsAccount.client("sqs")
        self.queue_url = self.sqs.create_queue(QueueName="content", Attributes={"VisibilityTimeout": "1000"})[
            "QueueUrl"
        ]
        self.dead_letter_queue_url = self.sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        AwsAccount.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "object", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "object", "KeyType": "HASH"}],
        )
        self.s3.client.create_bucket(Bucket="bucket")
        dynamodb = AwsAccount.client("dynamodb")
        self.checks = ContentChecks(Table(SYNCHRONOUS, lambda: dynamodb, TABLE))
        self.queue = ExportQueue(SYNCHRONOUS, lambda: self.sqs, self.queue_url, self.dead_letter_queue_url)
        self.worker = self.new_worker()

    def environment(self) -> dict[str, str]:
        return {
            "EXPORT_BUCKETS": "bucket",
            "CONTENT_QUEUE_URL": self.queue_url,
            "DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "CONTENT_CHECKS_TABLE_NAME": TABLE,
            "CONTENT_PART_MIB": "4096",
        }

    def new_worker(self, **parts: Any) -> ContentWorker:
        """A worker like that of another execution environment, with other parts of its verification."""
        overrides = ContentOverrides(
            client=lambda service, _: self.s3 if service == "s3" else AwsAccount.client(service),
            calls=SYNCHRONOUS,
            pause=lambda _: None,
        )
        app = bootstrap_content(self.environment(), self.report, overrides)
        return replace(app.worker, verification=replace(app.worker.verification, **self.settings, **parts))

    def use(self, **settings: int) -> None:
        """Use a worker with these settings from now on."""
        self.settings = settings
        self.worker = self.new_worker()

    def put(self, content: bytes, key: str = "reads.bam") -> ContentTarget:
        put = self.s3.client.put_object(Bucket="bucket", Key=key, Body=content)
        return ContentTarget("bucket", key, len(content), put["ETag"].strip('"'), put.get("VersionId"))

    def answer(self, target: ContentTarget) -> ContentAnswer:
        """What a watch hears of the version now."""
        [answer] = ContentRequests(self.checks, self.queue).answers([target], self.now)
        return answer

    def send(self, message: ContentMessage | str) -> None:
        body = message if isinstance(message, str) else message.to_body()
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)

    def receive(self) -> list[QueueMessage]:
        """All messages that are visible."""
        return list(self._received())

    def _received(self) -> Iterator[QueueMessage]:
        while True:
            [messages] = self.queue.receive([10])
            assert not isinstance(messages, Exception)
            if not messages:
                return
            yield from messages

    def process(self, message: QueueMessage) -> bool:
        """One invocation, and what the mapping does with its answer; whether the message stays."""
        stays = True
        try:
            stays = self.worker.process(message, self.invocation(lambda: self.time_left))
        finally:
            if not stays:
                self.queue.delete([message])
        return stays

    def invocation(self, time_left: Callable[[], float]) -> TimeBudget:
        return TimeBudget().start(self.now, time_left)

    def show_again(self, message: QueueMessage) -> None:
        self.sqs.change_message_visibility(
            QueueUrl=self.queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=0
        )

    def drain(self) -> Counter[int]:
        """Process messages until there is none, and show again those that stay; how often parts were read.

        SystemExit is a crash.
        """
        before = len(self.parts_read)
        for _ in range(200):
            [messages] = self.queue.receive([1])
            assert not isinstance(messages, Exception)
            if not messages:
                return Counter(self.parts_read[before:])
            with suppress(SystemExit):
                if not self.process(messages[0]):
                    continue
            self.show_again(messages[0])
        raise AssertionError("the queue never becomes empty")

    def verify(self, target: ContentTarget) -> ContentAnswer:
        """Ask for the version's check, let the worker do everything, and ask for the answer."""
        self.answer(target)
        self.drain()
        return self.answer(target)

    def check(self, target: ContentTarget) -> ContentCheck:
        return self.checks.read(target)

    @property
    def parts_read(self) -> list[int]:
        """The numbers of the parts that were read and recorded."""
        return [line["part"] for line in self.report.logged("content_part_verified")]

    def dead_letters(self) -> list[tuple[str, str]]:
        """Body and error of each."""
        received = self.sqs.receive_message(
            QueueUrl=self.dead_letter_queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return [(one["Body"], one["MessageAttributes"]["error"]["StringValue"]) for one in received.get("Messages", ())]


def part_of(message: QueueMessage) -> int | None:
    """The number of the part that a message asks for; None to plan."""
    part = parse_content_message(message.body).part
    return part.number if part else None
