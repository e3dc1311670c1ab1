"""The state machine of `examples/to-step-functions`, and the waiting one of its page, run by the emulator.

Not modelled there: express state machines, so this one runs as a standard one, and the pipe between queue and machine,
whose filter is tested in `tests/contract/test_consumers_without_code.py`.
"""

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.core.exceptions import JsonRESTError
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from samtranslator.yaml_helper import yaml_parse

from export_monitor.domain.start_events import parse_start_event
from local.artifact import ROOT
from local.template import template
from tests.contract.schema_files import example_files, example_id, validator
from tests.documented_commands import blocks
from tests.fakes import AwsAccount

pytestmark = pytest.mark.once

FOLDER = ROOT / "examples" / "to-step-functions"
NAMES = itertools.count()
ROLE = "arn:aws:iam::123456789012:role/any"
EXAMPLES = [path for path in example_files() if path.parent.name.startswith("cgc.export.")]
COMPLETED_BODY, FAILED_BODY = (
    ROOT / f"schemas/examples/valid/cgc.export.{kind}.v1/documented-job.json" for kind in ("completed", "failed")
)


def answering() -> Any:
    """The definition of the template's state machine, as CloudFormation passes it on."""
    written = yaml_parse((FOLDER / "template.yaml").read_text("utf-8"))
    definition = json.dumps(written["Resources"]["AnswerStateMachine"]["Properties"]["Definition"])
    return json.loads(re.sub(r'\{"Fn::Sub": ("[^"]*")\}', r"\1", definition).replace("${AWS::Partition}", "aws"))


def as_the_emulator_takes_it(definition: Any) -> str:
    """With the parameters of the SDK's calls in boto3's case: the emulator passes them on to boto3 as they are."""
    for state in definition["States"].values():
        if ":aws-sdk:" in state.get("Resource", ""):
            state["Parameters"] = {name[0].lower() + name[1:]: value for name, value in state["Parameters"].items()}
    return json.dumps(definition)


def waiting() -> str:
    """The definition that the page shows."""
    [shown] = [block.text for block in blocks(FOLDER / "README.md") if block.language == "json"]
    return shown


