"""Grace periods: how long to wait for a fault to be fixed, and which failure it becomes otherwise.

A grace period counts from when the fault was first seen.
"""

from dataclasses import dataclass

from export_monitor.domain.model import QueueMessage, Watch
from export_monitor.domain.poll_schedule import MAX_RECEIVES, SPARE_RECEIVES, PollSchedule, add_jitter
from export_monitor.domain.verdicts import Completed, Failed, Failure, Reason, Undetermined, Unfinished, Verdict

OBJECT_POLL_SECONDS = 30.0
# An export that was watched for this long was known to the API before, so it was removed.
KNOWN_BEFORE_SECONDS = 3600.0
# A fault that was not seen for this long and for two poll delays was fixed in between.
FAULT_RESET_SECONDS = 900.0
# The queue deletes messages after 14 days, so a watch must end earlier. Its longest wait is less than one day.
OLDEST_SECONDS = 13 * 24 * 3600.0

_OBJECT_REASONS = (Reason.OBJECT_MISSING, Reason.OBJECT_MISMATCH)
_OBJECT_FAULT = "OBJECT"
# The faults with a grace period, by the names under which they are recorded.
FAULTS = (
    Reason.EXPORT_NOT_FOUND.value,
    Reason.EXPORT_FORBIDDEN.value,
    Reason.VOLUME_UNAVAILABLE.value,
    Reason.OBJECT_FORBIDDEN.value,
    _OBJECT_FAULT,
)


@dataclass(frozen=True, slots=True)
class GracePolicy:
    """The time-out and the grace periods, in seconds."""

    schedule: PollSchedule
    timeout: float
    object_grace: float
    not_found_grace: float
    refusal_grace: float

    @property
    def final_deadline(self) -> float:
        """The age at which a watch concludes, except for an object fault that was first seen later."""
        return self.timeout + self.refusal_grace


@dataclass(frozen=True, slots=True)
class FaultObservation:
    """A fault of an export, seen now. If it was not seen for `resets_after` seconds, it counts as new."""

    export_id: str
    fault: str
    resets_after: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Poll again in this many seconds; `cause` says why the watch waits."""

    seconds: float
    cause: str


@dataclass(frozen=True, slots=True)
class Conclude:
    """The watch is over: completed if there is no failure."""

    failure: Failure | None = None


def fault_key(failure: Failure) -> str:
    """The name under which a fault is recorded. A missing and a mismatched object are one fault."""
    return _OBJECT_FAULT if failure.reason in _OBJECT_REASONS else failure.reason.value


def resets_after(age: float, schedule: PollSchedule) -> float:
    """For how many seconds a fault must not have been seen to count as new, at this age of the watch."""
    return max(2 * schedule.delay(age), FAULT_RESET_SECONDS)


def decide(
    verdict: Verdict, watch: Watch, now: float, first_seen_at: float | None, grace: GracePolicy, random: float
) -> Wait | Conclude:
    """Wait or conclude.

    `first_seen_at` is when the fault was first seen; `random` (0 to 1) spreads waits for a rate limit.
    """
    match verdict:
        case Completed():
            return Conclude()
        case Failed(failure):
            return Conclude(failure)
        case Unfinished(state):
            if watch.age(now) >= grace.timeout:
                return Conclude(Failure(Reason.TIMED_OUT, f"The export was still {state} when its time was up."))
            return Wait(poll_delay(watch.message, now, grace), f"the job is {state}")
        case Undetermined(unavailable):
            if _may_wait(verdict, watch, now, grace):
                return Wait(_undetermined_delay(verdict, watch, now, grace, random), unavailable.message)
            return Conclude(
                Failure(Reason.TIMED_OUT, f"What became of the export could not be read: {unavailable.message}.")
            )
    first = now if first_seen_at is None else first_seen_at
    left = _grace_ends_at(verdict.failure, watch, first, grace) - now
    if left <= 0:
        return Conclude(verdict.failure)
    return Wait(_fault_delay(verdict.failure, watch, now, left, grace), verdict.failure.message)


def poll_delay(message: QueueMessage, now: float, grace: GracePolicy) -> float:
    """Seconds from `now` until a message is polled again by the schedule, with time slots and receive budget."""
    schedule, age = grace.schedule, message.age(now)
    return schedule.within_budget(schedule.aligned(now, schedule.delay(age)), age, message.receive_count)


def _may_wait(verdict: Undetermined, watch: Watch, now: float, grace: GracePolicy) -> bool:
    age = watch.age(now)
    if age < grace.final_deadline:
        return True
    # A late message is polled before it concludes by its age, unless its receives or its days in the queue run out.
    has_receives_left = watch.receive_count < MAX_RECEIVES - SPARE_RECEIVES and age < OLDEST_SECONDS
    return verdict.unavailable.not_attempted and has_receives_left


def _undetermined_delay(verdict: Undetermined, watch: Watch, now: float, grace: GracePolicy, random: float) -> float:
    schedule, age = grace.schedule, watch.age(now)
    if verdict.unavailable.retry_after_seconds is not None:
        delay = add_jitter(verdict.unavailable.retry_after_seconds, random)
    elif verdict.unavailable.not_attempted:
        delay = schedule.spread(now, schedule.delay(age), random)
    else:
        return poll_delay(watch.message, now, grace)
    return schedule.within_budget(delay, age, watch.receive_count)


def _grace_ends_at(failure: Failure, watch: Watch, first_seen_at: float, grace: GracePolicy) -> float:
    final_deadline_at = watch.message.sent_at + grace.final_deadline
    if failure.reason in _OBJECT_REASONS:
        ends_at = first_seen_at + grace.object_grace
        return min(ends_at, final_deadline_at) if first_seen_at < final_deadline_at else ends_at
    grace_seconds = grace.refusal_grace
    if failure.reason is Reason.EXPORT_NOT_FOUND and watch.age(first_seen_at) <= KNOWN_BEFORE_SECONDS:
        grace_seconds = grace.not_found_grace
    return min(first_seen_at + grace_seconds, final_deadline_at)


def _fault_delay(failure: Failure, watch: Watch, now: float, left: float, grace: GracePolicy) -> float:
    age = watch.age(now)
    delay = grace.schedule.aligned(now, grace.schedule.delay(age))
    if failure.reason in _OBJECT_REASONS:
        delay = min(delay, OBJECT_POLL_SECONDS)
    # The poll at the end of the grace period is worth a receive, however few are left: it concludes the watch.
    return min(grace.schedule.within_budget(delay, age, watch.receive_count, until=age + left), left)
