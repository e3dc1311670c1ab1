"""The table of groups: one item per group, and one per member whose watch has concluded.

part, member_id   the key: a group's item has `GROUP`, `#`; a member's has `GROUP#SHARD`, EXPORT. Members are sharded
                  so that no partition is hot while a large group concludes, and no item grows with its group
member_count, completed_count, failed_count, remaining_count
                  of the group: how many members it has, have completed, have failed, have not concluded yet
first_requested_at   when the first member was announced (epoch milliseconds)
claimed_until     until when (epoch milliseconds) one invocation has the sole right to conclude the group
concluded_at      when the group was concluded (epoch milliseconds)
failure           of a member: its entry in the group's event, as JSON; absent if the member completed
expires_at        when DynamoDB may remove the item (epoch seconds)
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from export_monitor.adapters.aws.dynamodb.table import (
    CancellationReason,
    Table,
    Update,
    expiry,
    has_failed_condition,
    is_written,
    milliseconds,
    raise_unavailable,
)
from export_monitor.domain.groups import FailedMember, GroupProgress, MemberResult
from export_monitor.domain.model import Group, UnavailableError

SHARDS = 16
# DynamoDB's limit for a transaction is 100 items; one of them is the group's own.
_MAX_MEMBERS = 99
_ATTEMPTS = 8


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
        """Register a group. If it is registered already, keep its size and the earliest announcement."""
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
            "first_requested_at > :first",
        )
        if not is_written(self._write([register])):
            self._write([earlier])

    def record_results(self, group_id: str, results: Sequence[MemberResult], now: float) -> list[str]:
        """Count members, each export once however often it is passed; return the ids that exceed the group's size.

        A concluded group counts nothing and returns all. While the group is being concluded, this raises
        UnavailableError.
        """
        excess: list[str] = []
        for start in range(0, len(results), _MAX_MEMBERS):
            remaining: Sequence[MemberResult] = results[start : start + _MAX_MEMBERS]
            for _ in self._table.attempts(_ATTEMPTS):
                remaining = self._record_results(group_id, remaining, excess, now)
                if not remaining:
                    break
            else:
                raise UnavailableError("the group is busy")
        return excess

    def _record_results(
        self, group_id: str, results: Sequence[MemberResult], excess: list[str], now: float
    ) -> Sequence[MemberResult]:
        """Count members and add the ids of those without room to `excess`; return those that met a conflict."""
        while results:
            updates = [self._group_update(group_id, results, now)]
            updates += [self._member_update(group_id, result, now) for result in results]
            group_reason, *reasons = self._write(updates)
            if is_written([group_reason, *reasons]):
                return []
            new = [one for one, reason in zip(results, reasons, strict=True) if not has_failed_condition(reason)]
            if len(new) == len(results):
                if not has_failed_condition(group_reason) or _is_claimed(group_reason.get("Item", {}), now):
                    return results
                new = new[: _room(group_reason.get("Item", {}))]
                excess += [one.export_id for one in results[len(new) :]]
            results = new
        return []

    def claim(self, group_id: str, now: float, until: float) -> bool:
        """Claim the sole right to conclude a group until then; False if it is concluded or claimed already."""
        claim = self._table.update(
            _group_key(group_id),
            "SET claimed_until = :until",
            {":until": milliseconds(until), ":now": milliseconds(now)},
            "attribute_exists(member_count) AND attribute_not_exists(concluded_at) "
            "AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
        )
        for _ in self._table.attempts(_ATTEMPTS):
            [reason] = self._write([claim])
            if is_written([reason]) or has_failed_condition(reason):
                return is_written([reason])
        raise UnavailableError("the group is busy")

    def record(self, group_id: str, now: float) -> None:
        """Record that a group is concluded."""
        expression = "SET concluded_at = :now, expires_at = :expires REMOVE claimed_until"
        values = {":now": milliseconds(now), ":expires": expiry(now)}
        if self._table.write_all({group_id: self._table.update(_group_key(group_id), expression, values)}):
            raise UnavailableError("the group's conclusion could not be recorded")

    def failures(self, group_id: str) -> list[FailedMember]:
        """The failed members of a group, in no particular order."""
        shards = [partial(self._failures, f"{group_id}#{shard}") for shard in range(SHARDS)]
        found: list[FailedMember] = []
        for outcome in self._table.calls.call_all(shards):
            with raise_unavailable():
                if isinstance(outcome, Exception):
                    raise outcome
                found += outcome
        return found

    def _write(self, updates: Sequence[Update]) -> list[CancellationReason]:
        with raise_unavailable():
            return self._table.write(updates)

    def _failures(self, part: str) -> list[FailedMember]:
        pages = (
            self._table.client()
            .get_paginator("query")
            .paginate(
                TableName=self._table.name,
                ConsistentRead=True,
                KeyConditionExpression="part = :part",
                FilterExpression="attribute_exists(failure)",
                ExpressionAttributeValues={":part": {"S": part}},
            )
        )
        return [FailedMember(**json.loads(item["failure"]["S"])) for page in pages for item in page["Items"]]

    def _group_update(self, group_id: str, results: Sequence[MemberResult], now: float) -> Update:
        number, failed = len(results), sum(result.failed is not None for result in results)
        counts = {":completed": number - failed, ":failed": failed, ":fewer": -number, ":number": number}
        values = {name: {"N": str(count)} for name, count in counts.items()}
        return self._table.update(
            _group_key(group_id),
            "ADD completed_count :completed, failed_count :failed, remaining_count :fewer",
            {**values, ":now": milliseconds(now)},
            # Members are not counted while the group is being concluded, so that its event and its item agree.
            "attribute_not_exists(concluded_at) AND remaining_count >= :number "
            "AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
        )

    def _member_update(self, group_id: str, result: MemberResult, now: float) -> Update:
        shard = zlib.crc32(result.export_id.encode()) % SHARDS
        key = {"part": {"S": f"{group_id}#{shard}"}, "member_id": {"S": result.export_id}}
        expression, values = "SET expires_at = :expires", {":expires": expiry(now)}
        if result.failed:
            expression += ", failure = :failure"
            values[":failure"] = {"S": json.dumps(asdict(result.failed))}
        return self._table.update(key, expression, values, "attribute_not_exists(member_id)")


def _group_key(group_id: str) -> dict[str, Any]:
    return {"part": {"S": group_id}, "member_id": {"S": "#"}}


def _is_claimed(item: dict[str, Any], now: float) -> bool:
    return int(item.get("claimed_until", {}).get("N", 0)) >= int(milliseconds(now)["N"])


def _room(item: dict[str, Any]) -> int:
    """How many members a group can still count. Raises UnavailableError if the group is not registered."""
    if "member_count" not in item:
        raise UnavailableError("the group is not recorded yet")
    return 0 if "concluded_at" in item else int(item["remaining_count"]["N"])


def _progress(group_id: str, item: dict[str, Any]) -> GroupProgress:
    return GroupProgress(
        group=Group(group_id, int(item["member_count"]["N"])),
        completed=int(item["completed_count"]["N"]),
        failed=int(item["failed_count"]["N"]),
        first_requested_at=int(item["first_requested_at"]["N"]) / 1000,
        concluded_at=int(item["concluded_at"]["N"]) / 1000 if "concluded_at" in item else None,
    )
