"""The table of groups: one item for each group, and one for each member whose watch is over.

part, member_id   the key: the group's item is at `GROUP`, `#`; a member's is at `GROUP#SHARD`, EXPORT, so that no part
               of the table is hot while a large group ends, and none grows with a group
…_count        of the group: how many members it has, and how many have completed, failed, not ended yet
first_requested_at   when its first member was announced (epoch milliseconds)
claimed_until  until when (epoch milliseconds) an invocation has the sole right to conclude the group
concluded_at   when it was (epoch milliseconds)
failure        of a member: what the group's event tells of it, as JSON; absent where it has completed
expires_at     when DynamoDB may remove the item (epoch seconds)
"""

import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from export_monitor.adapters.aws.calls import AWS_ERRORS
from export_monitor.adapters.aws.dynamodb.table import (
    RECORD_ATTEMPTS,
    CancellationReason,
    Table,
    Update,
    expiry,
    is_refused,
    is_written,
    milliseconds,
    raise_unavailable,
)
from export_monitor.domain.groups import FailedMember, GroupProgress, MemberResult
from export_monitor.domain.model import Group, UnavailableError

SHARDS = 16
# A transaction takes 100 items, and one of them is the group's own.
_AT_ONCE = 99
_ATTEMPTS = 8


class GroupLedger:
    """Counts the members of groups whose watches are over, each export once. Times are in epoch seconds.

    Every method raises UnavailableError where DynamoDB fails or others stand in the way; it may be called again.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def progress(self, group_id: str) -> GroupProgress | None:
        """How far a group has come; None for one that was not begun."""
        client = self._table.client()
        get = partial(client.get_item, TableName=self._table.name, Key=_group_key(group_id), ConsistentRead=True)
        with raise_unavailable():
            answer = self._table.calls.call(get)
        return _progress(group_id, answer["Item"]) if "Item" in answer else None

    def begin(self, group: Group, first_requested_at: float, now: float) -> None:
        """Begin a group, unless it was begun already; the first size stands, and the earliest announcement."""
        values = {
            ":size": {"N": str(group.size)},
            ":none": {"N": "0"},
            ":first": milliseconds(first_requested_at),
            ":expires": expiry(now),
        }
        begin = self._table.update(
            _group_key(group.id),
            "SET member_count = :size, awaited_count = :size, completed_count = :none, failed_count = :none, "
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
        if not is_written(self._write([begin])):
            self._write([earlier])

    def count(self, group_id: str, ends: Sequence[MemberResult], now: float) -> list[str]:
        """Count members, each export once however often it comes; those beyond the group's size come back.

        Nothing is counted, and all come back, once the group is concluded. Who is concluding it stands in the way.
        """
        excess: list[str] = []
        for start in range(0, len(ends), _AT_ONCE):
            excess += self._count(group_id, list(ends[start : start + _AT_ONCE]), now)
        return excess

    def _count(self, group_id: str, waiting: list[MemberResult], now: float) -> list[str]:
        excess: list[str] = []
        for attempt in range(1, _ATTEMPTS + 1):
            if not waiting:
                return excess
            updates = [self._group_update(group_id, waiting, now)]
            updates += [self._member_update(group_id, end, now) for end in waiting]
            group_reason, *reasons = self._write(updates)
            if is_written([group_reason, *reasons]):
                return excess
            known = [end for end, reason in zip(waiting, reasons, strict=True) if is_refused(reason)]
            if known:
                waiting = [end for end in waiting if end not in known]
            elif is_refused(group_reason) and not _is_claimed(item := group_reason.get("Item", {}), now):
                if "member_count" not in item:
                    raise UnavailableError("the group is not recorded yet")
                room = 0 if "concluded_at" in item else int(item["awaited_count"]["N"])
                excess += [end.export_id for end in waiting[room:]]
                waiting = waiting[:room]
            else:
                self._pause(attempt)
        raise UnavailableError("the group is busy")

    def claim(self, group_id: str, now: float, until: float) -> bool:
        """Claim the sole right to conclude a group until then; false where it is concluded, or somebody has it."""
        claim = self._table.update(
            _group_key(group_id),
            "SET claimed_until = :until",
            {":until": milliseconds(until), ":now": milliseconds(now)},
            "attribute_exists(member_count) AND attribute_not_exists(concluded_at) "
            "AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
        )
        for attempt in range(1, _ATTEMPTS + 1):
            [reason] = self._write([claim])
            if is_written([reason]) or is_refused(reason):
                return is_written([reason])
            self._pause(attempt)
        raise UnavailableError("the group is busy")

    def record(self, group_id: str, now: float) -> None:
        """Record that a group is concluded."""
        expression = "SET concluded_at = :now, expires_at = :expires REMOVE claimed_until"
        values = {":now": milliseconds(now), ":expires": expiry(now)}
        update = self._table.update(_group_key(group_id), expression, values)
        for attempt in range(1, RECORD_ATTEMPTS + 1):
            with suppress(*AWS_ERRORS):
                if is_written(self._table.write([update])):
                    return
            self._pause(attempt)
        raise UnavailableError("the group's conclusion could not be recorded")

    def failures(self, group_id: str) -> list[FailedMember]:
        """The members of a group that have failed, in no order."""
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

    def _pause(self, attempt: int) -> None:
        with raise_unavailable():
            self._table.backoff(attempt)

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

    def _group_update(self, group_id: str, ends: Sequence[MemberResult], now: float) -> Update:
        failed = sum(end.failed is not None for end in ends)
        counts = {":completed": len(ends) - failed, ":failed": failed, ":fewer": -len(ends), ":ended": len(ends)}
        values = {name: {"N": str(count)} for name, count in counts.items()}
        return self._table.update(
            _group_key(group_id),
            "ADD completed_count :completed, failed_count :failed, awaited_count :fewer",
            {**values, ":now": milliseconds(now)},
            # Nobody is counted while the group is being concluded, so that its event and its item say the same.
            "attribute_not_exists(concluded_at) AND awaited_count >= :ended "
            "AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
        )

    def _member_update(self, group_id: str, end: MemberResult, now: float) -> Update:
        shard = zlib.crc32(end.export_id.encode()) % SHARDS
        key = {"part": {"S": f"{group_id}#{shard}"}, "member_id": {"S": end.export_id}}
        expression, values = "SET expires_at = :expires", {":expires": expiry(now)}
        if end.failed:
            expression += ", failure = :failure"
            values[":failure"] = {"S": json.dumps(asdict(end.failed))}
        return self._table.update(key, expression, values, "attribute_not_exists(member_id)")


def _group_key(group_id: str) -> dict[str, Any]:
    return {"part": {"S": group_id}, "member_id": {"S": "#"}}


def _is_claimed(item: dict[str, Any], now: float) -> bool:
    return int(item.get("claimed_until", {}).get("N", 0)) / 1000 >= now


def _progress(group_id: str, item: dict[str, Any]) -> GroupProgress:
    return GroupProgress(
        group=Group(group_id, int(item["member_count"]["N"])),
        completed=int(item["completed_count"]["N"]),
        failed=int(item["failed_count"]["N"]),
        first_requested_at=int(item["first_requested_at"]["N"]) / 1000,
        is_concluded="concluded_at" in item,
    )
