"""The event that Lambda makes from SQS messages.

Its shape is the sample event of the AWS Lambda developer guide, "Using Lambda with Amazon SQS".
"""

import base64
from collections.abc import Mapping
from typing import Any

Message = dict[str, Any]


def sqs_record(message: Message, queue_arn: str) -> dict[str, Any]:
    """One of the event's `Records`, from a message returned by ReceiveMessage with all attributes."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: _attribute(attribute) for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    if "StringValue" in attribute:
        value["stringValue"] = attribute["StringValue"]
    if "BinaryValue" in attribute:
        value["binaryValue"] = base64.b64encode(attribute["BinaryValue"]).decode()
    # SQS has reserved the lists and never fills them.
    return {**value, "stringListValues": [], "binaryListValues": [], "dataType": attribute["DataType"]}