@dataclass
class Machines:
    """A monitor's bus, the machine that answers and the one that waits."""

    answers: str
    waits: str
    queue_url: str
    # What the machine that answers asked Step Functions for, when it last ran.
    requests: Sequence[Any] = ()

    def start(self, machine: str, given: Any) -> str:
        # The emulator gives every execution without a name the same one.
        started = self.client.start_execution(stateMachineArn=machine, name=str(next(NAMES)), input=json.dumps(given))
        arn: str = started["executionArn"]
        return arn

    def ended(self, execution: str) -> Mapping[str, Any]:
        """The execution, after its end."""
        describe = partial(self.client.describe_execution, executionArn=execution)
        return self._after(describe, lambda one: one["status"] != "RUNNING")

    def announce(self, export_id: str) -> tuple[str, Mapping[str, Any]]:
        """Start an execution that waits for an export; also the context of the start event that it sends."""
        execution = self.start(self.waits, {"export_id": export_id})
        body = self._announced()
        validator("start-event.eventbridge").validate(json.loads(body))
        start = parse_start_event(body, "cgc.exports")
        assert start.export_id == export_id
        return execution, start.context

    def output_of_state(self, execution: str, state: str) -> Any:
        """What a state of an execution put out."""
        history = self.client.get_execution_history(executionArn=execution)["events"]
        [left] = [one for event in history if (one := event.get("stateExitedEventDetails")) and one["name"] == state]
        return json.loads(left["output"])

    def _announced(self) -> str:
        sqs = AwsAccount.client("sqs")

        def received() -> Any:
            return sqs.receive_message(QueueUrl=self.queue_url).get("Messages", [])

        [message] = self._after(received, bool)
        sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        body: str = message["Body"]
        return body

    def answer(self, body: str) -> Any:
        """What the state machine gives back to the pipe that passes it a message with this body."""
        ended = self.ended(self.start(self.answers, [{"messageId": "m-1", "body": body, "eventSource": "aws:sqs"}]))
        assert ended["status"] == "SUCCEEDED", ended
        history = self.client.get_execution_history(executionArn=ended["executionArn"])["events"]
        calls = [one["taskScheduledEventDetails"] for one in history if "taskScheduledEventDetails" in one]
        self.requests = [json.loads(call["parameters"]) for call in calls]
        return json.loads(ended["output"])

    @property
    def client(self) -> Any:
        return AwsAccount.client("stepfunctions")

    @staticmethod
    def _after(ask: Callable[[], Any], is_it: Callable[[Any], bool]) -> Any:
        for _ in range(1000):
            if is_it(found := ask()):
                return found
            time.sleep(0.01)
        raise AssertionError(found)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        client, sqs, events = (AwsAccount.client(name) for name in ("stepfunctions", "sqs", "events"))
        url = sqs.create_queue(QueueName="start-events")["QueueUrl"]
        pattern = {"source": ["cgc.exports"], "detail-type": ["Export Started"]}
        events.put_rule(Name="start-events", EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": url_to_arn(url)}
        events.put_targets(Rule="start-events", Targets=[target])
        arns = [
            client.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
            for name, definition in (("answers", as_the_emulator_takes_it(answering())), ("waits", waiting()))
        ]
        yield Machines(*arns, url)


def url_to_arn(url: str) -> str:
    attributes = AwsAccount.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn: str = attributes["Attributes"]["QueueArn"]
    return arn


def is_retried(answer: Any) -> bool:
    """Whether the pipe leaves the message in the queue, by what the state machine gives back."""
    return "batchItemFailures" in answer


def with_context(path: Path, context: Mapping[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {**event, "data": {**event["data"], "context": context}}


COMPLETED, FAILED, LATE = (
    pytest.mark.parametrize(
        "path", [path for path in EXAMPLES if path.parent.name == f"cgc.export.{kind}.v1"], ids=example_id
    )
    for kind in ("completed", "failed", "delayed")
)


@COMPLETED
def test_completed_export_lets_the_waiting_state_go_on_with_its_event(machines: Machines, path: Path) -> None:
    execution, context = machines.announce("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2")
    event = with_context(path, context)
    assert not is_retried(machines.answer(json.dumps(event)))
    ended = machines.ended(execution)
    assert ended["status"] == "SUCCEEDED"
    assert machines.output_of_state(execution, "WaitForExport") == event


@FAILED
def test_failed_export_fails_the_waiting_state_with_reason_and_message(machines: Machines, path: Path) -> None:
    execution, context = machines.announce("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2")
    event = with_context(path, context)
    assert not is_retried(machines.answer(json.dumps(event)))
    ended, failure = machines.ended(execution), event["data"]["failure"]
    assert (ended["status"], ended["error"]) == ("FAILED", failure["reason"])
    # The emulator drops the cause on its way to the waiting state.
    [request] = machines.requests
    assert request == {"taskToken": context["task_token"], "error": failure["reason"], "cause": failure["message"]}


@LATE
def test_delayed_export_lets_the_state_wait_on(machines: Machines, path: Path) -> None:
    execution, context = machines.announce("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2")
    assert not is_retried(machines.answer(json.dumps(with_context(path, context))))
    assert machines.client.describe_execution(executionArn=execution)["status"] == "RUNNING"
    machines.client.stop_execution(executionArn=execution)


def test_event_reaches_the_waiting_state_unchanged_with_numbers_of_any_length(machines: Machines) -> None:
    execution, context = machines.announce("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2")
    event = with_context(
        COMPLETED_BODY, {**context, "long": 12345678901234567890123, "precise": 0.12345678901234566, "text": '"…\n'}
    )
    machines.answer(json.dumps(event))
    machines.ended(execution)
    assert machines.output_of_state(execution, "WaitForExport") == event


@pytest.mark.parametrize("path", [COMPLETED_BODY, FAILED_BODY], ids=example_id)
@pytest.mark.parametrize("token", ["answered before", "of nobody"])
def test_token_that_nobody_waits_for_is_dropped(machines: Machines, path: Path, token: str) -> None:
    execution, context = machines.announce("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2")
    if token == "of nobody":
        machines.client.stop_execution(executionArn=execution)
        context = {"task_token": token}
    else:
        machines.answer(json.dumps(with_context(path, context)))
        machines.ended(execution)
    assert not is_retried(machines.answer(json.dumps(with_context(path, context))))


@pytest.mark.parametrize("path", [COMPLETED_BODY, FAILED_BODY], ids=example_id)
def test_any_other_fault_leaves_the_message_in_the_queue(
    machines: Machines, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttle(*_: Any, **__: Any) -> None:
        raise JsonRESTError("ThrottlingException", "Rate exceeded")

    for operation in ("send_task_success", "send_task_failure"):
        monkeypatch.setattr(StepFunctionsParserBackend, operation, throttle)
    body = json.dumps(with_context(path, {"task_token": "any"}))
    assert machines.answer(body) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


def test_state_waits_longer_than_the_longest_watch() -> None:
    hours = [float(template()["Parameters"][name]["Default"]) for name in ("WatchTimeoutHours", "RefusalGraceHours")]
    assert json.loads(waiting())["States"]["WaitForExport"]["TimeoutSeconds"] == (sum(hours) + 1) * 3600


def test_machine_knows_every_error_that_says_that_nobody_waits() -> None:
    model = AwsAccount.client("stepfunctions").meta.service_model
    for state in ("SendTaskSuccess", "SendTaskFailure"):
        task = answering()["States"][state]
        [dropped, retried] = task["Catch"]
        errors = {shape.name for shape in model.operation_model(state).error_shapes}
        names = {name.removeprefix("Sfn.").removesuffix("Exception") for name in dropped["ErrorEquals"]}
        assert names == {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"} <= errors
        assert retried["ErrorEquals"] == ["States.ALL"]
