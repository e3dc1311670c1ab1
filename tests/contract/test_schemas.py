"""Start events: what the JSON Schemas allow is accepted, and what they forbid is rejected.

Beyond the schemas are a context's bytes and depth, the source that a stack was given, and what is not JSON.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from export_monitor.domain.start_events import (
    MAX_CONTEXT_BYTES,
    MAX_CONTEXT_DEPTH,
    MAX_GROUP_SIZE,
    StartEventError,
    parse_start_event,
)
from tests.contract.schema_files import (
    CONTENTS,
    InvalidExample,
    example_files,
    example_id,
    faults,
    invalid_examples,
    validator,
)

SOURCE = "cgc.exports"
SCHEMAS = {"start-event.detail", "start-event.eventbridge"}
VALID = [path for path in example_files() if path.parent.name in SCHEMAS]
INVALID = invalid_examples()

JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ODD_IDS = ["", "a\n", "\na", "../a", "a b", "é", "٣", "_", "-", "a" * 128, "a" * 129]
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True) | st.sampled_from(ODD_IDS) | JSON
ODD_SIZES = [-1, 0, MAX_GROUP_SIZE, MAX_GROUP_SIZE + 1, 1.0, 2.5, 1e300, True, "2"]
SIZES = st.integers(1, MAX_GROUP_SIZE) | st.sampled_from(ODD_SIZES) | JSON
GROUPS = st.fixed_dictionaries({}, optional={"id": IDS, "size": SIZES, "more": JSON}) | JSON
CONTEXTS = st.dictionaries(st.text(max_size=8), JSON, max_size=3) | JSON
FLAGS = st.booleans() | st.sampled_from(["true", 0, 1, None]) | JSON
FIELDS = {"export_id": IDS, "id": IDS, "context": CONTEXTS, "group": GROUPS, "republish": FLAGS, "state": JSON}
DETAILS = st.fixed_dictionaries({}, optional=FIELDS) | JSON
LOOKALIKES = st.fixed_dictionaries(
    {"export_id": IDS}, optional={"detail-type": JSON, "Type": st.just("Notification"), "Message": JSON}
)
ENVELOPES = st.fixed_dictionaries(
    {"detail-type": st.just("Export Started") | JSON}, optional={"source": st.just(SOURCE) | JSON, "detail": DETAILS}
)


def error_of(event: Any, source: str = SOURCE) -> str | None:
    """The error of a start event, or None where it is accepted."""
    try:
        parse_start_event(json.dumps(event), source)
    except StartEventError as error:
        return str(error)
    return None


def test_every_schema_is_one_and_has_examples_of_both_kinds() -> None:
    for name in CONTENTS:
        validator(name.removesuffix(".schema.json")).check_schema(CONTENTS[name])
    schemas = {name.removesuffix(".schema.json") for name in CONTENTS} - {"common"}
    assert {path.parent.name for path in example_files()} == {invalid.schema for invalid in INVALID} == schemas


def test_examples_inside_the_schemas_are_valid() -> None:
    assert CONTENTS["start-event.detail.schema.json"]["examples"]
    for name, content in CONTENTS.items():
        for example in content.get("examples", ()):
            validator(name.removesuffix(".schema.json")).validate(example)


@pytest.mark.parametrize("path", VALID, ids=example_id)
def test_valid_start_event_is_accepted_by_schema_and_code(path: Path) -> None:
    event = json.loads(path.read_text("utf-8"))
    validator(path.parent.name).validate(event)
    assert error_of(event) is None


@pytest.mark.parametrize("invalid", INVALID, ids=str)
def test_valid_example_with_one_bad_value_is_rejected_for_that_alone(invalid: InvalidExample) -> None:
    assert faults(invalid.schema, invalid.event()) == invalid.faults


@pytest.mark.parametrize("invalid", [one for one in INVALID if one.schema in SCHEMAS], ids=str)
def test_code_rejects_an_invalid_start_event_for_the_same_field(invalid: InvalidExample) -> None:
    # Where both ids are missing, the schema asks for `id`, the code for `export_id`.
    (field,) = {invalid.row["at"]} if invalid.faults == {"/id"} else invalid.faults
    # A field within the envelope is named as without it; the whole is `body`.
    name = field.strip("/").replace("/", ".").removeprefix("detail.") or "body"
    assert str(error_of(invalid.event())).startswith(f"{name}: ")


@settings(max_examples=300, deadline=None)
@given(DETAILS | LOOKALIKES)
def test_detail_object_is_accepted_exactly_when_its_schema_allows_it(detail: Any) -> None:
    assert (error_of(detail) is None) == validator("start-event.detail").is_valid(detail)


@settings(max_examples=300, deadline=None)
@given(ENVELOPES)
def test_eventbridge_event_is_accepted_exactly_when_its_schema_allows_it(envelope: Any) -> None:
    source = envelope.get("source")
    error = error_of(envelope, source if isinstance(source, str) else SOURCE)
    assert (error is None) == validator("start-event.eventbridge").is_valid(envelope)


def nested(depth: int) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for _ in range(depth - 1):
        context = {"a": context}
    return context


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        ({"a": "é" * (MAX_CONTEXT_BYTES // 2 - 4)}, {"a": "é" * (MAX_CONTEXT_BYTES // 2 - 3)}),
        (nested(MAX_CONTEXT_DEPTH), nested(MAX_CONTEXT_DEPTH + 1)),
        ({"a": "\U0001f9ec"}, {"a": "\ud83e"}),
    ],
    ids=["bytes", "depth", "lone surrogate"],
)
def test_limits_of_a_context_that_no_schema_can_state_are_checked_by_the_code(within: Any, beyond: Any) -> None:
    for context in (within, beyond):
        validator("start-event.detail").validate({"export_id": "a", "context": context})
    assert error_of({"export_id": "a", "context": within}) is None
    assert str(error_of({"export_id": "a", "context": beyond})).startswith("context: ")


def test_event_of_another_source_is_valid_by_the_schema_and_rejected_by_the_code() -> None:
    envelope = {"source": "elsewhere", "detail-type": "Export Started", "detail": {"export_id": "a"}}
    validator("start-event.eventbridge").validate(envelope)
    assert error_of(envelope) == "source: must be 'cgc.exports'"
