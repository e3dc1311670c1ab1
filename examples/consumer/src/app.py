"""A subscriber of the export monitor: handles each event once, and reports each failed message separately.

Put your own code into `act_on`. The rest can stay as it is.
"""

import json
import os
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

Event = dict[str, Any]

# How long the record of an event is kept. The monitor can repeat an event within 30 days, and the copy can wait in the
# queue for 14 more: 30 + 14 = 44. With Powertools' default of one hour, a copy a day later would be handled again.
REMEMBERED_DAYS = 45

logger = Logger(location=None)
# By default Powertools raises if a whole batch fails; reported one by one, each message is retried separately.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def log_duplicate(response: Any, idempotent_data: "DataRecord") -> Any:  # noqa: ARG001 -- Powertools names them
    """Log that a duplicate was dropped; `response` is what `handle` returned the first time: the event's id."""
    logger.info("duplicate_dropped", event_id=response)
    return response


once = IdempotencyConfig(
    # Two copies of one event have the same source and id; their other fields may differ.
    event_key_jmespath="[source, id]",
    raise_on_no_idempotency_key=True,
    expires_after_seconds=REMEMBERED_DAYS * 24 * 3600,
    response_hook=log_duplicate,
)
seen_events = DynamoDBPersistenceLayer(table_name=os.environ["SEEN_EVENTS_TABLE_NAME"])


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> "PartialItemFailureResponse":
    """Handle a batch of messages. The response lists those that failed, which stay in the queue."""
    # The claim of a killed invocation on its event expires when its timeout would have ended it.
    once.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=handle_message, processor=processor, context=context)


def handle_message(record: "SQSRecord") -> None:
    """Handle one message. If it raises, the message stays in the queue; after five tries SQS moves it to the DLQ."""
    try:
        handle(event=read_event(record.body))
    except Exception:
        # Powertools reports a failed message to Lambda, but logs the cause only at DEBUG.
        logger.exception("event_not_handled", message_id=record.message_id)
        raise


def read_event(body: str) -> Event:
    """The event in a message body, which is the whole body (raw delivery). Raises ValueError if it is not an event."""
    event = json.loads(body)
    if not isinstance(event, dict):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004 -- the text is invalid, not a caller's type
    for name in ("source", "id", "type"):
        # If one of these were missing, different events would count as duplicates.
        if not (isinstance(event.get(name), str) and event[name]):
            raise ValueError(f"the event has no {name}")
    return event


@idempotent_function(  # type: ignore[untyped-decorator]  # declared to return Any
    data_keyword_argument="event",
    persistence_store=seen_events,
    config=once,
    # Without a prefix the key contains the function's name, and renaming the function would lose all records.
    key_prefix="export-events",
)
def handle(*, event: Event) -> str:
    """Act on an event, unless that was done before. The return value is stored with the event's key."""
    act_on(event)
    event_id: str = event["id"]
    return event_id


def act_on(event: Event) -> None:
    """Your own code: open a ticket, start the next step of a pipeline, post to a channel.

    This example writes a log line that says what to do. Raise an exception to get the event again.
    """
    # The type determines the other fields of an event, so it is checked first.
    match event["type"]:
        case "cgc.export.failed.v1":
            data = event["data"]
            failure = data["failure"]
            logger.warning(
                "export_failed",
                export_id=event["subject"],
                reason=failure["reason"],
                why=failure["message"],
                what_to_do=failure["advice"],
                object_uri=data["object"] and data["object"]["uri"],
                context=data["context"],
            )
        case "cgc.export.completed.v1":
            data = event["data"]
            logger.info(
                "export_completed",
                export_id=event["subject"],
                # Only `passed` means that the object was checked.
                verification=data["verification"]["status"],
                object_uri=data["object"] and data["object"]["uri"],
                context=data["context"],
            )
        case "cgc.export.group.concluded.v1":
            data = event["data"]
            logger.info(
                "group_concluded",
                group_id=event["subject"],
                outcome=data["outcome"],
                completed=data["completed"],
                failed=[failure["export_id"] for failure in data["failures"]],
                missing=data["missing"],
            )
        case unknown:
            # New versions of the monitor may add types; unknown ones are ignored.
            logger.debug("event_ignored", event_type=unknown)
