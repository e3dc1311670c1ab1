"""Which exports have a watch: asked for and marked by hundreds, as often as DynamoDB asks to be asked again."""

from typing import Any

import pytest

from export_monitor.adapters.aws.dynamodb.watched_exports import WatchedExports
from export_monitor.domain.model import UnavailableError
from tests.fakes import stubbed
from tests.unit.adapters.exports_table import TABLE, exports

NOW = 1_700_000_000.25


def keys(*export_ids: str) -> dict[str, Any]:
    found = [{"export_id": {"S": export_id}} for export_id in export_ids]
    return {TABLE: {"Keys": found, "ProjectionExpression": "export_id", "ConsistentRead": True}}


def answer(*export_ids: str, unprocessed: dict[str, Any] | None = None) -> dict[str, Any]:
    found = [{"export_id": {"S": export_id}} for export_id in export_ids]
    return {"Responses": {TABLE: found}, "UnprocessedKeys": unprocessed or {}}


def test_exports_that_were_marked_are_known_though_they_are_more_than_one_call_takes(client: Any) -> None:
    marks = WatchedExports(exports(client))
    marked = {f"e{number}" for number in range(150)}
    marks.add(marked, NOW)
    assert marks.watched({*marked, "other"}) == marked


def test_what_dynamodb_leaves_out_is_asked_for_again() -> None:
    with stubbed("dynamodb") as (client, stub):
        stub.add_response("batch_get_item", answer("a", unprocessed=keys("b")), {"RequestItems": keys("a", "b")})
        stub.add_response("batch_get_item", answer("b"), {"RequestItems": keys("b")})
        assert WatchedExports(exports(client)).watched({"a", "b"}) == {"a", "b"}


def test_dynamodb_that_never_gives_every_item_is_unavailable() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(30):
            stub.add_response("batch_get_item", answer(unprocessed=keys("a")))
        with pytest.raises(UnavailableError, match="every item"):
            WatchedExports(exports(client)).watched({"a"})


def test_marks_that_are_never_written_raise() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(30):
            stub.add_client_error("update_item", "ThrottlingException")
        with pytest.raises(UnavailableError, match="marked"):
            WatchedExports(exports(client)).add({"a"}, NOW)
