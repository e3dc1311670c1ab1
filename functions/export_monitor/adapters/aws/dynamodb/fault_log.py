"""Since when an export has had a fault. The attributes are described in export_table_schema."""

from collections.abc import Collection
from functools import partial
from typing import Any

from export_monitor.adapters.aws.calls import AWS_ERRORS
from export_monitor.adapters.aws.dynamodb.export_table_schema import export_key, fault_attributes
from export_monitor.adapters.aws.dynamodb.table import Table, describe_error, expiry
from export_monitor.domain.grace import FaultObservation
from export_monitor.domain.model import Unavailable
from export_monitor.domain.unexpected import Unexpected


class FaultLog:
    """Remembers when faults were seen."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def first_seen_at(
        self, observations: Collection[FaultObservation], now: float
    ) -> dict[FaultObservation, float | Unavailable | Unexpected]:
        """Record each fault as seen now, and return when it was first seen, in epoch seconds.

        A fault that was not seen for longer than `resets_after` starts again from now. Each observation costs one
        write, and a second one if the fault starts again.
        """
        outcomes = self._table.calls.call_all(
            [partial(self._first_seen_at, observation, now) for observation in observations]
        )
        return {observation: _answer(outcome) for observation, outcome in zip(observations, outcomes, strict=True)}

    def _first_seen_at(self, observation: FaultObservation, now: float) -> float:
        first, last = fault_attributes(observation.fault)
        before = self._set(observation.export_id, f"SET {first} = if_not_exists({first}, :now), {last} = :now", now)
        if last not in before or float(before[last]["N"]) >= now - observation.resets_after:
            return float(before[first]["N"]) if first in before else now
        self._set(observation.export_id, f"SET {first} = :now, {last} = :now", now)
        return now

    def _set(self, export_id: str, expression: str, now: float) -> dict[str, Any]:
        """Update an export's item and return its attributes from before the update."""
        values = {":now": {"N": f"{now:.3f}"}, ":expires": expiry(now)}
        update = self._table.update(export_key(export_id), f"{expression}, expires_at = :expires", values)
        answer = self._table.client().update_item(**update, ReturnValues="ALL_OLD")
        return dict(answer.get("Attributes", {}))


def _answer(outcome: float | Exception) -> float | Unavailable | Unexpected:
    if isinstance(outcome, AWS_ERRORS):
        return Unavailable(describe_error(outcome))
    return Unexpected(outcome) if isinstance(outcome, Exception) else outcome
