"""Steps that several tests of the contract's promises take."""

import time
from dataclasses import dataclass, field
from threading import Lock

from local.event_source_mapping import EventSourceMapping
from local.export_jobs import AT_ONCE, Job, documented_completed
from local.faults import Call, Fault
from local.stack import Stack


def completed(export_id: str) -> Job:
    return documented_completed(id=export_id, steps=AT_ONCE)


def drained(stack: Stack) -> bool:
    """Whether the queue of exports holds nothing, neither shown nor hidden.

    The emulator counts one after the other, and a message may come to light between the two, so it is asked twice.
    """
    return stack.messages_left() == 0 == stack.messages_left()


def run_until_drained(stack: Stack, mapping: EventSourceMapping, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not drained(stack) and time.monotonic() < end:
        mapping.run_once()
        time.sleep(0.1)
    assert drained(stack)


@dataclass
class NthCall:
    """For an `AwsProxy`: the nth call of an operation meets a fault, no other does; `met` tells whether it has come."""

    operation: str
    nth: int
    fault: Fault
    met: bool = False
    _seen: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, call: Call) -> Fault | None:
        with self._lock:
            self._seen += call.operation == self.operation
            is_due = call.operation == self.operation and self._seen == self.nth
            self.met = self.met or is_due
        return self.fault if is_due else None
