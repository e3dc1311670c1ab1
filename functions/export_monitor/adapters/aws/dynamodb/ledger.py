"""Who may publish for an export, and what was published. The attributes are described in export_table_schema."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from export_monitor.adapters.aws.calls import AWS_ERRORS
from export_monitor.adapters.aws.dynamodb.export_table_schema import (
    export_key,
    fault_attributes,
    published_at_attribute,
)
from export_monitor.adapters.aws.dynamodb.table import (
    Table,
    Update,
    describe_error,
    expiry,
    has_failed_condition,
    is_written,
    milliseconds,
)
from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.grace import FAULTS
from export_monitor.domain.report_rows import row_from_json, row_to_json

# botocore does not retry a transaction that conflicts with another one.
_CLAIM_ATTEMPTS = 4
# An export may be announced without end, and DynamoDB takes no item above 400 KB. Only messages that could not be
# deleted come again, so of this number all are forgotten.
MAX_MESSAGE_IDS = 250


class Ledger:
    """Claims exports before their events are published, and records the events afterwards. Times: epoch seconds."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]:
        """Claim exports in one transaction, each export at most once; return the rejected claims by export id.

        If DynamoDB fails, the claims may have been written: their status is UNKNOWN until they expire.
        """
        rejected: dict[str, RejectedClaim] = {}
        remaining: Sequence[Claim] = claims
        for _ in self._table.attempts(_CLAIM_ATTEMPTS):
            remaining = self._claim(remaining, rejected, now, until)
            if not remaining:
                return rejected
        return rejected | {claim.export_id: RejectedClaim(ClaimStatus.IN_PROGRESS) for claim in remaining}

    def _claim(
        self, claims: Sequence[Claim], rejected: dict[str, RejectedClaim], now: float, until: float
    ) -> Sequence[Claim]:
        """Write claims and add the rejected ones to `rejected`; return those that met a conflict.

        One rejected claim cancels the whole transaction, so the transaction is repeated without it.
        """
        while claims:
            try:
                reasons = self._table.write([self._claim_update(claim, now, until) for claim in claims])
            except AWS_ERRORS as error:
                unknown = RejectedClaim(ClaimStatus.UNKNOWN, until - now, describe_error(error))
                rejected |= {claim.export_id: unknown for claim in claims}
                return []
            if is_written(reasons):
                return []
            lost = [
                (claim, reason.get("Item", {}))
                for claim, reason in zip(claims, reasons, strict=True)
                if has_failed_condition(reason)
            ]
            if not lost:
                return claims
            forgotten = self._forget_messages([item for _, item in lost])
            found = {claim.export_id: _rejection(claim, item, now) for claim, item in lost}
            rejected |= {
                export_id: one
                for export_id, one in found.items()
                if export_id not in forgotten or one.status is ClaimStatus.ALREADY_PUBLISHED
            }
            claims = [claim for claim in claims if claim.export_id not in rejected]
        return []

    def _forget_messages(self, items: Sequence[Mapping[str, Any]]) -> set[str]:
        """Remove the ids of concluded messages where there are too many; return the exports that can be claimed now."""
        full = {item["export_id"]["S"] for item in items if len(_message_ids(item)) >= MAX_MESSAGE_IDS}
        updates = {one: self._table.update(export_key(one), "REMOVE concluded_message_ids", {}) for one in full}
        return full - self._table.write_all(updates)

    def record(self, published: Sequence[Claim], already_published: Sequence[Claim], now: float) -> set[str]:
        """Record published events and concluded messages, and remove the claims and faults of the published ones.

        `already_published` are watches that conclude because their event was published earlier. All are written in one
        transaction, or one by one if conflicts persist. Returns the ids of the exports that could not be recorded.
        """
        updates = {claim.export_id: self._record_update(claim, now) for claim in published}
        updates |= {claim.export_id: self._already_published_update(claim, now) for claim in already_published}
        return self._table.write_all(updates)

    def published(self, export_id: str) -> dict[str, float | None] | None:
        """When each event of an export was last published, by the event's id; None if the export has no item.

        Of an event that an earlier version of the app published, the time is None. Raises UnavailableError.
        """
        item = self._table.get(export_key(export_id))
        if item is None:
            return None
        event_ids = item.get("published_event_ids", {}).get("SS", ())
        times = {event_id: item.get(published_at_attribute(event_id)) for event_id in event_ids}
        return {event_id: int(at["N"]) / 1000 if at else None for event_id, at in times.items()}

    def _claim_update(self, claim: Claim, now: float, until: float) -> Update:
        values = {
            ":now": milliseconds(now),
            ":until": milliseconds(until),
            ":expires": expiry(now),
            ":message": {"S": claim.message_id},
            ":most": {"N": str(MAX_MESSAGE_IDS)},
        }
        barred_by = {f":event{number}": {"S": event} for number, event in enumerate(claim.barred_by)}
        # A delay waits for both kinds of claims, a conclusion only for its own.
        claimed = ("claimed_until",) if claim.concludes else ("delay_claimed_until", "claimed_until")
        conditions = (
            *(f"(attribute_not_exists({one}) OR {one} < :now)" for one in claimed),
            "NOT contains(concluded_message_ids, :message)",
            "(attribute_not_exists(concluded_message_ids) OR size(concluded_message_ids) < :most)",
            *(f"NOT contains(published_event_ids, {name})" for name in barred_by),
        )
        return self._table.update(
            export_key(claim.export_id),
            f"SET {claimed[0]} = :until, expires_at = :expires",
            values | barred_by,
            " AND ".join(conditions),
        )

    def _record_update(self, claim: Claim, now: float) -> Update:
        if not claim.concludes:
            return self._table.update(
                export_key(claim.export_id),
                f"SET expires_at = :expires, {published_at_attribute(claim.event_id)} = :now "
                "REMOVE delay_claimed_until ADD published_event_ids :event",
                {":expires": expiry(now), ":now": milliseconds(now), ":event": {"SS": [claim.event_id]}},
            )
        faults = [attribute for fault in FAULTS for attribute in fault_attributes(fault)]
        # A row of an earlier end must not stay.
        row = {":row": {"S": row_to_json(replace(claim.row, context={}))}} if claim.row else {}
        keep, forget = ("report_row = :row, ", "") if row else ("", "report_row, ")
        return self._table.update(
            export_key(claim.export_id),
            f"SET {keep}expires_at = :expires, {published_at_attribute(claim.event_id)} = :now "
            f"REMOVE {forget}claimed_until, {', '.join(faults)} "
            "ADD published_event_ids :event, concluded_message_ids :message",
            row
            | {
                ":expires": expiry(now),
                ":now": milliseconds(now),
                ":event": {"SS": [claim.event_id]},
                ":message": {"SS": [claim.message_id]},
            },
        )

    def _already_published_update(self, claim: Claim, now: float) -> Update:
        return self._table.update(
            export_key(claim.export_id),
            "SET expires_at = :expires ADD concluded_message_ids :message",
            {":expires": expiry(now), ":message": {"SS": [claim.message_id]}},
        )


