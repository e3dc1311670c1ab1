"""A group's event: what the code emits is what the JSON Schema says, neither more nor less."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.groups import CONCLUDED_TYPE, FailedMember, GroupProgress, concluded_message
from export_monitor.domain.model import Group
from export_monitor.domain.start_events import MAX_GROUP_SIZE
from export_monitor.domain.verdicts import Reason
from tests.contract.group_endings import GROUPS, example, example_file
from tests.contract.schema_files import CONTENTS, example_files, validator

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
TEXTS = st.none() | st.text(max_size=1024)
TIMES = st.floats(0, 4e9)
MEMBERS = st.builds(
    FailedMember,
    IDS,
    st.sampled_from(Reason).map(str),
    st.text(max_size=500),
    st.none() | st.integers(),
    TEXTS,
    TEXTS,
    TEXTS,
)


@st.composite
def groups(draw: st.DrawFn) -> tuple[GroupProgress, list[FailedMember]]:
    failures = draw(st.lists(MEMBERS, max_size=5))
    completed, missing = draw(st.integers(0, 100)), draw(st.integers(0, 100))
    size = max(1, completed + missing + len(failures))
    return GroupProgress(Group(draw(IDS), size), size - missing - len(failures), len(failures), draw(TIMES)), failures


@given(groups(), TIMES)
def test_every_event_is_as_its_schema_says(group: tuple[GroupProgress, list[FailedMember]], now: float) -> None:
    message = concluded_message(*group, now, "https://cgc-api.sbgenomics.com/v2")
    event = json.loads(json.loads(message.body)["default"])
    validator(CONCLUDED_TYPE).validate(event)
    validator(CONCLUDED_TYPE, closed=True).validate(event)


@pytest.mark.parametrize("name", GROUPS)
def test_published_example_is_what_the_code_emits(name: str) -> None:
    assert example_file(name).read_text("utf-8") == json.dumps(example(name), indent=2, ensure_ascii=False) + "\n"


def test_there_is_no_example_beside_those_tested() -> None:
    files = [path for path in example_files() if path.parent.name == CONCLUDED_TYPE]
    assert files == sorted(example_file(name) for name in GROUPS)


def test_counts_go_as_far_as_a_group_may() -> None:
    assert CONTENTS[f"{CONCLUDED_TYPE}.schema.json"]["$defs"]["count"]["maximum"] == MAX_GROUP_SIZE
