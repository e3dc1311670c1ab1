"""Publishing to SNS: by ten, by 256 KiB, and what was not published."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from export_monitor.adapters.aws.sns import EventsTopic
from export_monitor.domain.events import MAX_MESSAGE_BYTES, SnsMessage, Unpublished
from tests.fakes import SYNCHRONOUS, stubbed

ARN = "arn:aws:sns:us-east-1:123456789012:events"


def message(number: int, size_bytes: int | None = None) -> SnsMessage:
    lean = SnsMessage(f"e{number}:completed", "a subject", "{}", {"type": "cgc.export.completed.v1"})
    padding = 0 if size_bytes is None else size_bytes - lean.size_bytes
    return SnsMessage(lean.event_id, lean.subject, lean.body + " " * padding, lean.attributes)


def entries(*messages: SnsMessage) -> dict[str, Any]:
    attributes = {"type": {"DataType": "String", "StringValue": "cgc.export.completed.v1"}}
    return {
        "TopicArn": ARN,
        "PublishBatchRequestEntries": [
            {
                "Id": str(number),
                "Subject": "a subject",
                "Message": one.body,
                "MessageStructure": "json",
                "MessageAttributes": attributes,
            }
            for number, one in enumerate(messages)
        ],
    }


def answer(*ids: str, failed: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """What SNS answers if these entries are published and the others have failed."""
    return {"Successful": [{"Id": one, "MessageId": "made-up"} for one in ids], "Failed": list(failed)}


def published(*batches: list[SnsMessage], failed: dict[int, dict[str, Any]] | None = None) -> dict[str, Unpublished]:
    """What is said of these batches, each of which must be one request; `failed` are entries of the first."""
    with stubbed("sns") as (client, stub):
        for number, batch in enumerate(batches):
            rejected = (failed or {}) if number == 0 else {}
            ids = [str(one) for one in range(len(batch)) if one not in rejected]
            stub.add_response("publish_batch", answer(*ids, failed=list(rejected.values())), entries(*batch))
        return EventsTopic(SYNCHRONOUS, lambda: client, ARN).publish([one for batch in batches for one in batch])


def test_nothing_to_publish_asks_nothing() -> None:
    assert published() == {}


def test_messages_are_published_by_ten() -> None:
    assert published([message(n) for n in range(10)], [message(n) for n in range(10, 20)], [message(20)]) == {}


def test_batch_holds_no_more_than_sns_takes_in_all() -> None:
    half = MAX_MESSAGE_BYTES // 2
    assert published([message(0, half), message(1, half)]) == {}
    assert published([message(0, half), message(1, half - 100)], [message(2, 101)]) == {}
    assert published([message(0, half)], [message(1, half + 1), message(2)]) == {}


def test_size_counts_bytes_of_attributes_and_subject_too() -> None:
    batch = [SnsMessage(str(n), "s" * 99, "{}", {"volume": "ü" * 60_000}) for n in range(3)]
    assert all(one.size_bytes == 2 + 99 + 6 + 6 + 120_000 for one in batch)
    with stubbed("sns") as (client, stub):
        for ids in (["0", "1"], ["0"]):
            stub.add_response("publish_batch", answer(*ids))
        assert EventsTopic(SYNCHRONOUS, lambda: client, ARN).publish(batch) == {}


def test_number_attribute_is_a_number() -> None:
    failed = SnsMessage("e:failed:EXPORT_FAILED", "s", "{}", {"reason": "EXPORT_FAILED", "error_code": 9107})
    with stubbed("sns") as (client, stub):
        expected = entries(failed)
        [entry] = expected["PublishBatchRequestEntries"]
        entry |= {
            "Subject": "s",
            "MessageAttributes": {
                "reason": {"DataType": "String", "StringValue": "EXPORT_FAILED"},
                "error_code": {"DataType": "Number", "StringValue": "9107"},
            },
        }
        stub.add_response("publish_batch", answer("0"), expected)
        assert EventsTopic(SYNCHRONOUS, lambda: client, ARN).publish([failed]) == {}


def test_message_that_sns_refused_is_returned_and_the_others_are_published() -> None:
    rejected = {1: {"Id": "1", "Code": "InternalError", "SenderFault": False, "Message": "…"}}
    assert published([message(0), message(1), message(2)], failed=rejected) == {
        "e1:completed": Unpublished("SNS: InternalError")
    }


def test_message_that_sns_does_not_confirm_is_not_published() -> None:
    with stubbed("sns") as (client, stub):
        stub.add_response("publish_batch", answer("0", "2"))
        stub.add_response("publish_batch", {})
        failures = EventsTopic(SYNCHRONOUS, lambda: client, ARN).publish([message(number) for number in range(3)])
        failures |= EventsTopic(SYNCHRONOUS, lambda: client, ARN).publish([message(3)])
    assert failures == dict.fromkeys(("e1:completed", "e3:completed"), Unpublished("SNS: no answer about this message"))


@pytest.mark.parametrize(("code", "status"), [("Throttling", 400), ("AuthorizationError", 403)])
def test_batch_that_sns_refused_is_returned_whole_and_the_next_is_published(code: str, status: int) -> None:
    first = [message(n) for n in range(10)]
    with stubbed("sns") as (client, stub):
        stub.add_client_error("publish_batch", code, http_status_code=status, expected_params=entries(*first))
        stub.add_response("publish_batch", answer("0"), entries(message(10)))
        failures = EventsTopic(SYNCHRONOUS, lambda: client, ARN).publish([*first, message(10)])
    assert set(failures) == {one.event_id for one in first}
    assert all(code in failure.cause for failure in failures.values())


def test_sns_that_cannot_be_reached_publishes_nothing() -> None:
    def unreachable() -> Any:
        raise EndpointConnectionError(endpoint_url="https://sns.us-east-1.amazonaws.com")

    [failure] = EventsTopic(SYNCHRONOUS, unreachable, ARN).publish([message(0)]).values()
    assert "EndpointConnectionError" in failure.cause
    assert failure.error is None


def test_message_for_which_sns_refuses_its_batch_is_refused_alone() -> None:
    batch = [message(n) for n in range(3)]
    with stubbed("sns") as (client, stub):
        stub.add_client_error("publish_batch", "InvalidParameter", http_status_code=400)
        for one in batch:
            if one is batch[1]:
                stub.add_client_error("publish_batch", "InvalidParameter", expected_params=entries(one))
            else:
                stub.add_response("publish_batch", answer("0"), entries(one))
        failures = EventsTopic(SYNCHRONOUS, lambda: client, ARN).publish(batch)
    assert set(failures) == {"e1:completed"}
    assert failures["e1:completed"].error is None


def test_message_that_cannot_even_be_sent_is_unexpected_and_the_others_are_published() -> None:
    sent: list[str] = []

    def publish_batch(**request: Any) -> dict[str, Any]:
        bodies = [entry["Message"] for entry in request["PublishBatchRequestEntries"]]
        if "odd" in bodies:
            raise UnicodeError("odd")
        sent.extend(bodies)
        return answer(*(entry["Id"] for entry in request["PublishBatchRequestEntries"]))

    odd = SnsMessage("odd:completed", "a subject", "odd", {})
    failures = EventsTopic(SYNCHRONOUS, lambda: SimpleNamespace(publish_batch=publish_batch), ARN).publish(  # type: ignore[arg-type,return-value]
        [message(0), odd, message(1)]
    )
    assert isinstance(failures.pop("odd:completed").error, UnicodeError)
    assert failures == {}
    assert len(sent) == 2
