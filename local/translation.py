"""From `template.yaml` to the CloudFormation that the emulator can deploy, for given parameter values.

SAM's own translator does what AWS does with a SAM template. The emulator evaluates parameters and conditions
less faithfully than CloudFormation (it joins a CommaDelimitedList letter by letter and leaves a hole in a list
where a value should vanish), so those are evaluated before, and the emulator gets the result.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from local.emulator import REGION
from local.evaluation import evaluate
from local.template import parameter_values


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
    return evaluate(translated, {**values, "AWS::Partition": partition})
