"""The table of exports in moto, for the tests of those that write it."""

from typing import Any

from export_monitor.adapters.aws.dynamodb.table import Table
from tests.fakes import SYNCHRONOUS

TABLE = "ledger"


def exports(client: Any) -> Table:
    """The table as the function has it, by this client."""
    return Table(SYNCHRONOUS, lambda: client, TABLE)
