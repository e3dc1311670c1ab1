"""The consumers without code of `examples/`: what each makes of every exemplary event.

The events are published to the emulator's topic, whose subscriptions are the templates'; `tests/pipes.py` reads the
filters and the input templates.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws
from moto.events.models import EventPattern

from export_monitor.adapters.aws.sns import EventsTopic
from local.artifact import ROOT
from local.translation import translate
from tests.contract.schema_files import CONTENTS, example_files, example_id
from tests.contract.test_filter_policies import EVERY_EVENT, bodies_in, messages
from tests.documented_commands import blocks
from tests.fakes import REGION, SYNCHRONOUS, AwsAccount
from tests.pipes import passes, render, value_at
from tools.translated_template import CODE_URI, EVERY_PART, EVERY_PART_WITHOUT_CODE

RESOURCES: Mapping[str, Mapping[str, Any]] = {
    name: translate(ROOT / "examples" / name / "template.yaml", parameters, CODE_URI)["Resources"]
    for name, parameters in EVERY_PART_WITHOUT_CODE.items()
}
MONITOR: Mapping[str, Any] = translate(ROOT / "template.yaml", EVERY_PART, CODE_URI)["Resources"]
EXAMPLES = [path for path in example_files() if path.parent.name.startswith("cgc.")]
CONSUMERS = pytest.mark.parametrize("resources", RESOURCES.values(), ids=RESOURCES)
EVERY_EXAMPLE = pytest.mark.parametrize("path", EXAMPLES, ids=example_id)

ALONE = {"failed/documented-job", "failed/another-error-code"}
PASSING: Mapping[tuple[str, str], set[str]] = {
    ("to-event-bus", "Event"): EVERY_EVENT,
    ("to-chat", "Failed"): ALONE,
    ("to-chat", "Delayed"): {"delayed/alone"},
    ("to-chat", "Group"): {name for name in EVERY_EVENT if name.startswith("group.concluded/")},
    ("to-step-functions", "Event"): {name for name in EVERY_EVENT if name.startswith(("completed/", "failed/"))},
}
# The kinds of chat messages, by the type of the event.
KINDS = {
    "cgc.export.failed.v1": "Failed",
    "cgc.export.delayed.v1": "Delayed",
    "cgc.export.group.concluded.v1": "Group",
}
# A custom notification, as the guide to Amazon Q Developer in chat applications describes it.
TEXT = {"type": "string", "minLength": 1}
NOTIFICATION = Draft202012Validator(
    {
        "type": "object",
        "required": ["version", "source", "content"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": "1.0"},
            "source": {"const": "custom"},
            "id": TEXT,
            "content": {
                "type": "object",
                "required": ["description"],
                "additionalProperties": False,
                "properties": {
                    "textType": {"const": "client-markdown"},
                    "title": {**TEXT, "maxLength": 250},
                    "description": {**TEXT, "maxLength": 8000},
                    "nextSteps": {"type": "array", "items": TEXT},
                    "keywords": {"type": "array", "items": TEXT},
                },
            },
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "threadId": TEXT,
                    "summary": TEXT,
                    "eventType": TEXT,
                    "relatedResources": {"type": "array", "items": TEXT},
                    "additionalContext": {"type": "object", "additionalProperties": TEXT},
                },
            },
        },
    }
)


def of_type(resource_type: str, resources: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The properties of the resources of a type, by their logical ids."""
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == resource_type}


def pipe_of(consumer: str, kind: str = "") -> Mapping[str, Any]:
    properties: Mapping[str, Any] = RESOURCES[consumer][f"{kind}Pipe"]["Properties"]
    return properties


def template_of(consumer: str, kind: str = "") -> str:
    text = pipe_of(consumer, kind)["TargetParameters"]["InputTemplate"]
    return str(text["Fn::Sub"] if isinstance(text, dict) else text)


