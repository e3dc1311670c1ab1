"""The consumer of `examples/`, its stack next to the monitor's on the emulator, and its function."""

import itertools
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

import pytest

from local.artifact import ROOT
from local.deployment import Deployment, deploy
from local.emulator import CREDENTIALS, REGION
from local.export_jobs import documented_failed
from local.sqs_event import sqs_record
from local.stack import Stack
from local.translation import translate
from tests.integration.steps import Context, completed, run_until_drained

pytestmark = pytest.mark.once

FOLDER = ROOT / "examples" / "consumer"
EXAMPLES = ROOT / "schemas" / "examples" / "valid"
DAY = 24 * 3600
# Powertools keeps loggers by their service's name, with the stream that they were first given.
_numbers = itertools.count()

Answer = dict[str, Any]


@dataclass
class Consumer:
    """The consumer's stack, and its function in a new execution environment, which starts with the first batch."""

    stack: Stack
    deployment: Deployment
    operations: list[str] = field(default_factory=list)

    @cached_property
    def app(self) -> ModuleType:
        name = self.deployment.function.handler.partition(".")[0]
        spec = spec_from_file_location(name, FOLDER / "src" / f"{name}.py")
        assert spec
        assert spec.loader
        app = module_from_spec(spec)
        spec.loader.exec_module(app)
        events = app.seen_events.client.meta.events
        events.register("before-call.dynamodb", lambda model, **_: self.operations.append(model.name))
        return app

    def invoke(self, records: list[dict[str, Any]]) -> Answer:
        """What the function answers to a batch."""
        handler = getattr(self.app, self.deployment.function.handler.partition(".")[2])
        answer: Answer = handler({"Records": records}, Context("consumer"))
        return answer

    def send(self, body: str) -> str:
        """Put a message into the queue, as SNS does; gives its id."""
        message_id: str = self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)["MessageId"]
        return message_id

    def receive(self) -> list[dict[str, Any]]:
        """Take what is in the queue, as the records of a batch."""
        received = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        messages = received.get("Messages", [])
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [sqs_record(message, self.deployment.mapping.queue_arn) for message in messages]

    def handle(self, *bodies: str) -> set[str]:
        """Handle a batch of these messages; the bodies of those that were reported as failed."""
        by_id = {self.send(body): body for body in bodies}
        answer = self.invoke(self.receive())
        return {by_id[failure["itemIdentifier"]] for failure in answer["batchItemFailures"]}

    def remembered(self) -> list[Mapping[str, Any]]:
        table = self.deployment.function.environment["SEEN_EVENTS_TABLE_NAME"]
        items: list[Mapping[str, Any]] = self.stack.client("dynamodb").scan(TableName=table)["Items"]
        return items

    @property
    def _sqs(self) -> Any:
        return self.stack.client("sqs")

    @property
    def _queue_url(self) -> str:
        return self.deployment.outputs["EventQueueUrl"]


@pytest.fixture(scope="module")
def deployment(deployed: Stack) -> Deployment:
    outputs = deployed.deployment.outputs
    parameters = {name: outputs[name] for name in ("ExportEventsTopicArn", "AlarmsTopicArn")}
    return deploy(deployed.emulator, FOLDER / "template.yaml", parameters, "cgc-export-consumer")


@pytest.fixture
def consumer(deployed: Stack, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Consumer:
    lambda_sets = {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": deployed.emulator.endpoint_url}
    for name, value in {**deployment.function.environment, **lambda_sets}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"consumer-{next(_numbers)}")
    return Consumer(deployed, deployment)


def example(schema: str, name: str, **changes: Any) -> dict[str, Any]:
    """A valid event of the schemas, with changes so that it is another than that of other tests."""
    event: dict[str, Any] = json.loads((EXAMPLES / schema / f"{name}.json").read_text("utf-8"))
    return {**event, **changes}


def failed(event_id: str, **changes: Any) -> str:
    return json.dumps(example("cgc.export.failed.v1", "OBJECT_MISMATCH", id=event_id, **changes))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def logged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line["message"] for line in lines(capsys)]


