"""The table of content checks: one item per version of an object.

object         the key: ContentTarget.id
requested_at   when the check was first asked for (epoch milliseconds)
touched_at     when it was last asked for or worked on (epoch milliseconds)
plan           the format, and what the parts follow from
results        by the number of a part: what was found in it
claims         by the number of a part: which message's worker is reading it (claimed_by), and when its invocation ends
               (claimed_until, epoch milliseconds); removed when the part is recorded
verdict        as JSON
expires_at     when DynamoDB may remove the item (epoch seconds)
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from botocore.exceptions import ClientError

from export_monitor.adapters.aws.calls import AWS_ERRORS
from export_monitor.adapters.aws.dynamodb.table import Table, describe_error, expiry, milliseconds, raise_unavailable
from export_monitor.adapters.timeouts import CallTimeoutError
from export_monitor.domain.content.check import (
    ContentCheck,
    ContentPlan,
    Replaced,
    Verdict,
    plan_content,
    verdict_from_text,
    verdict_to_text,
)
from export_monitor.domain.content.formats import Format, Kind
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import PartResult, from_item
from export_monitor.domain.content.target import ContentTarget
from export_monitor.domain.model import Unavailable
from export_monitor.domain.unexpected import Unexpected

# PLAN is a reserved word of DynamoDB.
_PLAN = {"#plan": "plan"}
_REPLACED = {"S": verdict_to_text(Replaced())}
_EMPTY: dict[str, Any] = {"M": {}}

Item: TypeAlias = dict[str, Any]
Result = TypeVar("Result")


class ContentChecks:
    """Records the content checks of versions. Times are in epoch seconds.

    Those for one version raise UnavailableError if DynamoDB fails. Each method can be called again.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self, target: ContentTarget) -> ContentCheck:
        """What is recorded of a version."""
        with raise_unavailable():
            return self._table.calls.call(partial(self._read, target))

    def read_all(self, targets: Sequence[ContentTarget]) -> list[ContentCheck | Unavailable | Unexpected]:
        """What is recorded of each version."""
        return [_answer(one) for one in self._table.calls.call_all([partial(self._read, one) for one in targets])]

    def note_requests(
        self, targets: Sequence[ContentTarget], now: float
    ) -> list[tuple[bool, Item] | Unavailable | Unexpected]:
        """Record that the checks were asked for."""
        expression = "SET requested_at = if_not_exists(requested_at, :now), touched_at = :now"
        writes = [partial(self._write, one, now, expression) for one in targets]
        return [_answer(one) for one in self._table.calls.call_all(writes)]

    def forget_replaced(
        self, targets: Sequence[ContentTarget], now: float
    ) -> list[tuple[bool, Item] | Unavailable | Unexpected]:
        """Remove the verdicts that these versions were replaced, and what says that anybody works on them."""
        expression = "SET claims = :empty REMOVE verdict, touched_at"
        values = {":empty": _EMPTY, ":replaced": _REPLACED}
        writes = [partial(self._write, one, now, expression, values, "verdict = :replaced") for one in targets]
        return [_answer(one) for one in self._table.calls.call_all(writes)]

    def plan(self, target: ContentTarget, plan: ContentPlan, now: float) -> ContentCheck:
        """Record a version's plan, unless it has one; return what is recorded."""
        _, item = self._update(
            target,
            now,
            "SET #plan = :plan, results = :empty, claims = :empty, touched_at = :now",
            {":plan": _plan_item(plan), ":empty": _EMPTY},
            "attribute_not_exists(#plan)",
            _PLAN,
        )
        return _check(item)

    def claim(self, target: ContentTarget, number: int, owner: str, now: float, until: float) -> bool:
        """Claim a part for the message `owner`, until the end of its invocation; whether no other has a live claim."""
        is_claimed, _ = self._update(
            target,
            now,
            "SET claims.#n = :claim, touched_at = :now",
            {
                ":claim": {"M": {"claimed_by": {"S": owner}, "claimed_until": milliseconds(until)}},
                ":owner": {"S": owner},
            },
            "attribute_not_exists(claims.#n) OR claims.#n.claimed_by = :owner OR claims.#n.claimed_until < :now",
            {"#n": str(number)},
        )
        return is_claimed

    def release(self, target: ContentTarget, number: int, now: float) -> None:
        """End the claim on a part that was not read."""
        self._update(target, now, "SET touched_at = :now REMOVE claims.#n", {}, "", {"#n": str(number)})

    def record(self, target: ContentTarget, part: Part, result: PartResult, now: float) -> ContentCheck:
        """Record what was found in a part; return all that is recorded then.

        A result from an unproven start replaces no other.
        """
        _, item = self._update(
            target,
            now,
            "SET results.#n = :result, touched_at = :now REMOVE claims.#n",
            {":result": _map(result.to_item())},
            "" if part.is_proven else "attribute_not_exists(results.#n)",
            {"#n": str(part.number)},
        )
        return _check(item)

    def conclude(self, target: ContentTarget, verdict: Verdict, now: float) -> bool:
        """Record the verdict; whether it is the first."""
        is_first, _ = self._update(
            target,
            now,
            "SET verdict = :verdict, touched_at = :now",
            {":verdict": {"S": verdict_to_text(verdict)}},
            "attribute_not_exists(verdict)",
        )
        return is_first

    def _read(self, target: ContentTarget) -> ContentCheck:
        answer = self._table.client().get_item(TableName=self._table.name, Key=_key(target), ConsistentRead=True)
        return _check(answer.get("Item", {}))

    def _update(self, target: ContentTarget, now: float, *update: Any) -> tuple[bool, Item]:
        with raise_unavailable():
            return self._table.calls.call(partial(self._write, target, now, *update))

    def _write(
        self,
        target: ContentTarget,
        now: float,
        expression: str,
        values: Mapping[str, Any] = MappingProxyType({}),
        condition: str = "",
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[bool, Item]:
        """Whether the update was written, and the item as it is then. Raises an error of boto3."""
        expression = expression.replace("SET ", "SET expires_at = :expires, ", 1)
        values = {**values, ":expires": expiry(now)}
        if ":now" in expression + condition:
            values[":now"] = milliseconds(now)
        update = self._table.update(_key(target), expression, values, condition)
        if names:
            update["ExpressionAttributeNames"] = names
        try:
            answer = self._table.client().update_item(**update, ReturnValues="ALL_NEW")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            present: Any = error.response.get("Item", {})
            return False, present
        return True, dict(answer["Attributes"])


def _key(target: ContentTarget) -> dict[str, Any]:
    return {"object": {"S": target.id}}


def _answer(outcome: Result | Exception) -> Result | Unavailable | Unexpected:
    if isinstance(outcome, AWS_ERRORS):
        was_attempted = not isinstance(outcome, CallTimeoutError) or outcome.started
        return Unavailable(describe_error(outcome), not_attempted=not was_attempted)
    return Unexpected(outcome) if isinstance(outcome, Exception) else outcome


def _check(item: Mapping[str, Any]) -> ContentCheck:
    return ContentCheck(
        plan=_plan(item["plan"]) if "plan" in item else None,
        results={int(number): from_item(_values(one)) for number, one in item.get("results", _EMPTY)["M"].items()},
        verdict=verdict_from_text(item["verdict"]["S"]) if "verdict" in item else None,
        requested_at=_seconds(item.get("requested_at")),
        touched_at=_seconds(item.get("touched_at")),
    )


def _plan_item(plan: ContentPlan) -> dict[str, Any]:
    made_of = _map(
        {"format": plan.format.name, "kind": plan.format.kind.value, "size": plan.size, "part_bytes": plan.part_bytes}
    )
    made_of["M"]["demands_eof_marker"] = {"BOOL": plan.format.demands_eof_marker}
    return made_of


def _plan(item: Mapping[str, Any]) -> ContentPlan | None:
    """The plan; None if a later version of the code would not make it."""
    made_of = _values(item)
    kind = Format(Kind(made_of["kind"]), made_of["format"], made_of["demands_eof_marker"])
    plan = plan_content(kind, int(made_of["size"]), int(made_of["part_bytes"]))
    return plan if isinstance(plan, ContentPlan) else None


def _map(flat: Mapping[str, int | str]) -> dict[str, Any]:
    return {"M": {name: {"S": one} if isinstance(one, str) else {"N": str(one)} for name, one in flat.items()}}


def _values(item: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a flat map, with numbers as text."""
    return {name: next(iter(one.values())) for name, one in item["M"].items()}


def _seconds(item: Mapping[str, str] | None) -> float | None:
    return int(item["N"]) / 1000 if item else None
