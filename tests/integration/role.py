"""Compares a function's role with the calls that the function makes."""

from ast import literal_eval
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from local.emulator import ACCOUNT_ID, REGION
from local.faults import Call
from local.stack import Stack

# IAM's action for a call, where it is not the call's own name ("Actions, resources, and condition keys" of each
# service in the Service Authorization Reference).
_ACTIONS = {
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "HeadObject": "s3:GetObject",
    "PublishBatch": "sns:Publish",
    "SendMessageBatch": "sqs:SendMessage",
    "TransactWriteItems": "dynamodb:UpdateItem",
}
# Asked for one version, the action is another.
_OF_A_VERSION = {"s3:GetObject": "s3:GetObjectVersion", "s3:GetObjectAcl": "s3:GetObjectVersionAcl"}

Right = tuple[str, str]


def rights_used(calls: Iterable[Call]) -> set[Right]:
    """Action and resource of each call."""
    return {(_action(call), _arn(call)) for call in calls}


def rights_given(stack: Stack, role_id: str = "ExportMonitorRole") -> set[Right]:
    """Action and resource pattern of each allowing statement of a role, as deployed."""
    iam, role = stack.client("iam"), stack.deployment.physical_ids[role_id]
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    # The emulator gives a document as Python writes it, where IAM gives it as JSON.
    documents = [literal_eval(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]) for name in names]
    return {
        (action, resource)
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }


def covers(given: Right, used: Right) -> bool:
    """Whether the right that is given allows the one that is used."""
    return given[0] == used[0] and fnmatchcase(used[1], given[1])


def rights_unused(given: set[Right], used: set[Right]) -> set[str]:
    """The actions given but not used. Of S3's it is the action that must be used, not each of its resources."""
    actions = {action for action, _ in used}
    return {
        action
        for action, resource in given
        if not any(covers((action, resource), one) for one in used)
        and not (action.startswith("s3:") and action in actions)
    }


def rights_exceeded(stack: Stack) -> set[Right]:
    """The calls of the stack's functions that their roles do not allow."""
    calls_of = {"ExportMonitorRole": stack.aws.calls}
    if stack.content_mapping:
        calls_of["ContentCheckRole"] = stack.content_aws.calls
    return {
        used
        for role, calls in calls_of.items()
        for used in rights_used(calls)
        if not any(covers(right, used) for right in rights_given(stack, role))
    }


def _action(call: Call) -> str:
    action = _ACTIONS.get(call.operation, f"{call.service}:{call.operation}")
    return _OF_A_VERSION.get(action, action) if call.versioned else action


def _arn(call: Call) -> str:
    match call.service:
        case "sqs":
            return f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{call.resource.rpartition('/')[2]}"
        case "dynamodb":
            return f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{call.resource}"
        case "s3":
            return f"arn:aws:s3:::{call.resource}"
    return call.resource


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
