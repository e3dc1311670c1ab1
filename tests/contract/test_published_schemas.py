"""Published events: what the code emits is what the JSON Schemas say, neither more nor less."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft202012Validator

from export_monitor.adapters.bodies import json_object, read_file, read_job
from export_monitor.domain.assessment import Answers
from export_monitor.domain.checks import CHECKS
from export_monitor.domain.events import COMPLETED_TYPE, FAILED_TYPE, MAX_MESSAGE_BYTES
from export_monitor.domain.grants import EVERYONE
from export_monitor.domain.model import (
    AccessControl,
    ByteEnds,
    Denial,
    Denied,
    Grant,
    MissingObject,
    Obstacle,
    RefusedObject,
    State,
    StoredObject,
    Unread,
    Volume,
    Watch,
)
from export_monitor.domain.start_events import MAX_GROUP_SIZE, understand
from export_monitor.domain.verdicts import CheckStatus, Failure, Reason
from tests.contract.endings import COMPLETED, ENDINGS, FILE, OBJECT, VOLUME, ending, example, example_file, published
from tests.contract.schema_files import CONTENTS, example_files, validator
from tests.contract.test_schemas import JSON

NOW = 1466018264.0
PUBLISHED = {COMPLETED_TYPE, FAILED_TYPE}

TEXTS = st.text(min_size=1, max_size=20)
TIMES = st.floats(0, 4e9)
WHOLES = st.integers(0, 2**63)
# What the API could write, before and after the years that four digits can name in UTC included.
TIMESTAMPS = st.datetimes().map(lambda at: f"{at.isoformat()}Z") | st.sampled_from(
    ["2016-06-15T19:17:39Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-10:00"]
)
ERRORS = st.fixed_dictionaries({}, optional={"status": JSON, "code": JSON | WHOLES, "message": JSON, "more_info": JSON})
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "sse_algorithm": st.sampled_from(["AES256", "aws:kms"]) | JSON,
        "sse_aws_kms_key_id": st.sampled_from(["k", "alias/k", "arn:aws:kms:us-east-1:1:key/k"]) | JSON,
        "aws_storage_class": st.sampled_from(["STANDARD", "GLACIER"]) | JSON,
        "aws_canned_acl": st.sampled_from(["private", "public-read", "bucket-owner-read"]) | JSON,
    },
)
FILES = st.fixed_dictionaries({"id": TEXTS}, optional={"name": JSON, "project": JSON, "size": st.just(1234) | JSON})
JOBS = st.fixed_dictionaries(
    {"state": st.sampled_from(State) | st.sampled_from(State) | TEXTS},
    optional={
        "href": JSON,
        "source": st.just({"file": FILE.id}) | JSON,
        "destination": st.just({"volume": "rfranklin/output", "location": "output.vcf"}) | JSON,
        "started_on": TIMESTAMPS | JSON,
        "finished_on": TIMESTAMPS | JSON,
        "properties": PROPERTIES | JSON,
        "overwrite": st.booleans() | JSON,
        "error": ERRORS | JSON,
        "result": FILES | JSON,
        "later": JSON,
    },
)
DENIED = st.builds(Denied, st.sampled_from(Denial), TEXTS)
OBSTACLES = st.builds(Obstacle, TEXTS, st.none() | TIMES, st.booleans())
VOLUMES = st.builds(Volume, TEXTS, st.sampled_from(["s3", "S3", "gcs"]), TEXTS, st.text(max_size=8))
ACCESS = st.sampled_from([OBJECT.access, AccessControl("o", frozenset({Grant(EVERYONE, "READ")}), "b")])
OBJECTS = st.builds(
    StoredObject,
    bucket=TEXTS,
    key=TEXTS | st.just("reads.bam"),
    size=st.just(1234) | WHOLES,
    etag=TEXTS,
    last_modified_at=st.just(NOW) | TIMES,
    version_id=st.none() | TEXTS,
    storage_class=st.just("STANDARD") | TEXTS,
    encryption=st.none() | st.just("AES256") | TEXTS,
    kms_key_id=st.none() | st.just("k") | TEXTS,
    checksums=st.dictionaries(TEXTS, TEXTS, max_size=2),
    readable=st.booleans(),
    ends=st.builds(ByteEnds, st.binary(max_size=20), st.binary(max_size=20)) | st.builds(Unread, TEXTS),
    access=ACCESS | st.builds(Unread, TEXTS),
)
MISSING = st.builds(MissingObject, TEXTS, st.lists(TEXTS, max_size=3).map(tuple))
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
STARTS = st.fixed_dictionaries(
    {"export_id": IDS},
    optional={
        "context": st.dictionaries(st.text(max_size=8), JSON, max_size=3),
        "group": st.fixed_dictionaries({"id": IDS, "size": st.integers(1, MAX_GROUP_SIZE)}),
    },
)
WATCHES = st.builds(
    lambda detail, sent_at, receives: Watch(understand(detail, ""), "m", sent_at, receives),
    STARTS, TIMES, st.integers(1, 1000),
)  # fmt: skip


def answers_for(job: SearchStrategy[Any]) -> SearchStrategy[Answers]:
    """Every combination of what the API and S3 may say beside a job's answer, the good ones often."""
    return st.builds(
        Answers,
        job=job,
        volume=st.just(VOLUME) | VOLUMES | DENIED | OBSTACLES | st.none(),
        file=st.just(FILE) | FILES.map(read_file) | DENIED | OBSTACLES,
        object=OBJECTS | OBJECTS | MISSING | st.builds(RefusedObject, TEXTS, TEXTS) | OBSTACLES | st.none(),
    )


