"""`template.yaml` as data, and the environment variables of its functions."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from local.artifact import ROOT
from local.evaluation import ParameterValue, resolve, truths_of

TEMPLATE = ROOT / "template.yaml"


@cache
def template() -> dict[str, Any]:
    """The template as written; read-only."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text("utf-8"))
    return parsed


def function_environment(
    resources: Mapping[str, str], function: str = "ExportMonitorFunction", **parameters: str
) -> dict[str, str]:
    """A function's environment variables, with default values for missing parameters.

    `resources` maps logical ids to the values of references; a missing one is its own logical id.
    """
    values = {"AWS::Partition": "aws", **resources, **parameter_values(template()["Parameters"], parameters)}
    variables = template()["Resources"][function]["Properties"]["Environment"]["Variables"]
    resolved = resolve(variables, values, truths_of(template()["Conditions"], values))
    return {name: value["Ref"] if isinstance(value, dict) else value for name, value in resolved.items()}


def parameter_values(declared: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, ParameterValue]:
    """Every parameter's value as `Ref` returns it: text, even for a Number; a list for a CommaDelimitedList."""
    if unknown := overrides.keys() - declared.keys():
        raise ValueError(f"the template has no parameter {', '.join(sorted(unknown))}")
    values: dict[str, ParameterValue] = {}
    for name, declaration in declared.items():
        if name not in overrides and "Default" not in declaration:
            raise ValueError(f"parameter {name} has no default and was given no value")
        text = str(overrides.get(name, declaration.get("Default")))
        is_list = declaration["Type"] == "CommaDelimitedList"
        values[name] = [part.strip() for part in text.split(",")] if is_list else text
        for part in values[name] if is_list else [text]:
            _check(name, part, declaration)
    return values


def _check(name: str, value: str, declaration: Mapping[str, Any]) -> None:
    allowed = [str(one) for one in declaration.get("AllowedValues", [value])]
    refused = value not in allowed or not re.fullmatch(declaration.get("AllowedPattern", ".*"), value, re.DOTALL)
    if declaration["Type"] == "Number":
        number = float(value)
        refused |= not declaration.get("MinValue", number) <= number <= declaration.get("MaxValue", number)
    if refused:
        raise ValueError(f"parameter {name} does not take the value {value!r}")
