"""What becomes of the messages of one batch: kept for a while, set aside, or done with.

Here is the one boundary for errors that nobody foresaw: whatever they leave unsettled is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from export_monitor.application.reporting import Reporter
from export_monitor.domain.grace import GracePolicy, poll_delay
from export_monitor.domain.model import QueueMessage

# What is left of the invocation when asking stops: enough to publish and to hand 100 messages back, if slowly.
_RESERVE_SECONDS = 15.0
_RESERVE_SHARE = 0.25
# When a message that cannot even be set aside is tried again.
_SET_ASIDE_AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Invocation:
    """When this look is made and when it must be over (epoch seconds), and how many seconds are left of it."""

    now: float
    deadline_at: float
    time_left: Callable[[], float]

    @property
    def current_time(self) -> float:
        """The time as it is by now, in epoch seconds."""
        return self.deadline_at - self.time_left()


class Queue(Protocol):
    """SQS: see adapters.export_queue."""

    def change_visibility(self, delays: Sequence[tuple[QueueMessage, float]]) -> list[QueueMessage]: ...
    def dead_letter(self, message: QueueMessage, error: str) -> None: ...


@dataclass(slots=True)
class Batch:
    """The messages of one invocation. `random` gives numbers from 0 to 1 that spread the delays."""

    invocation: Invocation
    queue: Queue
    grace: GracePolicy
    report: Reporter
    random: Callable[[], float]
    _reserve: float = field(init=False)
    _kept: list[tuple[QueueMessage, float]] = field(default_factory=list)
    _handled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._reserve = min(_RESERVE_SECONDS, self.invocation.time_left() * _RESERVE_SHARE)

    def retry_after(self, message: QueueMessage, seconds: float) -> None:
        """Keep a message, hidden for so long."""
        self._kept.append((message, seconds))
        self._handled.add(message.message_id)

    def retry_on_schedule(self, message: QueueMessage) -> None:
        """Keep a message until it is looked at again by the poll schedule."""
        self.retry_after(message, self.poll_delay(message))

    def complete(self, message: QueueMessage) -> None:
        """Let a message leave the queue."""
        self._handled.add(message.message_id)

    def dead_letter(self, message: QueueMessage, error: str) -> None:
        """Move a message to the dead-letter queue; where that fails, it is kept."""
        try:
            self.queue.dead_letter(message, error)
        except Exception as unexpected:  # noqa: BLE001 -- as in `keeping`
            self.report_unexpected([message], unexpected)
            self.retry_after(message, _SET_ASIDE_AGAIN_SECONDS)
        else:
            self.report.warning("message_dead_lettered", message_id=message.message_id, error=error)
            self.complete(message)

    def apply_visibility(self) -> list[str]:
        """Hide what is kept until it is due; the ids."""
        for message in self.queue.change_visibility(self._kept):
            self.report.warning("visibility_change_failed", message_id=message.message_id)
        return [message.message_id for message, _ in self._kept]

    def poll_delay(self, message: QueueMessage) -> float:
        """Seconds until a message is looked at again by the poll schedule."""
        return poll_delay(message.age(self.invocation.now), message.receive_count, self.grace, self.random())

    def request_seconds_left(self) -> float:
        """For how many seconds the API and AWS may still be asked."""
        return self.invocation.time_left() - self._reserve

    def has_time_to_publish(self) -> bool:
        """Whether there is time to publish and to record it."""
        return self.invocation.time_left() > self._reserve / 2

    @contextmanager
    def retry_on_error(self, messages: Sequence[QueueMessage], *, published: bool = False) -> Iterator[None]:
        """Keep those of these messages that an error left unsettled.

        At their final deadline they are set aside, except where their events are `published`.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever it is, a message must not be lost or disturb others
            self.retry_after_unexpected(messages, error, published=published)

    def retry_after_unexpected(
        self, messages: Sequence[QueueMessage], error: Exception, *, published: bool = False
    ) -> None:
        """Log an unexpected error, and keep or set aside those of its messages that are not settled; see `keeping`."""
        self.report_unexpected(messages, error)
        for message in messages:
            if message.message_id in self._handled:
                continue
            if published or message.age(self.invocation.now) < self.grace.final_deadline:
                self.retry_on_schedule(message)
            else:
                self.dead_letter(message, f"unexpected error: {type(error).__name__}: {error}")

    def report_unexpected(self, messages: Sequence[QueueMessage], error: Exception) -> None:
        """Log an unexpected error with its traceback, and count it."""
        self.report.exception("unexpected_error", error, message_ids=[message.message_id for message in messages])
        self.report.count("UnexpectedErrors")
