"""The queue: calls by ten, and dead letters with their reason."""

import base64
import json
from collections.abc import Sequence
from threading import Event
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import ANY
from moto import mock_aws

from export_monitor.adapters.aws.calls import AwsCalls
from export_monitor.adapters.aws.sqs import ExportQueue
from export_monitor.domain.model import QueueMessage, UnavailableError
from local.sqs_event import sqs_record
from tests.fakes import REGION, SYNCHRONOUS, stubbed

URL = "https://sqs.us-east-1.amazonaws.com/123456789012/exports"
DEAD_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters"


def message(number: int = 0, body: str = "{}", attributes: dict[str, Any] | None = None) -> QueueMessage:
    return QueueMessage(f"m{number}", f"r{number}", body, 1_700_000_000.0, 1, attributes or {})


def text(value: str, data_type: str = "String") -> dict[str, Any]:
    """A message attribute as Lambda hands it over."""
    return {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": data_type}


def failure(position: int) -> dict[str, Any]:
    """What SQS says of an entry of a batch that failed."""
    return {"Id": str(position), "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}


def hidden(*entries: tuple[int, int, int]) -> dict[str, Any]:
    """The request that hides: position, number of the message, seconds."""
    return {
        "QueueUrl": URL,
        "Entries": [
            {"Id": str(position), "ReceiptHandle": f"r{number}", "VisibilityTimeout": seconds}
            for position, number, seconds in entries
        ],
    }


def change(delays: Sequence[tuple[int, float]], *answers: tuple[dict[str, Any], list[int] | str]) -> list[QueueMessage]:
    """Hide these messages: each request must be the expected one, and has failed positions or an error's code."""
    with stubbed("sqs") as (client, stub):
        for request, answer in answers:
            if isinstance(answer, str):
                stub.add_client_error("change_message_visibility_batch", answer, expected_params=request)
                continue
            failed = [failure(one) for one in answer]
            stub.add_response("change_message_visibility_batch", {"Successful": [], "Failed": failed}, request)
        queue = ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL)
        return queue.change_visibility([(message(number), seconds) for number, seconds in delays])


class TestHide:
    def test_nothing_to_hide_asks_nothing(self) -> None:
        assert change([]) == []

    def test_delay_is_rounded_up_to_whole_seconds_and_never_none(self) -> None:
        request = hidden((0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 5), (4, 4, 43_000))
        assert change(list(enumerate([0.0, 0.2, 1.0, 4.01, 43_000.0])), (request, [])) == []

    def test_common_instant_that_the_clock_shows_a_millisecond_early_costs_no_second(self) -> None:
        assert change([(0, 5.001), (1, 5.006)], (hidden((0, 0, 5), (1, 1, 6)), [])) == []

    def test_messages_are_hidden_by_ten(self) -> None:
        tens = [hidden(*((n, n, 5) for n in range(first, last))) for first, last in ((0, 10), (10, 20), (20, 21))]
        assert change([(n, 5.0) for n in range(21)], *((request, []) for request in tens)) == []

    def test_message_that_was_not_hidden_is_tried_again_alone(self) -> None:
        answers = (hidden((0, 0, 5), (1, 1, 7), (2, 2, 9)), [1]), (hidden((1, 1, 7)), [])
        assert change([(0, 5.0), (1, 7.0), (2, 9.0)], *answers) == []

    def test_message_that_cannot_be_hidden_is_returned(self) -> None:
        answers = (hidden((0, 0, 5), (1, 1, 5)), [1]), (hidden((1, 1, 5)), [1])
        assert change([(0, 5.0), (1, 5.0)], *answers) == [message(1)]

    def test_refused_request_does_not_keep_the_next_ten_from_being_hidden(self) -> None:
        first_ten = hidden(*((n, n, 5) for n in range(10)))
        answers = (first_ten, "Throttled"), (hidden((10, 10, 5)), []), (first_ten, "Throttled")
        assert change([(n, 5.0) for n in range(11)], *answers) == [message(n) for n in range(10)]

    def test_sqs_that_cannot_be_reached_hides_nothing(self) -> None:
        def unreachable() -> Any:
            raise EndpointConnectionError(endpoint_url=URL)

        assert ExportQueue(SYNCHRONOUS, unreachable, URL, DEAD_URL).change_visibility([(message(), 5.0)]) == [message()]

    def test_real_queue_s_refusals_are_read(self) -> None:
        with mock_aws():
            client = boto3.client("sqs", region_name=REGION)
            url = client.create_queue(QueueName="exports")["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody="{}")
            [received] = client.receive_message(QueueUrl=url, VisibilityTimeout=1)["Messages"]
            good = QueueMessage("good", received["ReceiptHandle"], "{}", 0.0, 1)
            queue = ExportQueue(SYNCHRONOUS, lambda: client, url, url)
            assert queue.change_visibility([(good, 60.0), (message(1), 60.0)]) == [message(1)]
            counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            assert counts["ApproximateNumberOfMessagesNotVisible"] == "1"


class TestReceiveAndDelete:
    def test_message_is_what_the_mapping_would_give(self) -> None:
        attributes = {
            "trace": {"DataType": "String", "StringValue": "a-trace"},
            "seal": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
        }
        with mock_aws():
            client = boto3.client("sqs", region_name=REGION)
            url = client.create_queue(QueueName="exports")["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody="{}", MessageAttributes=attributes)
            [[received]] = ExportQueue(SYNCHRONOUS, lambda: client, url, url).receive([10])  # type: ignore[misc]
            client.change_message_visibility(QueueUrl=url, ReceiptHandle=received.receipt_handle, VisibilityTimeout=0)
            [again] = client.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"])[
                "Messages"
            ]
            record = sqs_record(again, f"arn:aws:sqs:{REGION}:123456789012:exports")
        assert (received.message_id, received.body) == (record["messageId"], record["body"])
        assert received.sent_at == int(record["attributes"]["SentTimestamp"]) / 1000
        assert received.receive_count == 1
        for name, value in received.attributes.items():
            assert value.items() <= record["messageAttributes"][name].items()
        assert set(received.attributes) == set(attributes)

    def test_each_call_gives_its_messages_or_its_error_and_waits_for_none(self) -> None:
        request = {
            "QueueUrl": URL,
            "WaitTimeSeconds": 0,
            "MessageSystemAttributeNames": ["SentTimestamp", "ApproximateReceiveCount"],
            "MessageAttributeNames": ["All"],
        }
        with stubbed("sqs") as (client, stub):
            stub.add_client_error("receive_message", "Throttled", expected_params=request | {"MaxNumberOfMessages": 10})
            stub.add_response("receive_message", {}, request | {"MaxNumberOfMessages": 3})
            refused, empty = ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL).receive([10, 3])
        assert isinstance(refused, UnavailableError)
        assert "Throttled" in str(refused)
        assert empty == []

    def test_error_that_is_none_of_sqs_is_returned_as_it_is(self) -> None:
        def broken() -> Any:
            raise KeyError("odd")

        [error] = ExportQueue(SYNCHRONOUS, broken, URL, DEAD_URL).receive([10])
        assert isinstance(error, KeyError)

    def test_receive_that_hangs_is_abandoned_before_the_batch_runs_out_of_time(self) -> None:
        released = Event()

        def hanging() -> Any:
            released.wait(60)

        [error] = ExportQueue(AwsCalls(lambda: 60), hanging, URL, DEAD_URL).receive([10])
        released.set()
        assert isinstance(error, UnavailableError)
        assert "did not answer in time" in str(error)

    def test_messages_are_deleted_by_ten_and_a_failure_is_tried_again(self) -> None:
        def request(*numbers: int) -> dict[str, Any]:
            entries = [{"Id": str(number), "ReceiptHandle": f"r{number}"} for number in numbers]
            return {"QueueUrl": URL, "Entries": entries}

        failed = {"Successful": [], "Failed": [failure(1)]}
        with stubbed("sqs") as (client, stub):
            stub.add_response("delete_message_batch", failed, request(*range(10)))
            stub.add_response("delete_message_batch", {"Successful": [], "Failed": []}, request(10))
            stub.add_response("delete_message_batch", failed, request(1))
            queue = ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL)
            assert queue.delete([message(number) for number in range(11)]) == [message(1)]


