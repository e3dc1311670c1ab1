"""Compares the JSON Schemas in `schemas/` with the last released ones, in `schemas/released/<version>/`.

    python -m tools.schema_changes              prints each broken promise; exits with 1 if there is one
    python -m tools.schema_changes DIRECTORY    the same for the schemas in this directory

The rules depend on the direction:

* **Published events** may gain fields, and an optional field may become required. Nothing else may change. An enum must
  keep its values: subscribers ignore unknown fields and types, but a filter policy or code that lists the values would
  miss a new one, and may wait for a removed one. A list that is to grow is a string whose description says so, like the
  `name` of a check.
* **Start events** may be accepted more widely, never more narrowly. A new optional field counts as wider, although
  senders may have used its name for something else while it was ignored.

The comparison is by keyword. An equivalent rule, such as a rewritten pattern, is reported too: a person must decide.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# A schema by its name, which is the file's without suffix.
Schemas = Mapping[str, Mapping[str, Any]]

DIRECTORY = Path(__file__).resolve().parent.parent / "schemas"
SUFFIX = ".schema.json"
# Accepted by the app; all others are published by it, except the shared definitions.
ACCEPTED_PREFIX = "start-event."
SHARED = "common"

_ANNOTATIONS = {"$schema", "$id", "$comment", "$defs", "title", "description", "examples", "default", "deprecated"}
_SUBSCHEMA = {"items": "[]", "additionalProperties": ".*", "then": "(then)", "else": "(else)"}
_CONDITION = {"if", "not", "contains"}
_SUBSCHEMAS = {"allOf", "anyOf", "oneOf"}
_AT_MOST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_AT_LEAST = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_NOTHING: dict[str, Any] = {"not": {}}


def load(directory: Path = DIRECTORY) -> Schemas:
    """The schemas of a directory."""
    return {
        path.name.removesuffix(SUFFIX): json.loads(path.read_text("utf-8")) for path in directory.glob(f"*{SUFFIX}")
    }


def last_release(directory: Path = DIRECTORY / "released") -> Path:
    """The directory of the highest version."""
    return max(directory.iterdir(), key=lambda path: [int(number) for number in path.name.split(".")])


def changes(old: Schemas, new: Schemas) -> list[str]:
    """A sentence for each promise that the new schemas break. A schema must not refer to itself."""
    broken: list[str] = []
    for name in sorted(old.keys() - {SHARED}):
        if name not in new:
            broken.append(f"{name}: the schema is gone")
            continue
        compare = _accepted if name.startswith(ACCEPTED_PREFIX) else _published
        found = compare(_plain(old[name], name, old), _plain(new[name], name, new), "")
        broken += [f"{name}: {sentence}" for sentence in found]
    return broken


def _published(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in sorted(old.keys() | new.keys()):
        before, after = old.get(keyword), new.get(keyword)
        if keyword == "properties":
            yield from _gone_fields(old, new, path)
            for name, field in (before or {}).items():
                yield from _published(field, (after or {}).get(name, field), _below(path, name))
        elif keyword == "required":
            yield from (f"{_below(path, name)} may be missing" for name in sorted((before or set()) - (after or set())))
        elif keyword in _SUBSCHEMA and before and after:
            yield from _published(before, after, path + _SUBSCHEMA[keyword])
        elif keyword in _SUBSCHEMAS and before and after and len(before) == len(after):
            for number, (one, other) in enumerate(zip(before, after, strict=True), 1):
                yield from _published(one, other, f"{path}({keyword} {number})")
        elif before != after:
            yield _difference(path, keyword, before, after)


def _accepted(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[str]:
    if old == _NOTHING:
        return
    yield from _gone_fields(old, new, path)
    # A removed rule accepts more.
    for keyword, after in sorted(new.items()):
        before = old.get(keyword)
        if keyword == "properties":
            for name, field in (before or {}).items():
                yield from _accepted(field, after.get(name, field), _below(path, name))
        elif keyword == "required":
            yield from (f"{_below(path, name)} is needed" for name in sorted(after - (before or set())))
        elif keyword in _SUBSCHEMA:
            yield from _accepted(before or {}, after, path + _SUBSCHEMA[keyword])
        elif not _accepts_as_much(keyword, before, after):
            yield _difference(path, keyword, before, after)


def _accepts_as_much(keyword: str, before: Any, after: Any) -> bool:
    if before == after:
        return True
    if before is None:
        return False
    if keyword == "type":
        return bool(before <= (after | {"integer"} if "number" in after else after))
    if keyword == "enum":
        return all(value in after for value in before)
    if keyword in _AT_MOST:
        return bool(before <= after)
    if keyword in _AT_LEAST:
        return bool(before >= after)
    if keyword == "anyOf":
        return all(any(_is_as_wide(one, other) for other in after) for one in before)
    if keyword == "allOf":
        return all(any(_is_as_wide(one, other) for one in before) for other in after)
    return False


def _is_as_wide(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return not any(_accepted(old, new, ""))


def _gone_fields(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[str]:
    gone = old.get("properties", {}).keys() - new.get("properties", {}).keys()
    yield from (f"{_below(path, name)} is gone" for name in sorted(gone))


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _difference(path: str, keyword: str, before: Any, after: Any) -> str:
    was, now = ("absent" if value is None else json.dumps(value, default=sorted) for value in (before, after))
    return f"{path or 'the whole'}: {keyword} was {was} and is {now}"


def _plain(schema: Any, home: str, schemas: Schemas) -> dict[str, Any]:
    """A schema without references and annotations, with sets for unordered lists."""
    if isinstance(schema, bool):
        return {} if schema else _NOTHING
    plain: dict[str, Any] = {}
    if "$ref" in schema:
        file, _, pointer = schema["$ref"].partition("#")
        target = file.removesuffix(SUFFIX) or home
        plain = _plain(_pointed_to(schemas[target], pointer.split("/")[1:]), target, schemas)
    for keyword, value in schema.items():
        if keyword not in _ANNOTATIONS | {"$ref"}:
            plain = _both(plain, _plain_keyword(keyword, value, home, schemas))
    return plain


def _pointed_to(schema: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        schema = schema[step]
    return schema


def _plain_keyword(keyword: str, value: Any, home: str, schemas: Schemas) -> dict[str, Any]:
    if keyword == "properties":
        return {keyword: {name: _plain(field, home, schemas) for name, field in value.items()}}
    if keyword in _SUBSCHEMAS:
        return {keyword: [_plain(one, home, schemas) for one in value]}
    if keyword in _CONDITION or keyword in _SUBSCHEMA:
        inner = _plain(value, home, schemas)
        return {keyword: inner} if inner or keyword in _CONDITION else {}
    if keyword in {"type", "required"}:
        return {keyword: {value} if isinstance(value, str) else set(value)}
    if keyword in {"const", "enum"}:
        return {"enum": [value] if keyword == "const" else sorted(value, key=json.dumps)}
    return {keyword: value}


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The conjunction of two plain schemas."""
    both = {**one}
    for keyword, value in other.items():
        if keyword not in both or both[keyword] == value:
            both[keyword] = value
        elif keyword == "properties":
            names = [*both[keyword], *(name for name in value if name not in both[keyword])]
            both[keyword] = {name: _both(both[keyword].get(name, {}), value.get(name, {})) for name in names}
        elif keyword == "required":
            both[keyword] = both[keyword] | value
        elif keyword == "type":
            both[keyword] = both[keyword] & value
        else:
            both["allOf"] = [*both.get("allOf", []), {keyword: value}]
    return both


def main(arguments: Sequence[str]) -> int:
    """Compare the current schemas, or those of a directory, with the last released ones."""
    broken = changes(load(last_release()), load(*map(Path, arguments)))
    print("\n".join(broken) or f"Every promise of {last_release().name} is kept.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
