"""The JSON Schemas and their examples, as a consumer finds them: files that refer to each other, nothing fetched."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DIRECTORY = Path(__file__).parents[2] / "schemas"
EXAMPLES = DIRECTORY / "examples"
_SUFFIX = ".schema.json"

CONTENTS: dict[str, Any] = {path.name: json.loads(path.read_text("utf-8")) for path in DIRECTORY.glob(f"*{_SUFFIX}")}


@cache
def validator(schema: str, *, closed: bool = False) -> Draft202012Validator:
    """The validator of a schema by its name without suffix; `closed` forbids fields that the schema does not name."""
    return validator_of({name: _closed(content) if closed else content for name, content in CONTENTS.items()}, schema)


def validator_of(contents: Mapping[str, Any], schema: str) -> Draft202012Validator:
    """The validator of one of these schemas, by its name without suffix; they may refer to each other."""
    resources = [(name, Resource(contents=content, specification=DRAFT202012)) for name, content in contents.items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(contents[schema + _SUFFIX], registry=registry, format_checker=checker)


def example_files() -> list[Path]:
    """The valid examples, each in the directory of its schema."""
    return sorted((EXAMPLES / "valid").glob("*/*.json"))


def example_id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@dataclass(frozen=True)
class InvalidExample:
    """A row of the table of invalid examples: a valid example with one edit."""

    row: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.row['example']}{self.row['at']} {self.row.get('set', 'removed')!r:.40}"

    @property
    def schema(self) -> str:
        return str(self.row["example"]).partition("/")[0]

    @property
    def faults(self) -> set[str]:
        """JSON pointers to what the schema rejects: the edited value, or what no longer fits it."""
        return set(self.row.get("faults", [self.row["at"]]))

    def event(self) -> Any:
        """The example with the value at the JSON pointer `at` set to another, or removed."""
        whole: Any = {"": json.loads((EXAMPLES / "valid" / f"{self.row['example']}.json").read_text("utf-8"))}
        *steps, last = [int(step) if step.isdecimal() else step for step in self.row["at"].split("/")]
        parent = reduce(getitem, steps, whole)
        if self.row.get("remove"):
            del parent[last]
        else:
            parent[last] = self.row["set"]
        return whole[""]


def invalid_examples() -> list[InvalidExample]:
    """The table of invalid examples."""
    return [InvalidExample(row) for row in json.loads((EXAMPLES / "invalid.json").read_text("utf-8"))]


def faults(schema: str, event: Any) -> set[str]:
    """JSON pointers to what a schema rejects, fields that are missing included."""
    found = set()
    for error in validator(schema).iter_errors(event):
        is_lack = error.validator == "required"
        missing = [[name] for name in error.validator_value if name not in error.instance] if is_lack else [[]]
        found |= {"".join(f"/{step}" for step in (*error.absolute_path, *name)) for name in missing}
    return found


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    # Only where an object is described whole, and not said to be open by its nature.
    if "properties" in schema and "object" in schema.get("type", ()):
        closed.setdefault("additionalProperties", False)
    return closed