class TestSetAside:
    def test_body_and_attributes_are_unchanged_but_for_the_error(self) -> None:
        attributes = {
            "trace": text("a-trace"),
            "weight": text("1.50", "Number.float"),
            "seal": {"binaryValue": base64.b64encode(b"\x00\xff").decode(), "dataType": "Binary.png"},
        }
        body = 'not JSON: {"ü": \r\n\t'
        expected = {
            "QueueUrl": DEAD_URL,
            "MessageBody": body,
            "MessageAttributes": {
                "trace": {"DataType": "String", "StringValue": "a-trace"},
                "weight": {"DataType": "Number.float", "StringValue": "1.50"},
                "seal": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
                "error": {"DataType": "String", "StringValue": "body: must be JSON"},
            },
        }
        with stubbed("sqs") as (client, stub):
            stub.add_response("send_message", {"MessageId": "m"}, expected)
            ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL).dead_letter(
                message(0, body, attributes), "body: must be JSON"
            )

    @pytest.mark.parametrize("number", [9, 10])
    def test_error_replaces_an_attribute_only_where_ten_are_taken(self, number: int) -> None:
        attributes = {f"a{n}": text(str(n)) for n in range(number)}
        with mock_aws():
            sent = self._set_aside(attributes)
        assert set(sent) == {*(f"a{n}" for n in range(9)), "error"}

    def test_error_of_the_sender_s_own_gives_way_and_the_nine_others_stay(self) -> None:
        attributes = {f"a{n}": text(str(n)) for n in range(9)}
        with mock_aws():
            sent = self._set_aside({"error": text("theirs"), **attributes})
        assert set(sent) == {*attributes, "error"}
        assert sent["error"]["StringValue"] == "a reason"

    def test_characters_that_sqs_refuses_are_replaced_in_the_error(self) -> None:
        error = "export_id: must be \x00 \ud800 \ufffe \r\n é"
        with stubbed("sqs") as (client, stub):
            stub.add_response("send_message", {"MessageId": "m"}, {
                "QueueUrl": DEAD_URL,
                "MessageBody": ANY,
                "MessageAttributes": {
                    "error": {"DataType": "String", "StringValue": "export_id: must be ? ? ? ?? é"}
                },
            })  # fmt: skip
            ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL).dead_letter(message(), error)

    def test_long_error_is_cut(self) -> None:
        with mock_aws():
            assert self._set_aside({}, "x" * 5000)["error"]["StringValue"] == "x" * 1000

    def test_queue_that_does_not_take_the_message_raises(self) -> None:
        with stubbed("sqs") as (client, stub):
            stub.add_client_error("send_message", "AccessDenied")
            with pytest.raises(ClientError, match="AccessDenied"):
                ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL).dead_letter(message(), "a reason")

    def _set_aside(self, attributes: dict[str, Any], error: str = "a reason") -> dict[str, Any]:
        client = boto3.client("sqs", region_name=REGION)
        url = client.create_queue(QueueName="dead-letters")["QueueUrl"]
        ExportQueue(SYNCHRONOUS, lambda: client, URL, url).dead_letter(message(0, "{}", attributes), error)
        [letter] = client.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
        return dict(letter["MessageAttributes"])


