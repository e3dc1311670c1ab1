"""Which schema changes break a promise."""

from typing import Any

import pytest

from tools.schema_changes import changes, last_release

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
ANY_OF = '(anyOf 1): type was ["string"] and is ["null", "string"]'


def fields(*required: str, **properties: Any) -> Any:
    return {"type": "object", "required": list(required), "properties": properties}


def found(name: str, old: Any, new: Any, common: Any = None, new_common: Any = None) -> list[str]:
    shared = {"$defs": common or {}}, {"$defs": new_common or common or {}}
    sentences = changes({name: old, "common": shared[0]}, {name: new, "common": shared[1]})
    return [sentence.removeprefix(f"{name}: ") for sentence in sentences]


def published(*schemas: Any) -> list[str]:
    return found("cgc.export.completed.v1", *schemas)


def accepted(*schemas: Any) -> list[str]:
    return found("start-event.detail", *schemas)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (fields("a", a=TEXT), fields("a", a=TEXT, b=NUMBER)),
        (fields("a", a=TEXT), fields("a", "b", a=TEXT, b=NUMBER)),
        (fields(a=fields(b=TEXT)), fields(a=fields(b=TEXT, c=TEXT))),
        ({"items": fields(a=TEXT)}, {"items": fields(a=TEXT, b=TEXT)}),
        ({"description": "A."}, {"description": "B.", "title": "C", "examples": [1]}),
        (fields(description=TEXT), fields(description=TEXT, title=TEXT)),
        ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
        ({"enum": ["a"]}, {"const": "a"}),
        ({"type": "string"}, {"type": ["string"]}),
        ({}, {"additionalProperties": True}),
        ({"anyOf": [fields(a=TEXT), {"type": "null"}]}, {"anyOf": [fields(a=TEXT, b=TEXT), {"type": "null"}]}),
    ],
)
def test_addition_breaks_no_promise_in_either_direction(old: Any, new: Any) -> None:
    assert published(old, new) == []
    assert accepted(old, {**new, **({"required": old["required"]} if "required" in new else {})}) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (fields(a=TEXT, b=TEXT), fields(a=TEXT), "b is gone"),
        (fields(a=fields(b=TEXT)), fields(a=fields()), "a.b is gone"),
        ({"items": fields(a=TEXT)}, {"items": fields()}, "[].a is gone"),
        (fields(a=TEXT), {"type": "object"}, "a is gone"),
        (TEXT, NUMBER, 'the whole: type was ["string"] and is ["integer"]'),
        (fields(a={"pattern": "^a"}), fields(a={"pattern": "^b"}), 'a: pattern was "^a" and is "^b"'),
        (TEXT, {**TEXT, "pattern": "a"}, 'the whole: pattern was absent and is "a"'),
        (TEXT, {**TEXT, "format": "uri"}, 'the whole: format was absent and is "uri"'),
        (
            {"additionalProperties": TEXT},
            {"additionalProperties": NUMBER},
            '.*: type was ["string"] and is ["integer"]',
        ),
        ({"if": TEXT}, {"if": NUMBER}, 'the whole: if was {"type": ["string"]} and is {"type": ["integer"]}'),
    ],
)
def test_removal_or_change_breaks_a_promise_in_either_direction(old: Any, new: Any, sentence: str) -> None:
    assert published(old, new) == [sentence]
    assert accepted(old, new) == [sentence]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (fields("a", a=TEXT), fields(a=TEXT), "a may be missing"),
        ({"type": "string"}, {"type": ["string", "null"]}, 'the whole: type was ["string"] and is ["null", "string"]'),
        (NUMBER, {"type": "number"}, 'the whole: type was ["integer"] and is ["number"]'),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, 'the whole: enum was ["a"] and is ["a", "b"]'),
        ({"const": "a"}, {}, 'the whole: enum was ["a"] and is absent'),
        ({"maximum": 1}, {"maximum": 2}, "the whole: maximum was 1 and is 2"),
        ({"minLength": 2}, {"minLength": 1}, "the whole: minLength was 2 and is 1"),
        ({"pattern": "a"}, {}, 'the whole: pattern was "a" and is absent'),
        ({"items": TEXT}, {}, 'the whole: items was {"type": ["string"]} and is absent'),
        ({"anyOf": [TEXT]}, {"anyOf": [{"type": ["string", "null"]}]}, ANY_OF),
        ({"additionalProperties": False}, {"additionalProperties": TEXT}, ".*: not was {} and is absent"),
    ],
)
def test_wider_rule_breaks_a_promise_for_published_events_only(old: Any, new: Any, sentence: str) -> None:
    assert published(old, new)[0] == sentence
    assert accepted(old, new) == []
    assert accepted(new, old) != []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (fields(a=TEXT), fields("a", a=TEXT), "a is needed"),
        (fields(a=TEXT), fields("b", a=TEXT, b=TEXT), "b is needed"),
        ({"items": fields()}, {"items": fields("a")}, "[].a is needed"),
    ],
)
def test_new_required_field_of_a_start_event_breaks_a_promise(old: Any, new: Any, sentence: str) -> None:
    assert accepted(old, new) == [sentence]
    assert published(old, new) == []


