"""The queue with one message per watched export, and its dead-letter queue."""

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls
from export_monitor.domain.messages import ORIGIN
from export_monitor.domain.model import JsonObject, QueueMessage, UnavailableError
from export_monitor.domain.start_events import group_message_body

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        ChangeMessageVisibilityBatchResultTypeDef,
        MessageAttributeValueTypeDef,
        SendMessageBatchRequestEntryTypeDef,
        SendMessageBatchResultTypeDef,
    )

_BATCH_ENTRIES = 10
_MAX_ATTRIBUTES = 10
# Error texts quote what a sender wrote, so they are limited.
_ERROR_CHARACTERS = 1000
_ATTEMPTS = 2
_DISCOVERED: "dict[str, MessageAttributeValueTypeDef]" = {
    ORIGIN: {"DataType": "String", "StringValue": "discovered"},
}


class ExportQueue:
    """Sends messages, changes their visibility, and copies them to the dead-letter queue."""

    def __init__(
        self, calls: AwsCalls, client: "Callable[[], SQSClient]", queue_url: str, dead_letter_queue_url: str
    ) -> None:
        self._calls = calls
        self._client = client
        self._queue_url = queue_url
        self._dead_letter_queue_url = dead_letter_queue_url

    def send(self, detail: JsonObject) -> str:
        """Send a start event; return the message id."""
        body = json.dumps(detail, separators=(",", ":"))
        sent = self._calls.call(lambda: self._client().send_message(QueueUrl=self._queue_url, MessageBody=body))
        return sent["MessageId"]

    def send_discovered(self, export_ids: Sequence[str]) -> list[str]:
        """Send start events for discovered exports; return the ids of the exports that SQS accepted."""
        batches = [export_ids[start : start + _BATCH_ENTRIES] for start in range(0, len(export_ids), _BATCH_ENTRIES)]
        answers = self._calls.call_all([self._discovered_call(batch) for batch in batches])
        return [
            batch[int(sent["Id"])]
            for batch, answer in zip(batches, answers, strict=True)
            if not isinstance(answer, Exception)
            for sent in answer.get("Successful", ())
        ]

    def _discovered_call(self, export_ids: Sequence[str]) -> "Callable[[], SendMessageBatchResultTypeDef]":
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "MessageBody": json.dumps({"export_id": one}), "MessageAttributes": _DISCOVERED}
            for number, one in enumerate(export_ids)
        ]
        return lambda: self._client().send_message_batch(QueueUrl=self._queue_url, Entries=entries)

    def send_group(self, group_id: str) -> None:
        """Send the message by which a group is watched. Raises UnavailableError."""
        body = group_message_body(group_id)
        try:
            self._calls.call(lambda: self._client().send_message(QueueUrl=self._queue_url, MessageBody=body))
        except AWS_ERRORS as error:
            raise UnavailableError(f"SQS: {error}") from None

    def change_visibility(self, delays: Sequence[tuple[QueueMessage, float]]) -> list[QueueMessage]:
        """Set the visibility timeout (seconds) of each message; return the messages for which that failed."""
        by_id = {str(number): message for number, (message, _) in enumerate(delays)}
        entries = [_visibility_entry(number, message, seconds) for number, (message, seconds) in enumerate(delays)]
        for _ in range(_ATTEMPTS):
            batches = _batches(entries)
            answers = self._calls.call_all([self._visibility_call(batch) for batch in batches])
            entries = [one for batch, answer in zip(batches, answers, strict=True) for one in _failed(batch, answer)]
        return [by_id[entry["Id"]] for entry in entries]

    def _visibility_call(
        self, entries: "list[ChangeMessageVisibilityBatchRequestEntryTypeDef]"
    ) -> "Callable[[], ChangeMessageVisibilityBatchResultTypeDef]":
        return lambda: self._client().change_message_visibility_batch(QueueUrl=self._queue_url, Entries=entries)

    def dead_letter(self, message: QueueMessage, error: str) -> None:
        """Send a copy of a message with the attribute `error` to the dead-letter queue."""
        kept = ((name, value) for name, value in message.attributes.items() if name != "error")
        attributes = {name: _attribute(value) for name, value in islice(kept, _MAX_ATTRIBUTES - 1)}
        printable = "".join(c if c.isprintable() else "?" for c in error)[:_ERROR_CHARACTERS]
        attributes["error"] = {"DataType": "String", "StringValue": printable}
        self._calls.call(
            lambda: self._client().send_message(
                QueueUrl=self._dead_letter_queue_url, MessageBody=message.body, MessageAttributes=attributes
            )
        )


def _visibility_entry(
    number: int, message: QueueMessage, seconds: float
) -> "ChangeMessageVisibilityBatchRequestEntryTypeDef":
    whole = max(1, math.ceil(seconds))
    return {"Id": str(number), "ReceiptHandle": message.receipt_handle, "VisibilityTimeout": whole}


def _failed(
    entries: "list[ChangeMessageVisibilityBatchRequestEntryTypeDef]",
    answer: "ChangeMessageVisibilityBatchResultTypeDef | Exception",
) -> "list[ChangeMessageVisibilityBatchRequestEntryTypeDef]":
    if isinstance(answer, Exception):
        return entries
    failed = {failure["Id"] for failure in answer.get("Failed", ())}
    return [entry for entry in entries if entry["Id"] in failed]


def _attribute(value: Mapping[str, Any]) -> "MessageAttributeValueTypeDef":
    attribute: MessageAttributeValueTypeDef = {"DataType": value["dataType"]}
    if value.get("stringValue") is not None:
        attribute["StringValue"] = value["stringValue"]
    if value.get("binaryValue") is not None:
        attribute["BinaryValue"] = base64.b64decode(value["binaryValue"])
    return attribute


def _batches(
    entries: "list[ChangeMessageVisibilityBatchRequestEntryTypeDef]",
) -> "list[list[ChangeMessageVisibilityBatchRequestEntryTypeDef]]":
    return [entries[start : start + _BATCH_ENTRIES] for start in range(0, len(entries), _BATCH_ENTRIES)]
