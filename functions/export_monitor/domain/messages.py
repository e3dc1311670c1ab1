"""What the messages of the queue stand for: exports, groups, or nothing that is understood."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from export_monitor.domain.model import QueueMessage, Watch
from export_monitor.domain.start_events import GroupMessage, StartEventError, parse_message

# The message attribute by which the app says that it discovered an export.
ORIGIN = "origin"


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """Messages with the watch or the group id that each stands for.

    Rejected ones come with the field and the rule that it breaks, failed ones with an unexpected error.
    """

    watches: list[tuple[QueueMessage, Watch]] = field(default_factory=list)
    groups: list[tuple[QueueMessage, str]] = field(default_factory=list)
    rejected: list[tuple[QueueMessage, str]] = field(default_factory=list)
    failed: list[tuple[QueueMessage, Exception]] = field(default_factory=list)


def parse_batch(messages: Sequence[QueueMessage], source: str) -> ParsedBatch:
    """Understand each by itself. `source` is the one that EventBridge envelopes must carry."""
    parsed = ParsedBatch()
    for message in messages:
        try:
            meant = parse_message(message.body, source)
        except StartEventError as error:
            parsed.rejected.append((message, str(error)))
            continue
        except Exception as error:  # noqa: BLE001 -- the other messages of the batch must not notice it
            parsed.failed.append((message, error))
            continue
        if isinstance(meant, GroupMessage):
            parsed.groups.append((message, meant.group_id))
        else:
            origin = message.attributes.get(ORIGIN, {}).get("stringValue")
            watch = Watch(
                meant,
                message.message_id,
                message.sent_at,
                message.receive_count,
                "discovered" if origin == "discovered" else "announced",
            )
            parsed.watches.append((message, watch))
    return parsed
