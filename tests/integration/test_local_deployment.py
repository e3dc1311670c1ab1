import json
import textwrap

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from local.artifact import ROOT
from local.deployment import deploy
from local.emulator import emulator
from local.translation import parameter_values, translate

TEMPLATE = ROOT / "template.yaml"
PARAMETERS = {
    "TokenSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf",
    "ExportBuckets": "first-bucket,second-bucket",
    "ApiBaseUrl": "http://127.0.0.1:8080/v2",
    "NotificationEmail": "someone@example.org",
}
SMALL = """
    Transform: AWS::Serverless-2016-10-31
    Parameters:
      Names: {Type: CommaDelimitedList, Default: ""}
      Count: {Type: Number, Default: 3, MinValue: 1, MaxValue: 9}
      Colour: {Type: String, Default: green, AllowedValues: [green, red], AllowedPattern: "[a-z]+"}
    Conditions:
      HasNames: !Not [!Equals [!Join ["", !Ref Names], ""]]
      IsThree: !Equals [!Ref Count, 3]
      Both: !And [!Condition HasNames, !Condition IsThree]
      Either: !Or [!Condition HasNames, !Condition IsThree]
    Resources:
      Queue:
        Type: AWS::SQS::Queue
        Properties:
          Tags: [!If [HasNames, {Key: names, Value: !Join [",", !Ref Names]}, !Ref AWS::NoValue]]
          QueueName: !Sub "${Colour}-${Count}-${AWS::Region}"
          DelaySeconds: !If [Either, !Ref Count, !Ref AWS::NoValue]
      Topic:
        Type: AWS::SNS::Topic
        Condition: Both
    Outputs:
      TopicArn: {Condition: Both, Value: !Ref Topic}
      QueueUrl: {Value: !Ref Queue}
"""


@pytest.fixture(scope="module")
def aws():
    with emulator() as running:
        yield running


@pytest.fixture(scope="module")
def stack(aws):
    return deploy(aws, TEMPLATE, PARAMETERS)


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(textwrap.dedent(SMALL))
    return path


def test_parameters_and_true_conditions_are_applied(small):
    template = translate(small, {"Names": "a,b"}, "s3://bucket/key")
    properties = template["Resources"]["Queue"]["Properties"]
    assert properties["Tags"] == [{"Key": "names", "Value": "a,b"}]
    assert properties["QueueName"] == {"Fn::Sub": "green-3-${AWS::Region}"}
    assert properties["DelaySeconds"] == "3"
    assert "Topic" in template["Resources"]
    assert template["Outputs"].keys() == {"TopicArn", "QueueUrl"}
    assert not template.keys() & {"Parameters", "Conditions"}


def test_parts_under_a_false_condition_are_removed(small):
    template = translate(small, {"Count": "4"}, "s3://bucket/key")
    properties = template["Resources"]["Queue"]["Properties"]
    assert properties == {"Tags": [], "QueueName": {"Fn::Sub": "green-4-${AWS::Region}"}}
    assert template["Resources"].keys() == {"Queue"}
    assert template["Outputs"].keys() == {"QueueUrl"}


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"Colour": "blue"}, "Colour"),
        ({"Count": "10"}, "Count"),
        ({"Count": "0"}, "Count"),
        ({"Shape": "round"}, "Shape"),
    ],
)
def test_a_value_that_cloudformation_would_refuse_is_refused(small, overrides, named):
    with pytest.raises(ValueError, match=named):
        translate(small, overrides, "s3://bucket/key")


def test_a_parameter_without_default_and_value_is_refused():
    with pytest.raises(ValueError, match="ExportBuckets"):
        parameter_values({"ExportBuckets": {"Type": "CommaDelimitedList"}}, {})


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
    made = {"AWS::CloudWatch::Alarm", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"}
    assert stack.physical_ids.keys() >= {one for one, resource_type in declared.items() if resource_type not in made}


def test_template_declares_the_transform_that_its_functions_require(aws, stack):
    template = aws.client("s3").get_object(Bucket="deployment", Key="template.json")["Body"].read()
    assert b"Fn::ToJsonString" in template
    assert json.loads(template)["Transform"] == "AWS::LanguageExtensions"


def test_every_output_of_the_template_has_its_value(stack):
    declared = yaml_parse(TEMPLATE.read_text())["Outputs"]
    assert stack.outputs.keys() == declared.keys()
    assert all(isinstance(value, str) and value for value in stack.outputs.values())


def test_the_functions_variables_are_text_and_refer_to_deployed_resources(stack):
    environment = stack.function.environment
    assert environment["EXPORT_BUCKETS"] == PARAMETERS["ExportBuckets"]
    assert environment["API_BASE_URL"] == PARAMETERS["ApiBaseUrl"]
    assert environment["EXPORT_QUEUE_URL"] == stack.outputs["ExportQueueUrl"]
    assert environment["EXPORT_EVENTS_TOPIC_ARN"] == stack.outputs["ExportEventsTopicArn"]
    assert all(isinstance(value, str) for value in environment.values())


def test_the_event_source_mapping_is_returned_and_not_created_in_the_emulator(aws, stack):
    assert stack.mapping.queue_arn == stack.outputs["ExportQueueArn"]
    assert stack.mapping.batch_size == 10
    assert stack.mapping.reports_batch_item_failures
    assert aws.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []


def test_queues_have_their_policies_with_the_arns_of_this_deployment(aws, stack):
    attributes = aws.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["ExportQueueUrl"], AttributeNames=["Policy", "RedrivePolicy", "VisibilityTimeout"]
    )["Attributes"]
    statements = {one["Sid"]: one for one in json.loads(attributes["Policy"])["Statement"]}
    assert statements["TlsOnly"]["Effect"] == "Deny"
    assert statements["StartEventRule"]["Resource"] == stack.outputs["ExportQueueArn"]
    assert "StartEventTopics" not in statements
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 1000


def test_topics_have_their_policies(aws, stack):
    for output in ("ExportEventsTopicArn", "AlarmsTopicArn"):
        attributes = aws.client("sns").get_topic_attributes(TopicArn=stack.outputs[output])["Attributes"]
        statements = json.loads(attributes["Policy"])["Statement"]
        assert "TlsOnly" in {one["Sid"] for one in statements}


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


def test_published_messages_can_be_read_with_the_text_for_every_protocol(aws):
    topic_arn = aws.client("sns").create_topic(Name="letters")["TopicArn"]
    message = json.dumps({"default": "for machines", "email": "for people, ø"})
    aws.client("sns").publish(TopicArn=topic_arn, Message=message, MessageStructure="json", Subject="News")
    [(_, published, subject, _)] = aws.sent_notifications(topic_arn)
    assert json.loads(published)["email"] == "for people, ø"
    assert subject == "News"