def test_start_event_is_sent_as_its_detail() -> None:
    detail = {"export_id": "a", "context": {"who": "ö\u2028"}, "group": {"id": "g", "size": 2}}
    with mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        url = client.create_queue(QueueName="exports")["QueueUrl"]
        message_id = ExportQueue(SYNCHRONOUS, lambda: client, url, DEAD_URL).send(detail)
        [sent] = client.receive_message(QueueUrl=url)["Messages"]
    assert sent["MessageId"] == message_id
    assert json.loads(sent["Body"]) == detail


def test_group_whose_message_sqs_does_not_take_is_not_registered() -> None:
    with stubbed("sqs") as (client, stub):
        stub.add_client_error("send_message", "ServiceUnavailable")
        with pytest.raises(UnavailableError, match=r"SQS: .*ServiceUnavailable"):
            ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL).send_group("run")


def test_messages_are_sent_by_ten_and_a_failure_is_tried_again() -> None:
    bodies = [f"body {number}" for number in range(11)]

    def request(*numbers: int) -> dict[str, Any]:
        return {"QueueUrl": URL, "Entries": [{"Id": str(one), "MessageBody": bodies[one]} for one in numbers]}

    with stubbed("sqs") as (client, stub):
        stub.add_response("send_message_batch", {"Successful": [], "Failed": [failure(3)]}, request(*range(10)))
        stub.add_client_error("send_message_batch", "InternalError", expected_params=request(10))
        stub.add_response("send_message_batch", {"Successful": [], "Failed": [failure(3)]}, request(3, 10))
        assert ExportQueue(SYNCHRONOUS, lambda: client, URL, DEAD_URL).send_all(bodies) == ["body 3"]
