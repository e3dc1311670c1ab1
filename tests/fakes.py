"""Fakes that several tests share: a reporter that records, a transport with given responses, a clock, and an AWS
account in moto."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.stub import Stubber
from requests.structures import CaseInsensitiveDict

from export_monitor.adapters.aws.calls import CALL_LIMIT_SECONDS, AwsCalls
from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpResponse
from local.emulator import create_bucket_with_acls
from local.export_jobs import Job
from local.moto_patches import patch_moto
from local.template import function_environment, template

REGION = "us-east-1"
TOKEN = "a-token-that-nobody-may-see"


@dataclass
class Clock:
    """A clock that stands still until a test advances it, in seconds."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class RecordingReporter:
    """Records what an operator would see: counts by metric, measures, and log lines."""

    counts: Counter[str] = field(default_factory=Counter)
    measures: list[tuple[str, float]] = field(default_factory=list)
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def count(self, metric: str) -> None:
        self.counts[metric] += 1

    def measure_count(self, metric: str, value: int) -> None:
        self.measures.append((metric, value))

    def measure_seconds(self, metric: str, value: float) -> None:
        self.measures.append((metric, value))

    def measure_bytes(self, metric: str, value: int) -> None:
        self.measures.append((metric, value))

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("note", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warn", event, fields))

    def exception(self, event: str, error: Exception, **fields: Any) -> None:
        self.lines.append(("traceback", event, fields | {"error": error}))

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The fields of each line of this event."""
        return [fields for _, name, fields in self.lines if name == event]


@dataclass
class FakeTransport:
    """Answers each request by a function, and remembers requests and time limits."""

    answer: Callable[[HttpRequest], HttpResponse]
    requests: list[HttpRequest] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpResponse:
        self.requests.append(request)
        self.limits.append(limit_seconds)
        return self.answer(request)

    @property
    def asked(self) -> list[str]:
        """Method and path below ``/v2`` of each request."""
        return [f"{one.method} {one.url.partition('/v2')[2]}" for one in self.requests]


class SynchronousCalls(AwsCalls):
    """Makes AWS's calls one after the other, in the thread that asks; pauses are noted and not made."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        super().__init__(lambda: math.inf, self.pauses.append)

    def call_all(self, calls: Sequence[Callable[[], Any]], within_seconds: float = CALL_LIMIT_SECONDS) -> list[Any]:
        return [_made(call) for call in calls]


def _made(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 -- as in AwsCalls, it concerns this call alone
        return error


SYNCHRONOUS = SynchronousCalls()


def response_of(status: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """An answer with a JSON body, or with just these bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, CaseInsensitiveDict(headers or {}), content)


@contextmanager
def stubbed(service: str) -> Iterator[tuple[Any, Stubber]]:
    """A real AWS client that sends nothing: what it is asked must be what the stub expects, all of it."""
    client = boto3.client(service, region_name=REGION, aws_access_key_id="made-up", aws_secret_access_key="made-up")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()
    client.close()


class AwsAccount:
    """What the template makes in an account, as far as the function asks for it; to be made within `mock_aws`."""

    def __init__(self) -> None:
        patch_moto()
        sqs, sns = self.client("sqs"), self.client("sns")
        self.queue_url = sqs.create_queue(QueueName="exports", Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
        self.dead_letter_queue_url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        self.topic_arn = sns.create_topic(Name="events")["TopicArn"]
        self._subscriber_url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        sns.subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:subscriber")
        for name, logical_id in {"ledger": "Ledger", "groups": "GroupLedger"}.items():
            table = template()["Resources"][logical_id]["Properties"]
            made_of = {key: table[key] for key in ("BillingMode", "AttributeDefinitions", "KeySchema")}
            self.client("dynamodb").create_table(TableName=name, **made_of)
        create_bucket_with_acls(self.client("s3"), "bucket")
        self.client("s3").create_bucket(Bucket="reports")
        secrets = self.client("secretsmanager")
        self.secret_arn = secrets.create_secret(Name="cgc", SecretString=TOKEN)["ARN"]

    @staticmethod
    @cache
    def client(service: str) -> Any:
        """The client of a service, the same for all accounts: making one takes longer than most tests."""
        return boto3.client(service, region_name=REGION)

    def environment(self, base_url: str, requests_per_minute: int = 200) -> dict[str, str]:
        """The function's variables, with the parameters' defaults."""
        resources = {
            "ExportQueue": self.queue_url,
            "DeadLetterQueue": self.dead_letter_queue_url,
            "ExportEventsTopic": self.topic_arn,
            "Ledger": "ledger",
            "GroupLedger": "groups",
            "ReportBucket": "reports",
        }
        return function_environment(
            resources,
            ApiBaseUrl=base_url,
            ApiRequestsPerMinute=str(requests_per_minute),
            TokenSecretArn=self.secret_arn,
            ExportBuckets="bucket",
        )

    def put_object(self, job: Job) -> None:
        """Put a completed job's object where the platform puts it: into the volume's bucket, as was asked for."""
        self.client("s3").put_object(
            Bucket="bucket", Key=job.location, Body=bytes(1234), ACL="public-read", ServerSideEncryption="AES256"
        )

    def report(self, group_id: str, name: str = "report.csv") -> bytes:
        """The report of a group: the CSV or the page."""
        answer = self.client("s3").get_object(Bucket="reports", Key=f"groups/{group_id}/{name}")
        return bytes(answer["Body"].read())

    def receive(self) -> dict[str, Any]:
        """The next message of the watched queue, with all its attributes."""
        [received] = self.client("sqs").receive_message(
            QueueUrl=self.queue_url, AttributeNames=["All"], MessageAttributeNames=["All"]
        )["Messages"]
        return dict(received)

    def messages_in_queue(self) -> int:
        """How many messages the watched queue holds, hidden ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.client("sqs").get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)

    def published(self) -> list[dict[str, Any]]:
        """What the topic's subscriber has received since it was last asked, as SNS's envelopes."""
        return [json.loads(message["Body"]) for message in self._drained(self._subscriber_url)]

    def dead_letters(self) -> list[dict[str, Any]]:
        """What lies in the dead-letter queue."""
        return self._drained(self.dead_letter_queue_url)

    def _drained(self, queue_url: str) -> list[dict[str, Any]]:
        drained: list[dict[str, Any]] = []
        while (
            batch := self.client("sqs")
            .receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            .get("Messages")
        ):
            drained += batch
        return drained
