"""What becomes of the messages of one batch: retried later, moved to the dead-letter queue, or complete.

This is the one boundary for unexpected errors: whatever they leave undecided is retried.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from export_monitor.application.reporting import Reporter
from export_monitor.domain.grace import OLDEST_SECONDS, GracePolicy, poll_delay
from export_monitor.domain.model import QueueMessage, UnavailableError
from export_monitor.domain.poll_schedule import RETENTION_SECONDS
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.unexpected import Unexpected, attempt

# When a message is tried again that the dead-letter queue did not take.
_DEAD_LETTER_RETRY_SECONDS = 60.0
_AFTER_CLAIMS_SECONDS = 1.0
# No message is hidden until less than an hour before SQS deletes it.
_LAST_SECONDS = RETENTION_SECONDS - 3600
RETENTION_ERROR = "no event could be published in the 14 days for which SQS keeps a message"


class Queue(Protocol):
    """SQS: see adapters.aws.sqs."""

    def change_visibility(self, delays: Sequence[tuple[QueueMessage, float]]) -> list[QueueMessage]: ...
    def dead_letter(self, message: QueueMessage, error: str) -> None: ...


@dataclass(slots=True)
class Batch:
    """The messages of one invocation."""

    budget: TimeBudget
    queue: Queue
    grace: GracePolicy
    report: Reporter
    _retried: list[tuple[QueueMessage, float]] = field(default_factory=list)
    _handled: set[str] = field(default_factory=set)

    def retry_after(self, message: QueueMessage, seconds: float) -> None:
        """Let a message stay in the queue, hidden for these seconds from now."""
        self.retry_at(message, self.budget.current_time + seconds)

    def retry_at(self, message: QueueMessage, due_at: float) -> None:
        """Let a message stay in the queue, hidden until this time (epoch seconds).

        If SQS would delete it by then, move it to the dead-letter queue, from where it can be sent again.
        """
        if message.age(due_at) < _LAST_SECONDS:
            self._hide(message, due_at)
        else:
            self.dead_letter(message, RETENTION_ERROR)

    def _hide(self, message: QueueMessage, due_at: float) -> None:
        self._retried.append((message, due_at))
        self._handled.add(message.message_id)

    def retry_on_schedule(self, message: QueueMessage) -> None:
        """Let a message stay in the queue, hidden for its poll interval."""
        self.retry_after(message, self.poll_delay(message))

    def retry_after_claims(self, message: QueueMessage) -> None:
        """Let a message stay in the queue, hidden until claims that this invocation has made are over."""
        seconds = self.budget.deadline_at - self.budget.current_time + _AFTER_CLAIMS_SECONDS
        within_budget = self.grace.schedule.within_budget
        age = message.age(self.budget.now)
        self.retry_after(message, within_budget(seconds, age, message.receive_count, until=OLDEST_SECONDS))

    def complete(self, message: QueueMessage) -> None:
        """Let a message leave the queue."""
        self._handled.add(message.message_id)

    def dead_letter(self, message: QueueMessage, error: str) -> None:
        """Move a message to the dead-letter queue; where that fails, retry it."""
        try:
            self.queue.dead_letter(message, error)
        except Exception as unexpected:  # noqa: BLE001 -- as in `retry_on_error`
            self.report_unexpected([message], unexpected)
            self._hide(message, self.budget.current_time + _DEAD_LETTER_RETRY_SECONDS)
        else:
            self.report.warning("message_dead_lettered", message_id=message.message_id, error=error)
            self.complete(message)

    def is_retried(self, message: QueueMessage) -> bool:
        """Whether a message stays in the queue."""
        return any(one.message_id == message.message_id for one, _ in self._retried)

    @property
    def retried(self) -> int:
        """How many messages stay in the queue."""
        return len(self._retried)

    def apply_visibility(self) -> list[str]:
        """Hide the messages that stay until they are due; returns their ids."""
        now = self.budget.current_time
        for message in self.queue.change_visibility([(message, due_at - now) for message, due_at in self._retried]):
            self.report.warning("visibility_change_failed", message_id=message.message_id)
        return [message.message_id for message, _ in self._retried]

    def poll_delay(self, message: QueueMessage) -> float:
        """Seconds until a message is polled again by the schedule."""
        return poll_delay(message, self.budget.current_time, self.grace)

    @contextmanager
    def retry_on_error(self, messages: Sequence[QueueMessage], *, published: bool = False) -> Iterator[None]:
        """Retry those of these messages that an unexpected error leaves undecided.

        After their final deadline they go to the dead-letter queue, unless their exports' events are `published`.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must lose no message and disturb no other
            self.retry_after_unexpected(messages, error, published=published)

    def retry_after_unexpected(
        self, messages: Sequence[QueueMessage], error: Exception, *, published: bool = False
    ) -> None:
        """Log an unexpected error, and do with its messages as `retry_on_error` says."""
        self.report_unexpected(messages, error)
        for message in messages:
            if message.message_id in self._handled:
                continue
            if published or message.age(self.budget.now) < self.grace.final_deadline:
                self.retry_on_schedule(message)
            else:
                self.dead_letter(message, f"unexpected error: {type(error).__name__}: {error}")

    def report_unexpected(self, messages: Sequence[QueueMessage], error: Exception) -> None:
        """Log an unexpected error with its traceback, and count it."""
        self.report.exception("unexpected_error", error, message_ids=[message.message_id for message in messages])
        self.report.count("UnexpectedErrors")

    def cause_of_failure(self, step: Callable[[], None], messages: Sequence[QueueMessage]) -> str | None:
        """Take a step whose failure must undo no other step. Returns why it failed, or None."""
        outcome = attempt(step)
        if not isinstance(outcome, Unexpected):
            return None
        if not isinstance(outcome.error, UnavailableError):
            self.report_unexpected(messages, outcome.error)
        return str(outcome.error)
