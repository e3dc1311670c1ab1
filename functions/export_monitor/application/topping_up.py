"""Processes the mapping's batch together with more messages that the function receives from the queue itself.

The mapping gives at most 10 messages without a batching window, and one API request reads 100 exports. More may be
waiting if the batch is full, or if enough exports are watched that several usually fall due together. The mapping
deletes its own messages by the function's response; the function deletes those that it received. After a crash, both
become visible again after the queue's visibility timeout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from export_monitor.application.reporting import Reporter
from export_monitor.application.watcher import ExportWatcher
from export_monitor.domain.crowding import Crowding
from export_monitor.domain.messages import MAX_MESSAGES
from export_monitor.domain.model import QueueMessage, UnavailableError
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.unexpected import Unexpected, attempt

# BatchSize in template.yaml; a test compares the two.
FULL_BATCH = 10
_MESSAGES_PER_RECEIVE = 10


class ReceivingQueue(Protocol):
    """SQS: see adapters.aws.sqs."""

    # An error of SQS is an UnavailableError.
    def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]: ...
    def delete(self, messages: Sequence[QueueMessage]) -> list[QueueMessage]: ...


@dataclass(frozen=True, slots=True)
class ToppingUp:
    """Tops up batches for the watcher."""

    watcher: ExportWatcher
    queue: ReceivingQueue
    report: Reporter
    crowding: Crowding

    def process_batch(self, messages: Sequence[QueueMessage], budget: TimeBudget) -> list[str]:
        """Process the mapping's messages, and more that are waiting.

        Returns the ids of the mapping's messages that stay in the queue.
        """
        is_worth_it = len(messages) >= FULL_BATCH or self.crowding.is_crowded(budget.now)
        received = self._receive(MAX_MESSAGES - len(messages)) if is_worth_it else []
        # A message that SQS delivered twice is processed once, with its newest receipt handle.
        by_id = {message.message_id: message for message in (*messages, *received)}
        staying = set(self.watcher.process_batch(list(by_id.values()), budget))
        self._delete([message for message in received if message.message_id not in staying])
        return [message.message_id for message in messages if message.message_id in staying]

    def _receive(self, room: int) -> list[QueueMessage]:
        """Up to `room` messages, with twice as many calls each time, until the queue gives no more."""
        received: list[QueueMessage] = []
        calls = 1
        while room - len(received) > 0 and calls:
            limits = _limits(room - len(received))[:calls]
            answers = self._answers(limits)
            received += [message for answer in answers for message in answer]
            calls = 0 if not any(answers) else 2 * calls
        return received

    def _answers(self, limits: Sequence[int]) -> list[list[QueueMessage]]:
        outcome = attempt(lambda: self.queue.receive(limits))
        answers = [outcome.error] if isinstance(outcome, Unexpected) else outcome
        for answer in answers:
            if isinstance(answer, UnavailableError):
                self.report.warning("receive_failed", cause=str(answer))
            elif isinstance(answer, Exception):
                self._report_unexpected(answer, [])
        return [answer for answer in answers if not isinstance(answer, Exception)]

    def _delete(self, messages: Sequence[QueueMessage]) -> None:
        """Delete messages that left the queue; one that cannot be deleted comes again, and ends as published before."""
        outcome = attempt(lambda: self.queue.delete(messages)) if messages else []
        if isinstance(outcome, Unexpected):
            self._report_unexpected(outcome.error, messages)
            outcome = list(messages)
        for message in outcome:
            self.report.warning("message_deletion_failed", message_id=message.message_id)

    def _report_unexpected(self, error: Exception, messages: Sequence[QueueMessage]) -> None:
        self.report.exception("unexpected_error", error, message_ids=[message.message_id for message in messages])
        self.report.count("UnexpectedErrors")


def _limits(room: int) -> list[int]:
    """How many messages each call may receive, so that all together fit into the room."""
    full, rest = divmod(room, _MESSAGES_PER_RECEIVE)
    return [_MESSAGES_PER_RECEIVE] * full + [rest] * (rest > 0)
