"""The filter policies of `examples/`: which of the exemplary events pass each, with the attributes that are published.

The emulator's filters follow SNS as far as they are used here: texts, a number, `exists` and `$or`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from export_monitor.adapters.aws.sns import EventsTopic
from export_monitor.domain.events import SnsMessage
from export_monitor.domain.groups import concluded_message
from export_monitor.domain.model import ExportJob
from local.artifact import ROOT
from local.export_jobs import documented_completed, documented_failed
from local.translation import translate
from tests.contract.sample_events import (
    API,
    ENDED,
    ENDINGS,
    FAILED,
    FILE,
    GROUPS,
    Snapshot,
    delayed,
    ending,
    example_watch,
    job_answer,
)
from tests.fakes import REGION, SYNCHRONOUS, AwsAccount
from tools.translated_template import CODE_URI, EVERY_PART

FOLDER = ROOT / "examples" / "filter-policies"
POLICIES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.json"))}
CONSUMER = yaml_parse((ROOT / "examples" / "consumer" / "template.yaml").read_text())

COMPLETED = {f"completed/{name}" for schema, name in ENDINGS if "completed" in schema} | {"completed/another-volume"}
WITHOUT_A_JOB = {"failed/EXPORT_NOT_FOUND", "failed/EXPORT_FORBIDDEN"}
ALONE = {"failed/documented-job", "failed/another-error-code"}
IN_A_GROUP = {f"failed/{name}" for schema, name in ENDINGS if "failed" in schema} - ALONE
GROUP_EVENTS = {f"group.concluded/{name}" for name in GROUPS}
LATE = {"delayed/alone", "delayed/in-a-group"}
EVERY_EVENT = COMPLETED | IN_A_GROUP | ALONE | GROUP_EVENTS | LATE

PASSING: Mapping[str, set[str]] = {
    "every-event": EVERY_EVENT,
    "only-failures": IN_A_GROUP | ALONE,
    "only-problems": ALONE | {"delayed/alone", "group.concluded/failed", "group.concluded/incomplete"},
    "only-verified": {"completed/documented-job", "completed/content-verified", "completed/another-volume"},
    "only-groups": GROUP_EVENTS,
    "only-one-volume": (COMPLETED | IN_A_GROUP | ALONE | LATE) - WITHOUT_A_JOB - {"completed/another-volume"},
    "only-one-error-code": {"failed/documented-job"},
}


def of_an_export(answers: Snapshot, **detail: object) -> SnsMessage:
    export_id = answers.job.id if isinstance(answers.job, ExportJob) else FAILED.id
    watch = example_watch(export_id, **detail)
    message = ending(answers, watch, now=watch.message.sent_at + 5)
    assert message
    return message


def messages() -> dict[str, SnsMessage]:
    """The message of each example, and of two that differ from them in their volume and in their code."""
    group = {"group": {"id": "run-42", "size": 250}}
    named = {
        f"{schema.removeprefix('cgc.export.').removesuffix('.v1')}/{name}": of_an_export(
            answers, **({} if name == "documented-job" else group)
        )
        for (schema, name), answers in ENDINGS.items()
    }
    documented = ENDINGS["cgc.export.completed.v1", "documented-job"]
    elsewhere = job_answer(documented_completed(id="elsewhere", volume="rfranklin/other"))
    named["completed/another-volume"] = of_an_export(replace(documented, job=elsewhere))
    error = {"code": 9104, "status": 404, "message": "No such volume.", "more_info": None}
    rejected = job_answer(documented_failed(id="rejected"), error=error)
    named["failed/another-error-code"] = of_an_export(Snapshot(rejected, file=FILE))
    named |= {"delayed/alone": delayed("running"), "delayed/in-a-group": delayed("running", **group)}
    for name, group in GROUPS.items():
        named[f"group.concluded/{name}"] = concluded_message(*group, ENDED, API)
    return named


@pytest.fixture(scope="module")
def passed() -> Iterator[dict[str, set[str]]]:
    """The names of the events that came through each policy, and through an empty one, of all events."""
    with mock_aws():
        sqs, sns = AwsAccount.client("sqs"), AwsAccount.client("sns")
        topic_arn = sns.create_topic(Name="events")["TopicArn"]
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in (*POLICIES, "unfiltered")}
        for name in queues:
            sns.subscribe(
                TopicArn=topic_arn,
                Protocol="sqs",
                Endpoint=f"arn:aws:sqs:{REGION}:123456789012:{name}",
                Attributes={"RawMessageDelivery": "true", "FilterPolicy": POLICIES.get(name, "{}")},
            )
        published = messages()
        assert EventsTopic(SYNCHRONOUS, lambda: sns, topic_arn).publish(list(published.values())) == {}
        names = {json.loads(message.body)["default"]: name for name, message in published.items()}
        assert len(names) == len(published)
        yield {name: {names[body] for body in bodies_in(sqs, url)} for name, url in queues.items()}


def bodies_in(sqs, queue_url: str) -> Iterator[str]:
    while received := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        yield from (message["Body"] for message in received)


def test_every_event_passes_without_a_filter(passed) -> None:
    assert passed["unfiltered"] == EVERY_EVENT


@pytest.mark.parametrize("name", POLICIES)
def test_policy_passes_only_the_events_it_is_for(passed, name: str) -> None:
    assert passed[name] == PASSING[name]


@pytest.mark.parametrize(("policy", "mailed"), [("only-problems", "problems"), ("every-event", "all")])
def test_e_mails_of_the_stack_have_the_policy_of_the_same_events(policy: str, mailed: str) -> None:
    assert json.loads(POLICIES[policy]) == mail_subscription(mailed)["FilterPolicy"]


def test_every_subscription_has_a_policy_with_its_scope_or_never_one_so_that_an_update_can_change_it() -> None:
    problems, everything = mail_subscription("problems"), mail_subscription("all")
    assert problems.keys() == everything.keys() >= {"FilterPolicy"}
    assert problems["FilterPolicyScope"] == everything["FilterPolicyScope"] == "MessageAttributes"
    assert CONSUMER["Resources"]["Subscription"]["Properties"]["FilterPolicyScope"] == "MessageAttributes"
    for empty in ("{}", "{ }", ""):
        assert not re.fullmatch(CONSUMER["Parameters"]["FilterPolicy"]["AllowedPattern"], empty)


def mail_subscription(events: str) -> Mapping[str, Any]:
    """The properties of the mail's subscription, where `NotificationEmailEvents` is this."""
    parameters = {**EVERY_PART, "NotificationEmailEvents": events}
    resources = translate(ROOT / "template.yaml", parameters, CODE_URI)["Resources"]
    properties: Mapping[str, Any] = resources["ExportEventsEmail"]["Properties"]
    return properties


def test_consumer_s_default_is_the_policy_of_failures() -> None:
    assert json.loads(CONSUMER["Parameters"]["FilterPolicy"]["Default"]) == json.loads(POLICIES["only-failures"])


def test_page_has_a_row_for_each_policy() -> None:
    rows = re.findall(r"^\| \[`(.+)\.json`\]\(\1\.json\) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(POLICIES) == sorted(PASSING)


@pytest.mark.parametrize("name", POLICIES)
def test_policy_fits_a_parameter_in_one_line(name: str) -> None:
    assert re.fullmatch(CONSUMER["Parameters"]["FilterPolicy"]["AllowedPattern"], POLICIES[name].rstrip("\n"))