def test_only_the_failed_export_arrives_and_is_logged_as_the_page_shows(
    stack: Stack, consumer: Consumer, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.platform.add_job(completed("consumer-done"))
    stack.send('{"export_id": "consumer-done", "group": {"id": "consumer", "size": 1}}')
    # The documented failure is there already.
    stack.send(json.dumps({"export_id": documented_failed().id}))
    run_until_drained(stack, stack.mapping)
    published = {one.event["id"] for one in stack.receive(timeout_seconds=0)}
    assert published == {
        "consumer-done:completed", "consumer:concluded", f"{documented_failed().id}:failed:EXPORT_FAILED",
    }  # fmt: skip

    records = consumer.receive()
    # The body is the event itself.
    assert [json.loads(one["body"])["id"] for one in records] == [f"{documented_failed().id}:failed:EXPORT_FAILED"]
    capsys.readouterr()
    assert consumer.invoke(records) == {"batchItemFailures": []}
    [line] = lines(capsys)
    [shown] = re.findall(r"^```json\n(.+?)^```", (FOLDER / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert line | json.loads(shown) == line


def test_copy_of_an_event_is_dropped_within_a_batch_and_after_it(
    consumer: Consumer, capsys: pytest.CaptureFixture[str]
) -> None:
    # A copy may have another time.
    copies = [failed("copied", time=f"2016-06-15T19:17:4{second}Z") for second in range(3)]
    assert consumer.handle(*copies[:2]) == set()
    assert consumer.handle(copies[2]) == set()
    assert logged(capsys) == ["export_failed", "duplicate_dropped", "duplicate_dropped"]


def test_events_of_one_id_from_two_platforms_are_two_events(
    consumer: Consumer, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = ("https://cgc-api.sbgenomics.com/v2/storage/exports", "https://api.sbgenomics.com/v2/storage/exports")
    assert consumer.handle(*(failed("shared", source=source) for source in sources)) == set()
    assert logged(capsys) == ["export_failed", "export_failed"]


def test_event_is_remembered_for_longer_than_the_monitor_and_the_queue_may_repeat_it(consumer: Consumer) -> None:
    before = {item["id"]["S"] for item in consumer.remembered()}
    consumer.handle(failed("remembered"))
    [item] = [item for item in consumer.remembered() if item["id"]["S"] not in before]
    attributes = consumer.stack.client("sqs").get_queue_attributes(
        QueueUrl=consumer.deployment.outputs["EventQueueUrl"], AttributeNames=["MessageRetentionPeriod"]
    )["Attributes"]
    repeated_for = 30 * DAY + int(attributes["MessageRetentionPeriod"])
    assert int(item["expiration"]["N"]) > time.time() + repeated_for


def test_only_bad_messages_are_reported_as_failed_and_each_is_logged(
    consumer: Consumer, capsys: pytest.CaptureFixture[str]
) -> None:
    nameless = {key: value for key, value in example("cgc.export.failed.v1", "TIMED_OUT").items() if key != "id"}
    bad = {"not JSON", "[]", json.dumps(nameless), json.dumps(nameless | {"id": ""})}
    assert consumer.handle("not JSON") == {"not JSON"}
    capsys.readouterr()
    assert consumer.handle(failed("good-1"), *bad, failed("good-2")) == bad
    assert sorted(logged(capsys)) == ["event_not_handled"] * 4 + ["export_failed"] * 2


def test_event_that_could_not_be_handled_is_handled_when_it_comes_again(
    consumer: Consumer, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = failed("again", data={})
    assert consumer.handle(broken) == {broken}
    assert consumer.handle(failed("again")) == set()
    assert logged(capsys) == ["event_not_handled", "export_failed"]
    # The role allows every call that was made to the table.
    used = {f"dynamodb:{operation}" for operation in consumer.operations}
    assert used == {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    [rights] = [one for one in role_statements() if one["Sid"] == "KnowWhatWasHandled"]
    assert used <= set(rights["Action"])


def test_events_of_another_filter_are_logged_too_and_unknown_types_ignored(
    consumer: Consumer, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = example("cgc.export.failed.v1", "TIMED_OUT", id="x:paused", type="cgc.export.paused.v1", data={})
    events = [
        example("cgc.export.completed.v1", "documented-job", id="let-in:completed"),
        example("cgc.export.completed.v1", "volume-not-on-amazon-s3", id="let-in-too:completed"),
        example("cgc.export.group.concluded.v1", "failed", id="let-in:concluded"),
        unknown,
        {key: value for key, value in unknown.items() if key not in ("data", "subject")} | {"id": "x:without-data"},
    ]
    assert consumer.handle(*map(json.dumps, events)) == set()
    shown = sorted(lines(capsys), key=lambda line: str(line.get("verification")))
    assert [(line["message"], line.get("verification"), line.get("object_uri")) for line in shown] == [
        ("group_concluded", None, None),
        ("export_completed", "passed", "s3://bucket/output.vcf"),
        ("export_completed", "skipped", None),
    ]


def test_subscription_keeps_what_cannot_be_delivered_and_nothing_of_the_stack_is_left_out(
    deployed: Stack, deployment: Deployment
) -> None:
    sns, sqs = deployed.client("sns"), deployed.client("sqs")
    topic_arn = deployed.deployment.outputs["ExportEventsTopicArn"]
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic_arn)["Subscriptions"]
    [arn] = [one["SubscriptionArn"] for one in subscriptions if one["Endpoint"] == deployment.mapping.queue_arn]
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    dead_letters = sqs.get_queue_attributes(
        QueueUrl=deployment.outputs["DeadLetterQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    assert json.loads(attributes["RedrivePolicy"]) == {"deadLetterTargetArn": dead_letters}
    assert attributes["RawMessageDelivery"] == "true"
    assert deployment.mapping.reports_batch_item_failures
    assert deployment.left_out == {}


TOPIC = f"arn:aws:sns:{REGION}:123456789012:events"
RESOURCES: Mapping[str, Any] = translate(
    FOLDER / "template.yaml", {"ExportEventsTopicArn": TOPIC}, "s3://deployment/function.zip"
)["Resources"]


def role_statements() -> list[Mapping[str, Any]]:
    [policy] = RESOURCES["ConsumerRole"]["Properties"]["Policies"]
    statements: list[Mapping[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


def test_role_names_its_resources_and_actions_one_by_one() -> None:
    assert len(role_statements()) == 3
    assert "*" not in json.dumps(role_statements())
    assert "ManagedPolicyArns" not in RESOURCES["ConsumerRole"]["Properties"]


@pytest.mark.parametrize("queue", ["EventQueue", "DeadLetterQueue"])
def test_queue_takes_tls_alone_is_encrypted_and_lets_in_that_topic_alone(queue: str) -> None:
    assert RESOURCES[queue]["Properties"]["SqsManagedSseEnabled"] is True
    policy = RESOURCES[f"{queue}Policy"]["Properties"]
    assert policy["Queues"] == [{"Ref": queue}]
    tls, topic = policy["PolicyDocument"]["Statement"]
    arn = {"Fn::GetAtt": [queue, "Arn"]}
    assert (tls["Effect"], tls["Principal"], tls["Action"], tls["Resource"]) == ("Deny", "*", "sqs:*", arn)
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (topic["Effect"], topic["Action"], topic["Resource"]) == ("Allow", "sqs:SendMessage", arn)
    assert topic["Principal"] == {"Service": "sns.amazonaws.com"}
    assert topic["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC}}


def test_alarm_has_no_action_without_a_topic_of_alarms() -> None:
    assert "AlarmActions" not in RESOURCES["DeadLetterAlarm"]["Properties"]


@pytest.mark.parametrize("hostile", ["*", "?", "${aws:username}", '"', "\n"])
def test_topic_that_would_widen_a_policy_is_rejected(hostile: str) -> None:
    for name in ("ExportEventsTopicArn", "AlarmsTopicArn"):
        with pytest.raises(ValueError, match=f"parameter {name} "):
            translate(FOLDER / "template.yaml", {"ExportEventsTopicArn": TOPIC, name: TOPIC + hostile}, "s3://a/b")


def test_consumer_has_the_powertools_that_it_is_tested_with() -> None:
    def pinned(requirements: str) -> list[str]:
        return re.findall(r"^aws-lambda-powertools==.+$", (ROOT / requirements).read_text(), re.MULTILINE)

    assert pinned("examples/consumer/src/requirements.txt") == pinned("requirements.txt") != []
