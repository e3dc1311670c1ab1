"""Start events of every kind: understood within every limit, or rejected by field and rule."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export_monitor.domain import strict_json
from export_monitor.domain.events import MAX_MESSAGE_BYTES, build_message
from export_monitor.domain.model import StartEvent, Watch
from export_monitor.domain.start_events import StartEventError, parse_event, parse_start_event, to_detail
from export_monitor.domain.verdicts import Evidence, Failure, Reason
from tests.contract.sample_events import published
from tests.contract.schema_files import validator
from tests.unit.builders import NOW, a_message
from tests.unit.property.strategies import CHARACTERS, JSON, bounded, json_texts, mutated, nested, often

pytestmark = pytest.mark.once

SOURCE = "cgc.exports"
BASE = "https://cgc-api.sbgenomics.com/v2"
DETAIL = {"export_id": "5AfG_-9", "id": "b", "context": {"a": "ü", "b": [1]}, "group": {"id": "run", "size": 250}}
DETAIL |= {"republish": True}
FIELDS = r"body|Message|detail-type|source|detail|export_id|id|context|group|group\.id|group\.size|republish"
ERROR = re.compile(rf"({FIELDS}): (must be .+|is needed.*)")


def envelope(detail: Any) -> dict[str, Any]:
    return {"version": "0", "id": "e", "detail-type": "Export Started", "source": SOURCE, "detail": detail}


def notification(text: str) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": text}


DETAILS = often(mutated(DETAIL), st.just(DETAIL))
BODIES = (
    json_texts(DETAILS)
    | json_texts(mutated(envelope(DETAIL)) | DETAILS.map(envelope))
    | json_texts(json_texts(DETAILS | DETAILS.map(envelope)).map(notification))
    | json_texts(mutated(notification(json.dumps(DETAIL))))
)


def parsed(body: str) -> StartEvent | None:
    """The start event, checked against every limit; None where it is rejected by field and rule."""
    try:
        start = parse_start_event(body, SOURCE)
    except StartEventError as error:
        check_error(str(error))
        return None
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", start.export_id)
    assert len(json.dumps(start.context, ensure_ascii=False, separators=(",", ":")).encode()) <= 8192
    assert strict_json.depth(start.context) <= 200
    assert type(start.republish) is bool
    if start.group:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", start.group.id)
        assert type(start.group.size) is int
        assert 1 <= start.group.size <= 10_000
    return start


def check_error(text: str) -> None:
    assert ERROR.fullmatch(text)


def comes_back(start: StartEvent) -> None:
    """Check that every form of it parses to the same, and that its context returns unchanged in the final event."""
    detail = json.dumps(to_detail(start), allow_nan=False)
    validator("start-event.detail").validate(json.loads(detail))
    for body in (detail, json.dumps(envelope(to_detail(start))), json.dumps(notification(detail))):
        assert parse_start_event(body, SOURCE) == start
    failure = Failure(Reason.TIMED_OUT, "Its time was up.")
    message = build_message(Watch(start, a_message()), Evidence(), failure, NOW, BASE)
    assert message.size_bytes <= MAX_MESSAGE_BYTES
    event = published(message)
    validator("cgc.export.failed.v1").validate(event)
    assert event["data"]["context"] == start.context


ANY_TEXT = st.text(CHARACTERS) | JSON.map(json.dumps)
LONG_CONTEXTS = (
    st.text(CHARACTERS, min_size=1300, max_size=1400)
    | st.sampled_from(["\U0001f9ec" * 2046, "\x01" * 1364, '"' * 4092])
).map(lambda text: json.dumps({"export_id": "a" * 128, "context": {"k": text}}))


@bounded(610)
@given(BODIES | ANY_TEXT | LONG_CONTEXTS)
@example("\ufeff{}")
@example('{"export_id": "\ud800"}')
@example("1" * 4301)
@example(f'{{"export_id": "a", "context": {nested(200)}}}')
@example(f'{{"export_id": "a", "context": {nested(201)}}}')
@example(f'{{"export_id": "a", "later": {nested(499)}}}')
@example(f'{{"export_id": "a", "later": {nested(990)}}}')
@example('{"export_id": "a", "context": {"a": -0, "b": 1E400}}')
@example('{"export_id": "a", "group": {"id": "g", "size": 1e3}}')
@example('{"export_id": "a", "group": {"id": "g", "size": 1' + "0" * 4299 + "}}")
@example('{"export_id": "\u0663"}')
@example('{"export_id": "a\\n"}')
@example('{"export_id": "a", "context": {"\\ud800": 1}}')
@example('{"export_id": "b", "export_id": "a", "context": {"k": 1, "k": 2}}')
def test_start_event_with_any_part_replaced_is_parsed_or_rejected(body: str) -> None:
    if start := parsed(body):
        comes_back(start)


@bounded(150)
@given(JSON | DETAILS | DETAILS.map(envelope) | (DETAILS | JSON).map(json.dumps).map(notification))
@example({"export_id": "a", "context": {"n": float("nan")}})
@example({"export_id": "a", "group": {"id": "g", "size": float("inf")}})
def test_direct_event_is_understood_or_rejected_by_field_and_rule(event: Any) -> None:
    try:
        assert parse_event(event, SOURCE).export_id
    except StartEventError as error:
        check_error(str(error))
