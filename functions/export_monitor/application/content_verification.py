"""Verifies the content of a version: plans its parts, reads each once, and joins what was found to a verdict.

Each step is recorded before the message that asked for it is deleted, and can be repeated: a message that comes again
finds what is recorded and goes on from there. So a crash repeats at most the part that was being read.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from export_monitor.application.content_reporting import ContentReporter, report_part, report_verdict
from export_monitor.domain.content.check import CannotReadError, ContentCheck, ContentPlan, Verdict, plan_content
from export_monitor.domain.content.formats import Unverifiable, recognise
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import PartResult
from export_monitor.domain.content.target import ContentMessage, ContentTarget
from export_monitor.domain.content.verifier import PartVerifier
from export_monitor.domain.model import UnavailableError
from export_monitor.domain.time_budget import TimeBudget

# How much is read before the worker asks whether it is still needed.
RECHECK_BYTES = 512 << 20


class CheckRecords(Protocol):
    """DynamoDB: see adapters.aws.dynamodb.content_checks. Every method raises UnavailableError."""

    def read(self, target: ContentTarget) -> ContentCheck: ...
    def plan(self, target: ContentTarget, plan: ContentPlan, now: float) -> ContentCheck: ...
    def claim(self, target: ContentTarget, number: int, owner: str, now: float, until: float) -> bool: ...
    def release(self, target: ContentTarget, number: int, now: float) -> None: ...
    def record(self, target: ContentTarget, part: Part, result: PartResult, now: float) -> ContentCheck: ...
    def conclude(self, target: ContentTarget, verdict: Verdict, now: float) -> bool: ...


class PartMessages(Protocol):
    """The content queue: see adapters.aws.sqs. Returns the bodies that could not be sent."""

    def send_all(self, bodies: Sequence[str]) -> Sequence[str]: ...


class ObjectBytes(Protocol):
    """S3: see adapters.aws.content_objects. Raises CannotReadError and UnavailableError."""

    def first_bytes(self, target: ContentTarget) -> bytes: ...
    def chunks(
        self, target: ContentTarget, start: int, reads_until: Callable[[], int]
    ) -> Generator[bytes, None, None]: ...


class PartClaimedError(Exception):
    """The worker of another message is reading the part. It may still fail."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A part that is read for a message in one invocation."""

    target: ContentTarget
    plan: ContentPlan
    part: Part
    message_id: str
    budget: TimeBudget

    def is_needed(self, check: ContentCheck) -> bool:
        """Whether the verdict may depend on it. Parts after a fault can wait, since it probably decides."""
        is_open = not check.verdict and not check.is_read(self.part)
        return is_open and self.part.number in self.plan.unread(check.results)


@dataclass(frozen=True, slots=True)
class ContentVerification:
    """Does what the messages of the content queue ask for. Raises UnavailableError where a service fails."""

    checks: CheckRecords
    messages: PartMessages
    objects: ObjectBytes
    report: ContentReporter
    part_bytes: int
    recheck_bytes: int = RECHECK_BYTES

    def carry_out(self, asked: ContentMessage, message_id: str, budget: TimeBudget) -> None:
        """Do what is left of what a message asks for. Raises PartClaimedError."""
        check = self.checks.read(asked.target)
        if check.verdict:
            return
        try:
            if asked.part and isinstance(check.plan, ContentPlan):
                self._verify_part(_Reading(asked.target, check.plan, asked.part, message_id, budget), check)
            else:
                self._start(asked.target, check, budget)
        except CannotReadError as error:
            self._conclude(asked.target, check, error.verdict, budget)

    def _start(self, target: ContentTarget, check: ContentCheck, budget: TimeBudget) -> None:
        """Plan the version, unless it has a plan, and have every part read that is unread."""
        planned = check.plan or self._planned(target)
        if isinstance(planned, Unverifiable):
            self._conclude(target, check, planned, budget)
            return
        if not check.plan:
            check = self.checks.plan(target, planned, budget.current_time)
        self._join(target, check.plan or planned, check, budget, lambda _: True)

    def _planned(self, target: ContentTarget) -> ContentPlan | Unverifiable:
        found = recognise(self.objects.first_bytes(target), target.key)
        return found if isinstance(found, Unverifiable) else plan_content(found, target.size, self.part_bytes)

    def _verify_part(self, reading: _Reading, check: ContentCheck) -> None:
        if reading.is_needed(check):
            recorded = self._read(reading)
            if recorded is None:
                return
            check = recorded
        # Messages for the parts that were unread without this result are there. If a part that has a result must be
        # read again, it is this one, or one whose true start this result makes known.
        number = reading.part.number
        queued = reading.plan.unread({one: result for one, result in check.results.items() if one != number})
        self._join(
            reading.target,
            reading.plan,
            check,
            reading.budget,
            lambda unread: unread.number == number or unread.number not in queued,
        )

    def _read(self, reading: _Reading) -> ContentCheck | None:
        """Read a part and record what was found; None if that is no longer needed."""
        target, part, budget = reading.target, reading.part, reading.budget
        started_at = budget.current_time
        if not self.checks.claim(target, part.number, reading.message_id, started_at, budget.deadline_at):
            raise PartClaimedError
        result = self._result(reading)
        if result is None:
            self.checks.release(target, part.number, budget.current_time)
            return None
        recorded = self.checks.record(target, part, result, budget.current_time)
        report_part(target, part, result, budget.current_time - started_at, self.report)
        return recorded

    def _result(self, reading: _Reading) -> PartResult | None:
        target, part = reading.target, reading.part
        verifier = PartVerifier(reading.plan.format, target.size, part)
        unchecked = 0
        with closing(self.objects.chunks(target, part.start, lambda: verifier.reads_until)) as chunks:
            while verifier.result is None:
                if reading.budget.for_work() <= 0:
                    raise UnavailableError("the invocation has no time left to read the part")
                if unchecked >= self.recheck_bytes:
                    unchecked = 0
                    if not reading.is_needed(self.checks.read(target)):
                        return None
                chunk = next(chunks)
                unchecked += len(chunk)
                verifier.feed(chunk)
        return verifier.result

    def _join(
        self,
        target: ContentTarget,
        plan: ContentPlan,
        check: ContentCheck,
        budget: TimeBudget,
        must_be_sent: Callable[[Part], bool],
    ) -> None:
        """Record the verdict if it follows; else send the messages that are missing for one."""
        outcome = plan.joined(check.results)
        if not isinstance(outcome, tuple):
            self._conclude(target, check, outcome, budget)
            return
        bodies = [ContentMessage(target, part).to_body() for part in outcome if must_be_sent(part)]
        unsent = self.messages.send_all(bodies)
        if unsent:
            raise UnavailableError(f"SQS did not take {len(unsent)} messages of parts")

    def _conclude(self, target: ContentTarget, check: ContentCheck, verdict: Verdict, budget: TimeBudget) -> None:
        now = budget.current_time
        if self.checks.conclude(target, verdict, now):
            seconds = None if check.requested_at is None else max(0.0, now - check.requested_at)
            report_verdict(target, verdict, seconds, self.report)
