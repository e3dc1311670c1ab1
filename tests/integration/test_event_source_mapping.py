import base64
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from local.artifact import runtime_client
from local.emulator import emulator
from local.event_source_mapping import EventSourceMapping, MappingConfiguration, reported_failures
from local.lambda_runtime import ExecutionEnvironment, FunctionConfiguration

# Does what each body says; returns the first body's answer, if any has one.
FUNCTION = """
import json, os, signal, time
from pathlib import Path

def handler(event, context):
    with Path("seen.jsonl").open("a") as seen:
        print(json.dumps(event), file=seen)
    failures = []
    for record in event["Records"]:
        body = json.loads(record["body"])
        if body.get("do") == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if body.get("do") == "sleep":
            time.sleep(60)
        if body.get("do") == "raise":
            raise ValueError(body)
        if "answer" in body:
            return body["answer"]
        if body.get("do") == "fail":
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
"""
CONFIGURATION = MappingConfiguration(queue_arn="", batch_size=100, reports_batch_item_failures=True)


@pytest.fixture(scope="module")
def aws():
    with emulator() as running:
        yield running


class Bench:
    """A queue, a tiny function and the mapping between them, run step by step."""

    def __init__(self, aws, folder: Path, configuration=CONFIGURATION, *, workers=1, timeout_seconds=None, **options):
        (folder / "tiny.py").write_text(FUNCTION)
        self.folder = folder
        self.sqs = aws.client("sqs")
        # No message becomes visible again during a test unless it is redelivered.
        attributes = {"VisibilityTimeout": "600"}
        self.url = self.sqs.create_queue(QueueName=f"queue-{time.monotonic_ns()}", Attributes=attributes)["QueueUrl"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = answer["Attributes"]["QueueArn"]
        function = FunctionConfiguration(name="tiny", arn="arn", handler="tiny.handler", environment={})
        self.environments = [
            ExecutionEnvironment(
                function,
                folder,
                runtime_client(),
                endpoint_url=aws.endpoint_url,
                timeout_seconds=timeout_seconds or 20,
                log=[].append,
            )
            for _ in range(workers)
        ]
        configuration = replace(configuration, queue_arn=self.arn)
        self.mapping = EventSourceMapping(configuration, self.sqs, self.environments, **options)

    def send(self, *bodies, **arguments):
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(body), **arguments)

    def events(self):
        lines = (self.folder / "seen.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def counts(self):
        """Visible and hidden messages."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return tuple(int(attributes[name]) for name in names)

    def close(self):
        for environment in self.environments:
            environment.kill()


@pytest.fixture
def bench(aws, tmp_path):
    made = []

    def make(*arguments, **options):
        made.append(Bench(aws, tmp_path, *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_record_of_a_message_has_lambdas_shape(bench):
    one = bench()
    attributes = {
        "text": {"DataType": "String", "StringValue": "ø"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    one.send({"do": ""}, MessageAttributes=attributes)
    one.mapping.run_once()
    [record] = one.events()[0]["Records"]
    assert record["body"] == '{"do": ""}'
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == one.arn
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["SentTimestamp"].isdigit()
    empty = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {
        "text": {"stringValue": "ø", "dataType": "String", **empty},
        "bytes": {"binaryValue": base64.b64encode(b"\x00\xff").decode(), "dataType": "Binary", **empty},
    }
    assert record.keys() == {
        "messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody", "eventSource",
        "eventSourceARN", "awsRegion",
    }  # fmt: skip


def test_an_empty_queue_invokes_nothing(bench):
    one = bench()
    assert one.mapping.run_once() is None
    assert not (one.folder / "seen.jsonl").exists()


def test_handled_messages_are_deleted_and_failed_ones_stay_hidden(bench):
    one = bench()
    one.send({"do": ""}, {"do": "fail"}, {"do": ""}, {"do": "fail"})
    one.mapping.run_once()
    assert one.counts() == (0, 2)


def test_a_batch_combines_several_receives_up_to_its_size(bench):
    one = bench(replace(CONFIGURATION, batch_size=12))
    one.send(*[{"do": ""}] * 15)
    one.mapping.run_once()
    one.mapping.run_once()
    assert [len(event["Records"]) for event in one.events()] == [12, 3]
    assert one.counts() == (0, 0)


def test_a_batch_stays_within_lambdas_payload_limit(bench):
    one = bench()
    # A quarter of a mebibyte each as SQS counts it, and twice that in the event.
    for _ in range(24):
        one.sqs.send_message(QueueUrl=one.url, MessageBody=json.dumps({"text": "\\" * 60_000 + "x" * 130_000}))
    while one.mapping.run_once():
        pass
    sizes = [len(json.dumps(event, ensure_ascii=False).encode()) for event in one.events()]
    assert len(sizes) > 1
    assert max(sizes) <= 6 * 1024 * 1024
    assert sum(len(event["Records"]) for event in one.events()) == 24


def test_the_window_waits_for_more_messages_after_the_first(bench):
    one = bench(replace(CONFIGURATION, batch_size=2, batching_window_seconds=20))
    one.send({"do": ""})
    one.mapping.start()
    one.send({"do": ""})
    while one.counts() != (0, 0):
        time.sleep(0.02)
    one.mapping.stop()
    assert [len(event["Records"]) for event in one.events()] == [2]


@pytest.mark.parametrize(("quiet_queue_wait_seconds", "sizes"), [(0.0, [1, 1]), (3600.0, [2])])
def test_with_a_window_a_quiet_queue_is_waited_on_until_the_next_message(bench, quiet_queue_wait_seconds, sizes):
    configuration = replace(CONFIGURATION, batching_window_seconds=0.1)
    one = bench(configuration, quiet_queue_wait_seconds=quiet_queue_wait_seconds)
    one.send({"do": ""})
    one.mapping.start()
    while one.counts() == (1, 0):
        time.sleep(0.02)
    # Much longer than the window.
    time.sleep(1)
    one.send({"do": ""})
    while one.counts() != (0, 0):
        time.sleep(0.02)
    one.mapping.stop()
    assert [len(event["Records"]) for event in one.events()] == sizes


def test_wait_on_a_quiet_queue_ends(bench):
    one = bench(replace(CONFIGURATION, batching_window_seconds=0.1), quiet_queue_wait_seconds=0.5)
    one.send({"do": ""})
    one.mapping.run_once()
    assert one.counts() == (0, 0)


def test_without_a_window_the_messages_of_the_first_receive_are_not_kept_waiting(bench):
    one = bench(replace(CONFIGURATION, batch_size=10), quiet_queue_wait_seconds=3600)
    one.send(*[{"do": ""}] * 13)
    one.mapping.run_once()
    one.mapping.run_once()
    assert [len(event["Records"]) for event in one.events()] == [10, 3]


@pytest.mark.parametrize(
    ("what", "redelivers", "counts"),
    [
        ("raise", False, (0, 2)),
        ("die", False, (0, 2)),
        ("sleep", False, (0, 2)),
        ("die", True, (2, 0)),
        ("sleep", True, (2, 0)),
    ],
)
def test_batch_of_an_invocation_without_a_response_stays_hidden_or_is_redelivered(bench, what, redelivers, counts):
    one = bench(timeout_seconds=1 if what == "sleep" else 20, redeliver_immediately=redelivers)
    one.send({"do": ""}, {"do": what})
    one.mapping.run_once()
    assert one.counts() == counts


SUCCESSES = [None, {}, "", {"batchItemFailures": None}, {"batchItemFailures": []}, {"other": 1}]
FAILURES = [{"batchItemFailures": [{"itemIdentifier": identifier}]} for identifier in ("", None, "no-such-message")]


@pytest.mark.parametrize(
    ("response", "left"), [*((response, 0) for response in SUCCESSES), *((response, 2) for response in FAILURES)]
)
def test_response_without_failures_is_a_success_and_one_with_an_unknown_identifier_a_failure(bench, response, left):
    one = bench()
    one.send({"answer": response}, {"do": "fail"})
    one.mapping.run_once()
    assert one.counts() == (0, left)


@pytest.mark.parametrize(
    "response",
    [
        b"{", b'"text"', b"[1]", b'{"batchItemFailures": {"a": 1}}', b'{"batchItemFailures": [{"id": "a"}]}',
        b'{"batchItemFailures": ["a"]}', b'{"batchItemFailures": [{"itemIdentifier": 7}]}',
    ],
)  # fmt: skip
def test_a_response_of_another_shape_is_invalid(response):
    assert reported_failures(response) is None


def test_without_report_batch_item_failures_whatever_is_returned_is_a_success(bench):
    one = bench(replace(CONFIGURATION, reports_batch_item_failures=False))
    one.send({"do": "fail"}, {"do": ""})
    one.mapping.run_once()
    assert one.counts() == (0, 0)


def test_workers_together_handle_every_message_once(bench):
    one = bench(replace(CONFIGURATION, batch_size=5), workers=2)
    one.send(*[{"number": number} for number in range(40)])
    one.mapping.start()
    while one.counts() != (0, 0):
        time.sleep(0.02)
    one.mapping.stop()
    bodies = [json.loads(record["body"]) for event in one.events() for record in event["Records"]]
    assert sorted(body["number"] for body in bodies) == list(range(40))


def test_stop_ends_invocations_in_progress_and_loses_no_message(bench):
    one = bench()
    one.send({"do": "sleep"})
    one.mapping.start()
    while not (one.folder / "seen.jsonl").exists():
        time.sleep(0.02)
    one.mapping.stop()
    assert one.counts() == (0, 1)


def test_the_properties_of_the_template_become_the_configuration():
    properties = {
        "EventSourceArn": "arn",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 2,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 3},
    }
    assert MappingConfiguration.from_properties(properties) == MappingConfiguration("arn", 100, 2, 3, True)
    assert MappingConfiguration.from_properties({"EventSourceArn": "arn"}) == MappingConfiguration(
        "arn", 10, 0, 2, False
    )
