"""What is made of what was read: checks, evidence, and the verdict of one look at an export."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from export_monitor.domain.model import ExportJob, SourceFile, StoredObject, Unavailable, Volume


class Reason(StrEnum):
    """Why an export has failed, as published."""

    EXPORT_FAILED = "EXPORT_FAILED"
    EXPORT_NOT_FOUND = "EXPORT_NOT_FOUND"
    EXPORT_FORBIDDEN = "EXPORT_FORBIDDEN"
    VOLUME_UNAVAILABLE = "VOLUME_UNAVAILABLE"
    OBJECT_MISSING = "OBJECT_MISSING"
    OBJECT_MISMATCH = "OBJECT_MISMATCH"
    OBJECT_FORBIDDEN = "OBJECT_FORBIDDEN"
    TIMED_OUT = "TIMED_OUT"


class CheckStatus(StrEnum):
    """How a check, or a verification as a whole, came out."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of a verification; `reason` says why it was skipped, and is None otherwise."""

    name: str
    status: CheckStatus
    expected: Any = None
    actual: Any = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked, in the order of the contract."""

    checks: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status is CheckStatus.FAILED)

    @property
    def status(self) -> CheckStatus:
        """Failed where any check failed, passed where the object was seen and nothing failed, else skipped."""
        if self.failed:
            return CheckStatus.FAILED
        seen = any(check.name == "exists" and check.status is CheckStatus.PASSED for check in self.checks)
        return CheckStatus.PASSED if seen else CheckStatus.SKIPPED


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was learnt of one export in one look; None where it was not asked or not answered."""

    job: ExportJob | None = None
    file: SourceFile | None = None
    volume: Volume | None = None
    object: StoredObject | None = None
    verification: Verification | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a watch ends without a completed export. `code`, `status` and `more_info` are the API's own."""

    reason: Reason
    message: str
    code: int | None = None
    status: int | None = None
    more_info: str | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The job has not ended; `state` is the API's word, documented or not."""

    state: str


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Nothing can be said now, for a cause that lies outside the export."""

    unavailable: Unavailable


@dataclass(frozen=True, slots=True)
class Failing:
    """Something is wrong that may yet come right; where it does not, it is this failure."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Completed:
    """The job is COMPLETED and no check failed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The export has failed, whatever one waits for."""

    failure: Failure


Verdict: TypeAlias = Unfinished | Undetermined | Failing | Completed | Failed
