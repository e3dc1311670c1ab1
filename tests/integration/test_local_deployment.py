import json

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from local.artifact import ROOT
from local.deployment import deploy
from local.emulator import emulator
from local.translation import translate

TEMPLATE = ROOT / "template.yaml"
PARAMETERS = {
    "TokenSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf",
    "ExportBuckets": "first-bucket,second-bucket",
    "ApiBaseUrl": "http://127.0.0.1:8080/v2",
    "NotificationEmail": "someone@example.org",
}


@pytest.fixture(scope="module")
def aws():
    with emulator() as running:
        yield running


@pytest.fixture(scope="module")
def stack(aws):
    return deploy(aws, TEMPLATE, PARAMETERS)


@pytest.mark.parametrize("parameters", [{}, PARAMETERS | {"Shape": "round"}], ids=["lacking", "unknown"])
def test_parameters_are_those_of_the_template(parameters):
    with pytest.raises(ValueError, match=r"TokenSecretArn|Shape"):
        translate(TEMPLATE, parameters, "s3://bucket/key")


def test_every_resource_of_the_template_is_deployed(aws, stack):
    assert stack.left_out == {}
    declared = {
        logical_id: resource["Type"]
        for logical_id, resource in yaml_parse(TEMPLATE.read_text())["Resources"].items()
        if resource.get("Condition") not in ("DiscoveryEnabled", "ChecksContent")
    }
    alarms = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == list(declared.values()).count("AWS::CloudWatch::Alarm")
    assert all(alarm["AlarmDescription"] and alarm["AlarmActions"] for alarm in alarms)
    subscriptions = aws.client("sns").list_subscriptions()["Subscriptions"]
    assert {one["Endpoint"] for one in subscriptions} == {PARAMETERS["NotificationEmail"]}
    made = {
        "AWS::CloudWatch::Alarm",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
    assert stack.physical_ids.keys() >= {one for one, resource_type in declared.items() if resource_type not in made}


def test_every_output_of_the_template_has_its_value(stack):
    declared = yaml_parse(TEMPLATE.read_text())["Outputs"]
    assert stack.outputs.keys() == declared.keys()
    assert all(isinstance(value, str) and value for value in stack.outputs.values())


def test_the_ledgers_rows_expire(aws, stack):
    table = stack.function.environment["LEDGER_TABLE_NAME"]
    answer = aws.client("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert answer == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def test_a_resource_unknown_to_the_emulator_is_listed_as_left_out(aws, tmp_path):
    template = yaml_parse(TEMPLATE.read_text())
    template["Resources"]["Canary"] = {"Type": "AWS::Synthetics::Canary", "Properties": {"Name": "bird"}}
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(template))))
    left_out = deploy(aws, path, PARAMETERS, "another").left_out
    assert left_out == {"Canary": "the emulator has no AWS::Synthetics::Canary"}
