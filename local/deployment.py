"""Deploy `template.yaml` to the emulator: by its CloudFormation, and by API calls where that ignores a resource.

The emulator's CloudFormation silently ignores policies, subscriptions and alarms. They are removed from the template
and created with the calls that CloudFormation would make. Their properties refer to other resources; an output is added
to the template for each, so that the emulator resolves the references. Event source mappings are not created, because
the emulator would run the functions in Docker; they are simulated here, and so is a schedule.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.emulator import Emulator
from local.event_source_mapping import MappingConfiguration
from local.lambda_runtime import FunctionConfiguration
from local.translation import translate

_CODE_BUCKET = "deployment"
_CODE_KEY = "function.zip"
_PROPERTIES_OUTPUT = "PropertiesOf"
Properties = dict[str, Any]


@dataclass(frozen=True)
class DeployedFunction:
    """A function, and the event source mapping that invokes it."""

    function: FunctionConfiguration
    mapping: MappingConfiguration


@dataclass(frozen=True)
class Deployment:
    """A deployed stack.

    `physical_ids` and `functions` are by logical id; `left_out` are the resources that were not deployed, with the
    reason; `scheduled_event` is the event of the template's schedule, if it has one.
    """

    outputs: Mapping[str, str]
    physical_ids: Mapping[str, str]
    functions: Mapping[str, DeployedFunction]
    scheduled_event: Mapping[str, Any] | None
    left_out: Mapping[str, str]

    @property
    def function(self) -> FunctionConfiguration:
        """The template's first function."""
        return next(iter(self.functions.values())).function

    @property
    def mapping(self) -> MappingConfiguration:
        """The mapping of the template's first function."""
        return next(iter(self.functions.values())).mapping


def deploy(
    emulator: Emulator, template: Path, parameters: Mapping[str, str], stack_name: str = "cgc-export-monitor"
) -> Deployment:
    """Deploy a template whose functions have an SQS event source mapping each; raises RuntimeError on failure."""
    _upload_code(emulator)
    translated = translate(template, parameters, f"s3://{_CODE_BUCKET}/{_CODE_KEY}")
    # CloudFormation requires this transform for Fn::ToJsonString.
    translated["Transform"] = "AWS::LanguageExtensions"
    resources = translated["Resources"]
    # The simulated schedule needs no permission to invoke the function.
    for logical_id in [one for one, resource in resources.items() if resource["Type"] == "AWS::Lambda::Permission"]:
        del resources[logical_id]
    types = {logical_id: resource["Type"] for logical_id, resource in resources.items()}
    for logical_id, resource_type in types.items():
        translated["Outputs"][_PROPERTIES_OUTPUT + logical_id] = {
            "Value": {"Fn::ToJsonString": resources[logical_id].get("Properties", {})}
        }
        # A schedule's rule has no pattern; in the emulator it would match every event.
        is_schedule = "ScheduleExpression" in resources[logical_id].get("Properties", {})
        if is_schedule or resource_type in _CREATE or resource_type == "AWS::Lambda::EventSourceMapping":
            del resources[logical_id]
    # Nothing refers to the parameters any more; a stack shows them to those who ask.
    translated["Parameters"] = {name: {"Type": "String"} for name in parameters}
    outputs, physical_ids = _create_stack(emulator, stack_name, translated, parameters)
    properties = {logical_id: json.loads(outputs.pop(_PROPERTIES_OUTPUT + logical_id)) for logical_id in types}

    for logical_id, resource_type in types.items():
        if resource_type in _CREATE:
            _CREATE[resource_type](emulator, f"{stack_name}-{logical_id}", properties[logical_id])
        if "TimeToLiveSpecification" in properties[logical_id]:
            specification = properties[logical_id]["TimeToLiveSpecification"]
            emulator.client("dynamodb").update_time_to_live(
                TableName=physical_ids[logical_id], TimeToLiveSpecification=specification
            )
    mappings = {
        properties[logical_id]["FunctionName"]: MappingConfiguration.from_properties(properties[logical_id])
        for logical_id, resource_type in types.items()
        if resource_type == "AWS::Lambda::EventSourceMapping"
    }
    functions = {
        logical_id: DeployedFunction(
            _function(emulator, physical_ids[logical_id], properties[logical_id]), mappings[physical_ids[logical_id]]
        )
        for logical_id, resource_type in types.items()
        if resource_type == "AWS::Lambda::Function"
    }
    scheduled = [one["Targets"][0]["Input"] for one in properties.values() if "ScheduleExpression" in one]
    return Deployment(
        outputs=outputs,
        physical_ids=physical_ids,
        functions=functions,
        scheduled_event=json.loads(scheduled[0]) if scheduled else None,
        left_out={
            logical_id: f"the emulator has no {resource_type}"
            for logical_id, resource_type in types.items()
            if logical_id in resources and logical_id not in physical_ids
        },
    )


