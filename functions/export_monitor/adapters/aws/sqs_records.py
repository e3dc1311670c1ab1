"""The messages of an SQS event source mapping."""

from typing import Any

from export_monitor.domain.model import QueueMessage


def queue_message(record: dict[str, Any]) -> QueueMessage:
    """The message that a record of the mapping's event stands for."""
    return QueueMessage(
        message_id=record["messageId"],
        receipt_handle=record["receiptHandle"],
        body=record["body"],
        sent_at=int(record["attributes"]["SentTimestamp"]) / 1000,
        receive_count=int(record["attributes"]["ApproximateReceiveCount"]),
        attributes=record.get("messageAttributes", {}),
    )
