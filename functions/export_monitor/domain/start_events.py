"""Parses start events in all their forms, and says which rule an invalid one breaks.

A message body is the detail object itself, an EventBridge envelope around it, or an SNS notification around either.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from export_monitor.domain import strict_json
from export_monitor.domain.model import Group, JsonObject, StartEvent

DETAIL_TYPE = "Export Started"
MAX_CONTEXT_BYTES = 8 * 1024
MAX_GROUP_SIZE = 10_000
# Less than the limit for a body (strict_json), because the event nests the context again.
MAX_CONTEXT_DEPTH = 200

_WATCHED_GROUP = "watched_group"
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
ID_RULE = "must be 1 to 128 letters, digits, '-' or '_'"


@dataclass(frozen=True, slots=True)
class GroupMessage:
    """The message with which the app watches a group."""

    group_id: str


class StartEventError(ValueError):
    """An invalid start event: which field breaks which rule."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")


def parse_start_event(body: str, source: str) -> StartEvent:
    """Parse a message body. `source` is the one that EventBridge envelopes must have.

    Raises StartEventError, which names the field and the rule.
    """
    return parse_event(_decode(body, "body"), source)


def parse_message(body: str, source: str) -> StartEvent | GroupMessage:
    """Parse a message body: a start event, or the body that `group_message_body` writes.

    Raises StartEventError, which names the field and the rule.
    """
    event = _decode(body, "body")
    if isinstance(event, dict) and event.keys() == {_WATCHED_GROUP}:
        return GroupMessage(_checked_id(event[_WATCHED_GROUP], _WATCHED_GROUP))
    return parse_event(event, source)


def group_message_body(group_id: str) -> str:
    """The body of the message with which a group is watched."""
    return json.dumps({_WATCHED_GROUP: group_id})


def parse_event(event: Any, source: str) -> StartEvent:
    """Parse a start event that is decoded JSON, in any of its forms; see parse_start_event."""
    if isinstance(event, dict) and event.get("Type") == "Notification" and "Message" in event:
        if not isinstance(event["Message"], str):
            raise StartEventError("Message", "must be a string of JSON")
        event = _decode(event["Message"], "Message")
    if isinstance(event, dict) and "detail-type" in event:
        event = _unwrap_envelope(event, source)
    if not isinstance(event, dict):
        raise StartEventError("body", "must be a JSON object")
    return StartEvent(
        export_id=_export_id(event), context=_context(event), group=_group(event), republish=_republish(event)
    )


def is_id(text: str) -> bool:
    """Whether a text is a valid id of an export or a group."""
    return _ID.fullmatch(text) is not None


def to_detail(start: StartEvent) -> JsonObject:
    """The detail object of a start event, with which the same export can be announced again."""
    detail: dict[str, Any] = {"export_id": start.export_id}
    if start.context:
        detail["context"] = start.context
    if start.group:
        detail["group"] = {"id": start.group.id, "size": start.group.size}
    if start.republish:
        detail["republish"] = True
    return detail


def _decode(text: str, field: str) -> Any:
    try:
        return strict_json.parse(text)
    except ValueError as error:
        raise StartEventError(field, f"must be JSON ({error})") from None


def _unwrap_envelope(envelope: dict[str, Any], source: str) -> Any:
    if envelope["detail-type"] != DETAIL_TYPE:
        raise StartEventError("detail-type", f"must be '{DETAIL_TYPE}'")
    if envelope.get("source") != source:
        raise StartEventError("source", f"must be '{source}'")
    if not isinstance(envelope.get("detail"), dict):
        raise StartEventError("detail", "must be a JSON object")
    return envelope["detail"]


def _export_id(detail: dict[str, Any]) -> str:
    field = "id" if "id" in detail and "export_id" not in detail else "export_id"
    if field not in detail:
        raise StartEventError(field, "is needed (or id)")
    return _checked_id(detail[field], field)


def _checked_id(value: Any, field: str) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise StartEventError(field, ID_RULE)
    return value


def _context(detail: dict[str, Any]) -> JsonObject:
    context = detail.get("context", {})
    if not isinstance(context, dict):
        raise StartEventError("context", "must be a JSON object")
    if strict_json.depth(context) > MAX_CONTEXT_DEPTH:
        raise StartEventError("context", f"must be nested at most {MAX_CONTEXT_DEPTH} deep")
    try:
        compact = json.dumps(context, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise StartEventError("context", "must be Unicode text without lone surrogates") from None
    if len(compact) > MAX_CONTEXT_BYTES:
        raise StartEventError("context", f"must be at most {MAX_CONTEXT_BYTES} bytes of compact JSON")
    return context


def _group(detail: dict[str, Any]) -> Group | None:
    if "group" not in detail:
        return None
    group = detail["group"]
    if not isinstance(group, dict):
        raise StartEventError("group", "must be a JSON object with id and size")
    return Group(id=_checked_id(group.get("id"), "group.id"), size=_group_size(group.get("size")))


def _group_size(size: Any) -> int:
    whole = isinstance(size, int | float) and not isinstance(size, bool) and size % 1 == 0
    if not whole or not 1 <= size <= MAX_GROUP_SIZE:
        raise StartEventError("group.size", f"must be a whole number from 1 to {MAX_GROUP_SIZE}")
    return int(size)


def _republish(detail: dict[str, Any]) -> bool:
    republish = detail.get("republish", False)
    if not isinstance(republish, bool):
        raise StartEventError("republish", "must be true or false")
    return republish