@pytest.fixture(scope="module")
def passed() -> Iterator[dict[tuple[str, str], set[str]]]:
    """The names of the events that came into each queue."""
    with mock_aws():
        sqs, sns = AwsAccount.client("sqs"), AwsAccount.client("sns")
        topic_arn = sns.create_topic(Name="events")["TopicArn"]
        queues = {}
        for consumer, kind in PASSING:
            name = f"{consumer}-{kind}"
            queues[consumer, kind] = sqs.create_queue(QueueName=name)["QueueUrl"]
            subscription = RESOURCES[consumer][f"{kind}Subscription"]["Properties"]
            policy = subscription["FilterPolicy"]
            sns.subscribe(
                TopicArn=topic_arn,
                Protocol=subscription["Protocol"],
                Endpoint=f"arn:aws:sqs:{REGION}:123456789012:{name}",
                Attributes={
                    "RawMessageDelivery": str(subscription["RawMessageDelivery"]).lower(),
                    "FilterPolicy": policy if isinstance(policy, str) else json.dumps(policy),
                    "FilterPolicyScope": subscription["FilterPolicyScope"],
                },
            )
        published = messages()
        assert EventsTopic(SYNCHRONOUS, lambda: sns, topic_arn).publish(list(published.values())) == {}
        names = {json.loads(message.body)["default"]: name for name, message in published.items()}
        yield {key: {names[body] for body in bodies_in(sqs, url)} for key, url in queues.items()}


@pytest.mark.parametrize(("consumer", "kind"), PASSING)
def test_queue_gets_only_the_events_it_is_for(passed, consumer: str, kind: str) -> None:
    assert passed[consumer, kind] == PASSING[consumer, kind]


def test_every_subscription_is_tested() -> None:
    found = {
        (name, one) for name, resources in RESOURCES.items() for one in of_type("AWS::SNS::Subscription", resources)
    }
    assert found == {(consumer, f"{kind}Subscription") for consumer, kind in PASSING}


@CONSUMERS
def test_what_cannot_be_delivered_or_handled_is_a_dead_letter(resources: Mapping[str, Any]) -> None:
    dead_letters = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    for subscription in of_type("AWS::SNS::Subscription", resources).values():
        assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": dead_letters}
    queues = of_type("AWS::SQS::Queue", resources)
    for name in queues.keys() - {"DeadLetterQueue"}:
        assert queues[name]["RedrivePolicy"] == {"deadLetterTargetArn": dead_letters, "maxReceiveCount": 5}
    for queue in queues.values():
        assert (queue["MessageRetentionPeriod"], queue["SqsManagedSseEnabled"]) == (14 * 24 * 3600, True)
    [alarm] = of_type("AWS::CloudWatch::Alarm", resources).values()
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}]


