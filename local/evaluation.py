"""A template's parameters, pseudo parameters and conditions, evaluated as CloudFormation does."""

from collections.abc import Mapping
from typing import Any

ParameterValue = str | list[str]

_NO_VALUE = {"Ref": "AWS::NoValue"}


def evaluate(template: dict[str, Any], values: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Evaluate parameters and conditions; the result refers only to resources and pseudo parameters."""
    truths = truths_of(template.pop("Conditions", {}), values)
    for section in ("Resources", "Outputs"):
        kept = {
            name: {key: part for key, part in entry.items() if key != "Condition"}
            for name, entry in template.get(section, {}).items()
            if "Condition" not in entry or truths[entry["Condition"]]
        }
        template[section] = resolve(kept, values, truths)
    return {section: entries for section, entries in template.items() if section != "Parameters"}


def truths_of(declared: Mapping[str, Any], values: Mapping[str, ParameterValue]) -> dict[str, bool]:
    """Whether each of a template's conditions is true."""
    return {name: _holds(condition, declared, values) for name, condition in declared.items()}


def _holds(condition: Any, declared: Mapping[str, Any], values: Mapping[str, ParameterValue]) -> bool:
    """Whether a condition is true; CloudFormation compares as text."""
    [(function, operands)] = condition.items()
    if function == "Condition":
        return _holds(declared[operands], declared, values)
    if function == "Fn::Equals":
        left, right = (resolve(operand, values, {}) for operand in operands)
        return str(left) == str(right)
    truths = [_holds(operand, declared, values) for operand in operands]
    return {"Fn::Not": not truths[0], "Fn::And": all(truths), "Fn::Or": any(truths)}[function]


def resolve(node: Any, values: Mapping[str, ParameterValue], truths: Mapping[str, bool]) -> Any:
    """A part of a template with references to parameters and `Fn::If` replaced by their values."""
    if isinstance(node, list):
        parts = (resolve(part, values, truths) for part in node)
        return [part for part in parts if part != _NO_VALUE]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Ref"} and node["Ref"] in values:
        return values[node["Ref"]]
    if node.keys() == {"Fn::If"}:
        condition, when_true, when_false = node["Fn::If"]
        return resolve(when_true if truths[condition] else when_false, values, truths)
    resolved = {key: resolve(part, values, truths) for key, part in node.items()}
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
