"""What a completed export's object is held against, in the order of the published list.

A check is a function of what was gathered. It answers with a pair of expected and actual, which must be equal or
stand in the relation that it names, or says why it was skipped. Adding one means: write it, name it in CHECKS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from export_monitor.domain.canned_acls import CANNED_ACLS, describe, grants_of
from export_monitor.domain.integrity import (
    NO_DATA,
    demands_end_marker,
    detect_format,
    expects_eof_marker,
    format_from_extension,
    has_eof_marker,
)
from export_monitor.domain.json_values import short_text
from export_monitor.domain.model import ExportJob, SourceFile, StoredObject, Unread
from export_monitor.domain.timestamps import format_rfc3339
from export_monitor.domain.verdicts import CheckResult, CheckStatus, Verification

# S3's clock and the platform's may disagree by so much.
CLOCK_SKEW_SECONDS = 300
_DAY_SECONDS = 24 * 3600
_NOT_ASKED = "the export did not ask for one"
# S3 uses a KMS key with these alone.
_KMS_ALGORITHMS = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True, slots=True)
class CheckInput:
    """What the checks see: the job, its object, and its source file where that could be read."""

    job: ExportJob
    object: StoredObject
    file: SourceFile | None
    now: float

    def requested(self, name: str) -> str | None:
        """The job's property of this name, where the export asked for one."""
        return short_text(self.job.properties.get(name))


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


def exists(_: CheckInput) -> Compared | Skipped:
    """The object is there: whatever was gathered was gathered from it."""
    return Compared(passed=True, expected=True, actual=True)


def size(gathered: CheckInput) -> Compared | Skipped:
    """The object is as long as the source file, in bytes."""
    if gathered.file is None or gathered.file.size is None:
        return Skipped("the size of the source file could not be read")
    return Compared(gathered.object.size == gathered.file.size, gathered.file.size, gathered.object.size)


def freshness(gathered: CheckInput) -> Compared | Skipped:
    """The object was written by this export: not before it started, give or take the clocks."""
    if gathered.job.started_at is None:
        return Skipped("the job does not say when it started")
    earliest = gathered.job.started_at - CLOCK_SKEW_SECONDS
    written = gathered.object.last_modified_at
    return Compared(written >= earliest, f"at or after {format_rfc3339(earliest)}", format_rfc3339(written))


def encryption(gathered: CheckInput) -> Compared | Skipped:
    """S3 encrypts the object as the export asked for."""
    asked = gathered.requested("sse_algorithm")
    if asked is None:
        return Skipped(_NOT_ASKED)
    return Compared(gathered.object.encryption == asked, asked, gathered.object.encryption)


def kms_key(gathered: CheckInput) -> Compared | Skipped:
    """The object is under the KMS key that was asked for, by key id or by key ARN."""
    # The request's documentation spells the property with a capital I, the answers' examples do not.
    asked = gathered.requested("sse_aws_kms_key_id") or gathered.requested("sse_aws_kms_key_Id")
    if asked is None:
        return Skipped(_NOT_ASKED)
    algorithm = gathered.requested("sse_algorithm")
    if algorithm not in _KMS_ALGORITHMS:
        asked_instead = "no encryption" if algorithm is None else f"{algorithm:.60}"
        return Skipped(f"the export asked for {asked_instead}, not for aws:kms, so S3 ignores the key")
    if asked.startswith("alias/") or ":alias/" in asked:
        return Skipped("the key was asked for by an alias, which may point to another key by now")
    found = gathered.object.kms_key_id
    if found is None or asked.startswith("arn:") == found.startswith("arn:"):
        return Compared(found == asked, asked, found)
    return Compared(asked.rpartition("/")[2] == found.rpartition("/")[2], asked, found)


