"""The stack's policies as deployed, evaluated by a policy engine: iam-simulate, which `make test` installs with npm."""

import json
import os
import subprocess
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3
from moto import mock_aws

from local.artifact import ROOT
from local.deployment import deploy
from local.emulator import ACCOUNT_ID, REGION
from local.template import TEMPLATE, template
from tools.translated_template import EVERY_PART

ENGINE = ROOT / ".build" / "policy-engine"
_SUBSCRIBER = EVERY_PART["SubscriberAccountIds"].split(",")[0]
_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{{}}",
    "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT_ID}:role/{{}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": "{}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{{}}",
}
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# The default policy of a KMS key leaves access to the policies of its account's principals.
_KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT_ID}, "Action": "kms:*", "Resource": "*"}],
}
# Principals without a role of the stack, and what their own policies allow: everything, or nothing.
_OTHERS = {
    "administrator": (f"arn:aws:iam::{ACCOUNT_ID}:role/administrator", [_EVERYTHING]),
    "colleague": (f"arn:aws:iam::{ACCOUNT_ID}:role/colleague", []),
    "subscriber": (f"arn:aws:iam::{_SUBSCRIBER}:role/pipeline", [_EVERYTHING]),
    "stranger": ("arn:aws:iam::999999999999:role/administrator", [_EVERYTHING]),
    "anonymous": ({"type": "Anonymous"}, []),
}


@dataclass(frozen=True)
class Call:
    """Somebody's action on a resource, which is a logical id, that of a bucket with a key, or an ARN.

    `who` is a role's logical id, one of `_OTHERS`, or a service that acts for the resource `source`. `context` holds
    further condition keys.
    """

    who: str
    action: str
    resource: str
    source: str = ""
    context: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        parts = (self.who, self.source, self.action, self.resource, *(f"{key}={value}" for key, value in self.context))
        return " ".join(part for part in parts if part)


class Policies:
    """The policies of the deployed template, with every optional part."""

    def __init__(self) -> None:
        with mock_aws():
            client = boto3.Session("key", "secret", region_name=REGION).client
            ids = deploy(SimpleNamespace(client=client), TEMPLATE, EVERY_PART).physical_ids
            types = {name: template()["Resources"][name]["Type"] for name in ids}
            self.arns = {
                name: _ARNS[types[name]].format(ids[name].rpartition("/")[2] if "SQS" in types[name] else ids[name])
                for name in ids
                if types[name] in _ARNS
            }
            sqs, sns, iam = client("sqs"), client("sns"), client("iam")
            self.queues = {
                name: sqs.get_queue_attributes(QueueUrl=ids[name], AttributeNames=["Policy"])["Attributes"]["Policy"]
                for name in ids
                if types[name] == "AWS::SQS::Queue"
            }
            self.topics = {
                name: sns.get_topic_attributes(TopicArn=ids[name])["Attributes"]["Policy"]
                for name in ids
                if types[name] == "AWS::SNS::Topic"
            }
            self.roles = {
                name: [
                    # The emulator gives a document as Python writes it, where IAM gives it as JSON.
                    literal_eval(iam.get_role_policy(RoleName=ids[name], PolicyName=policy)["PolicyDocument"])
                    for policy in iam.list_role_policies(RoleName=ids[name])["PolicyNames"]
                ]
                for name in ids
                if types[name] == "AWS::IAM::Role"
            }

    def allow(self, calls: Sequence[Call]) -> list[bool]:
        """Whether each call is allowed; raises RuntimeError where the engine does not understand one."""
        done = subprocess.run(  # noqa: S603 -- the project's own script
            ["node", ROOT / "tests" / "policy_engine" / "evaluate.cjs"],  # noqa: S607 -- as it is installed
            input=json.dumps([self._simulation(call) for call in calls]),
            env={**os.environ, "NODE_PATH": str(ENGINE / "node_modules")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return [verdict == "Allowed" for verdict in json.loads(done.stdout)]

    def _simulation(self, call: Call) -> Mapping[str, Any]:
        """The engine's input: the request, the policies of its principal, and that of its resource."""
        if call.who in self.roles:
            principal, policies = self.arns[call.who], self.roles[call.who]
        else:
            principal, policies = _OTHERS.get(call.who, (call.who, []))
        context = {"aws:SecureTransport": "true"}
        if call.source:
            source = self._arn(call.source)
            context |= {"aws:SourceArn": source, "aws:SourceAccount": source.split(":")[4]}
        elif call.who != "anonymous":
            context |= {"aws:PrincipalArn": principal, "aws:PrincipalAccount": principal.split(":")[4]}
        resource = self._arn(call.resource)
        of_resource = self.queues.get(call.resource) or self.topics.get(call.resource)
        return {
            "request": {
                "principal": principal,
                "action": call.action,
                "resource": {"resource": resource, "accountId": ACCOUNT_ID},
                "contextVariables": context | dict(call.context),
            },
            "identityPolicies": [{"name": str(number), "policy": one} for number, one in enumerate(policies)],
            "resourcePolicy": json.loads(of_resource) if of_resource else _KEY_POLICY if ":kms:" in resource else None,
        }

    def _arn(self, resource: str) -> str:
        if resource.startswith("arn:"):
            return resource
        bucket, slash, key = resource.partition("/")
        return self.arns[bucket] + slash + key
