"""Asks for content checks, and for their verdicts, on behalf of the watches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from export_monitor.domain.content.check import ContentCheck, Replaced
from export_monitor.domain.content.formats import Unverifiable
from export_monitor.domain.content.results import ContentVerdict
from export_monitor.domain.content.target import ContentMessage, ContentTarget
from export_monitor.domain.model import Unavailable
from export_monitor.domain.unexpected import Unexpected, attempt

# A check that nothing was recorded of for this long has lost a message. Reading a part takes 10 minutes at most.
_IDLE_SECONDS = 3600.0
_PENDING = Unavailable("the content is not verified yet")
_NOT_SENT = Unavailable("SQS did not take the message that asks for the content check")

Failures: TypeAlias = dict[ContentTarget, Unavailable | Unexpected]
ContentAnswer: TypeAlias = ContentVerdict | Unverifiable | Unavailable | Unexpected


class CheckRequests(Protocol):
    """DynamoDB: see adapters.aws.dynamodb.content_checks. There is an answer for each version, in order."""

    def read_all(self, targets: Sequence[ContentTarget]) -> Sequence[ContentCheck | Unavailable | Unexpected]: ...
    def forget_replaced(self, targets: Sequence[ContentTarget], now: float) -> Sequence[object]: ...
    def note_requests(self, targets: Sequence[ContentTarget], now: float) -> Sequence[object]: ...


class StartMessages(Protocol):
    """The content queue: see adapters.aws.sqs. Returns the bodies that could not be sent."""

    def send_all(self, bodies: Sequence[str]) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class ContentRequests:
    """Gives the verdicts that are there, and has every other version checked."""

    checks: CheckRequests
    messages: StartMessages

    def answers(self, targets: Sequence[ContentTarget], now: float) -> list[ContentAnswer]:
        """What is known of each version's content, in order; Unavailable where it is still being verified.

        `now` is in epoch seconds. The targets are those that HeadObject has just shown.
        """
        different = list(dict.fromkeys(targets))
        answers: dict[ContentTarget, ContentAnswer] = {}
        wanted: dict[ContentTarget, ContentCheck] = {}
        for target, check in zip(different, self.checks.read_all(different), strict=True):
            answers[target] = _answer(check)
            if isinstance(check, ContentCheck) and _is_wanted(check, now):
                wanted[target] = check
        if wanted:
            failed = attempt(lambda: self._request(wanted, now))
            answers |= dict.fromkeys(wanted, failed) if isinstance(failed, Unexpected) else failed
        return [answers[target] for target in targets]

    def _request(self, wanted: Mapping[ContentTarget, ContentCheck], now: float) -> Failures:
        """Send the messages, then record that, so that a crash in between repeats them. Returns what failed."""
        # HeadObject shows these very versions, so they are there again. Workers heed a verdict, so it goes first.
        restored = [target for target, check in wanted.items() if isinstance(check.verdict, Replaced)]
        failed = _failures(restored, self.checks.forget_replaced(restored, now)) if restored else {}
        bodies = {ContentMessage(target).to_body(): target for target in wanted if target not in failed}
        failed |= {bodies[body]: _NOT_SENT for body in self.messages.send_all(list(bodies))}
        sent = [target for target in bodies.values() if target not in failed]
        return failed | _failures(sent, self.checks.note_requests(sent, now))


def _answer(check: ContentCheck | Unavailable | Unexpected) -> ContentAnswer:
    if not isinstance(check, ContentCheck):
        return check
    return check.verdict if isinstance(check.verdict, ContentVerdict | Unverifiable) else _PENDING


def _is_wanted(check: ContentCheck, now: float) -> bool:
    """Whether the version must be checked and nobody is at it."""
    if check.verdict is not None:
        return isinstance(check.verdict, Replaced)
    return check.touched_at is None or now - check.touched_at > _IDLE_SECONDS


def _failures(targets: Sequence[ContentTarget], outcomes: Sequence[object]) -> Failures:
    return {
        target: outcome
        for target, outcome in zip(targets, outcomes, strict=True)
        if isinstance(outcome, Unavailable | Unexpected)
    }
