"""The contract's promises, kept by the built function in AWS's own runtime client."""

import itertools
import json

import pytest

from local.export_jobs import documented_failed
from local.simulated_platform import Platform
from local.stack import Stack
from tests.integration.steps import completed, run_until_drained

pytestmark = pytest.mark.once

_numbers = itertools.count()


BAD = {
    "not JSON": "body: must be JSON",
    '{"export_id": "../volumes"}': "export_id: must be",
    "{}": "export_id: is needed",
    json.dumps({"export_id": "a", "context": {"k": "x" * 8192}}): "context: must be at most",
    '{"export_id": "a", "group": {"id": "g", "size": 0}}': "group.size: must be",
    "[" * 5000: "body: must be JSON",
}


def test_bad_start_events_go_to_the_dead_letter_queue_and_affect_no_others(stack: Stack, platform: Platform) -> None:
    for body in BAD:
        stack.send(body, {"trace": {"DataType": "String", "StringValue": "deferred"}})
    platform.add_job(documented_failed(id="good"))
    stack.send('{"id": "good"}')
    run_until_drained(stack, stack.mapping)
    letters = {letter.body: letter for letter in stack.dead_letters()}
    assert set(letters) == set(BAD)
    for body, error in BAD.items():
        assert letters[body].error.startswith(error)
        assert letters[body].attributes["trace"] == "deferred"
    assert [one.event["id"] for one in stack.receive()] == ["good:failed:EXPORT_FAILED"]


def test_every_form_of_a_start_event_starts_the_same_watch(stack: Stack, platform: Platform) -> None:
    def detail(export_id: str) -> dict[str, object]:
        platform.add_job(completed(export_id))
        return {"export_id": export_id, "context": {"who": "ö"}, "group": {"id": "run", "size": 6}}

    def envelope(export_id: str) -> dict[str, object]:
        return {
            "version": "0",
            "id": "b2a00769-a599-4ce2-b76a-c72a9139626f",
            "detail-type": "Export Started",
            "source": "cgc.exports",
            "detail": detail(export_id),
        }

    def notification(message: object) -> str:
        return json.dumps({"Type": "Notification", "MessageId": "m", "Message": json.dumps(message)})

    stack.announce(detail("by-bus"))
    stack.send(json.dumps(detail("as-detail")))
    stack.send(json.dumps(envelope("as-envelope")))
    stack.send(notification(detail("as-notified-detail")))
    stack.send(notification(envelope("as-notified-envelope")))
    direct = stack.invoke(envelope("by-invocation"))
    assert json.loads(direct.response)["export_id"] == "by-invocation"
    run_until_drained(stack, stack.mapping)
    events = {one.event["subject"]: one for one in stack.receive(7)}
    assert events.pop("run").event["data"]["completed"] == 6
    assert set(events) == {
        "by-bus", "as-detail", "as-envelope", "as-notified-detail", "as-notified-envelope", "by-invocation",
    }  # fmt: skip
    for one in events.values():
        assert one.event["data"]["context"] == {"who": "ö"}
        assert one.event["data"]["group"] == {"id": "run", "size": 6}
        assert one.attributes["group"] == "run"
