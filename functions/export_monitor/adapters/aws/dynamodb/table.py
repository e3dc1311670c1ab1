"""A DynamoDB table, written whole or not at all."""

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

# An item that is published about is kept so long: well over the 30 days that the contract promises.
TTL_SECONDS = 45 * 24 * 3600
# What has happened must be recorded as long as there is time: these take most of a minute.
RECORD_ATTEMPTS = 30
TRANSACTION_ATTEMPTS = 3
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0

Update = dict[str, Any]
# Why an update was not made: its code, and the item as it is where a condition was not met.
CancellationReason = dict[str, Any]


class Table:
    """One table; `client` gives DynamoDB's."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], DynamoDBClient]", name: str) -> None:
        self.calls = calls
        self.client = client
        self.name = name

    def update(self, key: dict[str, Any], expression: str, values: dict[str, Any], condition: str = "") -> Update:
        """An update of one item; one that does not meet its condition comes back with the item as it is."""
        update = {
            "TableName": self.name,
            "Key": key,
            "UpdateExpression": expression,
        }
        if values:
            update["ExpressionAttributeValues"] = values
        if condition:
            update |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return update

    def write(self, updates: Sequence[Update]) -> list[CancellationReason]:
        """Write all or nothing; a reason for each, whose code is None where it did not stand in the way.

        Raises one of AWS_ERRORS where it is not known whether they were written.
        """
        if not updates:
            return []
        client = self.client()
        try:
            if len(updates) == 1:
                # A lone write needs no transaction, which costs twice as much.
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
        """Write updates without conditions for as long as there is time; the names of those not written.

        The first attempts are one transaction each; then each update is written by itself, so that none holds up
        the others.
        """
        unwritten = dict(updates)
        for number in range(1, RECORD_ATTEMPTS + 1):
            unwritten = self._unwritten(unwritten, together=number <= TRANSACTION_ATTEMPTS)
            if not unwritten:
                break
            try:
                self.backoff(number)
            except CallTimeoutError:
                break
        return set(unwritten)

    def _unwritten(self, updates: dict[str, Update], *, together: bool) -> dict[str, Update]:
        if together:
            reasons = attempt(lambda: self.write(list(updates.values())))
            return {} if not isinstance(reasons, Unexpected) and is_written(reasons) else updates
        client = self.client()
        outcomes = self.calls.call_all([partial(client.update_item, **update) for update in updates.values()])
        return {
            name: update
            for (name, update), outcome in zip(updates.items(), outcomes, strict=True)
            if isinstance(outcome, Exception)
        }

    def backoff(self, attempt: int) -> None:
        """Wait before the next attempt, longer each time. Raises LateError where that leaves no time for it."""
        self.calls.backoff(min(_PAUSE_SECONDS * 2.0 ** (attempt - 1), _LONGEST_PAUSE_SECONDS))


@contextmanager
def raise_unavailable() -> Iterator[None]:
    """Calls of DynamoDB in this block raise UnavailableError where they fail."""
    try:
        yield
    except AWS_ERRORS as error:
        raise UnavailableError(describe_error(error)) from None


def describe_error(error: Exception) -> str:
    """What went wrong, for the log."""
    return f"DynamoDB: {error}"


def _reasons(given: Sequence[Mapping[str, Any]], number: int) -> list[CancellationReason]:
    """A reason for each update of a cancelled transaction. Where they are not all given, it met something unknown."""
    if len(given) != number or all(reason.get("Code", "None") == "None" for reason in given):
        return [{"Code": "TransactionConflict"}] * number
    return [{"Code": "None"} | dict(reason) for reason in given]


def is_written(reasons: Sequence[CancellationReason]) -> bool:
    """Whether nothing stood in the way."""
    return all(reason["Code"] == "None" for reason in reasons)


def is_refused(reason: CancellationReason) -> bool:
    """Whether an update did not meet its condition."""
    return bool(reason["Code"] == "ConditionalCheckFailed")


def expiry(now: float) -> dict[str, str]:
    """When DynamoDB may remove an item that was written now."""
    return {"N": str(int(now + TTL_SECONDS))}


def milliseconds(at: float) -> dict[str, str]:
    """A time as an item holds it: epoch milliseconds."""
    return {"N": str(int(at * 1000))}
