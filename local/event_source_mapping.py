"""Lambda's SQS event source mapping: from the queue to the function, and its response back.

It gathers messages, invokes the function, deletes handled messages and leaves the others hidden. Its rules are
those of the AWS Lambda developer guide, "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source in
Lambda".
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.lambda_runtime import ExecutionEnvironment, Invocation, encode_event
from local.sqs_event import Message, sqs_record

# Lambda's limit for the payload of one invocation.
_PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class MappingConfiguration:
    """The mapping's properties in the template; the defaults are AWS's."""

    queue_arn: str
    batch_size: int = 10
    batching_window_seconds: float = 0
    maximum_concurrency: int = 2
    reports_batch_item_failures: bool = False

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> "MappingConfiguration":
        """From the properties of an AWS::Lambda::EventSourceMapping."""
        return cls(
            queue_arn=properties["EventSourceArn"],
            batch_size=int(properties.get("BatchSize", 10)),
            batching_window_seconds=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
            maximum_concurrency=int(properties.get("ScalingConfig", {}).get("MaximumConcurrency", 2)),
            reports_batch_item_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
        )


class EventSourceMapping:
    """Polls a queue for one function, with as many workers as there are environments.

    `quiet_queue_wait_seconds` is how long a poll of the queue waits for a message if there is a batching window: AWS
    documents up to 20 seconds, and sees that the window is over only when the poll returns. 0 leaves the window only.
    `redeliver_immediately` makes the messages of a batch visible as soon as its invocation is killed or times out; AWS
    leaves them hidden for the rest of the queue's visibility timeout.
    """

    def __init__(
        self,
        configuration: MappingConfiguration,
        sqs: Any,
        environments: Sequence[ExecutionEnvironment],
        *,
        quiet_queue_wait_seconds: float = 0.0,
        redeliver_immediately: bool = False,
    ) -> None:
        self._configuration = configuration
        self._long_poll_seconds = quiet_queue_wait_seconds if configuration.batching_window_seconds else 0.0
        self._sqs = sqs
        self._environments = environments
        self._show_again_at_once = redeliver_immediately
        name = configuration.queue_arn.split(":")[-1]
        self._queue_url: str = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        # Quotes and backslashes of a body are escaped in the event; 4 KiB are for the rest of a record.
        self._largest_record_bytes = 2 * self._maximum_message_size() + 4096
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start a thread for each environment."""
        self._threads = [
            threading.Thread(target=self._work, args=[environment], daemon=True) for environment in self._environments
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the workers, and kill invocations in progress with SIGKILL."""
        self._stopping.set()
        for environment, thread in zip(self._environments, self._threads, strict=False):
            # Repeatedly: an invocation may just be starting.
            while thread.is_alive():
                environment.kill()
                thread.join(_PAUSE_SECONDS)

    def run_once(self, worker: int = 0) -> Invocation | None:
        """Gather one batch and invoke the worker's environment with it; None if no message is visible."""
        return self._handle_batch(self._environments[worker])

    def _work(self, environment: ExecutionEnvironment) -> None:
        while not self._stopping.is_set():
            if self._handle_batch(environment) is None:
                self._stopping.wait(_PAUSE_SECONDS)

    def _handle_batch(self, environment: ExecutionEnvironment) -> Invocation | None:
        batch = self._gather()
        if not batch or self._stopping.is_set():
            return None
        records = [sqs_record(message, self._configuration.queue_arn) for message in batch]
        invocation = environment.invoke({"Records": records})
        failed = self._failed(invocation, {message["MessageId"] for message in batch})
        self._delete([message for message in batch if message["MessageId"] not in failed])
        if self._show_again_at_once and invocation.status in ("crashed", "timed_out"):
            self._show_again(batch)
        return invocation

    def _gather(self) -> list[Message]:
        """One batch: the visible messages, and those that arrive within the window after the first.

        Without a window, these are the messages of the first receive.
        """
        batch: list[Message] = []
        window_end = poll_end = 0.0
        size_bytes = 0
        while len(batch) < self._configuration.batch_size and not self._stopping.is_set():
            room = (_PAYLOAD_LIMIT_BYTES - size_bytes) // self._largest_record_bytes
            wanted = min(10, self._configuration.batch_size - len(batch), room)
            if wanted == 0:
                break
            received = self._receive(wanted)
            now = time.monotonic()
            if received and not batch:
                window_end = now + self._configuration.batching_window_seconds
            if received:
                poll_end = now + self._long_poll_seconds
            batch += received
            size_bytes += sum(len(encode_event(sqs_record(one, self._configuration.queue_arn))) for one in received)
            is_over = now >= window_end and (bool(received) or now >= poll_end)
            if is_over and len(received) < wanted:
                break
            if not received:
                self._stopping.wait(min(_PAUSE_SECONDS, max(window_end, poll_end) - now))
        return batch

    def _receive(self, count: int) -> list[Message]:
        received = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=count,
            # No long poll: it would delay `stop`.
            WaitTimeSeconds=0,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: list[Message] = received.get("Messages", [])
        return messages

    def _failed(self, invocation: Invocation, message_ids: set[str]) -> set[str]:
        """The ids of the messages that stay in the queue."""
        if invocation.status != "returned":
            return message_ids
        if not self._configuration.reports_batch_item_failures:
            return set()
        reported = reported_failures(invocation.response)
        # An unknown identifier makes the whole batch a failure.
        return reported if reported is not None and reported <= message_ids else message_ids

    def _delete(self, messages: Sequence[Message]) -> None:
        for entries in _entries(messages):
            self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)

    def _show_again(self, messages: Sequence[Message]) -> None:
        for entries in _entries(messages, VisibilityTimeout=0):
            self._sqs.change_message_visibility_batch(QueueUrl=self._queue_url, Entries=entries)

    def _maximum_message_size(self) -> int:
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["MaximumMessageSize"])
        return int(attributes["Attributes"]["MaximumMessageSize"])


def _entries(messages: Sequence[Message], **more: int) -> Iterator[list[dict[str, Any]]]:
    """The entries of batch calls about these messages, ten at a time."""
    for start in range(0, len(messages), 10):
        ten = messages[start : start + 10]
        yield [{"Id": str(number), "ReceiptHandle": one["ReceiptHandle"], **more} for number, one in enumerate(ten)]


def reported_failures(response: bytes) -> set[str] | None:
    """The identifiers in a function's `batchItemFailures`, or None if the response is invalid.

    A null or empty response, and a null or empty list, are complete successes.
    """
    try:
        answer = json.loads(response or b"null")
        failures = (answer or {}).get("batchItemFailures") or []
        identifiers = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, AttributeError, TypeError, KeyError):
        return None
    return identifiers if all(isinstance(one, str) and one for one in identifiers) else None
