"""The table of exports: one item per export. Three adapters write to it, each its own attributes.

export_id              the key; the item `discovery#` holds only `list_offset`: where reading the list stopped early
claimed_until          until when (epoch milliseconds) one invocation has the sole right to publish for the export
delay_claimed_until    the same for the event that says that the export is delayed, so that it holds up no other event
published_event_ids    the ids of the published events
published_…_at         when an event was last published (epoch milliseconds); absent if that was before it was recorded
report_row             what was found when the last event that concluded a watch was published: the export's row in the
                       reports of groups, as JSON, without the context
concluded_message_ids  the ids of the messages whose watches are concluded; all are removed where there are too many
fault_…_first_seen_at, fault_…_last_seen_at
                       when a fault was first and last seen (epoch seconds); removed when a watch concludes
expires_at             when DynamoDB may remove the item (epoch seconds)
"""

from typing import Any


def export_key(export_id: str) -> dict[str, Any]:
    """The key of an export's item."""
    return {"export_id": {"S": export_id}}


def published_at_attribute(event_id: str) -> str:
    """The name of the attribute that holds when an event was last published."""
    return f"published_{event_id.partition(':')[2].replace(':', '_')}_at"


def fault_attributes(fault: str) -> tuple[str, str]:
    """The names of the attributes that hold when a fault was first and last seen."""
    return f"fault_{fault}_first_seen_at", f"fault_{fault}_last_seen_at"
