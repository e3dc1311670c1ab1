"""The checks of a completed export's object, in the order in which they are published.

A check is a function of the gathered facts. It returns what was expected and what was found, and whether the two agree,
or the reason why it was skipped. To add a check, write its function and list it in CHECKS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from export_monitor.domain.canned_acls import CANNED_ACLS, describe, grants_of
from export_monitor.domain.content.eligibility import OFF
from export_monitor.domain.content.formats import Unverifiable, units_of
from export_monitor.domain.content.results import ContentVerdict
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

# How far S3's clock and the platform's may differ.
CLOCK_SKEW_SECONDS = 300
_DAY_SECONDS = 24 * 3600
_NOT_REQUESTED = "the export did not request one"
# The only algorithms with which S3 uses a KMS key.
_KMS_ALGORITHMS = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True, slots=True)
class CheckInput:
    """The facts that the checks use: the job, its object, and its source file if that could be read.

    `content` is what the content check found, or why there is none.
    """

    job: ExportJob
    object: StoredObject
    file: SourceFile | None
    now: float
    content: ContentVerdict | Unverifiable = OFF

    def requested(self, name: str) -> str | None:
        """The job's property of this name, or None if the export did not request one."""
        return short_text(self.job.properties.get(name))


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of a check that could be made."""

    passed: bool
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class Skipped:
    """The result of a check that could not be made, or that the export did not request."""

    reason: str


def exists(_: CheckInput) -> Compared | Skipped:
    """The object exists. Always passes: an object that was read exists."""
    return Compared(passed=True, expected=True, actual=True)


def size(gathered: CheckInput) -> Compared | Skipped:
    """The object has the size of the source file, in bytes."""
    if gathered.file is None or gathered.file.size is None:
        return Skipped("the size of the source file could not be read")
    return Compared(gathered.object.size == gathered.file.size, gathered.file.size, gathered.object.size)


def freshness(gathered: CheckInput) -> Compared | Skipped:
    """The object was written after this export started, within the tolerance for clocks."""
    if gathered.job.started_at is None:
        return Skipped("the job does not say when it started")
    earliest = gathered.job.started_at - CLOCK_SKEW_SECONDS
    written = gathered.object.last_modified_at
    return Compared(written >= earliest, f"at or after {format_rfc3339(earliest)}", format_rfc3339(written))


def encryption(gathered: CheckInput) -> Compared | Skipped:
    """The object has the encryption that the export requested."""
    asked = gathered.requested("sse_algorithm")
    if asked is None:
        return Skipped(_NOT_REQUESTED)
    return Compared(gathered.object.encryption == asked, asked, gathered.object.encryption)


def kms_key(gathered: CheckInput) -> Compared | Skipped:
    """The object is encrypted with the requested KMS key, which may be given as a key id or an ARN."""
    # The vendor documents the request's property with a capital I; its examples of responses have a small one.
    asked = gathered.requested("sse_aws_kms_key_id") or gathered.requested("sse_aws_kms_key_Id")
    if asked is None:
        return Skipped(_NOT_REQUESTED)
    algorithm = gathered.requested("sse_algorithm")
    if algorithm not in _KMS_ALGORITHMS:
        requested = "no encryption" if algorithm is None else f"{algorithm:.60}"
        return Skipped(f"the export requested {requested}, not aws:kms, so S3 ignores the key")
    if asked.startswith("alias/") or ":alias/" in asked:
        return Skipped("the key was requested by an alias, which may point to a different key now")
    found = gathered.object.kms_key_id
    if found is None or asked.startswith("arn:") == found.startswith("arn:"):
        return Compared(found == asked, asked, found)
    return Compared(asked.rpartition("/")[2] == found.rpartition("/")[2], asked, found)


def storage_class(gathered: CheckInput) -> Compared | Skipped:
    """The object is in the requested storage class."""
    asked = gathered.requested("aws_storage_class")
    if asked is None:
        return Skipped(_NOT_REQUESTED)
    found = gathered.object.storage_class
    # S3 runs lifecycle rules once a day, at midnight UTC.
    if found != asked and gathered.now // _DAY_SECONDS > gathered.object.last_modified_at // _DAY_SECONDS:
        return Skipped(f"it is {found} now; a lifecycle rule may have moved it after it was written as {asked}")
    return Compared(found == asked, asked, found)


def acl(gathered: CheckInput) -> Compared | Skipped:
    """The object has exactly the grants of the requested canned ACL, in any order."""
    asked = gathered.requested("aws_canned_acl")
    if asked is None:
        return Skipped(_NOT_REQUESTED)
    if asked not in CANNED_ACLS:
        return Skipped(f"{asked:.60} is not a canned ACL for objects")
    access = gathered.object.acl
    if isinstance(access, Unread):
        return Skipped(access.reason)
    if access.grants == grants_of(asked, access):
        return Compared(passed=True, expected=asked, actual=asked)
    return Compared(passed=False, expected=asked, actual=describe(access))


def integrity(gathered: CheckInput) -> Compared | Skipped:
    """The object starts as its format requires and ends with its end-of-file marker: it was not truncated."""
    found = gathered.object
    head_and_tail, promised = found.head_and_tail, format_from_extension(found.key)
    if isinstance(head_and_tail, Unread):
        return Skipped(head_and_tail.reason)
    begins = detect_format(head_and_tail)
    is_unseen = begins == NO_DATA and len(head_and_tail.first) < found.size
    if promised and not begins.startswith(promised) and not is_unseen:
        return Compared(passed=False, expected=f"begins like {promised}", actual=f"begins like {begins}")
    if not expects_eof_marker(head_and_tail.first):
        return Skipped(f"its format has no end-of-file marker (it begins like {begins})")
    whole = has_eof_marker(head_and_tail)
    if not whole and not demands_end_marker(begins, found.key):
        return Skipped(f"it is {begins} without an end-of-file marker, which many programs do not write")
    if whole and promised and is_unseen:
        return Skipped(
            f"its first {len(head_and_tail.first)} bytes are empty BGZF blocks, so the start of its data was not read"
        )
    return Compared(whole, f"{begins} with an end-of-file marker", f"{begins} {'with' if whole else 'without'} one")


def content(gathered: CheckInput) -> Compared | Skipped:
    """Every checksum inside the object is right, from its first byte to its last."""
    verdict = gathered.content
    if isinstance(verdict, Unverifiable):
        return Skipped(verdict.reason)
    units = units_of(verdict.format)
    expected = f"{verdict.format} with sound {units} from the first byte to the last"
    if verdict.fault:
        return Compared(passed=False, expected=expected, actual=f"byte {verdict.fault.offset}: {verdict.fault.reason}")
    return Compared(passed=True, expected=expected, actual=f"{verdict.units} sound {units}")


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and its name in the e-mail."""

    run: Callable[[CheckInput], Compared | Skipped]
    label: str


