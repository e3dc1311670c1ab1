"""The JSON Schemas and their examples, as a consumer finds them: files that refer to each other, nothing fetched."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DIRECTORY = Path(__file__).parents[2] / "schemas"
_SUFFIX = ".schema.json"

CONTENTS: dict[str, Any] = {path.name: json.loads(path.read_text("utf-8")) for path in DIRECTORY.glob(f"*{_SUFFIX}")}


@cache
def validator(schema: str, *, closed: bool = False) -> Draft202012Validator:
    """The validator of a schema by its name without suffix; `closed` forbids fields that the schema does not name."""
    contents = {name: _closed(content) if closed else content for name, content in CONTENTS.items()}
    resources = [(name, Resource(contents=content, specification=DRAFT202012)) for name, content in contents.items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(contents[schema + _SUFFIX], registry=registry, format_checker=checker)


def example_files(kind: str) -> list[Path]:
    """The examples of one kind, `valid` or `invalid`, each in the directory of its schema."""
    return sorted((DIRECTORY / "examples" / kind).glob("*/*.json"))


def fields_at_fault(errors: Iterator[ValidationError]) -> set[str]:
    """The dotted paths of what is wrong, missing fields included; the whole is the empty path."""
    fields = set()
    for error in errors:
        missing = [name for name in error.validator_value if name not in error.instance] if _is_lack(error) else [None]
        fields |= {".".join(str(part) for part in (*error.absolute_path, name) if part is not None) for name in missing}
    return fields


def _is_lack(error: ValidationError) -> bool:
    return bool(error.validator == "required")


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
