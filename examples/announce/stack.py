"""A deployed stack as its users see it: its parameters and outputs, and the reports of its groups."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

# The report puts a ' before a cell that a spreadsheet would take for a formula, also if it has a ' there already. The
# last four are full-width signs.
_ESCAPED = re.compile("\\A'(?='*[-=+@\t\r\n\uff1d\uff0b\uff0d\uff20])")

_COLUMNS = {"export_id", "outcome", "reason", "code", "context"}


class StackError(Exception):
    """The stack or the report cannot be read; the text says why."""


def described(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The stack's parameters and outputs. Raises StackError."""
    try:
        [stack] = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        raise StackError(f"the stack {name} cannot be read: {error}") from None
    return (
        {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])},
        {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])},
    )


def output(stack: str, name: str) -> str:
    """One output of the stack. Raises StackError."""
    outputs = described(stack)[1]
    if name not in outputs:
        raise StackError(f"the stack {stack} has no output {name}")
    return outputs[name]


def read_report(address: str) -> list[dict[str, str]]:
    """The rows of a group's report, a file or an s3:// address, by the names of its columns. Raises StackError."""
    csv.field_size_limit(2**24)  # the default is less than a long error message
    try:
        content = _object(address) if address.startswith("s3://") else Path(address).read_bytes()
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        rows = list(csv.DictReader(text, restkey="", restval="", strict=True))
    except (OSError, ClientError, UnicodeDecodeError, csv.Error) as error:
        raise StackError(f"the report {address} cannot be read: {error}") from None
    if any(_COLUMNS - row.keys() for row in rows):
        raise StackError(f"{address} is not the CSV report of a group")
    return [{name: _ESCAPED.sub("", str(cell)) for name, cell in row.items()} for row in rows]


def _object(address: str) -> bytes:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    body: Any = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    content: bytes = body.read()
    return content