@st.composite
def looks(draw: st.DrawFn) -> tuple[Watch, Answers]:
    """A watch and what one look at its export is answered, a job by way of the API's bytes."""
    watch = draw(WATCHES)
    export_id = watch.start.export_id
    jobs = JOBS.map(lambda body: read_job(json_object(json.dumps({"id": export_id, **body}).encode()) or {}, export_id))
    return watch, draw(answers_for(jobs | jobs | DENIED | OBSTACLES))


def check(event: Any) -> None:
    """Valid as published, and without a field that the schema does not name."""
    validator(event["type"]).validate(event)
    validator(event["type"], closed=True).validate(event)


@pytest.mark.once
@settings(max_examples=300, deadline=None)
@given(looks(), TIMES)
def test_every_event_is_as_its_schema_says(look: tuple[Watch, Answers], now: float) -> None:
    watch, answers = look
    message = ending(answers, watch, now)
    assume(message)
    assert message
    event = published(message)
    check(event)
    failure = event["data"]["failure"]
    assert event["id"] == f"{event['subject']}:" + (f"failed:{failure['reason']}" if failure else "completed")
    assert event["data"]["context"] == watch.start.context


@pytest.mark.parametrize("key", ENDINGS, ids="/".join)
def test_published_example_is_what_the_code_emits(key: tuple[str, str]) -> None:
    event = example(*key)
    check(event)
    assert event["type"] == key[0]
    assert example_file(*key).read_text("utf-8") == json.dumps(event, indent=2, ensure_ascii=False) + "\n"


def test_there_is_an_example_for_each_reason_and_none_beside_those_tested() -> None:
    files = [path for path in example_files() if path.parent.name in PUBLISHED]
    assert files == sorted(example_file(*key) for key in ENDINGS)
    failures = [json.loads(path.read_text("utf-8"))["data"]["failure"] for path in files]
    assert {failure["reason"] for failure in failures if failure} == set(Reason)


@pytest.mark.parametrize("key", ENDINGS, ids="/".join)
def test_event_with_new_fields_is_still_valid_for_a_consumer(key: tuple[str, str]) -> None:
    event = example(*key)
    event["later"] = event["data"]["later"] = event["data"]["watch"]["later"] = 1
    validator(key[0]).validate(event)
    assert not validator(key[0], closed=True).is_valid(event)


@pytest.mark.parametrize("too_large", ["later", "properties"])
def test_event_of_a_job_too_large_for_sns_is_as_its_schema_says(too_large: str) -> None:
    job = replace(COMPLETED, body={**COMPLETED.body, too_large: {"a": "x" * MAX_MESSAGE_BYTES}})
    look = replace(ENDINGS[COMPLETED_TYPE, "documented-job"], job=job)
    watch = Watch(understand({"export_id": job.id}, ""), "m", NOW, 1)
    message = ending(look, watch, NOW)
    assert message
    assert message.size_bytes <= MAX_MESSAGE_BYTES
    check(published(message))


def event_of(body: bytes) -> Any:
    """The event that ends the watch of export `a`, of the API's bytes."""
    job = read_job(json_object(body) or {}, "a")
    answers = Answers(job or Obstacle("not the API's own answer"), VOLUME, FILE, OBJECT)
    message = ending(answers, Watch(understand({"export_id": "a"}, ""), "m", NOW, 1), NOW)
    assert message
    return published(message)


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999"])
def test_number_that_is_not_json_never_reaches_a_consumer(number: bytes) -> None:
    check(event_of(b'{"id": "a", "state": "FAILED", "later": %s}' % number))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-10:00"])
@pytest.mark.parametrize("field", ["started_on", "finished_on"])
@pytest.mark.parametrize("state", ["COMPLETED", "FAILED"])
def test_time_at_the_edge_of_the_calendar_ends_a_watch_like_any_other(at: str, field: str, state: str) -> None:
    check(event_of(json.dumps({"id": "a", "state": state, "destination": {"volume": "o/v"}, field: at}).encode()))


def test_schema_names_the_words_that_the_code_has() -> None:
    words = CONTENTS["common.schema.json"]["$defs"]
    assert words["reason"]["enum"] == list(Reason)
    assert words["status"]["enum"] == list(CheckStatus)
    assert set(words["failure"]["required"]) == {field.name for field in fields(Failure)} | {"advice"}
    assert words["group"]["properties"]["size"]["maximum"] == MAX_GROUP_SIZE


def test_formats_are_checked_here() -> None:
    assert "date-time" in Draft202012Validator.FORMAT_CHECKER.checkers


def test_check_s_name_is_described_by_the_checks_that_there_are() -> None:
    described = [one for one in texts(dict(CONTENTS)) if one.endswith("; more may come.")]
    assert described == [", ".join(CHECKS) + "; more may come."]


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)
