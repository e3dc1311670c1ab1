"""What a completed export's object is held against, in the order of the published list.

A check is a function of what was gathered. It answers with a pair of expected and actual, which must be equal or
stand in the relation that it names, or says why it was skipped. Adding one means: write it, name it in CHECKS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from export_monitor.domain.model import (
    CheckResult,
    CheckStatus,
    ExportJob,
    SourceFile,
    StoredObject,
    Verification,
)
from export_monitor.domain.timestamps import rfc3339

# S3's clock and the platform's may disagree by so much.
CLOCK_SKEW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the checks see: the job, its object, and its source file where that could be read."""

    job: ExportJob
    object: StoredObject
    file: SourceFile | None
    now: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A check that could be made."""

    passed: bool
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class Skipped:
    """A check that could not be made, or was not asked for."""

    reason: str


def exists(_: Gathered) -> Compared | Skipped:
    """The object is there: whatever was gathered was gathered from it."""
    return Compared(passed=True, expected=True, actual=True)


def size(gathered: Gathered) -> Compared | Skipped:
    """The object is as long as the source file, in bytes."""
    if gathered.file is None or gathered.file.size is None:
        return Skipped("the size of the source file could not be read")
    return Compared(gathered.object.size == gathered.file.size, gathered.file.size, gathered.object.size)


def freshness(gathered: Gathered) -> Compared | Skipped:
    """The object was written by this export: not before it started, give or take the clocks."""
    if gathered.job.started_at is None:
        return Skipped("the job does not say when it started")
    earliest = gathered.job.started_at - CLOCK_SKEW_SECONDS
    written = gathered.object.last_modified_at
    return Compared(written >= earliest, f"at or after {rfc3339(earliest)}", rfc3339(written))


CHECKS: dict[str, Callable[[Gathered], Compared | Skipped]] = {
    "exists": exists,
    "size": size,
    "freshness": freshness,
}


def verify(gathered: Gathered) -> Verification:
    """Make every check of an object that was seen."""
    return Verification(tuple(_result(name, check(gathered)) for name, check in CHECKS.items()))


def verify_missing() -> Verification:
    """The verification of an object that is not there: it fails, and there is nothing else to look at."""
    absent = CheckResult("exists", CheckStatus.FAILED, expected=True, actual=False)
    rest = (name for name in CHECKS if name != absent.name)
    return Verification((absent, *(_skipped(name, "the object is missing") for name in rest)))


def verify_nothing(reason: str) -> Verification:
    """The verification of an object that cannot be looked at here: every check is skipped."""
    return Verification(tuple(_skipped(name, reason) for name in CHECKS))


def _result(name: str, outcome: Compared | Skipped) -> CheckResult:
    if isinstance(outcome, Skipped):
        return _skipped(name, outcome.reason)
    status = CheckStatus.PASSED if outcome.passed else CheckStatus.FAILED
    return CheckResult(name, status, outcome.expected, outcome.actual)


def _skipped(name: str, reason: str) -> CheckResult:
    return CheckResult(name, CheckStatus.SKIPPED, reason=reason)