def storage_class(gathered: CheckInput) -> Compared | Skipped:
    """The object is in the storage class that was asked for."""
    asked = gathered.requested("aws_storage_class")
    if asked is None:
        return Skipped(_NOT_ASKED)
    found = gathered.object.storage_class
    # S3 runs lifecycle rules once a day, at midnight UTC.
    if found != asked and gathered.now // _DAY_SECONDS > gathered.object.last_modified_at // _DAY_SECONDS:
        return Skipped(f"it is {found} now; a lifecycle rule may have moved it since it was written as {asked}")
    return Compared(found == asked, asked, found)


def acl(gathered: CheckInput) -> Compared | Skipped:
    """The object's grants are those of the canned ACL that was asked for, in whatever order."""
    asked = gathered.requested("aws_canned_acl")
    if asked is None:
        return Skipped(_NOT_ASKED)
    if asked not in CANNED_ACLS:
        return Skipped(f"{asked:.60} is no canned ACL that an object can have")
    access = gathered.object.acl
    if isinstance(access, Unread):
        return Skipped(access.reason)
    if access.grants == grants_of(asked, access):
        return Compared(passed=True, expected=asked, actual=asked)
    return Compared(passed=False, expected=asked, actual=describe(access))


def integrity(gathered: CheckInput) -> Compared | Skipped:
    """The object begins and ends as its format says: it was not cut off."""
    found = gathered.object
    head_and_tail, promised = found.head_and_tail, format_from_extension(found.key)
    if isinstance(head_and_tail, Unread):
        return Skipped(head_and_tail.reason)
    begins = detect_format(head_and_tail)
    is_unseen = begins == NO_DATA and len(head_and_tail.first) < found.size
    if promised and not begins.startswith(promised) and not is_unseen:
        return Compared(passed=False, expected=f"begins as {promised}", actual=f"begins as {begins}")
    if not expects_eof_marker(head_and_tail.first):
        return Skipped(f"its format has no end-of-file marker (it begins as {begins})")
    whole = has_eof_marker(head_and_tail)
    if not whole and not demands_end_marker(begins, found.key):
        return Skipped(f"it is {begins} without an end-of-file marker, which common writers leave out")
    if whole and promised and is_unseen:
        return Skipped(
            f"its first {len(head_and_tail.first)} bytes are empty BGZF blocks, so how its data begins was not seen"
        )
    return Compared(whole, f"{begins} with its end-of-file marker", f"{begins} {'with' if whole else 'without'} it")


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and what it asks in a reader's words."""

    run: Callable[[CheckInput], Compared | Skipped]
    label: str


CHECKS: dict[str, Check] = {
    "exists": Check(exists, "the object is there"),
    "size": Check(size, "as long as the source file, in bytes"),
    "freshness": Check(freshness, "last modified by this export"),
    "encryption": Check(encryption, "encrypted as asked"),
    "kms_key": Check(kms_key, "under the KMS key asked for"),
    "storage_class": Check(storage_class, "in the storage class asked for"),
    "acl": Check(acl, "access granted as asked"),
    "integrity": Check(integrity, "begins and ends as a whole file does"),
}


def verify(gathered: CheckInput) -> Verification:
    """Make every check of an object that was seen."""
    return Verification(tuple(_result(name, check.run(gathered)) for name, check in CHECKS.items()))


def missing_object_result() -> Verification:
    """The verification of an object that is not there: it fails, and there is nothing else to look at."""
    absent = CheckResult("exists", CheckStatus.FAILED, expected=True, actual=False)
    rest = (name for name in CHECKS if name != absent.name)
    return Verification((absent, *(_skipped(name, "the object is missing") for name in rest)))


def skip_all(reason: str) -> Verification:
    """The verification of an object that cannot be looked at here: every check is skipped."""
    return Verification(tuple(_skipped(name, reason) for name in CHECKS))


def _result(name: str, outcome: Compared | Skipped) -> CheckResult:
    if isinstance(outcome, Skipped):
        return _skipped(name, outcome.reason)
    status = CheckStatus.PASSED if outcome.passed else CheckStatus.FAILED
    return CheckResult(name, status, outcome.expected, outcome.actual)


def _skipped(name: str, reason: str) -> CheckResult:
    return CheckResult(name, CheckStatus.SKIPPED, reason=reason)
