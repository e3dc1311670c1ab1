import json
from typing import Any

import pytest

from export_monitor.domain.events import compact_json
from export_monitor.domain.model import Group, StartEvent
from export_monitor.domain.start_events import StartEventError, parse_event, parse_start_event, to_detail

SOURCE = "cgc.exports"
DETAIL = {"export_id": "5AfG_-9", "context": {"sample": "ü"}, "group": {"id": "run-42", "size": 250}, "republish": True}
PARSED = StartEvent("5AfG_-9", {"sample": "ü"}, Group("run-42", 250), republish=True)


def envelope(detail: Any = DETAIL, **changes: Any) -> dict[str, Any]:
    return {"id": "an-event", "detail-type": "Export Started", "source": SOURCE, "detail": detail} | changes


def notification(message: Any) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "m", "Message": message}


def test_answer_of_the_api_is_a_start_event_as_it_is() -> None:
    answer = {"href": "h", "id": "abc", "state": "PENDING", "source": {"file": "f"}, "destination": {"volume": "v"}}
    assert parse_start_event(json.dumps(answer), SOURCE) == StartEvent("abc")


def test_export_id_goes_before_id() -> None:
    assert parse_event({"export_id": "a", "id": "b"}, SOURCE).export_id == "a"


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"k": value}
    return value


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "body: must be JSON"),
        ("{", "body: must be JSON"),
        ('{"export_id": "a", "context": {"n": NaN}}', "body: must be JSON"),
        ('{"export_id": "a", "context": {"n": 1e999}}', "body: must be JSON"),
        ('{"export_id": "a", "context": {"n": -1e999}}', "body: must be JSON"),
        ("[" * 100_000, "body: must be JSON"),
        ('{"export_id": "a", "later": ' + "[" * 500 + "]" * 500 + "}", "body: must be JSON (it is nested too deeply)"),
        ("1" * 10_000, "body: must be JSON"),
        ("null", "body: must be a JSON object"),
        ("{}", "export_id: is needed (or id)"),
        ('{"export_id": "a\\n"}', "export_id: must be 1 to 128"),
        ('{"id": "a/../b"}', "id: must be 1 to 128"),
        ('{"export_id": "a", "context": null}', "context: must be a JSON object"),
        (json.dumps({"export_id": "a", "context": {"k": "x" * 8185}}), "context: must be at most 8192 bytes"),
        (json.dumps({"export_id": "a", "context": {"k": "ü" * 4093}}), "context: must be at most 8192 bytes"),
        ('{"export_id": "a", "context": {"k": "\\ud800"}}', "context: must be Unicode text"),
        (json.dumps({"export_id": "a", "context": nested(201)}), "context: must be nested at most 200 deep"),
        ('{"export_id": "a", "group": null}', "group: must be a JSON object"),
        ('{"export_id": "a", "group": {"size": 1}}', "group.id: must be 1 to 128"),
        ('{"export_id": "a", "group": {"id": "g", "size": 0}}', "group.size: must be a whole number"),
        ('{"export_id": "a", "republish": "yes"}', "republish: must be true or false"),
        (json.dumps(envelope(**{"detail-type": "Export Ended"})), "detail-type: must be 'Export Started'"),
        (json.dumps(envelope(source="other")), "source: must be 'cgc.exports'"),
        (json.dumps(envelope(detail="text")), "detail: must be a JSON object"),
        (json.dumps(notification(7)), "Message: must be a string of JSON"),
        (json.dumps(notification("rubbish")), "Message: must be JSON"),
    ],
)
def test_bad_start_event_is_refused_by_field_and_rule(body: str, error: str) -> None:
    with pytest.raises(StartEventError) as rejected:
        parse_start_event(body, SOURCE)
    assert str(rejected.value).startswith(error)


@pytest.mark.parametrize(
    "context",
    [{}, {"k": "x" * 8184}, {"k": "ü" * 4092}, nested(200), {"n": [1, 2.5, None, True, 10**30], "": {"": []}}],
)
def test_context_within_the_limits_is_taken_as_it_is(context: dict[str, Any]) -> None:
    assert parse_start_event(json.dumps({"export_id": "a", "context": context}), SOURCE).context == context


def test_whole_number_that_fills_the_context_is_exact() -> None:
    detail = f'{{"export_id":"a","context":{{"n":{"7" * 8186}}}}}'
    parsed = parse_start_event(detail, SOURCE)
    assert compact_json(to_detail(parsed)) == detail
    with pytest.raises(StartEventError, match="context: must be at most 8192 bytes"):
        parse_start_event(detail.replace("77}", "777}"), SOURCE)


def test_size_of_a_group_may_be_written_with_a_fraction_of_nothing() -> None:
    assert parse_event({"export_id": "a", "group": {"id": "g", "size": 5.0}}, SOURCE).group == Group("g", 5)


def test_other_fields_of_every_form_are_ignored() -> None:
    detail = DETAIL | {"state": "PENDING", "later": [1]}
    event = notification(json.dumps(envelope(detail, account="123456789012", later=1))) | {"Subject": "s"}
    assert parse_start_event(json.dumps(event), SOURCE) == PARSED


@pytest.mark.parametrize(
    ("detail", "republish"), [({}, False), ({"republish": False}, False), ({"republish": True}, True)]
)
def test_event_is_published_again_only_if_its_start_event_asks_for_it(detail: dict[str, Any], republish: bool) -> None:
    start = parse_event({"export_id": "a"} | detail, SOURCE)
    assert start.republish is republish
    assert parse_event(to_detail(start), SOURCE) == start


def test_id_of_an_envelope_is_not_taken_for_the_export_s() -> None:
    with pytest.raises(StartEventError, match="export_id: is needed"):
        parse_event(envelope({}), SOURCE)