@CONSUMERS
def test_queues_accept_only_tls_and_only_the_events_topic(resources: Mapping[str, Any]) -> None:
    [policy] = of_type("AWS::SQS::QueuePolicy", resources).values()
    assert {queue["Ref"] for queue in policy["Queues"]} == of_type("AWS::SQS::Queue", resources).keys()
    denied, allowed = policy["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sqs:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (allowed["Effect"], allowed["Principal"]) == ("Allow", {"Service": "sns.amazonaws.com"})
    assert allowed["Action"] == "sqs:SendMessage"
    topic = EVERY_PART_WITHOUT_CODE["to-event-bus"]["ExportEventsTopicArn"]
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": topic}}


@CONSUMERS
def test_pipes_take_from_their_queues_and_reach_their_target_and_nothing_else(resources: Mapping[str, Any]) -> None:
    pipes = of_type("AWS::Pipes::Pipe", resources)
    for name, pipe in pipes.items():
        queue = f"{name.removesuffix('Pipe') or 'Event'}Queue"
        assert pipe["Source"] == resources[queue.replace("Queue", "Subscription")]["Properties"]["Endpoint"]
        assert pipe["RoleArn"] == {"Fn::GetAtt": ["PipeRole", "Arn"]}
    [policy] = of_type("AWS::IAM::Role", resources)["PipeRole"]["Policies"]
    take, reach = policy["PolicyDocument"]["Statement"]
    assert take["Action"] == ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    taken = take["Resource"] if isinstance(take["Resource"], list) else [take["Resource"]]
    assert taken == [pipe["Source"] for pipe in pipes.values()]
    assert [reach["Resource"]] * len(pipes) == [pipe["Target"] for pipe in pipes.values()]
    assert reach["Action"] in ("events:PutEvents", "sns:Publish", "states:StartSyncExecution")


@CONSUMERS
def test_parts_that_the_templates_share_are_the_same(resources: Mapping[str, Any]) -> None:
    first = RESOURCES["to-event-bus"]
    assert resources["DeadLetterQueue"] == first["DeadLetterQueue"]
    for name in of_type("AWS::SQS::Queue", resources).keys() - {"DeadLetterQueue"}:
        assert resources[name] == first["EventQueue"]


# ---- to an event bus -------------------------------------------------------------------------------------------------


def on_the_bus(body: str) -> dict[str, Any]:
    """The event that rules of the bus see."""
    target = pipe_of("to-event-bus")["TargetParameters"]
    parameters = target["EventBridgeEventBusParameters"]
    return {
        "source": value_at(parameters["Source"], body),
        "detail-type": value_at(parameters["DetailType"], body),
        "detail": render(target["InputTemplate"], body),
    }


@EVERY_EXAMPLE
def test_event_is_whole_on_the_bus(path: Path) -> None:
    event = json.loads(path.read_text("utf-8"))
    on_bus = on_the_bus(path.read_text("utf-8"))
    assert on_bus == {"source": event["source"], "detail-type": event["type"], "detail": event}
    # PutEvents rejects others.
    assert not on_bus["source"].startswith("aws.")
    assert len(on_bus["source"]) <= 256
    assert len(on_bus["detail-type"]) <= 128


def test_every_attribute_that_an_event_can_have_is_on_the_bus() -> None:
    attributes = set(re.findall(r'"(\w+)": <\$\.body\.\1>', template_of("to-event-bus")))
    for name, schema in CONTENTS.items():
        if name.startswith("cgc."):
            assert schema["properties"].keys() == attributes


@EVERY_EXAMPLE
def test_event_on_the_bus_is_no_start_event_even_if_the_monitor_listens_to_that_source(path: Path) -> None:
    on_bus = on_the_bus(path.read_text("utf-8"))
    for source in ("cgc.exports", on_bus["source"]):
        pattern = start_event_pattern(source)
        assert EventPattern.load(pattern).matches_event({**on_bus, "detail-type": "Export Started"}) == (
            source == on_bus["source"]
        )
        assert not EventPattern.load(pattern).matches_event(on_bus)


def start_event_pattern(source: str) -> str:
    """The pattern of the monitor's rule."""
    pattern = MONITOR["StartEventRule"]["Properties"]["EventPattern"]
    assert pattern["source"] == ["cgc.exports"]
    return json.dumps({**pattern, "source": [source]})


# ---- to a chat -------------------------------------------------------------------------------------------------------


def in_the_chat(event: Mapping[str, Any]) -> Any:
    """The notification about an event."""
    return render(template_of("to-chat", KINDS[event["type"]]), json.dumps(event))


@EVERY_EXAMPLE
def test_chat_message_is_a_custom_notification(path: Path) -> None:
    event = json.loads(path.read_text("utf-8"))
    if event["type"] in KINDS:
        NOTIFICATION.validate(in_the_chat(event))
        assert in_the_chat(event)["metadata"]["threadId"] == event["subject"]


def test_every_kind_of_problem_has_a_chat_message() -> None:
    assert {path.parent.name for path in EXAMPLES} - KINDS.keys() == {"cgc.export.completed.v1"}


@pytest.mark.parametrize("text", ['"} <$.body.id>, {"', "a\nb\\", "<!channel>", "…" * 1024])
def test_text_from_outside_stays_a_text_in_the_chat(text: str) -> None:
    failed, delayed = example("cgc.export.failed.v1/documented-job"), example("cgc.export.delayed.v1/running")
    failed["data"]["failure"] |= {"message": text, "advice": text}
    delayed["data"]["delay"]["waiting_for"] = text
    for event in (failed, delayed):
        NOTIFICATION.validate(in_the_chat(event))
        assert in_the_chat(event)["content"]["description"] == text
    assert in_the_chat(failed)["content"]["nextSteps"] == [text]


def test_longest_ids_and_names_fit_the_title() -> None:
    event = example("cgc.export.failed.v1/VOLUME_UNAVAILABLE")
    NOTIFICATION.validate(in_the_chat({**event, "subject": "x" * 128}))


def test_chat_messages_of_the_page_are_what_the_channel_gets() -> None:
    shown = [block.text for block in blocks(ROOT / "examples/to-chat/README.md") if block.language == "text"]
    examples = ("failed.v1/documented-job", "delayed.v1/running", "group.concluded.v1/failed")
    assert shown == ["\n\n".join(as_text(in_the_chat(example(f"cgc.export.{name}"))) for name in examples) + "\n"]


def as_text(notification: Any) -> str:
    content = notification["content"]
    steps = ["Next steps", *(f"• {step}" for step in content.get("nextSteps", []))]
    return "\n".join([content["title"], content["description"], *(steps if len(steps) > 1 else [])])


def example(name: str) -> Any:
    return json.loads((ROOT / "schemas/examples/valid" / f"{name}.json").read_text("utf-8"))


def test_only_the_pipes_may_publish_to_the_chat_s_topic() -> None:
    [policy] = of_type("AWS::SNS::TopicPolicy", RESOURCES["to-chat"]).values()
    denied, allowed = policy["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sns:Publish")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", "sns:Publish")
    assert allowed["Principal"] == {"AWS": {"Fn::GetAtt": ["PipeRole", "Arn"]}}


# ---- to Step Functions -----------------------------------------------------------------------------------------------


@EVERY_EXAMPLE
def test_only_events_with_a_task_token_reach_the_state_machine(path: Path) -> None:
    event = json.loads(path.read_text("utf-8"))
    assert not passes(pipe_of("to-step-functions"), json.dumps(event))
    if "context" in event["data"]:
        event["data"]["context"]["task_token"] = "AQCEAAAAKgAAAAM"
        assert passes(pipe_of("to-step-functions"), json.dumps(event))


# ---- the renderer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "<$.body>",
        '{"a": <$.body.missing>}',
        '{"a": <$.body.null.deeper>}',
        '{"a": "<$.body.null>"}',
        '{"a": "<$.body.object>"}',
        '{"a": "<$.body.quoted>"}',
        '{"a": "\\"<$.body.quoted>"}',
    ],
)
def test_template_whose_result_is_not_documented_is_refused(template: str) -> None:
    body = json.dumps({"null": None, "object": {}, "quoted": 'a "b"'})
    with pytest.raises(ValueError, match=r"finds nothing|inside a text|removes the quotes"):
        render(template, body)


def test_template_takes_values_as_they_are_outside_of_texts_and_plain_ones_inside() -> None:
    body = json.dumps({"null": None, "object": {"a": 1}, "quoted": 'a "b"', "id": "run-42", "n": 3})
    template = (
        '{"a": [<$.body.object.a>, <$.body.quoted>, <$.body.null>, <$.body.object>], "b": "of <$.body.id>: <$.body.n>"}'
    )
    assert render(template, body) == {"a": [1, 'a "b"', None, {"a": 1}], "b": "of run-42: 3"}
