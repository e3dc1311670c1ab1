"""The table of what was published: one item for each export.

export_id      the key; one item, `discovery#`, has only `list_offset`: where reading the list stopped early
claimed_until  until when (epoch milliseconds) an invocation has the sole right to publish for the export
sent           the ids of the events that were published
ended          the ids of the messages whose watch is over
fault_…_first, fault_…_last   a fault's first and last sight (epoch seconds), until a watch of the export ends
expires_at     when DynamoDB may remove the item (epoch seconds)
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from export_monitor.adapters.aws import AWS_ERRORS
from export_monitor.adapters.table import Table, Update, asking, expiry, is_refused, is_written, milliseconds
from export_monitor.adapters.threads import LateError
from export_monitor.domain.claims import Claim, Refusal, RefusedClaim
from export_monitor.domain.events import event_id
from export_monitor.domain.model import Obstacle, UnavailableError
from export_monitor.domain.patience import FAULTS, Sight

# A transaction that met another one on the same item is tried again; botocore does not do so by itself.
_CLAIM_ATTEMPTS = 4
# What SNS has cannot be called back, so it is recorded as long as there is time: these take most of a minute.
_RECORD_ATTEMPTS = 30
_TOGETHER_ATTEMPTS = 3
# What a transaction and a BatchGetItem take.
_READ_AT_ONCE = 100
# No export's id has such a sign.
_DISCOVERY = "discovery#"


class Ledger:
    """Claims before publishing, records after it, and remembers when faults were seen."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RefusedClaim]:
        """Claim exports, each at most once, in one transaction; by export, those that were refused, and why.

        Times are in epoch seconds. A single claim that cannot be given cancels the transaction, so it is repeated
        without that one. Where DynamoDB fails, the claims may stand nevertheless, and are to be waited for.
        """
        refused: dict[str, RefusedClaim] = {}
        wanted = list(claims)
        attempts = 0
        while wanted:
            try:
                reasons = self._table.write([self._claim_update(claim, now, until) for claim in wanted])
            except AWS_ERRORS as error:
                unknown = RefusedClaim(Refusal.UNKNOWN, until - now, _told(error))
                return refused | {claim.export_id: unknown for claim in wanted}
            lost = {
                claim.export_id: _refusal(claim, reason.get("Item", {}), now)
                for claim, reason in zip(wanted, reasons, strict=True)
                if is_refused(reason)
            }
            refused |= lost
            if is_written(reasons):
                break
            if not lost:
                attempts += 1
                if attempts == _CLAIM_ATTEMPTS:
                    return refused | {c.export_id: RefusedClaim(Refusal.BUSY) for c in wanted}
                self._table.pause(attempts)
            wanted = [claim for claim in wanted if claim.export_id not in lost]
        return refused

    def record(self, published: Sequence[Claim], over: Sequence[Claim], now: float) -> None:
        """Record what was published and which messages have ended; claims and faults go.

        `over` are watches that end because their event had been published before. All are written in one transaction,
        and one by one where something keeps standing in its way. Raises UnavailableError where it could not be done.
        """
        updates = [self._record_update(claim, now) for claim in published]
        updates += [self._over_update(claim, now) for claim in over]
        for attempt in range(1, _RECORD_ATTEMPTS + 1):
            updates = self._unwritten(updates, together=attempt <= _TOGETHER_ATTEMPTS)
            if not updates:
                return
            try:
                self._table.pause(attempt)
            except LateError:
                break
        raise UnavailableError("what was published could not be recorded")

    def first_seen_at(self, sights: Collection[Sight], now: float) -> dict[Sight, float | Obstacle]:
        """Note that faults are seen, and say of each since when it has been, in epoch seconds.

        One that went unseen for too long had healed and counts from now. It costs one write, and a second one after
        healing.
        """
        outcomes = self._table.calls.side_by_side([partial(self._first_seen_at, sight, now) for sight in sights])
        return {
            sight: Obstacle(_told(outcome)) if isinstance(outcome, Exception) else outcome
            for sight, outcome in zip(sights, outcomes, strict=True)
        }

    def watched(self, export_ids: Collection[str]) -> set[str]:
        """Which of these exports have an item, and so had a watch. Raises UnavailableError."""
        ids = sorted(export_ids)
        found: set[str] = set()
        for start in range(0, len(ids), _READ_AT_ONCE):
            found |= self._watched(ids[start : start + _READ_AT_ONCE])
        return found

    def mark_watched(self, export_ids: Collection[str], now: float) -> None:
        """Give each export an item, so that it is not discovered. Raises UnavailableError."""
        ids = sorted(export_ids)
        marks = [self._table.update(_key(one), "SET expires_at = :expires", {":expires": expiry(now)}) for one in ids]
        for start in range(0, len(marks), _READ_AT_ONCE):
            unwritten = marks[start : start + _READ_AT_ONCE]
            for attempt in range(1, _RECORD_ATTEMPTS + 1):
                unwritten = self._unwritten(unwritten, together=attempt <= _TOGETHER_ATTEMPTS)
                if not unwritten:
                    break
                with asking():
                    self._table.pause(attempt)

    def list_offset(self) -> int | None:
        """Where discovery stopped early, if it did. Raises UnavailableError."""
        client = self._table.client()
        get = partial(client.get_item, TableName=self._table.name, Key=_key(_DISCOVERY), ConsistentRead=True)
        with asking():
            item = self._table.calls.one(get).get("Item", {})
        return int(item["list_offset"]["N"]) if "list_offset" in item else None

    def remember_list_offset(self, offset: int | None) -> None:
        """Remember where discovery stopped early, or that it did not. Raises UnavailableError."""
        values = {":offset": {"N": str(offset)}}
        update = (
            self._table.update(_key(_DISCOVERY), "REMOVE list_offset", {})
            if offset is None
            else self._table.update(_key(_DISCOVERY), "SET list_offset = :offset", values)
        )
        with asking():
            self._table.write([update])

    def _watched(self, ids: list[str]) -> set[str]:
        wanted: Any = {
            self._table.name: {
                "Keys": [_key(one) for one in ids],
                "ProjectionExpression": "export_id",
                "ConsistentRead": True,
            }
        }
        found: set[str] = set()
        client = self._table.client()
        for attempt in range(1, _RECORD_ATTEMPTS + 1):
            with asking():
                answer = self._table.calls.one(partial(client.batch_get_item, RequestItems=wanted))
            found |= {item["export_id"]["S"] for item in answer["Responses"].get(self._table.name, ())}
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return found
            with asking():
                self._table.pause(attempt)
        raise UnavailableError("DynamoDB did not give every item")

    def _first_seen_at(self, sight: Sight, now: float) -> float:
        first, last = _fault_attributes(sight.fault)
        before = self._set_fault(sight.export_id, f"SET {first} = if_not_exists({first}, :now), {last} = :now", now)
        if last not in before or float(before[last]["N"]) >= now - sight.healed_after:
            return float(before[first]["N"]) if first in before else now
        self._set_fault(sight.export_id, f"SET {first} = :now, {last} = :now", now)
        return now

    def _set_fault(self, export_id: str, expression: str, now: float) -> dict[str, Any]:
        values = {":now": {"N": f"{now:.3f}"}, ":expires": expiry(now)}
        update = self._table.update(_key(export_id), f"{expression}, expires_at = :expires", values)
        answer = self._table.client().update_item(**update, ReturnValues="ALL_OLD")
        return dict(answer.get("Attributes", {}))

    def _unwritten(self, updates: list[Update], *, together: bool) -> list[Update]:
        """Write, and say what could not be written, for whatever reason."""
        if together:
            try:
                return [] if is_written(self._table.write(updates)) else updates
            except AWS_ERRORS:
                return updates
        client = self._table.client()
        outcomes = self._table.calls.side_by_side([partial(client.update_item, **update) for update in updates])
        return [update for update, outcome in zip(updates, outcomes, strict=True) if isinstance(outcome, Exception)]

    def _claim_update(self, claim: Claim, now: float, until: float) -> Update:
        values = {
            ":now": milliseconds(now),
            ":until": milliseconds(until),
            ":expires": expiry(now),
            ":event": {"S": claim.event_id},
            ":completed": {"S": _completed(claim)},
            ":message": {"S": claim.message_id},
        }
        return self._table.update(
            _key(claim.export_id),
            "SET claimed_until = :until, expires_at = :expires",
            values,
            "(attribute_not_exists(claimed_until) OR claimed_until < :now) "
            "AND NOT contains(sent, :event) AND NOT contains(sent, :completed) AND NOT contains(ended, :message)",
        )

    def _record_update(self, claim: Claim, now: float) -> Update:
        faults = [attribute for fault in FAULTS for attribute in _fault_attributes(fault)]
        return self._table.update(
            _key(claim.export_id),
            f"SET expires_at = :expires REMOVE claimed_until, {', '.join(faults)} ADD sent :event, ended :message",
            {":expires": expiry(now), ":event": {"SS": [claim.event_id]}, ":message": {"SS": [claim.message_id]}},
        )

    def _over_update(self, claim: Claim, now: float) -> Update:
        values = {":expires": expiry(now), ":message": {"SS": [claim.message_id]}}
        return self._table.update(_key(claim.export_id), "SET expires_at = :expires ADD ended :message", values)


def _key(export_id: str) -> dict[str, Any]:
    return {"export_id": {"S": export_id}}


def _refusal(claim: Claim, item: dict[str, Any], now: float) -> RefusedClaim:
    sent, ended = item.get("sent", {}).get("SS", ()), item.get("ended", {}).get("SS", ())
    if claim.message_id in ended or claim.event_id in sent or _completed(claim) in sent:
        return RefusedClaim(Refusal.OVER, published=_published(claim, sent))
    claimed_until = int(item.get("claimed_until", {}).get("N", 0)) / 1000
    return RefusedClaim(Refusal.BUSY, max(0.0, claimed_until - now))


def _published(claim: Claim, sent: Collection[str]) -> str:
    """The event by which a watch that is over was ended."""
    known = (event for event in (_completed(claim), claim.event_id, *sorted(sent)) if event in sent)
    return next(known, claim.event_id)


def _completed(claim: Claim) -> str:
    return event_id(claim.export_id, None)


def _fault_attributes(fault: str) -> tuple[str, str]:
    return f"fault_{fault}_first", f"fault_{fault}_last"


def _told(error: Exception) -> str:
    return f"DynamoDB: {error}"
