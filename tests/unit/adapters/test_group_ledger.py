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


def test_group_that_others_keep_writing_is_counted_later() -> None:
    with stubbed("dynamodb") as (client, stub):
        for _ in range(ATTEMPTS):
            stub.add_client_error("transact_write_items", "TransactionConflictException")
        with pytest.raises(UnavailableError, match="busy"):
            ledger(client).record_results("run", [MemberResult("a", None)], NOW)


def test_group_claimed_until_this_very_millisecond_counts_nobody() -> None:
    item = {"member_count": {"N": "2"}, "remaining_count": {"N": "2"}, "claimed_until": {"N": str(int(NOW * 1000))}}
    reasons = [{"Code": "ConditionalCheckFailed", "Item": item}, {"Code": "None"}]
    with stubbed("dynamodb") as (client, stub):
        for _ in range(ATTEMPTS):
            stub.add_client_error(
                "transact_write_items", "TransactionCanceledException", modeled_fields={"CancellationReasons": reasons}
            )
        with pytest.raises(UnavailableError, match="busy"):
            ledger(client).record_results("run", [MemberResult("a", None)], NOW + 0.0004)


def test_members_of_a_group_that_is_not_registered_are_counted_later() -> None:
    reasons = [{"Code": "ConditionalCheckFailed"}, {"Code": "None"}]
    with stubbed("dynamodb") as (client, stub):
        stub.add_client_error(
            "transact_write_items", "TransactionCanceledException", modeled_fields={"CancellationReasons": reasons}
        )
        with pytest.raises(UnavailableError, match="not recorded yet"):
            ledger(client).record_results("run", [MemberResult("a", None)], NOW)


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
