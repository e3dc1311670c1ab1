"""The ledger of groups when DynamoDB fails or other workers write at the same time."""

from typing import Any

import pytest

from export_monitor.adapters.aws.dynamodb.group_ledger import SHARDS, GroupLedger
from export_monitor.adapters.aws.dynamodb.table import RECORD_ATTEMPTS, Table
from export_monitor.domain.groups import MemberResult
from export_monitor.domain.model import UnavailableError
from tests.fakes import SYNCHRONOUS, stubbed

NOW = 1_700_000_000.0
ATTEMPTS = 8


def ledger(client: Any) -> GroupLedger:
    return GroupLedger(Table(SYNCHRONOUS, lambda: client, "groups"))


def cancelled(*reasons: dict[str, Any]) -> dict[str, Any]:
    """The error of a transaction that was cancelled for these reasons."""
    return {"service_error_code": "TransactionCanceledException", "modeled_fields": {"CancellationReasons": reasons}}


BUSY = {"member_count": {"N": "2"}, "remaining_count": {"N": "2"}, "claimed_until": {"N": str(int(NOW * 1000))}}


@pytest.mark.parametrize(
    ("error", "attempts", "message"),
    [
        ({"service_error_code": "TransactionConflictException"}, ATTEMPTS, "busy"),
        # Claimed until this very millisecond.
        (cancelled({"Code": "ConditionalCheckFailed", "Item": BUSY}, {"Code": "None"}), ATTEMPTS, "busy"),
        (cancelled({"Code": "ConditionalCheckFailed"}, {"Code": "None"}), 1, "not recorded yet"),
    ],
    ids=["others keep writing", "claimed", "not registered"],
)
def test_members_that_cannot_be_counted_now_are_counted_later(
    error: dict[str, Any], attempts: int, message: str
) -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(attempts):
            stub.add_client_error("transact_write_items", **error)
        with pytest.raises(UnavailableError, match=message):
            ledger(client).record_results("run", [MemberResult("a", None)], NOW + 0.0004)


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
        ledger(client).record("run", NOW)


def test_conclusion_that_cannot_be_recorded_is_reported() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(RECORD_ATTEMPTS):
            stub.add_client_error("update_item", "InternalServerError")
        with pytest.raises(UnavailableError, match="could not be recorded"):
            ledger(client).record("run", NOW)


def test_failures_are_all_or_none() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(SHARDS - 1):
            stub.add_response("query", {"Items": []})
        stub.add_client_error("query", "ProvisionedThroughputExceededException")
        with pytest.raises(UnavailableError, match="ProvisionedThroughput"):
            ledger(client).failures("run")
