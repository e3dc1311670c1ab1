"""`make docs`: writes `docs/events.md` from `docs/asyncapi.yaml` and the JSON Schemas it refers to."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.schema_changes import SHARED, SUFFIX, load

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "asyncapi.yaml"
PAGE = DOCUMENT.with_name("events.md")
_WIDTH = 120
_INTRODUCTION = """\
The messages that the app receives and sends, field by field. `make docs` generates this page from
[`asyncapi.yaml`](asyncapi.yaml), the machine-readable description, and the JSON Schemas in [`schemas/`](../schemas).

* Ignore unknown fields and events of an unknown `type`: later versions may add them. Within `v1` no field is removed,
  renamed or changed.
* An event can arrive twice, with the same `source` and `id`. Drop the second.
* A field is always present, unless its type says 'or absent'."""

# Resolved: without references; `part` is the name of the referenced definition, if it has fields.
Schema = Mapping[str, Any]
_SCHEMAS = load()


def page() -> str:
    """The text of docs/events.md."""
    messages = yaml.safe_load(DOCUMENT.read_text("utf-8"))["components"]["messages"]
    schemas = {name: _resolved(_SCHEMAS[name], name) for name in messages}
    parts = _shared_parts(schemas.values())
    blocks = ["# The events", _INTRODUCTION]
    for name, message in messages.items():
        blocks += _message(name, message, schemas[name], parts)
    blocks += ["## Parts", "Objects that several messages contain."]
    for name, part in parts.items():
        blocks += [f"### {name}", _text(part["description"]), _fields_table(part, parts)]
    return "\n\n".join(blocks) + "\n"


def _message(name: str, message: Mapping[str, Any], schema: Schema, parts: Mapping[str, Schema]) -> Iterator[str]:
    yield f"## `{name}`"
    yield _text(f"**{message['title']}.** {message['summary']} {message.get('description', '')}")
    if "headers" in message:
        yield "Message attributes, for filter policies; one without a value, or with control characters, is omitted:"
        headers = message["headers"]["properties"].items()
        yield _table(
            ("Attribute", "Type", "Meaning"),
            (
                (f"`{key}`", "Number" if one["type"] == "integer" else "String", one["description"])
                for key, one in headers
            ),
        )
    yield _fields_table(schema, parts)
    yield f"[An example]({message['examples'][0]['payload']['$ref']}), and [more](../schemas/examples/valid/{name})."


def _fields_table(schema: Schema, parts: Mapping[str, Schema]) -> str:
    return _table(("Field", "Type", "Meaning"), _rows(schema, "", parts))


def _rows(schema: Schema, path: str, parts: Mapping[str, Schema]) -> Iterator[tuple[str, str, str]]:
    for name, field in _fields(schema).items():
        where = f"{path}{name}"
        absent = "" if name in schema.get("required", ()) else " or absent"
        if field.get("part") in parts:
            yield f"`{where}`", f"[{field['part']}](#{field['part']}){_or_null(field)}{absent}", field["description"]
            # Of a part, show only the fields described here.
            here = {"properties": field["said_here"], "required": field["required"]}
            yield from _rows(here, f"{where}.", parts)
            continue
        yield f"`{where}`", _type(field) + absent, field.get("description", "")
        yield from _rows(field.get("items", field), f"{where}[]." if "items" in field else f"{where}.", parts)


def _fields(schema: Schema) -> Schema:
    """The fields of an object, including conditional ones."""
    always: Schema = schema.get("properties", {})
    conditional = (schema.get(keyword, {}).get("properties", {}) for keyword in ("then", "else"))
    return {name: field for group in conditional for name, field in group.items() if name not in always} | {**always}


def _type(field: Schema) -> str:
    if values := field.get("enum", [field["const"]] if "const" in field else []):
        return ", ".join(f"`{value}`" for value in values)
    types = field.get("type", "any JSON")
    words = [types] if isinstance(types, str) else list(types)
    if field.get("format") == "date-time":
        words[0] = "time"
    if "maximum" in field:
        words[0] += f", {field['minimum']:,} to {field['maximum']:,},"
    if "items" in field:
        words[0] = f"array of {_type(field['items'])}s"
    return " or ".join(words).rstrip(",")


def _or_null(field: Schema) -> str:
    return " or null" if "null" in field.get("type", ()) else ""


def _shared_parts(schemas: Iterable[Schema]) -> dict[str, Schema]:
    """The definitions used by more than one schema, in order of first use."""
    found: list[Schema] = [part for schema in schemas for part in _parts(schema)]
    mentions = Counter(part["part"] for part in found)
    return {name: _whole_part(name) for name in mentions if mentions[name] > 1}


def _whole_part(name: str) -> Schema:
    """A shared definition by itself."""
    return _resolved(_SCHEMAS[SHARED]["$defs"][name], SHARED)


def _parts(schema: Schema) -> Iterator[Schema]:
    for field in _fields(schema).values():
        if "part" in field:
            yield field
        else:
            yield from _parts(field.get("items", field))


def _resolved(schema: Any, home: str) -> dict[str, Any]:
    if isinstance(schema, bool):
        return {}
    own = {keyword: _resolved_keyword(keyword, value, home) for keyword, value in schema.items()}
    if "anyOf" in own and {"type": "null"} in own["anyOf"]:
        one = own.pop("anyOf")[0]
        return {**one, "type": [one["type"], "null"], **own}
    if "$ref" not in schema:
        return own
    file, _, pointer = own.pop("$ref").partition("#/$defs/")
    target = file.removesuffix(SUFFIX) or home
    base = _resolved(_SCHEMAS[target]["$defs"][pointer], target)
    here = own.get("properties", {})
    if target == SHARED and "properties" in base:
        own |= {"part": pointer, "said_here": here}
    required = [*base.get("required", ()), *own.get("required", ())]
    return {**base, **own, "properties": {**base.get("properties", {}), **here}, "required": required}


def _resolved_keyword(keyword: str, value: Any, home: str) -> Any:
    if keyword == "properties":
        return {name: _resolved(field, home) for name, field in value.items()}
    if keyword in {"items", "then", "else"}:
        return _resolved(value, home)
    return [_resolved(one, home) for one in value] if keyword == "anyOf" else value


def _text(text: str) -> str:
    return textwrap.fill(text.strip(), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
