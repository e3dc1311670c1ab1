"""The topic that events are published to, by ten and within SNS's size limit for a batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from export_monitor.adapters.aws import AwsCalls
from export_monitor.domain.events import MAX_MESSAGE_BYTES, Message

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient
    from types_boto3_sns.type_defs import (
        MessageAttributeValueTypeDef,
        PublishBatchRequestEntryTypeDef,
        PublishBatchResponseTypeDef,
    )

_BATCH_ENTRIES = 10


class EventsTopic:
    """Publishes messages."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], SNSClient]", topic_arn: str) -> None:
        self._calls = calls
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, messages: Sequence[Message]) -> dict[str, str]:
        """Publish, and say why which messages were not, by the id of their event."""
        batches = list(_batches(messages))
        failures: dict[str, str] = {}
        for batch, answer in zip(
            batches, self._calls.side_by_side([self._call(batch) for batch in batches]), strict=True
        ):
            if isinstance(answer, Exception):
                failures |= {message.event_id: f"SNS: {type(answer).__name__}: {answer}" for message in batch}
                continue
            for failed in answer.get("Failed", ()):
                failures[batch[int(failed["Id"])].event_id] = f"SNS: {failed['Code']}"
        return failures

    def _call(self, batch: Sequence[Message]) -> "Callable[[], PublishBatchResponseTypeDef]":
        entries = [_entry(number, message) for number, message in enumerate(batch)]
        return lambda: self._client().publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=entries)


def _batches(messages: Sequence[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == _BATCH_ENTRIES or size + message.size_bytes > MAX_MESSAGE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.size_bytes
    if batch:
        yield batch


def _entry(number: int, message: Message) -> "PublishBatchRequestEntryTypeDef":
    return {
        "Id": str(number),
        "Subject": message.subject,
        "Message": message.body,
        "MessageStructure": "json",
        "MessageAttributes": {name: _attribute(value) for name, value in message.attributes.items()},
    }


def _attribute(value: str | int) -> "MessageAttributeValueTypeDef":
    return {"DataType": "Number" if isinstance(value, int) else "String", "StringValue": str(value)}
