"""A DynamoDB table whose items are updated in transactions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls
from export_monitor.adapters.timeouts import CallTimeoutError
from export_monitor.domain.model import UnavailableError
from export_monitor.domain.unexpected import Unexpected, attempt

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

# How long items are kept after the last write: well over the 30 days that the contract promises.
TTL_SECONDS = 45 * 24 * 3600
# A published event must be recorded as long as there is time: with their pauses, these attempts take almost a minute.
RECORD_ATTEMPTS = 30
TRANSACTION_ATTEMPTS = 3
_FIRST_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0

Update = dict[str, Any]
# Why an update was not written: a code ("None" if this update is not the cause), and after a failed condition the item.
CancellationReason = dict[str, Any]


class Table:
    """One table; `client` returns a DynamoDB client."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], DynamoDBClient]", name: str) -> None:
        self.calls = calls
        self.client = client
        self.name = name

    def update(self, key: dict[str, Any], expression: str, values: dict[str, Any], condition: str = "") -> Update:
        """An update of one item. If its condition fails, DynamoDB returns the present item with the error."""
        update = {"TableName": self.name, "Key": key, "UpdateExpression": expression}
        if values:
            update["ExpressionAttributeValues"] = values
        if condition:
            update |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return update

    def get(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """An item as it is now; None if there is none. Raises UnavailableError."""
        client = self.client()
        with raise_unavailable():
            answer = self.calls.call(partial(client.get_item, TableName=self.name, Key=key, ConsistentRead=True))
        return answer.get("Item")

    def write(self, updates: Sequence[Update]) -> list[CancellationReason]:
        """Write all updates or none; return a cancellation reason for each.

        Raises one of AWS_ERRORS if it is not known whether they were written.
        """
        if not updates:
            return []
        client = self.client()
        try:
            if len(updates) == 1:
                # A transaction costs twice as much as a plain write.
                self.calls.call(partial(client.update_item, **updates[0]))
            else:
                transaction: list[Any] = [{"Update": update} for update in updates]
                self.calls.call(partial(client.transact_write_items, TransactItems=transaction))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "TransactionCanceledException":
                return _reasons(error.response.get("CancellationReasons", ()), len(updates))
            if code == "ConditionalCheckFailedException":
                return [{"Code": "ConditionalCheckFailed", "Item": error.response.get("Item", {})}]
            if code in ("TransactionInProgressException", "TransactionConflictException"):
                return [{"Code": "TransactionConflict"}] * len(updates)
            raise
        return [{"Code": "None"}] * len(updates)

    def write_all(self, updates: Mapping[str, Update]) -> set[str]:
        """Write updates that have no conditions, and retry while there is time; return the names of those not written.

        The first attempts use one transaction. The later ones write each update separately, so that one item that
        cannot be written does not delay the others.
        """
        remaining = dict(updates)
        for number in self.attempts(RECORD_ATTEMPTS):
            remaining = self._write_or_return_failed(remaining, in_transaction=number <= TRANSACTION_ATTEMPTS)
            if not remaining:
                break
        return set(remaining)

    def _write_or_return_failed(self, updates: dict[str, Update], *, in_transaction: bool) -> dict[str, Update]:
        if in_transaction:
            reasons = attempt(lambda: self.write(list(updates.values())))
            return {} if not isinstance(reasons, Unexpected) and is_written(reasons) else updates
        client = self.client()
        outcomes = self.calls.call_all([partial(client.update_item, **update) for update in updates.values()])
        return {
            name: update
            for (name, update), outcome in zip(updates.items(), outcomes, strict=True)
            if isinstance(outcome, Exception)
        }

    def attempts(self, limit: int) -> Iterator[int]:
        """Number the attempts at something from 1 to `limit`, with a growing pause between them.

        Ends early if the invocation has no time left for a pause.
        """
        yield 1
        for number in range(2, limit + 1):
            try:
                self.calls.backoff(min(_FIRST_BACKOFF_SECONDS * 2.0 ** (number - 2), _MAX_BACKOFF_SECONDS))
            except CallTimeoutError:
                return
            yield number


@contextmanager
def raise_unavailable() -> Iterator[None]:
    """Turn errors of DynamoDB calls in this block into UnavailableError."""
    try:
        yield
    except AWS_ERRORS as error:
        raise UnavailableError(describe_error(error)) from None


def describe_error(error: Exception) -> str:
    """What went wrong in a call of DynamoDB, as log lines and events say it."""
    return f"DynamoDB: {error}"


def _reasons(answered: Sequence[Mapping[str, Any]], number: int) -> list[CancellationReason]:
    """A reason for each update of a cancelled transaction; conflicts if DynamoDB does not say which update failed."""
    if len(answered) != number or all(reason.get("Code", "None") == "None" for reason in answered):
        return [{"Code": "TransactionConflict"}] * number
    return [{"Code": "None"} | dict(reason) for reason in answered]


def is_written(reasons: Sequence[CancellationReason]) -> bool:
    """Whether the updates with these reasons were written."""
    return all(reason["Code"] == "None" for reason in reasons)


def has_failed_condition(reason: CancellationReason) -> bool:
    """Whether an update was not written because its condition failed."""
    return bool(reason["Code"] == "ConditionalCheckFailed")


def expiry(now: float) -> dict[str, str]:
    """When DynamoDB may remove an item that is written now."""
    return {"N": str(int(now + TTL_SECONDS))}


def milliseconds(at: float) -> dict[str, str]:
    """A time (epoch seconds) as an item holds it: epoch milliseconds."""
    return {"N": str(int(at * 1000))}
