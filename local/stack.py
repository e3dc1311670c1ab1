"""The whole stack on one machine, made from `template.yaml` itself.

    with Stack(Platform(TOKEN), buckets=["bucket"]) as stack:
        stack.announce({"export_id": "…"})
        [notification] = stack.receive(timeout_seconds=30)

AWS is simulated by an emulator, AWS's own runtime client and an event source mapping; CGC by the platform. The function
is the one that is deployed.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Self

from local.artifact import ROOT, function_artifact, runtime_client
from local.aws_proxy import AwsProxy, aws_proxy
from local.deployment import Deployment, deploy
from local.emulator import Emulator, create_bucket_with_acls, emulator
from local.event_source_mapping import EventSourceMapping
from local.export_jobs import Job
from local.lambda_runtime import ExecutionEnvironment, Invocation
from local.simulated_api import serve
from local.simulated_platform import Platform

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


class Stack:
    """A deployed stack for the length of a `with` block, its mapping polling unless `polls` is false.

    `parameters` override the template's. `timeout_seconds` overrides the function's time limit and
    `batching_window_seconds` the mapping's; `show_again_at_once` is that of the mapping. `log` is called with each
    line that the function logs, from another thread; `log_lines` keeps them all. `aws` is between the function and the
    emulator: it knows the function's calls, and may be told to let them fail.
    """

    emulator: Emulator
    aws: AwsProxy
    api_url: str
    secret_arn: str
    deployment: Deployment
    mapping: EventSourceMapping

    def __init__(
        self,
        platform: Platform,
        *,
        buckets: Sequence[str] = ("bucket",),
        parameters: Mapping[str, str] | None = None,
        token: str = TOKEN,
        workers: int | None = None,
        polls: bool = True,
        timeout_seconds: float | None = None,
        batching_window_seconds: float | None = None,
        redeliver_immediately: bool = False,
        api_port: int = 0,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.platform = platform
        self.log_lines: list[str] = []
        self._buckets = list(buckets)
        self._parameters = dict(parameters or {})
        self._token = token
        self._workers = workers
        self._polls = polls
        self._timeout_seconds = timeout_seconds
        self._batching_window_seconds = batching_window_seconds
        self._show_again_at_once = redeliver_immediately
        self._api_port = api_port
        self._log = log
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as parts:
            self.emulator = parts.enter_context(emulator())
            self.aws = parts.enter_context(aws_proxy(self.emulator.endpoint_url))
            self.api_url = parts.enter_context(serve(self.platform, self._api_port))
            self._create_what_exists_before()
            self.deployment = self._deploy()
            self._subscriber_url = self._subscribe()
            count = self._workers or self.deployment.mapping.maximum_concurrency
            self.environments = [self.environment() for _ in range(count + 1)]
            for environment in self.environments:
                parts.callback(environment.kill)
            # The last one is for direct invocations, which take no turn of the mapping's.
            self.mapping = self._map(self.environments[:-1])
            if self._polls:
                self.mapping.start()
                parts.callback(self.mapping.stop)
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
        """Another execution environment of the function, that the mapping does not use; the caller kills it."""
        return ExecutionEnvironment(
            self.deployment.function,
            function_artifact(),
            runtime_client(),
            endpoint_url=endpoint_url or self.aws.endpoint_url,
            timeout_seconds=timeout_seconds or self._timeout_seconds,
            log=self._keep_log_line,
        )

    def announce(self, detail: Mapping[str, Any]) -> None:
        """Put a start event on the bus."""
        entry = {
            "EventBusName": self._parameters.get("EventBusName", "default"),
            "Source": self._parameters.get("StartEventSource", "cgc.exports"),
            "DetailType": "Export Started",
            "Detail": json.dumps(detail),
        }
        self.client("events").put_events(Entries=[entry])

    def send(self, body: str, attributes: Mapping[str, Any] | None = None) -> str:
        """Send a message straight to the queue of exports; gives its message id."""
        url = self.deployment.outputs["ExportQueueUrl"]
        sent = self.client("sqs").send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes or {})
        message_id: str = sent["MessageId"]
        return message_id

    def invoke(self, event: Mapping[str, Any]) -> Invocation:
        """Invoke the function and wait, as a caller of Lambda's Invoke would."""
        return self.environments[-1].invoke(event)

    def discover(self) -> Invocation:
        """Do what the schedule of `DiscoveryMinutes` does; it must be above 0."""
        if self.deployment.scheduled_event is None:
            raise RuntimeError("there is no schedule where DiscoveryMinutes is 0")
        return self.invoke(self.deployment.scheduled_event)

    def receive(self, count: int = 1, timeout_seconds: float = 30) -> list[Notification]:
        """The events that reached the SQS subscriber: so many, or as many as came in time, oldest first.

        Each is given once. Waits for no more than it was asked for, and may give more.
        """
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

    def mails(self) -> list[tuple[str, str]]:
        """Subject and text of every event published so far, as an e-mail subscriber of all events gets them."""
        sent = self.emulator.sent_notifications(self.deployment.outputs["ExportEventsTopicArn"])
        return [(subject or "", json.loads(message)["email"]) for _, message, subject, _ in sent]

    def messages_left(self) -> int:
        """How many messages the queue of exports holds, hidden ones too.

        The emulator counts one after the other, so a message that comes to light between the two is missed.
        """
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.deployment.outputs["ExportQueueUrl"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def dead_letters(self) -> list[DeadLetter]:
        """Take what is in the dead-letter queue."""
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
        """The function's structured log lines so far, metrics among them."""
        return [json.loads(line) for line in list(self.log_lines) if line.startswith("{")]

    def put_object(self, bucket: str, key: str, body: bytes, **arguments: Any) -> str:
        """What an export's end does: put an object, with the arguments of S3's PutObject; gives its ETag."""
        etag: str = self.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **arguments)["ETag"]
        return etag.strip('"')

    def _create_what_exists_before(self) -> None:
        """The buckets and the secret, which a user of the template has already."""
        for bucket in self._buckets:
            create_bucket_with_acls(self.client("s3"), bucket)
        secret = self.client("secretsmanager").create_secret(Name="cgc/token", SecretString=self._token)
        self.secret_arn = secret["ARN"]

    def _deploy(self) -> Deployment:
        parameters = {
            "TokenSecretArn": self.secret_arn,
            "ExportBuckets": ",".join(self._buckets),
            "ApiBaseUrl": self.api_url,
            **self._parameters,
        }
        return deploy(self.emulator, ROOT / "template.yaml", parameters)

    def _subscribe(self) -> str:
        """Subscribe a queue to the events topic; gives the queue's URL."""
        sqs = self.client("sqs")
        url: str = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic_arn = self.deployment.outputs["ExportEventsTopicArn"]
        self.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
        return url

    def _map(self, environments: Sequence[ExecutionEnvironment]) -> EventSourceMapping:
        configuration = self.deployment.mapping
        if self._batching_window_seconds is not None:
            configuration = replace(configuration, batching_window_seconds=self._batching_window_seconds)
        return EventSourceMapping(
            configuration, self.client("sqs"), environments, redeliver_immediately=self._show_again_at_once
        )

    def _take(self, queue_url: str) -> list[dict[str, Any]]:
        """Receive and delete what is in a queue."""
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

    def _keep_log_line(self, line: str) -> None:
        self.log_lines.append(line)
        if self._log is not None:
            self._log(line)


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
