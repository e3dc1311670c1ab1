"""moto, as patched for this stack, behaves like AWS where it matters here."""

from typing import Any

import pytest

from tests.integration.harness import World


def put(part: str, member: str, condition: str | None = None) -> dict[str, Any]:
    operation: dict[str, Any] = {"TableName": "groups", "Item": {"part": {"S": part}, "member_id": {"S": member}}}
    return {"Put": operation | ({"ConditionExpression": condition} if condition else {})}


def add(part: str, member: str) -> dict[str, Any]:
    key = {"part": {"S": part}, "member_id": {"S": member}}
    values = {":one": {"N": "1"}}
    update = {"TableName": "groups", "Key": key, "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": values}
    return {"Update": update}


def items(client: Any) -> list[tuple[str, str]]:
    scanned = client.scan(TableName="groups")["Items"]
    return sorted((item["member_id"]["S"], item.get("n", {}).get("N", "")) for item in scanned)


def test_cancelled_transaction_leaves_every_item_as_it_was(world: World) -> None:
    client = world.aws.client("dynamodb")
    client.transact_write_items(TransactItems=[put("g", "old"), add("g", "counted")])
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(
            TransactItems=[
                add("g", "counted"),
                put("g", "new"),
                add("other", "new part"),
                put("g", "old", "attribute_not_exists(member_id)"),
            ]
        )
    codes = [reason["Code"] for reason in caught.value.response["CancellationReasons"]]
    assert codes == ["None", "None", "None", "ConditionalCheckFailed"]
    assert items(client) == [("counted", "1"), ("old", "")]
    client.transact_write_items(TransactItems=[add("g", "counted"), put("g", "new")])
    assert items(client) == [("counted", "2"), ("new", ""), ("old", "")]
