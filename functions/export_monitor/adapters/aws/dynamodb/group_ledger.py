"""The table of groups: one item per group, and one per member whose watch has concluded.

part, member_id   the key: a group's item has `GROUP`, `#`; a member's has `GROUP#SHARD`, EXPORT. Members are sharded
                  so that no partition is hot while a large group concludes, and no item grows with its group
member_count, completed_count, failed_count, remaining_count
                  of the group: how many members it has, have completed, have failed, have not concluded yet
first_requested_at   when the first member was announced (epoch milliseconds)
claimed_until     until when (epoch milliseconds) one invocation has the sole right to conclude the group
closed_at         when the group was first claimed (epoch milliseconds): from then on the counts and the start are fixed
concluded_at      the same time as closed_at, written once the group's event is published
report_sha256     of the group: the SHA-256 of its report's CSV, in hexadecimal digits
report_row        of a member: its row in the report, as JSON. Earlier versions wrote its entry in the group's event
                  instead (`failure`), and nothing if it completed
expires_at        when DynamoDB may remove the item (epoch seconds)
"""

import heapq
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from export_monitor.adapters.aws.dynamodb.table import (
    TTL_SECONDS,
    CancellationReason,
    Table,
    Update,
    expiry,
    has_failed_condition,
    is_written,
    milliseconds,
    raise_unavailable,
)
from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import Group, UnavailableError
from export_monitor.domain.report_rows import COMPLETED, FAILED, ReportRow, row_from_json, row_to_json
from export_monitor.domain.timestamps import format_rfc3339

SHARDS = 16
# DynamoDB's limit for a transaction is 100 items; one of them is the group's own.
_MAX_MEMBERS = 99
# Its limit in bytes is 4 MiB for all items together.
_MAX_BYTES = 3 << 20
_ATTEMPTS = 8

# A member's row, and the same as JSON.
_Member: TypeAlias = tuple[ReportRow, str]


