"""Which exports have a watch, and where reading the list of exports stopped: see export_table_schema."""

from collections.abc import Collection
from functools import partial
from typing import Any

from export_monitor.adapters.aws.dynamodb.export_table_schema import export_key
from export_monitor.adapters.aws.dynamodb.table import RECORD_ATTEMPTS, Table, expiry, raise_unavailable
from export_monitor.domain.model import UnavailableError

# DynamoDB's limit for the items of a transaction and of a BatchGetItem.
_MAX_ITEMS = 100
# An export's id cannot contain '#'.
_DISCOVERY = "discovery#"


class WatchedExports:
    """Remembers which exports have had a watch, and where reading the list of exports stopped.

    Every method raises UnavailableError.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def watched(self, export_ids: Collection[str]) -> set[str]:
        """Those of the exports that have an item, and so have had a watch."""
        ids = sorted(export_ids)
        found: set[str] = set()
        for start in range(0, len(ids), _MAX_ITEMS):
            found |= self._watched(ids[start : start + _MAX_ITEMS])
        return found

    def add(self, export_ids: Collection[str], now: float) -> None:
        """Give each export an item, so that discovery skips it."""
        ids = sorted(export_ids)
        values = {":expires": expiry(now)}
        updates = [(one, self._table.update(export_key(one), "SET expires_at = :expires", values)) for one in ids]
        for start in range(0, len(updates), _MAX_ITEMS):
            if self._table.write_all(dict(updates[start : start + _MAX_ITEMS])):
                raise UnavailableError("watches could not be marked")

    def list_offset(self) -> int | None:
        """The offset at which discovery stopped early; None if it read the whole list."""
        item = self._table.get(export_key(_DISCOVERY)) or {}
        return int(item["list_offset"]["N"]) if "list_offset" in item else None

    def remember_list_offset(self, offset: int | None) -> None:
        """Store the offset at which discovery stopped early; None if it read the whole list."""
        values = {":offset": {"N": str(offset)}}
        update = (
            self._table.update(export_key(_DISCOVERY), "REMOVE list_offset", {})
            if offset is None
            else self._table.update(export_key(_DISCOVERY), "SET list_offset = :offset", values)
        )
        with raise_unavailable():
            self._table.write([update])

    def _watched(self, ids: list[str]) -> set[str]:
        request: Any = {
            self._table.name: {
                "Keys": [export_key(one) for one in ids],
                "ProjectionExpression": "export_id",
                "ConsistentRead": True,
            }
        }
        found: set[str] = set()
        client = self._table.client()
        for _ in self._table.attempts(RECORD_ATTEMPTS):
            with raise_unavailable():
                answer = self._table.calls.call(partial(client.batch_get_item, RequestItems=request))
            found |= {item["export_id"]["S"] for item in answer["Responses"].get(self._table.name, ())}
            request = answer.get("UnprocessedKeys")
            if not request:
                return found
        raise UnavailableError("DynamoDB did not return every item")
