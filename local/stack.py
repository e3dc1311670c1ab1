"""The whole stack on one machine, made from `template.yaml` itself.

    with Stack(Platform(TOKEN), buckets=["bucket"]) as stack:
        stack.announce({"export_id": "…"})
        [notification] = stack.receive(timeout_seconds=30)

AWS is simulated by an emulator, AWS's own runtime client and event source mappings; CGC by the platform. The functions
are those that are deployed.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Self

from local.artifact import ROOT, function_artifact, runtime_client
from local.aws_calls import called, messages_published
from local.aws_proxy import AwsProxy, ForwardedCall, aws_proxy
from local.deployment import Deployment, deploy
from local.emulator import Emulator, create_bucket_with_acls, emulator
from local.event_source_mapping import EventSourceMapping
from local.export_jobs import Job
from local.lambda_runtime import ExecutionEnvironment, Invocation
from local.simulated_api import serve
from local.simulated_platform import Platform

# The functions' logical ids.
MAIN, CONTENT = "ExportMonitorFunction", "ContentCheckFunction"
TOKEN = "a-token-of-the-simulated-platform"  # noqa: S105 -- opens nothing else


@dataclass(frozen=True)
class Notification:
    """A published event as an SQS subscriber of the topic gets it.

    `event` is the CloudEvent, `attributes` are the message attributes by name, `envelope` is SNS's whole notification.
    """

    event: Mapping[str, Any]
    attributes: Mapping[str, str]
    subject: str | None = None
    envelope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeadLetter:
    """A message in the dead-letter queue; `error` is the attribute of that name, empty if missing."""

    body: str
    error: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Stack:
    """A deployed stack for the length of a `with` block, its mappings polling unless `polls` is false.

    `parameters` override the template's; `timeout_seconds` overrides the function's time limit, and `workers` the
    mapping's concurrency. `log` is called with each log line of the functions, from another thread; `log_lines` keeps
    them all. `aws` is between the function and the emulator: it records the function's calls and can inject faults;
    `content_aws` is the same for the content check's function, whose mapping is None where the check is off.
    """

    platform: Platform
    _: KW_ONLY
    buckets: Sequence[str] = ("bucket",)
    parameters: Mapping[str, str] = field(default_factory=dict)
    token: str = TOKEN
    workers: int | None = None
    content_workers: int = 2
    polls: bool = True
    timeout_seconds: float | None = None
    redeliver_immediately: bool = False
    api_port: int = 0
    log: Callable[[str], None] = lambda _: None
    log_lines: list[str] = field(init=False, default_factory=list)
    emulator: Emulator = field(init=False)
    aws: AwsProxy = field(init=False)
    content_aws: AwsProxy = field(init=False)
    api_url: str = field(init=False)
    secret_arn: str = field(init=False)
    deployment: Deployment = field(init=False)
    mapping: EventSourceMapping = field(init=False)
    _published: list[tuple[str, dict[str, str]]] = field(init=False, default_factory=list)
    content_mapping: EventSourceMapping | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        with ExitStack() as parts:
            self.emulator = parts.enter_context(emulator())
            self.aws = parts.enter_context(aws_proxy(self.emulator.endpoint_url))
            self.aws.reached = self._keep_published
            self.content_aws = parts.enter_context(aws_proxy(self.emulator.endpoint_url))
            self.api_url = parts.enter_context(serve(self.platform, self.api_port))
            self._create_what_exists_before()
            self.deployment = self._deploy()
            self._subscriber_url = self._subscribe()
            count = self.workers or self.deployment.mapping.maximum_concurrency
            self.environments = [self.environment() for _ in range(count + 1)]
            self.content_environments = [self.content_environment() for _ in range(self._content_workers())]
            for environment in (*self.environments, *self.content_environments):
                parts.callback(environment.kill)
            # The last one is for direct invocations.
            self.mapping = self._map(MAIN, self.environments[:-1])
            if self.content_environments:
                self.content_mapping = self._map(CONTENT, self.content_environments)
            for mapping in filter(None, [self.mapping, self.content_mapping]):
                if self.polls:
                    mapping.start()
                    parts.callback(mapping.stop)
            self._exit = parts.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exit.close()

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return self.emulator.client(service)

    def environment(
        self, endpoint_url: str | None = None, timeout_seconds: float | None = None
    ) -> ExecutionEnvironment:
        """Another execution environment of the function, not used by the mapping; the caller kills it."""
        return self._environment(MAIN, endpoint_url or self.aws.endpoint_url, timeout_seconds or self.timeout_seconds)

    def content_environment(self, timeout_seconds: float | None = None) -> ExecutionEnvironment:
        """Another execution environment of the content check's function; the caller kills it."""
        return self._environment(CONTENT, self.content_aws.endpoint_url, timeout_seconds)

    def announce(self, detail: Mapping[str, Any]) -> None:
        """Put a start event on the bus."""
        entry = {
            "EventBusName": self.parameters.get("EventBusName", "default"),
            "Source": self.parameters.get("StartEventSource", "cgc.exports"),
            "DetailType": "Export Started",
            "Detail": json.dumps(detail),
        }
        self.client("events").put_events(Entries=[entry])

    def send(self, body: str, attributes: Mapping[str, Any] | None = None) -> str:
        """Send a message straight to the queue of exports; returns its message id."""
        url = self.deployment.outputs["ExportQueueUrl"]
        sent = self.client("sqs").send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes or {})
        message_id: str = sent["MessageId"]
        return message_id

    def invoke(self, event: Mapping[str, Any]) -> Invocation:
        """Invoke the function synchronously."""
        return self.environments[-1].invoke(event)

    def discover(self) -> Invocation:
        """Invoke the function as the schedule of `DiscoveryMinutes` does, which must be above 0."""
        if self.deployment.scheduled_event is None:
            raise RuntimeError("without DiscoveryMinutes there is no schedule")
        return self.invoke(self.deployment.scheduled_event)

    def receive(self, count: int = 1, timeout_seconds: float = 30) -> list[Notification]:
        """New events that reached the SQS subscriber, oldest first: at least `count`, or fewer after the timeout."""
        received: list[Notification] = []
        end = time.monotonic() + timeout_seconds
        while len(received) < count:
            messages = self._take(self._subscriber_url)
            received += [_notification(json.loads(message["Body"])) for message in messages]
            if not messages:
                if time.monotonic() >= end:
                    break
                time.sleep(0.05)
        return received

    def mails(self) -> list[tuple[str, str, str]]:
        """Event id, subject and text of the e-mail for every event that the function has published so far.

        The emulator sends no mail, so they are read from the calls.
        """
        return [(json.loads(texts["default"])["id"], subject, texts["email"]) for subject, texts in self._published]

    def messages_left(self, queue: str = "ExportQueue") -> int:
        """How many messages the queue of exports holds, or another of the stack's, hidden ones too.

        The emulator counts visible and hidden ones in turn, so it misses a message that becomes visible in between.
        """
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.deployment.physical_ids[queue]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def dead_letters(self) -> list[DeadLetter]:
        """Receive and delete all messages in the dead-letter queue."""
        return [
            DeadLetter(
                body=message["Body"],
                error=message.get("MessageAttributes", {}).get("error", {}).get("StringValue", ""),
                attributes={
                    name: attribute.get("StringValue", "")
                    for name, attribute in message.get("MessageAttributes", {}).items()
                },
            )
            for message in self._take(self.deployment.outputs["DeadLetterQueueUrl"])
        ]

    def logs(self) -> list[dict[str, Any]]:
        """The functions' structured log lines so far, metrics among them."""
        return [json.loads(line) for line in list(self.log_lines) if line.startswith("{")]

    def put_object(self, bucket: str, key: str, body: bytes, **arguments: Any) -> str:
        """Put an object with the arguments of S3's PutObject; returns its ETag."""
        etag: str = self.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **arguments)["ETag"]
        return etag.strip('"')

    def _create_what_exists_before(self) -> None:
        """Create the buckets and the secret, which exist before the stack."""
        for bucket in self.buckets:
            create_bucket_with_acls(self.client("s3"), bucket)
        secret = self.client("secretsmanager").create_secret(Name="cgc/token", SecretString=self.token)
        self.secret_arn = secret["ARN"]

    def _deploy(self) -> Deployment:
        parameters = {
            "TokenSecretArn": self.secret_arn,
            "ExportBuckets": ",".join(self.buckets),
            "ApiBaseUrl": self.api_url,
            **self.parameters,
        }
        return deploy(self.emulator, ROOT / "template.yaml", parameters)

    def _subscribe(self) -> str:
        """Subscribe a queue to the events topic; returns the queue's URL."""
        sqs = self.client("sqs")
        url: str = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic_arn = self.deployment.outputs["ExportEventsTopicArn"]
        self.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
        return url

    def _content_workers(self) -> int:
        """How many workers the content check has: fewer than in AWS, since each takes a core."""
        if CONTENT not in self.deployment.functions:
            return 0
        return min(self.content_workers, self.deployment.functions[CONTENT].mapping.maximum_concurrency)

    def _environment(self, function: str, endpoint_url: str, timeout_seconds: float | None) -> ExecutionEnvironment:
        return ExecutionEnvironment(
            self.deployment.functions[function].function,
            function_artifact(function),
            runtime_client(),
            endpoint_url=endpoint_url,
            timeout_seconds=timeout_seconds,
            log=self._keep_log_line,
        )

    def _map(self, function: str, environments: Sequence[ExecutionEnvironment]) -> EventSourceMapping:
        return EventSourceMapping(
            self.deployment.functions[function].mapping,
            self.client("sqs"),
            environments,
            redeliver_immediately=self.redeliver_immediately,
        )

    def _take(self, queue_url: str) -> list[dict[str, Any]]:
        """Receive and delete all messages in a queue."""
        sqs = self.client("sqs")
        taken: list[dict[str, Any]] = []
        while True:
            answer = sqs.receive_message(
                QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0, MessageAttributeNames=["All"]
            )
            if not answer.get("Messages"):
                return taken
            for message in answer["Messages"]:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            taken += answer["Messages"]

    def _keep_published(self, reached: ForwardedCall) -> None:
        if called(reached.request).operation == "PublishBatch":
            self._published += messages_published(reached.request.content)

    def _keep_log_line(self, line: str) -> None:
        self.log_lines.append(line)
        self.log(line)


def deliver_to(stack: Stack) -> Callable[[Job], None]:
    """A `Platform.deliver` that puts a completed job's object into the bucket of its volume, as the platform does."""

    def deliver(job: Job) -> None:
        service = stack.platform.volume(job.volume)["service"]
        properties = job.properties
        arguments = {
            "ServerSideEncryption": properties.get("sse_algorithm"),
            "StorageClass": properties.get("aws_storage_class"),
            "ACL": properties.get("aws_canned_acl"),
        }
        stack.put_object(
            service["bucket"],
            f"{service['prefix']}/{job.location}".lstrip("/"),
            bytes(stack.platform.file(job.file)["size"]),
            **{name: value for name, value in arguments.items() if value is not None},
        )

    return deliver


def _notification(envelope: Mapping[str, Any]) -> Notification:
    return Notification(
        event=json.loads(envelope["Message"]),
        subject=envelope.get("Subject"),
        attributes={name: str(one["Value"]) for name, one in envelope.get("MessageAttributes", {}).items()},
        envelope=envelope,
    )