def _message_ids(item: Mapping[str, Any]) -> Sequence[str]:
    found: Sequence[str] = item.get("concluded_message_ids", {}).get("SS", ())
    return found


def _rejection(claim: Claim, item: dict[str, Any], now: float) -> RejectedClaim:
    event_ids = item.get("published_event_ids", {}).get("SS", ())
    message_ids = _message_ids(item)
    if claim.message_id in message_ids or not set(event_ids).isdisjoint(claim.barred_by):
        return _already_published(claim, item, event_ids, is_concluded=claim.message_id in message_ids)
    if "claimed_until" not in item:
        # DynamoDB did not return the item, so it is not known whether a claim or a record caused the rejection.
        return RejectedClaim(ClaimStatus.IN_PROGRESS)
    return RejectedClaim(ClaimStatus.IN_PROGRESS, max(0.0, int(item["claimed_until"]["N"]) / 1000 - now))


def _already_published(
    claim: Claim, item: dict[str, Any], event_ids: Sequence[str], *, is_concluded: bool
) -> RejectedClaim:
    row = row_from_json(item["report_row"]["S"]) if "report_row" in item else None
    published = claim.ended_by(event_ids, row.event_id if row and is_concluded else None)
    at = item.get(published_at_attribute(published))
    return RejectedClaim(
        ClaimStatus.ALREADY_PUBLISHED,
        published=published,
        published_at=int(at["N"]) / 1000 if at else None,
        row=row if row and row.event_id == published else None,
    )
