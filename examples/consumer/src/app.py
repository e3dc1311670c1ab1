"""A subscriber of the export monitor: does something for each event once, and reports a bad message alone.

Put your own code into `act_on`. What is around it you can leave as it is.
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

# How long an event is remembered. The monitor knows for 30 days what it has published, and a copy may wait in the queue
# for 14 more. Powertools' own default is an hour: a copy that comes a day later would be handled again.
REMEMBERED_DAYS = 45

logger = Logger(location=None)
# By default a batch that fails whole raises; answered message by message, each is tried again by itself.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def tell_duplicate(response: Any, idempotent_data: "DataRecord") -> Any:  # noqa: ARG001 -- Powertools names them
    """Log that an event was dropped; `response` is what `handle` returned at its first sight: the event's id."""
    logger.info("duplicate_dropped", event_id=response)
    return response


once = IdempotencyConfig(
    # Two copies of one event have the same source and id; their other fields may differ.
    event_key_jmespath="[source, id]",
    raise_on_no_idempotency_key=True,
    expires_after_seconds=REMEMBERED_DAYS * 24 * 3600,
    response_hook=tell_duplicate,
)
seen_events = DynamoDBPersistenceLayer(table_name=os.environ["SEEN_EVENTS_TABLE_NAME"])


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> "PartialItemFailureResponse":
    """Handle a batch of the queue's messages; the answer names those that failed, which stay in the queue."""
    # An invocation that is killed holds its event no longer than it could have run.
    once.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=handle_message, processor=processor, context=context)


def handle_message(record: "SQSRecord") -> None:
    """Handle one message; an exception keeps it in the queue, and after five tries moves it to the dead letters."""
    try:
        handle(event=read_event(record.body))
    except Exception:
        # Powertools reports a failed message to Lambda, and logs why at DEBUG alone.
        logger.exception("event_not_handled", message_id=record.message_id)
        raise


def read_event(body: str) -> Event:
    """The event that a message is with raw delivery: its whole body. Raises ValueError where it is none."""
    event = json.loads(body)
    if not isinstance(event, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004 -- what is wrong is the text, not a caller
    for name in ("source", "id", "type"):
        # Without one of these, different events would count as copies of each other.
        if not (isinstance(event.get(name), str) and event[name]):
            raise ValueError(f"the event has no {name}")
    return event


@idempotent_function(  # type: ignore[untyped-decorator]  # it is declared to return anything
    data_keyword_argument="event",
    persistence_store=seen_events,
    config=once,
    # Without a prefix the key has the function's name, and a function of another name would forget what was handled.
    key_prefix="export-events",
)
def handle(*, event: Event) -> str:
    """Act on an event unless that was done before. What it returns is kept beside the event's key."""
    act_on(event)
    event_id: str = event["id"]
    return event_id


def act_on(event: Event) -> None:
    """Your own code: open a ticket, start the next step of a pipeline, tell a channel.

    Here it is a log line that says what to do. Raise to be given the event again.
    """
    # The type says what else an event has, so it comes first.
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
                # Only `passed` means that the object was looked at.
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
            # New types may come with a new version of the monitor; what is not known is left alone.
            logger.debug("event_left_alone", event_type=unknown)
