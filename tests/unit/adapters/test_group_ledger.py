"""The ledger of groups when DynamoDB fails or other workers write at the same time."""

import json
from typing import Any

import pytest

from export_monitor.adapters.aws.dynamodb.group_ledger import SHARDS, GroupLedger
from export_monitor.adapters.aws.dynamodb.table import RECORD_ATTEMPTS, TTL_SECONDS, Table
from export_monitor.domain.model import UnavailableError
from export_monitor.domain.report_rows import ReportRow, row_to_json
from tests.fakes import SYNCHRONOUS, stubbed
from tests.unit.builders import a_row

NOW = 1_700_000_000.0
ATTEMPTS = 8


def ledger(client: Any) -> GroupLedger:
    return GroupLedger(Table(SYNCHRONOUS, lambda: client, "groups"))


def cancelled(*reasons: dict[str, Any]) -> dict[str, Any]:
    """The error of a transaction that was cancelled for these reasons."""
    return {"service_error_code": "TransactionCanceledException", "modeled_fields": {"CancellationReasons": reasons}}


@pytest.mark.parametrize(
    ("error", "attempts", "message"),
    [
        ({"service_error_code": "TransactionConflictException"}, ATTEMPTS, "busy"),
        (cancelled({"Code": "ConditionalCheckFailed"}, {"Code": "None"}), 1, "not recorded yet"),
    ],
    ids=["others keep writing", "not registered"],
)
def test_members_that_cannot_be_counted_now_are_counted_later(
    error: dict[str, Any], attempts: int, message: str
) -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(attempts):
            stub.add_client_error("transact_write_items", **error)
        with pytest.raises(UnavailableError, match=message):
            ledger(client).record_results("run", [a_row("a")], NOW)


def test_claim_that_others_keep_from_being_written_is_made_later() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(ATTEMPTS):
            stub.add_client_error("update_item", "TransactionConflictException")
        with pytest.raises(UnavailableError, match="busy"):
            ledger(client).claim("run", NOW, NOW + 60)


def test_conclusion_is_recorded_though_dynamodb_fails_at_first() -> None:
    with stubbed("dynamodb") as (client, stub):
        stub.add_client_error("update_item", "InternalServerError")
        stub.add_client_error("update_item", "TransactionConflictException")
        stub.add_response("update_item", {})
        ledger(client).record("run", "0" * 64, NOW)


def test_conclusion_that_cannot_be_recorded_is_reported() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(RECORD_ATTEMPTS):
            stub.add_client_error("update_item", "InternalServerError")
        with pytest.raises(UnavailableError, match="could not be recorded"):
            ledger(client).record("run", "0" * 64, NOW)


def test_rows_are_all_or_none() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(SHARDS - 1):
            stub.add_response("query", {"Items": []})
        stub.add_client_error("query", "ProvisionedThroughputExceededException")
        with pytest.raises(UnavailableError, match="ProvisionedThroughput"):
            list(ledger(client).rows("run", NOW))


def an_item(row: ReportRow) -> dict[str, Any]:
    return {"member_id": {"S": row.export_id}, "report_row": {"S": row_to_json(row)}}


def test_rows_of_all_pages_come_in_the_order_of_their_ids() -> None:
    next_page = {"part": {"S": "run#0"}, "member_id": {"S": "c"}}
    with stubbed("dynamodb") as (client, stub):
        stub.add_response("query", {"Items": [an_item(a_row("a")), an_item(a_row("c"))], "LastEvaluatedKey": next_page})
        stub.add_response("query", {"Items": [an_item(a_row("_")), an_item(a_row("b"))]})
        for _ in range(SHARDS - 2):
            stub.add_response("query", {"Items": []})
        stub.add_response("query", {"Items": [an_item(a_row("d"))]})
        assert [row.export_id for row in ledger(client).rows("run", NOW)] == ["_", "a", "b", "c", "d"]


def test_row_of_an_earlier_version_has_what_its_item_has() -> None:
    failure = {
        "export_id": "b", "reason": "EXPORT_FAILED", "message": "m", "code": 9107,
        "file": "f", "volume": "o/v", "location": "a.bam",
    }  # fmt: skip
    expires_at = {"N": str(int(NOW) + TTL_SECONDS)}
    items = [
        {"member_id": {"S": "a"}, "expires_at": expires_at},
        {"member_id": {"S": "b"}, "expires_at": expires_at, "failure": {"S": json.dumps(failure)}},
    ]
    with stubbed("dynamodb") as (client, stub):
        stub.add_response("query", {"Items": items})
        for _ in range(SHARDS - 1):
            stub.add_response("query", {"Items": []})
        failed = a_row("b", reason="EXPORT_FAILED", message="m", code=9107, file_id="f", volume="o/v", location="a.bam")
        assert list(ledger(client).rows("run", NOW)) == [a_row("a"), failed]


def test_members_with_long_rows_are_counted_in_several_transactions() -> None:
    # 99 of them have more than the 4 MiB that a transaction may have.
    rows = [a_row(f"e{number:02}", context={"long": "x" * 50_000}) for number in range(99)]
    with stubbed("dynamodb") as (client, stub):
        for _ in range(2):
            stub.add_response("transact_write_items", {})
        assert ledger(client).record_results("run", rows, NOW) == []
