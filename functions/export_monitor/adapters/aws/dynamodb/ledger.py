"""Who may publish for an export, and what was published: see export_items."""

from collections.abc import Collection, Sequence
from typing import Any

from export_monitor.adapters.aws.calls import AWS_ERRORS
from export_monitor.adapters.aws.dynamodb.export_table_schema import export_key, fault_attributes
from export_monitor.adapters.aws.dynamodb.table import (
    Table,
    Update,
    describe_error,
    expiry,
    is_refused,
    is_written,
    milliseconds,
)
from export_monitor.adapters.timeouts import CallTimeoutError
from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.events import event_id
from export_monitor.domain.grace import FAULTS

# A transaction that met another one on the same item is tried again; botocore does not do so by itself.
_CLAIM_ATTEMPTS = 4


class Ledger:
    """Claims before publishing, and records after it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]:
        """Claim exports, each at most once, in one transaction; by export, those that were refused, and why.

        Times are in epoch seconds. A single claim that cannot be given cancels the transaction, so it is repeated
        without that one. Where DynamoDB fails, the claims may stand nevertheless, and are to be waited for.
        """
        refused: dict[str, RejectedClaim] = {}
        wanted = list(claims)
        attempts = 0
        while wanted:
            try:
                reasons = self._table.write([self._claim_update(claim, now, until) for claim in wanted])
            except AWS_ERRORS as error:
                unknown = RejectedClaim(ClaimStatus.UNKNOWN, until - now, describe_error(error))
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
                if attempts == _CLAIM_ATTEMPTS or not self._has_paused(attempts):
                    return refused | {c.export_id: RejectedClaim(ClaimStatus.IN_PROGRESS) for c in wanted}
            wanted = [claim for claim in wanted if claim.export_id not in lost]
        return refused

    def record(self, published: Sequence[Claim], over: Sequence[Claim], now: float) -> set[str]:
        """Record what was published and which messages have ended; claims and faults go.

        `over` are watches that end because their event had been published before. All are written in one transaction,
        and one by one where something keeps standing in its way. Returns the export ids of those not recorded.
        """
        updates = {claim.export_id: self._record_update(claim, now) for claim in published}
        updates |= {claim.export_id: self._over_update(claim, now) for claim in over}
        return self._table.write_all(updates)

    def _has_paused(self, attempts: int) -> bool:
        try:
            self._table.backoff(attempts)
        except CallTimeoutError:
            return False
        return True

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
            export_key(claim.export_id),
            "SET claimed_until = :until, expires_at = :expires",
            values,
            "(attribute_not_exists(claimed_until) OR claimed_until < :now) "
            "AND NOT contains(sent, :event) AND NOT contains(sent, :completed) AND NOT contains(ended, :message)",
        )

    def _record_update(self, claim: Claim, now: float) -> Update:
        faults = [attribute for fault in FAULTS for attribute in fault_attributes(fault)]
        return self._table.update(
            export_key(claim.export_id),
            f"SET expires_at = :expires REMOVE claimed_until, {', '.join(faults)} ADD sent :event, ended :message",
            {":expires": expiry(now), ":event": {"SS": [claim.event_id]}, ":message": {"SS": [claim.message_id]}},
        )

    def _over_update(self, claim: Claim, now: float) -> Update:
        values = {":expires": expiry(now), ":message": {"SS": [claim.message_id]}}
        return self._table.update(export_key(claim.export_id), "SET expires_at = :expires ADD ended :message", values)


def _refusal(claim: Claim, item: dict[str, Any], now: float) -> RejectedClaim:
    sent, ended = item.get("sent", {}).get("SS", ()), item.get("ended", {}).get("SS", ())
    if claim.message_id in ended or claim.event_id in sent or _completed(claim) in sent:
        return RejectedClaim(ClaimStatus.ALREADY_PUBLISHED, published=_published(claim, sent))
    if "claimed_until" not in item:
        # DynamoDB did not return the item: somebody else's claim, or a record, that is not known.
        return RejectedClaim(ClaimStatus.IN_PROGRESS)
    return RejectedClaim(ClaimStatus.IN_PROGRESS, max(0.0, int(item["claimed_until"]["N"]) / 1000 - now))


def _published(claim: Claim, sent: Collection[str]) -> str:
    """The event by which a watch that is over was ended."""
    known = (event for event in (_completed(claim), claim.event_id, *sorted(sent)) if event in sent)
    return next(known, claim.event_id)


def _completed(claim: Claim) -> str:
    return event_id(claim.export_id, None)
