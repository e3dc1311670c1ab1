"""What the comparison of schemas takes for a broken promise, and what not."""

from typing import Any

import pytest

from tools.schema_changes import changes, last_release

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


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
        pytest.param(fields("a", a=TEXT), fields("a", a=TEXT, b=NUMBER), id="field"),
        pytest.param(fields("a", a=TEXT), fields("a", "b", a=TEXT, b=NUMBER), id="field that is always there"),
        pytest.param(fields(a=fields(b=TEXT)), fields(a=fields(b=TEXT, c=TEXT)), id="nested field"),
        pytest.param({"items": fields(a=TEXT)}, {"items": fields(a=TEXT, b=TEXT)}, id="field of an item"),
        pytest.param({"description": "A."}, {"description": "B.", "title": "C", "examples": [1]}, id="words"),
        pytest.param(fields(description=TEXT), fields(description=TEXT, title=TEXT), id="fields named like words"),
        pytest.param({"enum": ["a", "b"]}, {"enum": ["b", "a"]}, id="order of values"),
        pytest.param({"enum": ["a"]}, {"const": "a"}, id="one value in other words"),
        pytest.param({"type": "string"}, {"type": ["string"]}, id="one type in other words"),
        pytest.param({}, {"additionalProperties": True}, id="openness that was there"),
        pytest.param(
            {"anyOf": [fields(a=TEXT), {"type": "null"}]},
            {"anyOf": [fields(a=TEXT, b=TEXT), {"type": "null"}]},
            id="field of one form of two",
        ),
    ],
)
def test_what_is_added_breaks_no_promise_in_either_direction(old: Any, new: Any) -> None:
    assert published(old, new) == []
    assert accepted(old, {**new, **({"required": old["required"]} if "required" in new else {})}) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param(fields(a=TEXT, b=TEXT), fields(a=TEXT), "b is gone", id="field"),
        pytest.param(fields(a=fields(b=TEXT)), fields(a=fields()), "a.b is gone", id="nested field"),
        pytest.param({"items": fields(a=TEXT)}, {"items": fields()}, "[].a is gone", id="field of an item"),
        pytest.param(fields(a=TEXT), {"type": "object"}, "a is gone", id="every field"),
        pytest.param(TEXT, NUMBER, 'the whole: type was ["string"] and is ["integer"]', id="type"),
        pytest.param(
            fields(a={"pattern": "^a"}),
            fields(a={"pattern": "^b"}),
            'a: pattern was "^a" and is "^b"',
            id="pattern",
        ),
        pytest.param(TEXT, {**TEXT, "pattern": "a"}, 'the whole: pattern was absent and is "a"', id="new pattern"),
        pytest.param(TEXT, {**TEXT, "format": "uri"}, 'the whole: format was absent and is "uri"', id="new format"),
        pytest.param(
            {"additionalProperties": TEXT},
            {"additionalProperties": NUMBER},
            '.*: type was ["string"] and is ["integer"]',
            id="any field's type",
        ),
        pytest.param(
            {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
            {"if": {"required": ["c"]}, "then": {"required": ["b"]}},
            'the whole: if was {"required": ["a"]} and is {"required": ["c"]}',
            id="condition",
        ),
    ],
)
def test_what_is_gone_or_changed_breaks_a_promise_in_either_direction(old: Any, new: Any, sentence: str) -> None:
    assert published(old, new) == [sentence]
    assert accepted(old, new) == [sentence]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param(fields("a", a=TEXT), fields(a=TEXT), "a may be missing", id="required"),
        pytest.param(
            {"type": "string"},
            {"type": ["string", "null"]},
            'the whole: type was ["string"] and is ["null", "string"]',
            id="null",
        ),
        pytest.param(NUMBER, {"type": "number"}, 'the whole: type was ["integer"] and is ["number"]', id="fractions"),
        pytest.param({"enum": ["a"]}, {"enum": ["a", "b"]}, 'the whole: enum was ["a"] and is ["a", "b"]', id="value"),
        pytest.param({"const": "a"}, {}, 'the whole: enum was ["a"] and is absent', id="any value"),
        pytest.param({"maximum": 1}, {"maximum": 2}, "the whole: maximum was 1 and is 2", id="limit"),
        pytest.param({"pattern": "a"}, {}, 'the whole: pattern was "a" and is absent', id="no pattern"),
        pytest.param({"items": TEXT}, {}, 'the whole: items was {"type": ["string"]} and is absent', id="no items"),
        pytest.param(
            {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
            {"if": {"required": ["a"]}, "then": {}},
            'the whole: then was {"required": ["b"]} and is absent',
            id="no consequence",
        ),
        pytest.param(
            {"anyOf": [TEXT, {"type": "null"}]},
            {"anyOf": [TEXT, {"type": "boolean"}]},
            '(anyOf 2): type was ["null"] and is ["boolean"]',
            id="another form",
        ),
    ],
)
def test_wider_is_a_broken_promise_of_published_events_alone(old: Any, new: Any, sentence: str) -> None:
    assert published(old, new) == [sentence]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(fields("a", a=TEXT), fields(a=TEXT), id="required"),
        pytest.param({"type": "string"}, {"type": ["string", "null"]}, id="null"),
        pytest.param(NUMBER, {"type": "number"}, id="fractions"),
        pytest.param({"enum": ["a"]}, {"enum": ["a", "b"]}, id="value"),
        pytest.param({"const": "a"}, {"enum": ["b", "a"]}, id="value beside a constant"),
        pytest.param({"maximum": 1, "minLength": 2}, {"maximum": 2, "minLength": 1}, id="limits"),
        pytest.param({"pattern": "a", "not": TEXT, "items": TEXT}, {}, id="no rule"),
        pytest.param({"anyOf": [TEXT]}, {"anyOf": [NUMBER, TEXT]}, id="another form"),
        pytest.param({"allOf": [TEXT, {"maximum": 1}]}, {"allOf": [{"maximum": 2}]}, id="one rule of two"),
        pytest.param({"additionalProperties": False}, {"additionalProperties": TEXT}, id="other fields"),
    ],
)
def test_start_events_may_be_accepted_more_widely_and_not_again_as_narrowly(old: Any, new: Any) -> None:
    assert accepted(old, new) == []
    assert accepted(new, old) != []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param(fields(a=TEXT), fields("a", a=TEXT), "a is needed", id="old field"),
        pytest.param(fields(a=TEXT), fields("b", a=TEXT, b=TEXT), "b is needed", id="new field"),
        pytest.param({"items": fields()}, {"items": fields("a")}, "[].a is needed", id="field of an item"),
    ],
)
def test_start_event_that_needs_more_is_accepted_less(old: Any, new: Any, sentence: str) -> None:
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


