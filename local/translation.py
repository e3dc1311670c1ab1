"""From `template.yaml` to the CloudFormation that the emulator can deploy, for given parameter values.

SAM's own translator does what AWS does with a SAM template. The emulator evaluates parameters and conditions
less faithfully than CloudFormation (it joins a CommaDelimitedList letter by letter and leaves a hole in a list
where a value should vanish), so those are evaluated here, and the emulator gets the result.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from local.emulator import REGION
from local.template import ParameterValue, parameter_values

_NO_VALUE = {"Ref": "AWS::NoValue"}


class _NoManagedPolicies:
    """An empty list of AWS's managed policies, which SAM's translator requires."""

    def load(self) -> dict[str, str]:
        return {}


def translate(template: Path, overrides: Mapping[str, str], code_uri: str, partition: str = "aws") -> dict[str, Any]:
    """The plain CloudFormation template of a SAM template.

    `overrides` are parameter values as `sam deploy --parameter-overrides` takes them, `code_uri` the s3 address that
    `sam package` would put in place of the functions' folders, and `partition` is where AWS is: `aws-cn` in China, say.
    Raises ValueError for a value that CloudFormation would reject.
    """
    # The translator takes its region from here only.
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    fragment = yaml_parse(template.read_text())
    for resource in fragment["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = code_uri
    values = parameter_values(fragment.get("Parameters", {}), overrides)
    translated = transform(fragment, dict(values), _NoManagedPolicies())
    return _evaluate(translated, {**values, "AWS::Partition": partition})


def _evaluate(template: dict[str, Any], values: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Evaluate parameters and conditions; the result refers only to resources and pseudo parameters."""
    declared = template.pop("Conditions", {})
    truths = {name: _holds(condition, declared, values) for name, condition in declared.items()}
    for section in ("Resources", "Outputs"):
        kept = {
            name: {key: part for key, part in entry.items() if key != "Condition"}
            for name, entry in template.get(section, {}).items()
            if "Condition" not in entry or truths[entry["Condition"]]
        }
        template[section] = _resolve(kept, values, truths)
    return {section: entries for section, entries in template.items() if section != "Parameters"}


def _holds(condition: Any, declared: Mapping[str, Any], values: Mapping[str, ParameterValue]) -> bool:
    """Whether a condition is true; CloudFormation compares as text."""
    [(function, operands)] = condition.items()
    if function == "Condition":
        return _holds(declared[operands], declared, values)
    if function == "Fn::Equals":
        left, right = (_resolve(operand, values, {}) for operand in operands)
        return str(left) == str(right)
    truths = [_holds(operand, declared, values) for operand in operands]
    return {"Fn::Not": not truths[0], "Fn::And": all(truths), "Fn::Or": any(truths)}[function]


def _resolve(node: Any, values: Mapping[str, ParameterValue], truths: Mapping[str, bool]) -> Any:
    """A part of a template with references to parameters and `Fn::If` replaced by their values."""
    if isinstance(node, list):
        parts = (_resolve(part, values, truths) for part in node)
        return [part for part in parts if part != _NO_VALUE]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Ref"} and node["Ref"] in values:
        return values[node["Ref"]]
    if node.keys() == {"Fn::If"}:
        condition, when_true, when_false = node["Fn::If"]
        return _resolve(when_true if truths[condition] else when_false, values, truths)
    resolved = {key: _resolve(part, values, truths) for key, part in node.items()}
    if node.keys() == {"Fn::Join"}:
        separator, parts = resolved["Fn::Join"]
        if all(isinstance(part, str) for part in parts):
            return separator.join(parts)
    if node.keys() == {"Fn::Sub"}:
        return {"Fn::Sub": _substitute(resolved["Fn::Sub"], values)}
    return {key: part for key, part in resolved.items() if part != _NO_VALUE}


def _substitute(operand: Any, values: Mapping[str, ParameterValue]) -> Any:
    """The operand of a `Fn::Sub`, text or [text, own names], with the `${…}` of parameters replaced."""
    text, own_names = operand if isinstance(operand, list) else (operand, {})
    for name in values.keys() - own_names.keys():
        text = text.replace(f"${{{name}}}", str(values[name]))
    return [text, own_names] if own_names else text
