"""Handles the messages of the content queue. This is the boundary for errors: whatever fails is tried again.

SQS shows a message that failed again after the queue's visibility timeout.
"""

from dataclasses import dataclass
from typing import Protocol

from export_monitor.application.content_reporting import ContentReporter
from export_monitor.application.content_verification import ContentVerification, PartClaimedError
from export_monitor.domain.content.target import InvalidContentMessageError, parse_content_message
from export_monitor.domain.model import QueueMessage, UnavailableError
from export_monitor.domain.time_budget import TimeBudget

# maxReceiveCount of the content queue in template.yaml: after this receive, SQS itself would move the message.
LAST_RECEIVE = 8


class DeadLetterQueue(Protocol):
    """SQS: see adapters.aws.sqs."""

    def dead_letter(self, message: QueueMessage, error: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ContentWorker:
    """Handles messages one by one."""

    verification: ContentVerification
    queue: DeadLetterQueue
    report: ContentReporter

    def process(self, message: QueueMessage, budget: TimeBudget) -> bool:
        """Do what a message asks for; whether it stays in the queue."""
        try:
            asked = parse_content_message(message.body)
            self.verification.carry_out(asked, message.message_id, budget)
        except InvalidContentMessageError as error:
            return self._dead_letter(message, str(error))
        except PartClaimedError:
            self.report.info("content_part_claimed", message_id=message.message_id)
            return True
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must lose no message
            self._report_error(message, error)
            if message.receive_count < LAST_RECEIVE:
                return True
            return self._dead_letter(message, f"content check: {type(error).__name__}: {error}")
        return False

    def _dead_letter(self, message: QueueMessage, error: str) -> bool:
        try:
            self.queue.dead_letter(message, error)
        except Exception as failure:  # noqa: BLE001 -- as above
            self._report_error(message, failure)
            return True
        self.report.warning("message_dead_lettered", message_id=message.message_id, error=error)
        return False

    def _report_error(self, message: QueueMessage, error: Exception) -> None:
        self.report.count("ContentErrors")
        if isinstance(error, UnavailableError):
            self.report.warning(
                "content_check_failed",
                message_id=message.message_id,
                receive_count=message.receive_count,
                cause=str(error),
            )
        else:
            self.report.exception("unexpected_error", error, message_ids=[message.message_id])
            self.report.count("UnexpectedErrors")
