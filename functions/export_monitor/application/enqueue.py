"""Start events passed directly to the function: they go into the queue, like all others."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from export_monitor.application.reporting import Reporter
from export_monitor.domain.model import JsonObject
from export_monitor.domain.start_events import StartEventError, parse_start_event, to_detail


class StartEventSender(Protocol):
    """The queue of watched exports. Returns the id of the message."""

    def send(self, detail: JsonObject) -> str: ...


@dataclass(frozen=True, slots=True)
class StartEventEnqueuer:
    """Puts start events into the queue."""

    queue: StartEventSender
    start_event_source: str
    report: Reporter

    def enqueue(self, event: Any) -> dict[str, str]:
        """Start a watch. Raises StartEventError, so that a synchronous caller sees the error."""
        # Lambda's parser accepts numbers that are not JSON (NaN). Serialized again, they are rejected as everywhere.
        try:
            start = parse_start_event(json.dumps(event), self.start_event_source)
        except StartEventError:
            self.report.count("StartEventsRejected")
            raise
        message_id = self.queue.send(to_detail(start))
        self.report.count("ExportsAnnounced")
        self.report.info("export_announced", export_id=start.export_id, message_id=message_id)
        return {"export_id": start.export_id, "message_id": message_id}