CHECKS: dict[str, Check] = {
    "exists": Check(exists, "the object exists"),
    "size": Check(size, "the size is that of the source file, in bytes"),
    "freshness": Check(freshness, "the object was written by this export"),
    "encryption": Check(encryption, "the encryption is as requested"),
    "kms_key": Check(kms_key, "the KMS key is as requested"),
    "storage_class": Check(storage_class, "the storage class is as requested"),
    "acl": Check(acl, "the access rights (ACL) are as requested"),
    "integrity": Check(integrity, "the file is complete (not truncated)"),
    "content": Check(content, "every checksum inside the file is right"),
}


def verify(gathered: CheckInput) -> Verification:
    """Run every check on an object that was read."""
    checks = tuple(_result(name, check.run(gathered)) for name, check in CHECKS.items())
    return Verification(checks, gathered.content if isinstance(gathered.content, ContentVerdict) else None)


def missing_object_result() -> Verification:
    """The verification of a missing object: `exists` failed, and every other check is skipped."""
    absent = CheckResult("exists", CheckStatus.FAILED, expected=True, actual=False)
    rest = (name for name in CHECKS if name != absent.name)
    return Verification((absent, *(_skipped(name, "the object is missing") for name in rest)))


def skip_all(reason: str) -> Verification:
    """The verification of an object that this app cannot read: every check is skipped."""
    return Verification(tuple(_skipped(name, reason) for name in CHECKS))


def _result(name: str, outcome: Compared | Skipped) -> CheckResult:
    if isinstance(outcome, Skipped):
        return _skipped(name, outcome.reason)
    status = CheckStatus.PASSED if outcome.passed else CheckStatus.FAILED
    return CheckResult(name, status, outcome.expected, outcome.actual)


def _skipped(name: str, reason: str) -> CheckResult:
    return CheckResult(name, CheckStatus.SKIPPED, reason=reason)
