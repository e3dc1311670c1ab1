"""Published events: what the code emits is what the JSON Schemas say, neither more nor less."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from export_monitor.domain.checks import CHECKS
from export_monitor.domain.events import COMPLETED_TYPE, DELAYED_TYPE, FAILED_TYPE
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import CONCLUDED_TYPE, FailedMember, GroupProgress, concluded_message
from export_monitor.domain.model import Group
from export_monitor.domain.start_events import MAX_GROUP_SIZE
from export_monitor.domain.verdicts import CheckStatus, Failure, Reason
from tests.contract.sample_events import (
    ENDINGS,
    as_text,
    example,
    examples,
    published,
)
from tests.contract.schema_files import CONTENTS, example_files, example_id, validator

NOW = 1466018264.0
PUBLISHED = {COMPLETED_TYPE, FAILED_TYPE, DELAYED_TYPE, CONCLUDED_TYPE}
# The exemplary events by their files.
EXAMPLES = examples()

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
TEXTS = st.none() | st.text(max_size=1024)
TIMES = st.floats(0, 4e9)
REASONS, CODES = st.sampled_from(Reason).map(str), st.none() | st.integers()
MEMBERS = st.builds(FailedMember, IDS, REASONS, st.text(max_size=500), CODES, TEXTS, TEXTS, TEXTS)


def check(event: Any) -> None:
    """Valid as published, and without a field that the schema does not name."""
    validator(event["type"]).validate(event)
    validator(event["type"], closed=True).validate(event)


@pytest.mark.parametrize("path", EXAMPLES, ids=example_id)
def test_published_example_is_what_the_code_emits(path: Path) -> None:
    event = EXAMPLES[path]
    check(event)
    assert event["type"] == path.parent.name
    assert path.read_text("utf-8") == as_text(event)


def test_there_is_an_example_for_each_reason_and_every_example_is_tested() -> None:
    assert {path for path in example_files() if path.parent.name in PUBLISHED} == EXAMPLES.keys()
    failures = [event["data"].get("failure") for event in EXAMPLES.values()]
    assert {failure["reason"] for failure in failures if failure} == set(Reason)


@st.composite
def groups(draw: st.DrawFn) -> tuple[GroupProgress, list[FailedMember], WrittenReport]:
    failures = draw(st.lists(MEMBERS, max_size=5))
    completed, missing = draw(st.integers(0, 100)), draw(st.integers(0, 100))
    size = max(1, completed + missing + len(failures))
    progress = GroupProgress(Group(draw(IDS), size), size - missing - len(failures), len(failures), draw(TIMES))
    return progress, failures, WrittenReport("a-bucket", progress.group.id, size - missing, "0" * 64)


@given(groups(), TIMES)
def test_every_event_of_a_group_is_as_its_schema_says(
    group: tuple[GroupProgress, list[FailedMember], WrittenReport], now: float
) -> None:
    check(published(concluded_message(*group, now, "https://cgc-api.sbgenomics.com/v2")))


@pytest.mark.parametrize("key", ENDINGS, ids="/".join)
def test_event_with_new_fields_is_still_valid_for_a_consumer(key: tuple[str, str]) -> None:
    event = example(*key)
    event["later"] = event["data"]["later"] = event["data"]["watch"]["later"] = 1
    validator(key[0]).validate(event)
    assert not validator(key[0], closed=True).is_valid(event)


def test_enums_and_limits_of_the_schemas_are_those_of_the_code() -> None:
    words = CONTENTS["common.schema.json"]["$defs"]
    assert words["reason"]["enum"] == list(Reason)
    assert words["status"]["enum"] == list(CheckStatus)
    assert set(words["failure"]["required"]) == {field.name for field in fields(Failure)} | {"advice"}
    assert words["group"]["properties"]["size"]["maximum"] == MAX_GROUP_SIZE
    assert CONTENTS[f"{CONCLUDED_TYPE}.schema.json"]["$defs"]["count"]["maximum"] == MAX_GROUP_SIZE


def test_formats_are_checked_here() -> None:
    assert "date-time" in Draft202012Validator.FORMAT_CHECKER.checkers


def test_description_of_a_check_s_name_lists_the_checks_of_the_code() -> None:
    described = [one for one in texts(dict(CONTENTS)) if one.endswith("; later versions may add more.")]
    assert described == [", ".join(CHECKS) + "; later versions may add more."]


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)
