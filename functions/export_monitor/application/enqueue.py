"""A start event that is handed straight to the function: it goes into the queue, like every other."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from export_monitor.application.reporting import Reporter
from export_monitor.domain.model import JsonObject
from export_monitor.domain.start_events import StartEventError, parse_start_event, to_detail


class StartEventSender(Protocol):
    """The queue of exports being watched; the id of the message comes back."""

    def send(self, detail: JsonObject) -> str: ...


@dataclass(frozen=True, slots=True)
class StartEventEnqueuer:
    """Puts start events into the queue."""

    queue: StartEventSender
    start_event_source: str
    report: Reporter

    def enqueue(self, event: Any) -> dict[str, str]:
        """Begin a watch. Raises StartEventError, so that a caller who waits sees what is wrong."""
        # Lambda's own parser takes numbers that JSON has not; written out again, they are refused like everywhere.
        try:
            start = parse_start_event(json.dumps(event), self.start_event_source)
        except StartEventError:
            self.report.count("StartEventsRejected")
            raise
        message_id = self.queue.send(to_detail(start))
        self.report.count("ExportsAnnounced")
        self.report.info("export_announced", export_id=start.export_id, message_id=message_id)
        return {"export_id": start.export_id, "message_id": message_id}
