"""The table of exports in moto, for the tests of those that write it."""

from typing import Any

from export_monitor.adapters.table import Table
from tests.fakes import IN_TURN

TABLE = "ledger"


def exports(client: Any) -> Table:
    """The table as the function has it, by this client."""
    return Table(IN_TURN, lambda: client, TABLE)