def _upload_code(emulator: Emulator) -> None:
    """A placeholder for the function's code: the emulator's function is never invoked."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("empty.py", "")
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=_CODE_BUCKET)
    s3.put_object(Bucket=_CODE_BUCKET, Key=_CODE_KEY, Body=code.getvalue())


def _create_stack(
    emulator: Emulator, name: str, template: Properties, parameters: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Outputs and physical ids of a new stack."""
    emulator.client("s3").put_object(Bucket=_CODE_BUCKET, Key="template.json", Body=json.dumps(template))
    cloudformation = emulator.client("cloudformation")
    # By URL: CloudFormation takes at most 51,200 bytes of text.
    cloudformation.create_stack(
        StackName=name,
        TemplateURL=f"https://{_CODE_BUCKET}.s3.amazonaws.com/template.json",
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise RuntimeError(f"the stack is {stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason given')}")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    created = [resource for page in pages for resource in page["StackResourceSummaries"]]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return outputs, {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in created}


def _function(emulator: Emulator, name: str, properties: Properties) -> FunctionConfiguration:
    deployed = emulator.client("lambda").get_function_configuration(FunctionName=name)
    return FunctionConfiguration(
        name=name,
        arn=deployed["FunctionArn"],
        handler=properties["Handler"],
        environment=properties.get("Environment", {}).get("Variables", {}),
        timeout_seconds=float(properties.get("Timeout", 3)),
        memory_mb=int(properties.get("MemorySize", 128)),
        runtime=properties["Runtime"],
        log_group=properties.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}"),
    )


def _queue_policy(emulator: Emulator, _name: str, properties: Properties) -> None:
    policy = json.dumps(properties["PolicyDocument"])
    for queue_url in properties["Queues"]:
        emulator.client("sqs").set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})


def _bucket_policy(_emulator: Emulator, _name: str, _properties: Properties) -> None:
    """Nothing: the emulator ignores a policy's conditions, so a denial of plain http would deny every request."""


def _topic_policy(emulator: Emulator, _name: str, properties: Properties) -> None:
    policy = json.dumps(properties["PolicyDocument"])
    for topic_arn in properties["Topics"]:
        emulator.client("sns").set_topic_attributes(TopicArn=topic_arn, AttributeName="Policy", AttributeValue=policy)


def _subscription(emulator: Emulator, _name: str, properties: Properties) -> None:
    attributes = {
        attribute: value if isinstance(value, str) else json.dumps(value)
        for attribute, value in properties.items()
        if attribute not in ("TopicArn", "Protocol", "Endpoint")
    }
    emulator.client("sns").subscribe(
        TopicArn=properties["TopicArn"],
        Protocol=properties["Protocol"],
        Endpoint=properties["Endpoint"],
        Attributes=attributes,
    )


def _alarm(emulator: Emulator, name: str, properties: Properties) -> None:
    """Create an alarm with PutMetricAlarm; the emulator stores it and does not evaluate it."""
    emulator.client("cloudwatch").put_metric_alarm(**{"AlarmName": name, **properties})


_CREATE: dict[str, Callable[[Emulator, str, Properties], None]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::QueuePolicy": _queue_policy,
}