def test_what_stands_beside_a_reference_holds_as_well() -> None:
    common = {"a": {**fields("b", b=TEXT, c=TEXT), "type": ["object", "null"]}}
    beside = {"$ref": "common.schema.json#/$defs/a", **fields("c", b={"const": "x"})}
    written_out = fields("b", "c", b={**TEXT, "const": "x"}, c=TEXT)
    assert published(beside, written_out, common) == []
    assert published(written_out, beside, common) == []
    assert published(beside, {"$ref": "common.schema.json#/$defs/a"}, common) != []


def test_rules_that_meet_are_both_kept() -> None:
    common = {"a": {"pattern": "a"}}
    both = {"$ref": "common.schema.json#/$defs/a", "pattern": "b"}
    assert published(both, both, common) == []
    assert published(both, {"$ref": "common.schema.json#/$defs/a"}, common) != []


def test_definition_that_nothing_refers_to_is_no_promise() -> None:
    assert published(TEXT, TEXT, {"a": TEXT}, {"b": TEXT}) == []


def test_forbidden_field_is_not_a_free_one() -> None:
    assert published(fields(a=False), fields(a=True)) != []
    assert accepted(fields(a=True), fields(a=False)) != []


def test_schema_may_come_but_not_go() -> None:
    old, new = {"cgc.export.failed.v1": TEXT}, {"cgc.export.failed.v2": TEXT}
    assert changes(old, old | new) == []
    assert changes(old, new) == ["cgc.export.failed.v1: the schema is gone"]


def test_highest_version_is_the_last_release(tmp_path: Any) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.11"):
        (tmp_path / version).mkdir()
    assert last_release(tmp_path).name == "1.10.0"
