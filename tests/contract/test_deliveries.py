"""What SNS does with what it publishes, in the template as CloudFormation gets it."""

from collections.abc import Mapping
from typing import Any

from local.template import TEMPLATE
from local.translation import translate
from tools.translated_template import CODE_URI, EVERY_PART

RESOURCES: Mapping[str, Any] = translate(TEMPLATE, EVERY_PART, CODE_URI)["Resources"]


def properties_of(resource_type: str) -> list[Mapping[str, Any]]:
    return [one["Properties"] for one in RESOURCES.values() if one["Type"] == resource_type]


def test_every_e_mail_that_sns_gives_up_on_goes_to_the_queue_of_undelivered_events() -> None:
    mails = [one for one in properties_of("AWS::SNS::Subscription") if one["Protocol"] == "email"]
    assert {one["TopicArn"]["Ref"] for one in mails} == {"ExportEventsTopic", "AlarmsTopic"}
    queue = {"Fn::GetAtt": ["UndeliveredEventsQueue", "Arn"]}
    assert [one["RedrivePolicy"] for one in mails] == [{"deadLetterTargetArn": queue}] * 2


def test_queue_of_undelivered_events_keeps_them_as_long_as_sqs_can_and_takes_the_largest() -> None:
    queue = RESOURCES["UndeliveredEventsQueue"]["Properties"]
    assert (queue["MessageRetentionPeriod"], queue["MaximumMessageSize"]) == (14 * 86400, 1024 * 1024)


def test_messages_of_every_topic_are_signed_with_sha_256() -> None:
    assert [one["SignatureVersion"] for one in properties_of("AWS::SNS::Topic")] == ["2", "2"]
