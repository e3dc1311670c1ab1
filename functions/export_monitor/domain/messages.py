"""What the messages of the queue mean: an export to watch, a group to watch, or an error of their sender."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from export_monitor.domain.model import QueueMessage, StartEvent, Watch
from export_monitor.domain.start_events import GroupMessage, StartEventError, parse_message

# What one bulk request of the API reads.
MAX_MESSAGES = 100
# The message attribute by which the app marks an export that it discovered itself.
ORIGIN = "origin"


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """The messages of a batch by what they mean.

    `groups` have the id of the group, `rejected` the field and the rule that it breaks, `failed` an unexpected error.
    """

    watches: list[Watch] = field(default_factory=list)
    groups: list[tuple[QueueMessage, str]] = field(default_factory=list)
    rejected: list[tuple[QueueMessage, str]] = field(default_factory=list)
    failed: list[tuple[QueueMessage, Exception]] = field(default_factory=list)


def parse_batch(messages: Sequence[QueueMessage], source: str) -> ParsedBatch:
    """Parse each message by itself. `source` is the one that EventBridge events must carry."""
    parsed = ParsedBatch()
    for message in messages:
        try:
            content = parse_message(message.body, source)
        except StartEventError as error:
            parsed.rejected.append((message, str(error)))
        except Exception as error:  # noqa: BLE001 -- the other messages of the batch must not notice it
            parsed.failed.append((message, error))
        else:
            _add(parsed, message, content)
    return parsed


def _add(parsed: ParsedBatch, message: QueueMessage, content: StartEvent | GroupMessage) -> None:
    if isinstance(content, GroupMessage):
        parsed.groups.append((message, content.group_id))
        return
    origin = message.attributes.get(ORIGIN, {}).get("stringValue")
    parsed.watches.append(Watch(content, message, "discovered" if origin == "discovered" else "announced"))
