"""Who may do what with the stack's resources, in the template as CloudFormation gets it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.artifact import ROOT
from local.translation import translate
from tools.translated_template import CODE_URI, EVERY_PART

TEMPLATE = ROOT / "template.yaml"
LEAST = {name: EVERY_PART[name] for name in ("TokenSecretArn", "ExportBuckets")}
WHOLE: Mapping[str, Any] = translate(TEMPLATE, EVERY_PART, CODE_URI)["Resources"]
BARE: Mapping[str, Any] = translate(TEMPLATE, LEAST, CODE_URI)["Resources"]
STACKS = pytest.mark.parametrize("resources", [WHOLE, BARE], ids=["every part", "no optional part"])

Statement = Mapping[str, Any]


def properties_of(resource_type: str, resources: Mapping[str, Any] = WHOLE) -> dict[str, Mapping[str, Any]]:
    """The properties of every resource of a type, by logical id."""
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == resource_type}


def target(node: Any) -> Any:
    """The logical id that a `Ref` or a `GetAtt` names; anything else as it is."""
    match node:
        case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]}:
            return name
    return node


def texts(node: Any) -> list[Any]:
    """A value or a list of values, with `Fn::Sub` and `Fn::Split` worked out as far as they hold no resource."""
    match node:
        case {"Fn::Split": [separator, joined]}:
            return [part for text in texts(joined) for part in text.split(separator)]
        case {"Fn::Sub": [text, names]}:
            for name, value in names.items():
                text = text.replace(f"${{{name}}}", value)
            return [text]
        case list():
            return [one for part in node for one in texts(part)]
    return [target(node)]


def policies_on(resource_type: str, resources: Mapping[str, Any] = WHOLE) -> dict[str, list[Statement]]:
    """The statements on each queue, or topic: one policy each."""
    lists = {"AWS::SQS::QueuePolicy": "Queues", "AWS::SNS::TopicPolicy": "Topics"}
    on: dict[str, list[Statement]] = {}
    for policy in properties_of(resource_type, resources).values():
        [subject] = map(target, policy[lists[resource_type]])
        # A second policy would take the place of the first.
        assert subject not in on
        on[subject] = policy["PolicyDocument"]["Statement"]
    return on


def allowed(statements: list[Statement]) -> dict[str, Statement]:
    """What is allowed, by the name of its statement."""
    return {one["Sid"]: one for one in statements if one["Effect"] == "Allow"}


def role_statements(resources: Mapping[str, Any] = WHOLE, role: str = "ExportMonitorRole") -> list[Statement]:
    [policy] = properties_of("AWS::IAM::Role", resources)[role]["Policies"]
    return list(policy["PolicyDocument"]["Statement"])


def every_policy(resources: Mapping[str, Any]) -> Iterator[Statement]:
    """Every statement of every policy, those that say who may be a role among them."""
    for name, role in properties_of("AWS::IAM::Role", resources).items():
        yield from role["AssumeRolePolicyDocument"]["Statement"]
        yield from role_statements(resources, name)
    for resource_type in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for statements in policies_on(resource_type, resources).values():
            yield from statements


def test_without_the_optional_parts_the_policies_admit_the_rule_and_the_stack_s_own_publishers() -> None:
    on = policies_on("AWS::SQS::QueuePolicy", BARE) | policies_on("AWS::SNS::TopicPolicy", BARE)
    assert {name: list(allowed(statements)) for name, statements in on.items()} == {
        "ExportQueue": ["StartEventRule"],
        "DeadLetterQueue": ["StartEventRule"],
        "UndeliveredEventsQueue": ["Topics"],
        "ExportEventsTopic": ["ExportMonitor"],
        "AlarmsTopic": ["Alarms"],
    }
    assert "kms:" not in json.dumps(role_statements(BARE))


@STACKS
def test_every_service_with_access_must_name_its_source(resources: Mapping[str, Any]) -> None:
    services = [
        one
        for resource_type in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
        for statements in policies_on(resource_type, resources).values()
        for one in allowed(statements).values()
        if "Service" in one["Principal"]
    ]
    assert len(services) >= 3
    for one in services:
        [named] = [condition for test, condition in one["Condition"].items() if test in ("ArnEquals", "ArnLike")]
        assert named.keys() == {"aws:SourceArn"}


@STACKS
def test_nothing_is_allowed_with_an_asterisk_but_tracing_and_the_objects_of_the_buckets(
    resources: Mapping[str, Any],
) -> None:
    wide = set()
    for one in every_policy(resources):
        if one["Effect"] != "Allow":
            continue
        assert "NotAction" not in one
        assert "NotResource" not in one
        assert "NotPrincipal" not in one
        assert "*" not in json.dumps([one["Action"], one.get("Principal")])
        wide |= {(one["Sid"], text) for text in texts(one.get("Resource", [])) if "*" in text}
    assert wide == {
        # X-Ray has no resources to name.
        ("Trace", "*"),
        ("ReadObjects", "arn:aws:s3:::first-bucket/*"),
        ("ReadObjects", "arn:aws:s3:::second.bucket/*"),
    }


def resources_of(role: str) -> dict[str, list[Any]]:
    """The resources of each statement of a role, but those of the statements that need an asterisk."""
    statements = role_statements(WHOLE, role)
    return {one["Sid"]: texts(one["Resource"]) for one in statements if one["Sid"] not in ("Trace", "ReadObjects")}


def test_role_names_its_resources_one_by_one() -> None:
    assert resources_of("ExportMonitorRole") == {
        "WriteLogs": ["ExportMonitorLogGroup"],
        "WatchExports": ["ExportQueue"],
        "SendToDeadLetterQueue": ["DeadLetterQueue"],
        "ReadTokenSecret": [EVERY_PART["TokenSecretArn"]],
        "ReadBuckets": ["arn:aws:s3:::first-bucket", "arn:aws:s3:::second.bucket"],
        "Decrypt": EVERY_PART["KmsKeyArns"].split(","),
        "PublishOnce": ["Ledger"],
        "ReadPublishedEvents": ["Ledger"],
        "ReadWatchedExports": ["Ledger"],
        "CountGroups": ["GroupLedger"],
        "WriteReports": [{"Fn::Sub": "${ReportBucket.Arn}/groups/*"}],
        "RequestContentChecks": ["ContentQueue"],
        "FollowContentChecks": ["ContentChecks"],
        "Publish": ["ExportEventsTopic"],
    }


def test_content_check_has_its_own_queue_and_table_and_no_access_to_the_token() -> None:
    assert resources_of("ContentCheckRole") == {
        "WriteLogs": ["ContentCheckLogGroup"],
        "VerifyParts": ["ContentQueue"],
        "SendToDeadLetterQueue": ["DeadLetterQueue"],
        "Decrypt": EVERY_PART["KmsKeyArns"].split(","),
        "RecordResults": ["ContentChecks"],
    }
    of_content = [one["Properties"] for name, one in WHOLE.items() if name.startswith("ContentCheck")]
    assert "secret" not in json.dumps(of_content).lower()


def test_without_content_checks_nothing_of_them_is_there() -> None:
    of_content = {name for name in WHOLE if name.startswith("Content")}
    assert len(of_content) == 9
    assert not [name for name in BARE if name.startswith("Content")]
    assert {"RequestContentChecks", "FollowContentChecks"}.isdisjoint(one["Sid"] for one in role_statements(BARE))


def test_roles_may_not_change_a_bucket_or_its_objects() -> None:
    statements = [one for one in every_policy(WHOLE) if one["Effect"] == "Allow" and one.get("Sid") != "WriteReports"]
    actions = {action for one in statements for action in texts(one["Action"])}
    of_s3 = {action for action in actions if action.startswith("s3:")}
    assert of_s3
    assert all(re.match(r"s3:(Get|List)", action) for action in of_s3)


def test_function_may_write_reports_and_nothing_else() -> None:
    [writes] = [one for one in role_statements() if one["Sid"] == "WriteReports"]
    assert writes["Action"] == "s3:PutObject"
    assert writes["Resource"] == {"Fn::Sub": "${ReportBucket.Arn}/groups/*"}


@STACKS
def test_report_bucket_is_private_encrypted_versioned_and_kept(resources: Mapping[str, Any]) -> None:
    bucket = resources["ReportBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    [encryption] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    expiry = properties["LifecycleConfiguration"]["Rules"][0]
    assert expiry["ExpirationInDays"] == expiry["NoncurrentVersionExpiration"]["NoncurrentDays"] == "365"
    policy = resources["ReportBucketPolicy"]
    assert policy["DeletionPolicy"] == "Retain"
    [denied] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denied["Resource"] == [{"Fn::GetAtt": ["ReportBucket", "Arn"]}, {"Fn::Sub": "${ReportBucket.Arn}/*"}]


def test_roles_are_lambda_s_and_have_no_policy_of_someone_else_s() -> None:
    for role in properties_of("AWS::IAM::Role").values():
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert "ManagedPolicyArns" not in role
    roles = {name: target(one["Role"]) for name, one in properties_of("AWS::Lambda::Function").items()}
    assert roles == {"ExportMonitorFunction": "ExportMonitorRole", "ContentCheckFunction": "ContentCheckRole"}


def test_only_the_account_s_own_principals_and_the_schedule_may_invoke_the_function() -> None:
    assert "AWS::Lambda::Url" not in {one["Type"] for one in WHOLE.values()}
    [permission] = properties_of("AWS::Lambda::Permission").values()
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["DiscoverySchedule", "Arn"]}


def test_without_discovery_there_is_no_schedule_and_the_role_has_nothing_for_it() -> None:
    assert not {"DiscoverySchedule", "DiscoveryPermission"} & set(BARE)
    assert "ReadWatchedExports" not in {one["Sid"] for one in role_statements(BARE)}
    assert "ReadWatchedExports" in {one["Sid"] for one in role_statements(WHOLE)}


def test_queues_and_the_events_topic_are_encrypted_with_keys_that_cost_nothing() -> None:
    queues = properties_of("AWS::SQS::Queue")
    assert [queue["SqsManagedSseEnabled"] for queue in queues.values()] == [True] * 4
    keys = {name: topic.get("KmsMasterKeyId") for name, topic in properties_of("AWS::SNS::Topic").items()}
    assert keys == {"ExportEventsTopic": "alias/aws/sns", "AlarmsTopic": None}


def test_topic_without_encryption_carries_alarm_states_and_nothing_else() -> None:
    carries_alarms = {
        name
        for name, resource in WHOLE.items()
        if "AlarmsTopic" in json.dumps(resource)
        and resource["Type"] not in ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy")
    }
    assert carries_alarms == {"AlarmsEmail", *properties_of("AWS::CloudWatch::Alarm")}


def test_function_gets_the_arn_of_the_secret_and_not_the_token() -> None:
    variables = properties_of("AWS::Lambda::Function")["ExportMonitorFunction"]["Environment"]["Variables"]
    assert variables["TOKEN_SECRET_ARN"] == EVERY_PART["TokenSecretArn"]
    assert "{{resolve:" not in TEMPLATE.read_text()


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc"])
def test_every_arn_and_address_of_the_stack_is_in_its_own_partition(partition: str) -> None:
    consoles = {"aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com", "aws-eusc": "amazonaws-eusc.eu"}
    given = {name: value.replace("arn:aws:", f"arn:{partition}:") for name, value in EVERY_PART.items()}
    stack = translate(TEMPLATE, given | {"ExportBuckets": "one,two,three"}, CODE_URI, partition)
    assert set(re.findall(r"arn:([^:]+):", json.dumps(stack))) == {partition}
    buckets = {one["Sid"]: texts(one["Resource"]) for one in role_statements(stack["Resources"])}
    assert buckets["ReadBuckets"] == [f"arn:{partition}:s3:::{name}" for name in ("one", "two", "three")]
    assert buckets["ReadObjects"] == [f"arn:{partition}:s3:::{name}/*" for name in ("one", "two", "three")]
    text, names = stack["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"]
    address = text.replace("${Console}", names["Console"])
    assert address.startswith(
        f"https://${{AWS::Region}}.console.{consoles.get(partition, 'aws.amazon.com')}/cloudwatch/"
    )
