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
        before, after = (_plain(schemas[name], name, schemas) for schemas in (old, new))
        found = _broken(before, after, "", may_widen=name.startswith(ACCEPTED_PREFIX))
        broken += [f"{name}: {sentence}" for sentence in found]
    return broken


def _broken(old: Mapping[str, Any], new: Mapping[str, Any], path: str, *, may_widen: bool) -> Iterator[str]:
    """The promises of a schema that a new one breaks; `may_widen` is true for what the app accepts."""
    if may_widen and old == _NOTHING:
        return
    yield from _gone_fields(old, new, path)
    for keyword in sorted(old.keys() | new.keys()):
        before, after = old.get(keyword), new.get(keyword)
        if keyword == "properties":
            for name, field in (before or {}).items():
                yield from _broken(field, (after or {}).get(name, field), _below(path, name), may_widen=may_widen)
        elif keyword == "required":
            then, now = before or set(), after or set()
            names, what = (now - then, "is needed") if may_widen else (then - now, "may be missing")
            yield from (f"{_below(path, name)} {what}" for name in sorted(names))
        elif keyword in _SUBSCHEMA and after and (before or may_widen):
            yield from _broken(before or {}, after, path + _SUBSCHEMA[keyword], may_widen=may_widen)
        elif keyword in _SUBSCHEMAS and before and after and len(before) == len(after):
            for number, (one, other) in enumerate(zip(before, after, strict=True), 1):
                yield from _broken(one, other, f"{path}({keyword} {number})", may_widen=may_widen)
        elif before != after and not (may_widen and _accepts_as_much(keyword, before, after)):
            yield _difference(path, keyword, before, after)


def _accepts_as_much(keyword: str, before: Any, after: Any) -> bool:
    """Whether a changed rule accepts all that it did; a removed one does."""
    if before is None or after is None:
        return after is None
    if keyword == "type":
        return bool(before <= (after | {"integer"} if "number" in after else after))
    if keyword == "enum":
        return all(value in after for value in before)
    return bool((keyword in _AT_MOST and before <= after) or (keyword in _AT_LEAST and before >= after))


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
        file, _, name = schema["$ref"].partition("#/$defs/")
        target = file.removesuffix(SUFFIX) or home
        plain = _plain(schemas[target]["$defs"][name], target, schemas)
    for keyword, value in schema.items():
        if keyword not in _ANNOTATIONS | {"$ref"}:
            plain = _both(plain, _plain_keyword(keyword, value, home, schemas))
    return plain


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
