"""The status of groups and exports, by the real parts over moto: nothing is requested from the API."""

import json
from typing import Any

import pytest

from export_monitor.application.status import UnknownError
from export_monitor.domain.status_requests import StatusRequestError
from export_monitor.domain.timestamps import format_rfc3339
from local.export_jobs import NEVER, documented_failed
from tests.integration.harness import FINAL_DEADLINE, HOUR, World, completed


def status_of(world: World, **wanted: Any) -> Any:
    requests = len(world.asked)
    answer = world.app().status.answer({"status_of": wanted})
    assert len(world.asked) == requests
    return json.loads(json.dumps(answer))


def announced(world: World, *export_ids: str, **changes: Any) -> None:
    group = {"id": "run-42", "size": 3}
    world.look(*(world.announced({"export_id": one, "group": group, **changes}, age=60) for one in export_ids))


def test_group_s_progress_is_what_has_ended_so_far(calm: World) -> None:
    calm.platform.add_job(completed("a"))
    calm.platform.add_job(documented_failed(id="b"))
    calm.platform.add_job(completed("c", steps=NEVER))
    first = format_rfc3339(calm.now - 60)
    announced(calm, "c")
    progress = {
        "group": {"id": "run-42", "size": 3}, "completed": 0, "failed": 0, "remaining": 3,
        "first_requested_at": first, "concluded_at": None, "report": None,
    }  # fmt: skip
    assert status_of(calm, group="run-42") == progress
    announced(calm, "a", "b")
    assert status_of(calm, group="run-42") == progress | {"completed": 1, "failed": 1, "remaining": 1}
    calm.platform.add_job(completed("c"))
    calm.pass_time(HOUR)
    announced(calm, "c")
    concluded_at = format_rfc3339(calm.now)
    [event] = [one for one in calm.events() if one["subject"] == "run-42"]
    ended = {"completed": 2, "failed": 1, "remaining": 0, "concluded_at": concluded_at}
    ended["report"] = event["data"]["report"]
    assert event["data"]["concluded_at"] == concluded_at
    assert status_of(calm, group="run-42") == progress | ended


def test_incomplete_group_keeps_what_remains(calm: World) -> None:
    calm.platform.add_job(completed("a"))
    announced(calm, "a")
    calm.pass_time(FINAL_DEADLINE)
    calm.look(calm.sent('{"watched_group": "run-42"}', age=FINAL_DEADLINE))
    status = status_of(calm, group="run-42")
    assert (status["completed"], status["remaining"]) == (1, 2)
    assert status["concluded_at"] == format_rfc3339(calm.now)


def test_events_of_an_export_have_the_times_of_their_last_publication(calm: World) -> None:
    calm.platform.add_job(documented_failed(id="a"))
    calm.look(calm.announced("a"))
    failed_at = format_rfc3339(calm.now)
    calm.platform.add_job(completed("a"))
    calm.pass_time(HOUR)
    calm.look(calm.announced("a"))
    events = [{"id": "a:failed:EXPORT_FAILED", "published_at": failed_at}]
    completed_at = format_rfc3339(calm.now)
    answer = {"export_id": "a", "published": [*events, {"id": "a:completed", "published_at": completed_at}]}
    assert status_of(calm, export_id="a") == answer
    # Announced again, nothing is published, and published again, the time is the last one.
    calm.pass_time(HOUR)
    calm.look(calm.announced("a"))
    assert status_of(calm, export_id="a") == answer
    calm.look(calm.announced({"export_id": "a", "republish": True}))
    again = {"id": "a:completed", "published_at": format_rfc3339(calm.now)}
    assert status_of(calm, export_id="a") == {"export_id": "a", "published": [*events, again]}


def test_event_of_an_earlier_version_has_no_time(calm: World) -> None:
    item = {"export_id": {"S": "a"}, "published_event_ids": {"SS": ["a:completed"]}}
    calm.aws.client("dynamodb").put_item(TableName="ledger", Item=item)
    answer = {"export_id": "a", "published": [{"id": "a:completed", "published_at": None}]}
    assert status_of(calm, export_id="a") == answer


@pytest.mark.parametrize("field", ["group", "export_id"])
def test_what_is_unknown_is_an_error_that_says_so(calm: World, field: str) -> None:
    with pytest.raises(UnknownError, match=f"^status_of.{field}: unknown (group|export) nobody: "):
        status_of(calm, **{field: "nobody"})


RULE = "must be 1 to 128 letters"
WHOLE = "status_of: must be a JSON object with either group or export_id"


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (None, WHOLE),
        ("run-42", WHOLE),
        ([], WHOLE),
        ({}, WHOLE),
        ({"group": "a", "export_id": "b"}, WHOLE),
        ({"group": "a", "more": 1}, WHOLE),
        ({"project": "a"}, WHOLE),
        ({"group": ""}, f"status_of.group: {RULE}"),
        ({"group": {"id": "run-42"}}, f"status_of.group: {RULE}"),
        ({"group": "run#1"}, f"status_of.group: {RULE}"),
        ({"export_id": 42}, f"status_of.export_id: {RULE}"),
        ({"export_id": "discovery#"}, f"status_of.export_id: {RULE}"),
        ({"export_id": "a\n"}, f"status_of.export_id: {RULE}"),
    ],
)
def test_bad_request_names_the_field_and_the_rule(calm: World, wanted: Any, error: str) -> None:
    with pytest.raises(StatusRequestError) as rejected:
        calm.app().status.answer({"status_of": wanted})
    assert str(rejected.value).startswith(error)
