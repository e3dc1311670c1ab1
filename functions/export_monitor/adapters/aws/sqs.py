"""A queue, of watched exports or of content to verify, and its dead-letter queue."""

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls
from export_monitor.domain.messages import ORIGIN
from export_monitor.domain.model import JsonObject, QueueMessage, UnavailableError
from export_monitor.domain.start_events import group_message_body

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        ChangeMessageVisibilityBatchResultTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        DeleteMessageBatchResultTypeDef,
        MessageAttributeValueOutputTypeDef,
        MessageAttributeValueTypeDef,
        MessageTypeDef,
        ReceiveMessageResultTypeDef,
        SendMessageBatchRequestEntryTypeDef,
        SendMessageBatchResultTypeDef,
    )

Entry = TypeVar(
    "Entry",
    "ChangeMessageVisibilityBatchRequestEntryTypeDef",
    "DeleteMessageBatchRequestEntryTypeDef",
    "SendMessageBatchRequestEntryTypeDef",
)
BatchResult: TypeAlias = (
    "ChangeMessageVisibilityBatchResultTypeDef | DeleteMessageBatchResultTypeDef | SendMessageBatchResultTypeDef"
)

_BATCH_ENTRIES = 10
_MAX_ATTRIBUTES = 10
# Error texts quote what a sender wrote, so they are limited.
_ERROR_CHARACTERS = 1000
_ATTEMPTS = 2
# Receiving more messages is worth less than the time of those at hand.
_RECEIVE_LIMIT_SECONDS = 2.0
# Lambda gives the time left in whole milliseconds: without this, a wait until a common instant would often be rounded
# up by a second.
_CLOCK_SECONDS = 0.005
_DISCOVERED: "dict[str, MessageAttributeValueTypeDef]" = {
    ORIGIN: {"DataType": "String", "StringValue": "discovered"},
}


class ExportQueue:
    """Sends, receives and deletes messages, changes their visibility, and copies them to the dead-letter queue."""

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

    def send_all(self, bodies: Sequence[str]) -> list[str]:
        """Send messages of a few KiB each; return the bodies of those for which that failed."""
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)
        ]
        return [bodies[int(entry["Id"])] for entry in self._in_batches(entries, self._send_call)]

    def _send_call(
        self, entries: "list[SendMessageBatchRequestEntryTypeDef]"
    ) -> "Callable[[], SendMessageBatchResultTypeDef]":
        return lambda: self._client().send_message_batch(QueueUrl=self._queue_url, Entries=entries)

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
        return self._send_call(entries)

    def send_group(self, group_id: str) -> None:
        """Send the message by which a group is watched. Raises UnavailableError."""
        body = group_message_body(group_id)
        try:
            self._calls.call(lambda: self._client().send_message(QueueUrl=self._queue_url, MessageBody=body))
        except AWS_ERRORS as error:
            raise UnavailableError(f"SQS: {error}") from None

    def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]:
        """Receive up to each of these numbers of messages (1 to 10), in parallel and without waiting for any to arrive.

        Returns what each call gave: its messages, or its error, which is an UnavailableError if it is one of SQS.
        """
        answers = self._calls.call_all([self._receive_call(limit) for limit in limits], _RECEIVE_LIMIT_SECONDS)
        return [_messages(answer) for answer in answers]

    def _receive_call(self, limit: int) -> "Callable[[], ReceiveMessageResultTypeDef]":
        return lambda: self._client().receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )

    def delete(self, messages: Sequence[QueueMessage]) -> list[QueueMessage]:
        """Delete messages; return those for which that failed."""
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "ReceiptHandle": message.receipt_handle} for number, message in enumerate(messages)
        ]
        return [messages[int(entry["Id"])] for entry in self._in_batches(entries, self._delete_call)]

    def _delete_call(
        self, entries: "list[DeleteMessageBatchRequestEntryTypeDef]"
    ) -> "Callable[[], DeleteMessageBatchResultTypeDef]":
        return lambda: self._client().delete_message_batch(QueueUrl=self._queue_url, Entries=entries)

    def change_visibility(self, delays: Sequence[tuple[QueueMessage, float]]) -> list[QueueMessage]:
        """Set the visibility timeout (seconds) of each message; return the messages for which that failed."""
        entries = [_visibility_entry(number, message, seconds) for number, (message, seconds) in enumerate(delays)]
        return [delays[int(entry["Id"])][0] for entry in self._in_batches(entries, self._visibility_call)]

    def _visibility_call(
        self, entries: "list[ChangeMessageVisibilityBatchRequestEntryTypeDef]"
    ) -> "Callable[[], ChangeMessageVisibilityBatchResultTypeDef]":
        return lambda: self._client().change_message_visibility_batch(QueueUrl=self._queue_url, Entries=entries)

    def _in_batches(
        self, entries: "list[Entry]", call: "Callable[[list[Entry]], Callable[[], BatchResult]]"
    ) -> "list[Entry]":
        """Make batch calls about these entries, and again about those that failed; return those that failed again."""
        for _ in range(_ATTEMPTS):
            batches = _batches(entries)
            answers = self._calls.call_all([call(batch) for batch in batches])
            entries = [one for batch, answer in zip(batches, answers, strict=True) for one in _failed(batch, answer)]
        return entries

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
    whole = max(1, math.ceil(seconds - _CLOCK_SECONDS))
    return {"Id": str(number), "ReceiptHandle": message.receipt_handle, "VisibilityTimeout": whole}


def _failed(entries: "list[Entry]", answer: "BatchResult | Exception") -> "list[Entry]":
    if isinstance(answer, Exception):
        return entries
    failed = {failure["Id"] for failure in answer.get("Failed", ())}
    return [entry for entry in entries if entry["Id"] in failed]


def _messages(answer: "ReceiveMessageResultTypeDef | Exception") -> list[QueueMessage] | Exception:
    if isinstance(answer, AWS_ERRORS):
        return UnavailableError(f"SQS: {answer}")
    if isinstance(answer, Exception):
        return answer
    return [_received(message) for message in answer.get("Messages", ())]


def _received(message: "MessageTypeDef") -> QueueMessage:
    """A message in the form that Lambda's mapping gives it."""
    return QueueMessage(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
        receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
        attributes={name: _lambda_attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
    )


def _lambda_attribute(value: "MessageAttributeValueOutputTypeDef") -> dict[str, Any]:
    attribute: dict[str, Any] = {"dataType": value["DataType"]}
    if "StringValue" in value:
        attribute["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        attribute["binaryValue"] = base64.b64encode(bytes(value["BinaryValue"])).decode()
    return attribute


def _attribute(value: Mapping[str, Any]) -> "MessageAttributeValueTypeDef":
    attribute: MessageAttributeValueTypeDef = {"DataType": value["dataType"]}
    if value.get("stringValue") is not None:
        attribute["StringValue"] = value["stringValue"]
    if value.get("binaryValue") is not None:
        attribute["BinaryValue"] = base64.b64decode(value["binaryValue"])
    return attribute


def _batches(entries: "list[Entry]") -> "list[list[Entry]]":
    return [entries[start : start + _BATCH_ENTRIES] for start in range(0, len(entries), _BATCH_ENTRIES)]
