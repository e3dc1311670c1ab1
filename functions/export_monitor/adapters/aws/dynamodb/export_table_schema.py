"""The table of exports: one item for each, which three adapters write, each its own attributes.

export_id      the key; one item, `discovery#`, has only `list_offset`: where reading the list stopped early
claimed_until  until when (epoch milliseconds) an invocation has the sole right to publish for the export
sent           the ids of the events that were published
ended          the ids of the messages whose watch is over
fault_…_first, fault_…_last   a fault's first and last sight (epoch seconds), until a watch of the export ends
expires_at     when DynamoDB may remove the item (epoch seconds)
"""

from typing import Any


def export_key(export_id: str) -> dict[str, Any]:
    """The key of an export's item."""
    return {"export_id": {"S": export_id}}


def fault_attributes(fault: str) -> tuple[str, str]:
    """The names under which a fault's first and last sight are kept."""
    return f"fault_{fault}_first", f"fault_{fault}_last"
