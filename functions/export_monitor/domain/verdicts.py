"""The results of one poll of an export: checks, evidence and the verdict."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from export_monitor.domain.content.results import ContentVerdict
from export_monitor.domain.model import ExportJob, SourceFile, StoredObject, Unavailable, Volume


class Reason(StrEnum):
    """Why an export failed, as events say it."""

    EXPORT_FAILED = "EXPORT_FAILED"
    EXPORT_NOT_FOUND = "EXPORT_NOT_FOUND"
    EXPORT_FORBIDDEN = "EXPORT_FORBIDDEN"
    VOLUME_UNAVAILABLE = "VOLUME_UNAVAILABLE"
    OBJECT_MISSING = "OBJECT_MISSING"
    OBJECT_MISMATCH = "OBJECT_MISMATCH"
    OBJECT_FORBIDDEN = "OBJECT_FORBIDDEN"
    TIMED_OUT = "TIMED_OUT"


class CheckStatus(StrEnum):
    """The result of a check, or of a whole verification."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of a verification; `reason` says why it was skipped, else None."""

    name: str
    status: CheckStatus
    expected: Any = None
    actual: Any = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """The results of the checks, in the published order; `content` is what a content check found, where one ran."""

    checks: tuple[CheckResult, ...]
    content: ContentVerdict | None = None

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status is CheckStatus.FAILED)

    @property
    def status(self) -> CheckStatus:
        """FAILED if any check failed, PASSED if none failed and the object exists, else SKIPPED."""
        if self.failed:
            return CheckStatus.FAILED
        exists = any(check.name == "exists" and check.status is CheckStatus.PASSED for check in self.checks)
        return CheckStatus.PASSED if exists else CheckStatus.SKIPPED


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that one poll found out about an export; None for what was not read or not answered."""

    job: ExportJob | None = None
    file: SourceFile | None = None
    volume: Volume | None = None
    object: StoredObject | None = None
    verification: Verification | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an export counts as failed. `code`, `status` and `more_info` come from the API."""

    reason: Reason
    message: str
    code: int | None = None
    status: int | None = None
    more_info: str | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The job has not ended; `state` is the API's value, documented or not."""

    state: str


@dataclass(frozen=True, slots=True)
class Undetermined:
    """The state is not known now, for a cause outside the export."""

    unavailable: Unavailable


@dataclass(frozen=True, slots=True)
class Failing:
    """Something is wrong that may still be fixed. If it is not fixed in time, the export fails with this failure."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Completed:
    """The job is COMPLETED and no check failed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The export has failed for good."""

    failure: Failure


Verdict: TypeAlias = Unfinished | Undetermined | Failing | Completed | Failed
