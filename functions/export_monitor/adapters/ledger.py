"""The table of what was published: one item for each export.

export_id      the key
claimed_until  until when (epoch milliseconds) an invocation has the sole right to publish for the export
sent           the ids of the events that were published
ended          the ids of the messages whose watch is over
fault_…_first, fault_…_last   a fault's first and last sight (epoch seconds), until a watch of the export ends
expires_at     when DynamoDB may remove the item (epoch seconds): well over the 30 days that the contract promises
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from export_monitor.adapters.aws import AWS_ERRORS, AwsCalls
from export_monitor.adapters.threads import LateError
from export_monitor.domain.claims import Claim, Refusal, RefusedClaim
from export_monitor.domain.events import event_id
from export_monitor.domain.model import Obstacle, UnavailableError
from export_monitor.domain.patience import FAULTS, Sight

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KEPT_SECONDS = 45 * 24 * 3600
# A transaction that met another one on the same item is tried again; botocore does not do so by itself.
_CLAIM_ATTEMPTS = 4
# What SNS has cannot be called back, so it is recorded as long as there is time: in these pauses, a minute and more.
_RECORD_ATTEMPTS = 30
_TOGETHER_ATTEMPTS = 3
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0


class Ledger:
    """Claims before publishing, records after it, and remembers when faults were seen."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], DynamoDBClient]", table_name: str) -> None:
        self._calls = calls
        self._client = client
        self._table_name = table_name

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
                reasons = self._write([self._claim_update(claim, now, until) for claim in wanted])
            except AWS_ERRORS as error:
                unknown = RefusedClaim(Refusal.UNKNOWN, until - now, _told(error))
                return refused | {claim.export_id: unknown for claim in wanted}
            lost = {
                claim.export_id: _refusal(claim, reason.get("Item", {}), now)
                for claim, reason in zip(wanted, reasons, strict=True)
                if reason["Code"] == "ConditionalCheckFailed"
            }
            refused |= lost
            if not any(reason["Code"] != "None" for reason in reasons):
                break
            if not lost:
                attempts += 1
                if attempts == _CLAIM_ATTEMPTS:
                    return refused | {c.export_id: RefusedClaim(Refusal.BUSY) for c in wanted}
                self._calls.pause(_pause(attempts))
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
                self._calls.pause(_pause(attempt))
            except LateError:
                break
        raise UnavailableError("what was published could not be recorded")

    def first_seen_at(self, sights: Collection[Sight], now: float) -> dict[Sight, float | Obstacle]:
        """Note that faults are seen, and say of each since when it has been, in epoch seconds.

        One that went unseen for too long had healed and counts from now. It costs one write, and a second one after
        healing.
        """
        outcomes = self._calls.side_by_side([partial(self._first_seen_at, sight, now) for sight in sights])
        return {
            sight: Obstacle(_told(outcome)) if isinstance(outcome, Exception) else outcome
            for sight, outcome in zip(sights, outcomes, strict=True)
        }

    def _first_seen_at(self, sight: Sight, now: float) -> float:
        first, last = _fault_attributes(sight.fault)
        before = self._set_fault(sight.export_id, f"SET {first} = if_not_exists({first}, :now), {last} = :now", now)
        if last not in before or float(before[last]["N"]) >= now - sight.healed_after:
            return float(before[first]["N"]) if first in before else now
        self._set_fault(sight.export_id, f"SET {first} = :now, {last} = :now", now)
        return now

    def _set_fault(self, export_id: str, update: str, now: float) -> dict[str, Any]:
        answer = self._client().update_item(
            TableName=self._table_name,
            Key={"export_id": {"S": export_id}},
            UpdateExpression=f"{update}, expires_at = :expires",
            ExpressionAttributeValues={":now": {"N": f"{now:.3f}"}, ":expires": _expiry(now)},
            ReturnValues="ALL_OLD",
        )
        return dict(answer.get("Attributes", {}))

    def _unwritten(self, updates: list[dict[str, Any]], *, together: bool) -> list[dict[str, Any]]:
        """Write, and say what could not be written, for whatever reason."""
        if together:
            try:
                is_written = all(reason["Code"] == "None" for reason in self._write(updates))
            except AWS_ERRORS:
                return updates
            return [] if is_written else updates
        client = self._client()
        outcomes = self._calls.side_by_side([partial(client.update_item, **update) for update in updates])
        return [update for update, outcome in zip(updates, outcomes, strict=True) if isinstance(outcome, Exception)]

    def _write(self, updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write all or nothing; a reason for each update, whose code is None where it did not stand in the way."""
        if not updates:
            return []
        client = self._client()
        try:
            if len(updates) == 1:
                # A lone write needs no transaction, which costs twice as much.
                self._calls.one(partial(client.update_item, **updates[0]))
            else:
                transaction: list[Any] = [{"Update": update} for update in updates]
                self._calls.one(partial(client.transact_write_items, TransactItems=transaction))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "TransactionCanceledException":
                return [dict(reason) for reason in error.response["CancellationReasons"]]
            if code == "ConditionalCheckFailedException":
                return [{"Code": "ConditionalCheckFailed", "Item": error.response.get("Item", {})}]
            if code in ("TransactionInProgressException", "TransactionConflictException"):
                return [{"Code": "TransactionConflict"}] * len(updates)
            raise
        return [{"Code": "None"}] * len(updates)

    def _claim_update(self, claim: Claim, now: float, until: float) -> dict[str, Any]:
        values = {
            ":now": {"N": str(int(now * 1000))},
            ":until": {"N": str(int(until * 1000))},
            ":expires": _expiry(now),
            ":event": {"S": claim.event_id},
            ":completed": {"S": _completed(claim)},
            ":message": {"S": claim.message_id},
        }
        update = self._update(claim, "SET claimed_until = :until, expires_at = :expires", values)
        return update | {
            "ConditionExpression": "(attribute_not_exists(claimed_until) OR claimed_until < :now) "
            "AND NOT contains(sent, :event) AND NOT contains(sent, :completed) AND NOT contains(ended, :message)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _record_update(self, claim: Claim, now: float) -> dict[str, Any]:
        faults = [attribute for fault in FAULTS for attribute in _fault_attributes(fault)]
        return self._update(
            claim,
            f"SET expires_at = :expires REMOVE claimed_until, {', '.join(faults)} ADD sent :event, ended :message",
            {":expires": _expiry(now), ":event": {"SS": [claim.event_id]}, ":message": {"SS": [claim.message_id]}},
        )

    def _over_update(self, claim: Claim, now: float) -> dict[str, Any]:
        update = "SET expires_at = :expires ADD ended :message"
        return self._update(claim, update, {":expires": _expiry(now), ":message": {"SS": [claim.message_id]}})

    def _update(self, claim: Claim, expression: str, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "TableName": self._table_name,
            "Key": {"export_id": {"S": claim.export_id}},
            "UpdateExpression": expression,
            "ExpressionAttributeValues": values,
        }


def _refusal(claim: Claim, item: dict[str, Any], now: float) -> RefusedClaim:
    sent, ended = item.get("sent", {}).get("SS", ()), item.get("ended", {}).get("SS", ())
    if claim.message_id in ended or claim.event_id in sent or _completed(claim) in sent:
        return RefusedClaim(Refusal.OVER)
    claimed_until = int(item.get("claimed_until", {}).get("N", 0)) / 1000
    return RefusedClaim(Refusal.BUSY, max(0.0, claimed_until - now))


def _completed(claim: Claim) -> str:
    return event_id(claim.export_id, None)


def _fault_attributes(fault: str) -> tuple[str, str]:
    return f"fault_{fault}_first", f"fault_{fault}_last"


def _pause(attempt: int) -> float:
    return float(min(_PAUSE_SECONDS * 2 ** (attempt - 1), _LONGEST_PAUSE_SECONDS))


def _told(error: Exception) -> str:
    return f"DynamoDB: {error}"


def _expiry(now: float) -> dict[str, str]:
    return {"N": str(int(now + KEPT_SECONDS))}
