"""Which exports have a watch, and how far their list was read: see export_items."""

from collections.abc import Collection
from functools import partial
from typing import Any

from export_monitor.adapters.aws.dynamodb.export_table_schema import export_key
from export_monitor.adapters.aws.dynamodb.table import RECORD_ATTEMPTS, Table, expiry, raise_unavailable
from export_monitor.domain.model import UnavailableError

# What a transaction and a BatchGetItem take.
_AT_ONCE = 100
# No export's id has such a sign.
_DISCOVERY = "discovery#"


class WatchedExports:
    """Remembers which exports have had a watch, and where reading their list stopped."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def watched(self, export_ids: Collection[str]) -> set[str]:
        """Which of these exports have an item, and so had a watch. Raises UnavailableError."""
        ids = sorted(export_ids)
        found: set[str] = set()
        for start in range(0, len(ids), _AT_ONCE):
            found |= self._watched(ids[start : start + _AT_ONCE])
        return found

    def add(self, export_ids: Collection[str], now: float) -> None:
        """Give each export an item, so that it is not discovered. Raises UnavailableError."""
        ids = sorted(export_ids)
        values = {":expires": expiry(now)}
        marks = [(one, self._table.update(export_key(one), "SET expires_at = :expires", values)) for one in ids]
        for start in range(0, len(marks), _AT_ONCE):
            if self._table.write_all(dict(marks[start : start + _AT_ONCE])):
                raise UnavailableError("watches could not be marked")

    def list_offset(self) -> int | None:
        """Where discovery stopped early, if it did. Raises UnavailableError."""
        client = self._table.client()
        get = partial(client.get_item, TableName=self._table.name, Key=export_key(_DISCOVERY), ConsistentRead=True)
        with raise_unavailable():
            item = self._table.calls.call(get).get("Item", {})
        return int(item["list_offset"]["N"]) if "list_offset" in item else None

    def remember_list_offset(self, offset: int | None) -> None:
        """Remember where discovery stopped early, or that it did not. Raises UnavailableError."""
        values = {":offset": {"N": str(offset)}}
        update = (
            self._table.update(export_key(_DISCOVERY), "REMOVE list_offset", {})
            if offset is None
            else self._table.update(export_key(_DISCOVERY), "SET list_offset = :offset", values)
        )
        with raise_unavailable():
            self._table.write([update])

    def _watched(self, ids: list[str]) -> set[str]:
        wanted: Any = {
            self._table.name: {
                "Keys": [export_key(one) for one in ids],
                "ProjectionExpression": "export_id",
                "ConsistentRead": True,
            }
        }
        found: set[str] = set()
        client = self._table.client()
        for attempt in range(1, RECORD_ATTEMPTS + 1):
            with raise_unavailable():
                answer = self._table.calls.call(partial(client.batch_get_item, RequestItems=wanted))
            found |= {item["export_id"]["S"] for item in answer["Responses"].get(self._table.name, ())}
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return found
            with raise_unavailable():
                self._table.backoff(attempt)
        raise UnavailableError("DynamoDB did not give every item")