@pytest.mark.parametrize(("kind", "lost"), [(published, "a.b.c is gone"), (accepted, "a.b.c is gone")])
def test_change_is_seen_through_references(kind: Any, lost: str) -> None:
    message = fields(a={"$ref": "#/$defs/a"}) | {"$defs": {"a": fields(b={"$ref": "common.schema.json#/$defs/b"})}}
    assert kind(message, message, {"b": fields(c=TEXT)}, {"b": fields(d=TEXT)}) == [lost]


def test_reference_within_the_shared_file_is_to_that_file() -> None:
    message = {"$ref": "common.schema.json#/$defs/a"}
    common = {"a": {"$ref": "#/$defs/b"}, "b": TEXT}
    assert published(message, message, common, {**common, "b": NUMBER}) == [
        'the whole: type was ["string"] and is ["integer"]'
    ]


def test_keywords_next_to_a_reference_apply_as_well() -> None:
    common = {"a": {**fields("b", b=TEXT, c=TEXT), "type": ["object", "null"]}}
    combined = {"$ref": "common.schema.json#/$defs/a", **fields("c", b={"const": "x"})}
    written_out = fields("b", "c", b={**TEXT, "const": "x"}, c=TEXT)
    assert published(combined, written_out, common) == []
    assert published(written_out, combined, common) == []
    assert published(combined, {"$ref": "common.schema.json#/$defs/a"}, common) != []


def test_two_rules_for_the_same_keyword_are_both_kept() -> None:
    common = {"a": {"pattern": "a"}}
    both = {"$ref": "common.schema.json#/$defs/a", "pattern": "b"}
    assert published(both, both, common) == []
    assert published(both, {"$ref": "common.schema.json#/$defs/a"}, common) != []


def test_definition_that_nothing_refers_to_is_no_promise() -> None:
    assert published(TEXT, TEXT, {"a": TEXT}, {"b": TEXT}) == []


def test_forbidden_field_is_not_a_free_one() -> None:
    assert published(fields(a=False), fields(a=True)) != []
    assert accepted(fields(a=True), fields(a=False)) != []


def test_schema_may_be_added_but_not_removed() -> None:
    old, new = {"cgc.export.failed.v1": TEXT}, {"cgc.export.failed.v2": TEXT}
    assert changes(old, old | new) == []
    assert changes(old, new) == ["cgc.export.failed.v1: the schema is gone"]


def test_highest_version_is_the_last_release(tmp_path: Any) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.11"):
        (tmp_path / version).mkdir()
    assert last_release(tmp_path).name == "1.10.0"
