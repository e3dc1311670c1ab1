"""Patches for differences between moto and AWS that affect this stack."""

import copy
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any


@cache
def patch_moto() -> None:
    """Patch moto in this process, for the emulator and for mocked clients."""
    from moto.dynamodb.models import DynamoDBBackend  # noqa: PLC0415 -- the emulator's parent has no use for moto
    from moto.dynamodb.models.table import Table  # noqa: PLC0415 -- likewise
    from moto.sqs.models import Queue, SQSBackend  # noqa: PLC0415 -- likewise

    _undo_transactions_by_item(DynamoDBBackend, Table)
    _make_writes_atomic(DynamoDBBackend)
    _keep_messages(SQSBackend)
    _have_no_message_groups(Queue)


def _undo_transactions_by_item(backend: Any, table: Any) -> None:
    """Make a cancelled transaction restore only its own items.

    moto copies the whole table for each item of a transaction, and restores all of it on failure.
    """
    transact = backend.transact_write_items

    @wraps(transact)
    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        touched = [_touched(self, operation) for one in transact_items for operation in one.values()]
        before = [copy.deepcopy(its_table.get_item(*keys)) for its_table, keys in touched]
        try:
            transact(self, transact_items)
        except Exception:
            for (its_table, keys), item in zip(touched, before, strict=True):
                _put_back(its_table, keys, item)
            raise

    table.__deepcopy__ = lambda self, _: self
    backend.transact_write_items = transact_write_items


def _touched(backend: Any, operation: dict[str, Any]) -> tuple[Any, tuple[Any, Any]]:
    """The table and key of the item in an operation of a transaction."""
    table = backend.get_table(operation["TableName"])
    return table, backend.get_keys_value(table, operation.get("Key") or operation["Item"])


def _put_back(table: Any, keys: tuple[Any, Any], item: Any) -> None:
    hash_key, range_key = keys
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key is None:
        table.items[hash_key] = item
    else:
        table.items[hash_key][range_key] = item


def _make_writes_atomic(backend: Any) -> None:
    """Serialize DynamoDB's writes, and reads with them: in AWS each is atomic, and no read sees half a transaction."""
    lock = threading.RLock()

    def taking_turns(write: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(write)
        def locked(*arguments: Any, **named: Any) -> Any:
            with lock:
                return write(*arguments, **named)

        return locked

    for name in ("put_item", "update_item", "delete_item", "transact_write_items", "get_item", "query"):
        setattr(backend, name, taking_turns(getattr(backend, name)))


def _keep_messages(backend: Any) -> None:
    """Disable the expiry of SQS messages: to check it, moto counts the whole queue each time."""
    backend.is_message_valid_based_on_retention_period = lambda *_: True


def _have_no_message_groups(queue: Any) -> None:
    """Have no message groups: no queue here is FIFO, and moto reads them from a set that other threads change."""
    queue.pending_message_groups = frozenset()