class GroupLedger:
    """Counts the concluded members of groups, each export once. Times are in epoch seconds.

    Every method raises UnavailableError if DynamoDB fails or conflicts persist, and can be called again.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def progress(self, group_id: str) -> GroupProgress | None:
        """How far a group has come; None if it was not registered."""
        item = self._table.get(_group_key(group_id))
        return _progress(group_id, item) if item else None

    def register(self, group: Group, first_requested_at: float, now: float) -> None:
        """Register a group. If it is registered already, keep its size and, until it closes, the earliest start."""
        values = {
            ":size": {"N": str(group.size)},
            ":none": {"N": "0"},
            ":first": milliseconds(first_requested_at),
            ":expires": expiry(now),
        }
        register = self._table.update(
            _group_key(group.id),
            "SET member_count = :size, remaining_count = :size, completed_count = :none, failed_count = :none, "
            "first_requested_at = :first, expires_at = :expires",
            values,
            "attribute_not_exists(member_count)",
        )
        earlier = self._table.update(
            _group_key(group.id),
            "SET first_requested_at = :first",
            {":first": values[":first"]},
            "first_requested_at > :first AND attribute_not_exists(closed_at)",
        )
        if not is_written(self._write([register])):
            self._write([earlier])

    def record_results(self, group_id: str, results: Sequence[ReportRow], now: float) -> list[str]:
        """Count members, each export once however often it is passed; return the ids that exceed the group's size.

        A closed group counts nothing and returns those that it has not counted before.
        """
        excess: list[str] = []
        for members in _in_transactions([(row, row_to_json(row)) for row in results]):
            remaining: Sequence[_Member] = members
            for _ in self._table.attempts(_ATTEMPTS):
                remaining = self._record_results(group_id, remaining, excess, now)
                if not remaining:
                    break
            else:
                raise UnavailableError("the group is busy")
        return excess

    def _record_results(
        self, group_id: str, results: Sequence[_Member], excess: list[str], now: float
    ) -> Sequence[_Member]:
        """Count members and add the ids of those without room to `excess`; return those that met a conflict."""
        while results:
            updates = [self._group_update(group_id, results)]
            updates += [self._member_update(group_id, result, now) for result in results]
            group_reason, *reasons = self._write(updates)
            if is_written([group_reason, *reasons]):
                return []
            new = [one for one, reason in zip(results, reasons, strict=True) if not has_failed_condition(reason)]
            if len(new) == len(results):
                if not has_failed_condition(group_reason):
                    return results
                new = new[: _room(group_reason.get("Item", {}))]
                excess += [row.export_id for row, _ in results[len(new) :]]
            results = new
        return []

    def claim(self, group_id: str, now: float, until: float) -> bool:
        """Claim the sole right to conclude a group until then; False if it is concluded or claimed already.

        The first claim closes the group.
        """
        claim = self._table.update(
            _group_key(group_id),
            "SET claimed_until = :until, closed_at = if_not_exists(closed_at, :now)",
            {":until": milliseconds(until), ":now": milliseconds(now)},
            "attribute_exists(member_count) AND attribute_not_exists(concluded_at) "
            "AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
        )
        for _ in self._table.attempts(_ATTEMPTS):
            [reason] = self._write([claim])
            if is_written([reason]) or has_failed_condition(reason):
                return is_written([reason])
        raise UnavailableError("the group is busy")

    def record(self, group_id: str, report_sha256: str, now: float) -> None:
        """Record that the event of a closed group is published, and its report's SHA-256."""
        expression = "SET concluded_at = closed_at, report_sha256 = :report, expires_at = :expires REMOVE claimed_until"
        values = {":report": {"S": report_sha256}, ":expires": expiry(now)}
        if self._table.write_all({group_id: self._table.update(_group_key(group_id), expression, values)}):
            raise UnavailableError("the group's conclusion could not be recorded")

    def rows(self, group_id: str, closed_at: float) -> Iterator[ReportRow]:
        """The report's rows, in the order of the exports' ids, read as they are needed.

        A query is not isolated from transactions: just after members were counted, it may not see all of them.
        """
        queries = [self._query(f"{group_id}#{shard}", closed_at) for shard in range(SHARDS)]
        with raise_unavailable():
            first_pages = self._table.calls.call_all(queries)
            # Items are sorted by their member_id within each part.
            sorted_parts = [self._rows(query, page) for query, page in zip(queries, first_pages, strict=True)]
            yield from heapq.merge(*sorted_parts, key=lambda row: row.export_id)

    def _write(self, updates: Sequence[Update]) -> list[CancellationReason]:
        with raise_unavailable():
            return self._table.write(updates)

    def _query(self, part: str, closed_at: float) -> Callable[..., Any]:
        return partial(
            self._table.client().query,
            TableName=self._table.name,
            ConsistentRead=True,
            KeyConditionExpression="part = :part",
            # DynamoDB removes items some time after they expire, and members may be left of a group of the same id.
            FilterExpression="expires_at > :closed",
            ExpressionAttributeValues={":part": {"S": part}, ":closed": {"N": str(int(closed_at))}},
        )

    def _rows(self, query: Callable[..., Any], page: Any) -> Iterator[ReportRow]:
        while True:
            if isinstance(page, Exception):
                raise page
            yield from map(_row, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            page = self._table.calls.call(partial(query, ExclusiveStartKey=page["LastEvaluatedKey"]))

    def _group_update(self, group_id: str, results: Sequence[_Member]) -> Update:
        number, failed = len(results), sum(row.outcome == FAILED for row, _ in results)
        counts = {":completed": number - failed, ":failed": failed, ":fewer": -number, ":number": number}
        return self._table.update(
            _group_key(group_id),
            "ADD completed_count :completed, failed_count :failed, remaining_count :fewer",
            {name: {"N": str(count)} for name, count in counts.items()},
            # Earlier versions concluded groups without closing them.
            "attribute_not_exists(closed_at) AND attribute_not_exists(concluded_at) AND remaining_count >= :number",
        )

    def _member_update(self, group_id: str, result: _Member, now: float) -> Update:
        row, text = result
        shard = zlib.crc32(row.export_id.encode()) % SHARDS
        return self._table.update(
            {"part": {"S": f"{group_id}#{shard}"}, "member_id": {"S": row.export_id}},
            "SET expires_at = :expires, report_row = :row",
            {":expires": expiry(now), ":row": {"S": text}, ":now": {"N": str(int(now))}},
            # Items may be left of a group of the same id, whose own item has been removed.
            "attribute_not_exists(member_id) OR expires_at < :now",
        )


def _in_transactions(members: Sequence[_Member]) -> Iterator[list[_Member]]:
    part: list[_Member] = []
    size = 0
    for member in members:
        if part and (len(part) == _MAX_MEMBERS or size + len(member[1]) > _MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(member)
        size += len(member[1])
    yield part


def _row(item: dict[str, Any]) -> ReportRow:
    if "report_row" in item:
        return row_from_json(item["report_row"]["S"])
    # Of an earlier version, which did not keep when it was counted.
    export_id = item["member_id"]["S"]
    counted_at = format_rfc3339(int(item["expires_at"]["N"]) - TTL_SECONDS)
    if "failure" not in item:
        return ReportRow(export_id, COMPLETED, counted_at)
    failed = json.loads(item["failure"]["S"])
    failed["file_id"] = failed.pop("file")
    return ReportRow(outcome=FAILED, concluded_at=counted_at, **failed)


def _group_key(group_id: str) -> dict[str, Any]:
    return {"part": {"S": group_id}, "member_id": {"S": "#"}}


def _room(item: dict[str, Any]) -> int:
    """How many members a group can still count. Raises UnavailableError if the group is not registered."""
    if "member_count" not in item:
        raise UnavailableError("the group is not recorded yet")
    return 0 if "closed_at" in item or "concluded_at" in item else int(item["remaining_count"]["N"])


def _progress(group_id: str, item: dict[str, Any]) -> GroupProgress:
    return GroupProgress(
        group=Group(group_id, int(item["member_count"]["N"])),
        completed=int(item["completed_count"]["N"]),
        failed=int(item["failed_count"]["N"]),
        first_requested_at=int(item["first_requested_at"]["N"]) / 1000,
        closed_at=_seconds(item.get("closed_at")),
        concluded_at=_seconds(item.get("concluded_at")),
        report_sha256=item["report_sha256"]["S"] if "report_sha256" in item else None,
    )


def _seconds(attribute: dict[str, Any] | None) -> float | None:
    return int(attribute["N"]) / 1000 if attribute else None
