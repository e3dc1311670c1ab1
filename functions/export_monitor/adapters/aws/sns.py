"""The events topic: messages are published in batches of at most ten and within SNS's size limit."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls
from export_monitor.domain.events import MAX_MESSAGE_BYTES, SnsMessage, Unpublished

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient
    from types_boto3_sns.type_defs import (
        MessageAttributeValueTypeDef,
        PublishBatchRequestEntryTypeDef,
        PublishBatchResponseTypeDef,
    )

_BATCH_ENTRIES = 10


class EventsTopic:
    """Publishes messages to one SNS topic."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], SNSClient]", topic_arn: str) -> None:
        self._calls = calls
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        """Publish messages; return the failures by event id."""
        return self._publish(list(_batches(messages)))

    def _publish(self, batches: Sequence[Sequence[SnsMessage]]) -> dict[str, Unpublished]:
        failures: dict[str, Unpublished] = {}
        to_retry: list[SnsMessage] = []
        answers = self._calls.call_all([self._call(batch) for batch in batches])
        for batch, answer in zip(batches, answers, strict=True):
            if not isinstance(answer, Exception):
                failures |= _unconfirmed(batch, answer)
            elif len(batch) > 1 and _is_content_rejected(answer):
                to_retry += batch
            else:
                failures |= {message.event_id: _unpublished(answer) for message in batch}
        # One invalid message makes SNS reject the whole batch, so publish each of its messages separately.
        return failures | (self._publish([[message] for message in to_retry]) if to_retry else {})

    def _call(self, batch: Sequence[SnsMessage]) -> "Callable[[], PublishBatchResponseTypeDef]":
        entries = [_entry(number, message) for number, message in enumerate(batch)]
        return lambda: self._client().publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=entries)


def _unconfirmed(batch: Sequence[SnsMessage], answer: "PublishBatchResponseTypeDef") -> dict[str, Unpublished]:
    """The messages of a batch that SNS does not list as published, by event id."""
    published = {entry["Id"] for entry in answer.get("Successful", ())}
    codes = {entry["Id"]: entry["Code"] for entry in answer.get("Failed", ())}
    return {
        message.event_id: Unpublished(f"SNS: {codes.get(str(number), 'no answer about this message')}")
        for number, message in enumerate(batch)
        if str(number) not in published
    }


def _is_content_rejected(error: Exception) -> bool:
    """Whether a call failed because of its content: nothing was published, and the other messages may be accepted."""
    if isinstance(error, ClientError):
        rejected = error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return rejected and "Throttl" not in error.response["Error"]["Code"]
    return not isinstance(error, AWS_ERRORS)


def _unpublished(error: Exception) -> Unpublished:
    unexpected = None if isinstance(error, AWS_ERRORS) else error
    return Unpublished(f"SNS: {type(error).__name__}: {error}", unexpected)


def _batches(messages: Sequence[SnsMessage]) -> Iterator[list[SnsMessage]]:
    batch: list[SnsMessage] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == _BATCH_ENTRIES or size + message.size_bytes > MAX_MESSAGE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.size_bytes
    if batch:
        yield batch


def _entry(number: int, message: SnsMessage) -> "PublishBatchRequestEntryTypeDef":
    return {
        "Id": str(number),
        "Subject": message.subject,
        "Message": message.body,
        "MessageStructure": "json",
        "MessageAttributes": {name: _attribute(value) for name, value in message.attributes.items()},
    }


def _attribute(value: str | int) -> "MessageAttributeValueTypeDef":
    return {"DataType": "Number" if isinstance(value, int) else "String", "StringValue": str(value)}
