"""How long to wait for what may yet come right, and what it is called when it does not.

A watch waits on a verdict, or ends with one. Patience with a fault counts from its first sight.
"""

from dataclasses import dataclass

from export_monitor.domain.model import Watch
from export_monitor.domain.poll_schedule import MAX_RECEIVES, SPARE_RECEIVES, PollSchedule, delayed, jittered
from export_monitor.domain.verdicts import Completed, Failed, Failure, Hindered, Reason, Unfinished, Verdict

OBJECT_LOOK_SECONDS = 30.0
# An export that was watched for so long was known to the API before.
KNOWN_BEFORE_SECONDS = 3600.0
# A fault that went unseen for so long, and for two poll delays, had healed.
HEALED_SECONDS = 900.0
# The queue deletes a message after 14 days, so a watch must have ended before: a day is more than its longest wait.
OLDEST_SECONDS = 13 * 24 * 3600.0

_OBJECT_REASONS = (Reason.OBJECT_MISSING, Reason.OBJECT_MISMATCH)
_OBJECT_FAULT = "OBJECT"
# What is waited for in patience, by the names under which it is recorded.
FAULTS = (
    Reason.EXPORT_NOT_FOUND.value,
    Reason.EXPORT_FORBIDDEN.value,
    Reason.VOLUME_UNAVAILABLE.value,
    Reason.OBJECT_FORBIDDEN.value,
    _OBJECT_FAULT,
)


@dataclass(frozen=True, slots=True)
class Patience:
    """The settings of patience, in seconds."""

    schedule: PollSchedule
    timeout: float
    object_grace: float
    not_found_grace: float
    refusal_grace: float

    @property
    def last_moment(self) -> float:
        """The age beyond which nothing but an object that was first missed later is waited for."""
        return self.timeout + self.refusal_grace


@dataclass(frozen=True, slots=True)
class Sight:
    """A fault of an export, seen now. One that went unseen for `healed_after` seconds had healed."""

    export_id: str
    fault: str
    healed_after: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again in so many seconds; `because` says what is waited for."""

    seconds: float
    because: str


@dataclass(frozen=True, slots=True)
class End:
    """The watch is over: completed where there is no failure."""

    failure: Failure | None = None


def fault_key(failure: Failure) -> str:
    """The name under which a fault's sights are recorded: a missing and a mismatching object are one fault."""
    return _OBJECT_FAULT if failure.reason in _OBJECT_REASONS else failure.reason.value


def healed_after(age: float, schedule: PollSchedule) -> float:
    """For how many seconds a fault must have gone unseen to count anew, at this age of the watch."""
    return max(2 * schedule.delay(age), HEALED_SECONDS)


def decide(
    verdict: Verdict, watch: Watch, now: float, first_seen_at: float | None, patience: Patience, random: float
) -> Wait | End:
    """Wait or end. `first_seen_at` is a fault's first sight; `random`, from 0 to 1, spreads the delay."""
    match verdict:
        case Completed():
            return End()
        case Failed(failure):
            return End(failure)
        case Unfinished(state):
            if watch.age(now) >= patience.timeout:
                return End(Failure(Reason.TIMED_OUT, f"The export was still {state} when its time was up."))
            return Wait(poll_delay(watch.age(now), watch.receives, patience, random), f"the job is {state}")
        case Hindered(obstacle):
            if _may_wait(verdict, watch, now, patience):
                return Wait(_obstacle_delay(verdict, watch, now, patience, random), obstacle.text)
            return End(Failure(Reason.TIMED_OUT, f"What became of the export could not be read: {obstacle.text}."))
    first = now if first_seen_at is None else first_seen_at
    left = _patience_ends_at(verdict.failure, watch, first, patience) - now
    if left <= 0:
        return End(verdict.failure)
    return Wait(_fault_delay(verdict.failure, watch, now, left, patience, random), verdict.failure.message)


def poll_delay(age: float, receives: int, patience: Patience, random: float) -> float:
    """Seconds until a message of this age is looked at again by the schedule, its jitter and budget included."""
    delay = jittered(patience.schedule.delay(age), random)
    return patience.schedule.within_budget(delay, age, receives)


def _may_wait(verdict: Hindered, watch: Watch, now: float, patience: Patience) -> bool:
    age = watch.age(now)
    if age < patience.last_moment:
        return True
    # A late message is looked at before it is judged by its age, unless its receives or its days in the queue run out.
    has_turns = watch.receives < MAX_RECEIVES - SPARE_RECEIVES and age < OLDEST_SECONDS
    return verdict.obstacle.unasked and has_turns


def _obstacle_delay(verdict: Hindered, watch: Watch, now: float, patience: Patience, random: float) -> float:
    if verdict.obstacle.wait_seconds is None:
        return poll_delay(watch.age(now), watch.receives, patience, random)
    delay = delayed(verdict.obstacle.wait_seconds, random)
    return patience.schedule.within_budget(delay, watch.age(now), watch.receives)


def _patience_ends_at(failure: Failure, watch: Watch, first_seen_at: float, patience: Patience) -> float:
    last_moment_at = watch.sent_at + patience.last_moment
    if failure.reason in _OBJECT_REASONS:
        ends_at = first_seen_at + patience.object_grace
        return min(ends_at, last_moment_at) if first_seen_at < last_moment_at else ends_at
    grace = patience.refusal_grace
    if failure.reason is Reason.EXPORT_NOT_FOUND and watch.age(first_seen_at) <= KNOWN_BEFORE_SECONDS:
        grace = patience.not_found_grace
    return min(first_seen_at + grace, last_moment_at)


def _fault_delay(failure: Failure, watch: Watch, now: float, left: float, patience: Patience, random: float) -> float:
    age = watch.age(now)
    delay = jittered(patience.schedule.delay(age), random)
    if failure.reason in _OBJECT_REASONS:
        delay = min(delay, OBJECT_LOOK_SECONDS)
    # However few receives are left, the look at the end of patience is worth one: it ends the watch.
    return min(patience.schedule.within_budget(delay, age, watch.receives, until=age + left), left)
