"""Requests for the status of a group or of an export, by direct invocation: `{"status_of": {"group": "run-42"}}`."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from export_monitor.domain.start_events import ID_RULE, is_id

_FIELD = "status_of"


@dataclass(frozen=True, slots=True)
class GroupStatusRequest:
    """Asks how far a group is."""

    group_id: str


@dataclass(frozen=True, slots=True)
class ExportStatusRequest:
    """Asks which events of an export were published."""

    export_id: str


StatusRequest: TypeAlias = GroupStatusRequest | ExportStatusRequest


class StatusRequestError(ValueError):
    """An invalid status request: which field breaks which rule."""


def is_status_request(event: Any) -> bool:
    """Whether an event is a status request, valid or not."""
    return isinstance(event, dict) and _FIELD in event


def parse_status_request(event: dict[str, Any]) -> StatusRequest:
    """Parse a status request. Raises StatusRequestError, which names the field and the rule."""
    wanted = event[_FIELD]
    if not isinstance(wanted, dict) or len(wanted) != 1 or not wanted.keys() <= {"group", "export_id"}:
        raise StatusRequestError(f"{_FIELD}: must be a JSON object with either group or export_id")
    [(name, value)] = wanted.items()
    if not isinstance(value, str) or not is_id(value):
        raise StatusRequestError(f"{_FIELD}.{name}: {ID_RULE}")
    return GroupStatusRequest(value) if name == "group" else ExportStatusRequest(value)
