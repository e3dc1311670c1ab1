"""Every check: passed, failed, and each reason to skip it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.canned_acls import ANY_AWS_ACCOUNT, CANNED_ACLS, EC2, EVERYONE
from export_monitor.domain.checks import CHECKS, CheckInput, Compared, Skipped, missing_object_result, skip_all, verify
from export_monitor.domain.model import ExportJob, Grant, HeadAndTail, ObjectAcl, SourceFile, StoredObject, Unread
from export_monitor.domain.verdicts import CheckStatus

STARTED_AT = 1_700_000_000.0
NOW = STARTED_AT + 60
JOB = ExportJob("an-export", "COMPLETED", {}, started_at=STARTED_AT)
FOUND = StoredObject("bucket", "reads.txt", 10, "etag", last_modified_at=STARTED_AT + 1, encryption="AES256")
FILE = SourceFile("f", "reads.txt", "o/p", 10)
KEY_ID = "11111111-1111-1111-1111-111111111111"
KEY_ARN = f"arn:aws:kms:us-east-1:123456789012:key/{KEY_ID}"
OWNER, BUCKET_OWNER = "owner", "bucket-owner"


def outcome(
    name: str, found: StoredObject = FOUND, file: SourceFile | None = FILE, now: float = NOW, **properties: Any
) -> Compared | Skipped:
    return CHECKS[name].run(CheckInput(replace(JOB, properties=properties), found, file, now))


def test_object_that_is_there_exists() -> None:
    assert outcome("exists") == Compared(passed=True, expected=True, actual=True)


@pytest.mark.parametrize(("size", "passed"), [(10, True), (9, False), (0, False)])
def test_size_is_that_of_the_source_file(size: int, passed: bool) -> None:
    assert outcome("size", replace(FOUND, size=size)) == Compared(passed, 10, size)


@pytest.mark.parametrize("file", [None, replace(FILE, size=None)])
def test_size_is_skipped_where_the_file_could_not_be_read(file: SourceFile | None) -> None:
    assert isinstance(outcome("size", file=file), Skipped)


@pytest.mark.parametrize(("offset", "passed"), [(-301, False), (-300, True), (0, True), (1e6, True)])
def test_object_is_fresh_from_five_minutes_before_the_start_on(offset: float, passed: bool) -> None:
    result = outcome("freshness", replace(FOUND, last_modified_at=STARTED_AT + offset))
    assert isinstance(result, Compared)
    assert result.passed is passed


def test_freshness_is_skipped_where_the_job_does_not_say_when_it_started() -> None:
    result = CHECKS["freshness"].run(CheckInput(replace(JOB, started_at=None), FOUND, FILE, NOW))
    assert isinstance(result, Skipped)


@pytest.mark.parametrize("name", ["encryption", "kms_key", "storage_class", "acl"])
@pytest.mark.parametrize("value", [None, "", 7])
def test_what_was_not_asked_for_is_skipped(name: str, value: object) -> None:
    properties = dict.fromkeys(
        ("sse_algorithm", "sse_aws_kms_key_id", "sse_aws_kms_key_Id", "aws_storage_class", "aws_canned_acl"), value
    )
    assert outcome(name, **properties) == Skipped("the export did not request one")


@pytest.mark.parametrize(("found", "passed"), [("AES256", True), ("aws:kms", False), (None, False)])
def test_encryption_is_the_one_asked_for(found: str | None, passed: bool) -> None:
    assert outcome("encryption", replace(FOUND, encryption=found), sse_algorithm="AES256") == Compared(
        passed, "AES256", found
    )


@pytest.mark.parametrize("spelling", ["sse_aws_kms_key_id", "sse_aws_kms_key_Id"])
@pytest.mark.parametrize(
    ("asked", "found", "passed"),
    [
        (KEY_ARN, KEY_ARN, True),
        (KEY_ID, KEY_ARN, True),
        (KEY_ARN, KEY_ID, True),
        (KEY_ARN, KEY_ARN.replace("1234", "9999"), False),
        (KEY_ID, KEY_ARN.replace("1111", "2222"), False),
        (KEY_ID, None, False),
    ],
)
def test_kms_key_is_the_one_asked_for_by_id_or_arn(spelling: str, asked: str, found: str, passed: bool) -> None:
    for algorithm in ("aws:kms", "aws:kms:dsse"):
        properties = {"sse_algorithm": algorithm, spelling: asked}
        assert outcome("kms_key", replace(FOUND, kms_key_id=found), **properties) == Compared(passed, asked, found)


@pytest.mark.parametrize("algorithm", ["AES256", None, "", 7, "aws:fsx", "x" * 2000])
@pytest.mark.parametrize("found", [None, KEY_ARN, KEY_ARN.replace("1111", "2222")])
def test_kms_key_is_skipped_where_no_encryption_was_asked_for_that_uses_it(
    algorithm: object, found: str | None
) -> None:
    """The vendor's own FAILED example asks for AES256 and names a key."""
    for asked in (KEY_ARN, "alias/mine"):
        properties = {"sse_algorithm": algorithm, "sse_aws_kms_key_id": asked}
        result = outcome("kms_key", replace(FOUND, kms_key_id=found), **properties)
        assert isinstance(result, Skipped)
        assert "S3 ignores the key" in result.reason
        assert len(result.reason) < 150


@pytest.mark.parametrize("alias", ["alias/mine", "arn:aws:kms:us-east-1:123456789012:alias/mine"])
def test_kms_key_asked_for_by_alias_is_skipped(alias: str) -> None:
    properties = {"sse_algorithm": "aws:kms", "sse_aws_kms_key_id": alias}
    result = outcome("kms_key", replace(FOUND, kms_key_id=KEY_ARN), **properties)
    assert isinstance(result, Skipped)
    assert "alias" in result.reason


def test_storage_class_is_the_one_asked_for() -> None:
    assert outcome("storage_class", aws_storage_class="STANDARD") == Compared(True, "STANDARD", "STANDARD")


def test_other_storage_class_fails_until_midnight_utc_and_is_skipped_afterwards() -> None:
    moved = replace(FOUND, storage_class="GLACIER", last_modified_at=86_400.0 * 100 - 1)
    before = outcome("storage_class", moved, now=86_400.0 * 100 - 0.5, aws_storage_class="STANDARD")
    after = outcome("storage_class", moved, now=86_400.0 * 100, aws_storage_class="STANDARD")
    assert before == Compared(False, "STANDARD", "GLACIER")
    assert isinstance(after, Skipped)


def access(*grants: Grant, owner: str = OWNER, bucket_owner: str | None = BUCKET_OWNER) -> StoredObject:
    everything = frozenset({Grant(owner, "FULL_CONTROL"), *grants})
    return replace(FOUND, acl=ObjectAcl(owner, everything, bucket_owner))


GRANTS = {
    "private": (),
    "public-read": (Grant(EVERYONE, "READ"),),
    "public-read-write": (Grant(EVERYONE, "WRITE"), Grant(EVERYONE, "READ")),
    "authenticated-read": (Grant(ANY_AWS_ACCOUNT, "READ"),),
    "aws-exec-read": (Grant(EC2, "READ"),),
    "bucket-owner-read": (Grant(BUCKET_OWNER, "READ"),),
    "bucket-owner-full-control": (Grant(BUCKET_OWNER, "FULL_CONTROL"),),
}


@pytest.mark.parametrize("canned", CANNED_ACLS)
@pytest.mark.parametrize("granted", GRANTS)
def test_acl_passes_for_the_canned_acl_asked_for_and_for_no_other(canned: str, granted: str) -> None:
    result = outcome("acl", access(*GRANTS[granted]), aws_canned_acl=canned)
    assert isinstance(result, Compared)
    assert result.passed is (canned == granted)


@pytest.mark.parametrize("canned", ["bucket-owner-read", "bucket-owner-full-control", "private"])
def test_bucket_owner_needs_no_grant_on_an_object_of_its_own(canned: str) -> None:
    result = outcome("acl", access(owner=BUCKET_OWNER), aws_canned_acl=canned)
    assert isinstance(result, Compared)
    assert result.passed


def test_public_grant_that_nobody_asked_for_is_named() -> None:
    result = outcome("acl", access(Grant(EVERYONE, "READ")), aws_canned_acl="private")
    assert result == Compared(False, "private", ["everyone (public): READ", "the object's owner: FULL_CONTROL"])


def test_acl_that_was_not_read_is_skipped_with_why() -> None:
    hidden = replace(FOUND, acl=Unread("the bucket has ACLs disabled"))
    assert outcome("acl", hidden, aws_canned_acl="private") == Skipped("the bucket has ACLs disabled")


def test_unknown_canned_acl_is_skipped() -> None:
    assert isinstance(outcome("acl", access(), aws_canned_acl="log-delivery-write"), Skipped)


def test_integrity_that_was_not_read_is_skipped_with_why() -> None:
    assert outcome("integrity", replace(FOUND, head_and_tail=Unread("archived"))) == Skipped("archived")


def test_missing_object_fails_to_exist_and_skips_the_rest() -> None:
    first, *rest = missing_object_result().checks
    assert (first.name, first.status) == ("exists", CheckStatus.FAILED)
    assert {check.status for check in rest} == {CheckStatus.SKIPPED}
    assert missing_object_result().status is CheckStatus.FAILED


def test_verification_of_nothing_is_skipped() -> None:
    assert skip_all("not on Amazon S3").status is CheckStatus.SKIPPED
    assert [check.name for check in skip_all("why").checks] == list(CHECKS)


@given(
    size=st.integers(0, 20),
    modified=st.floats(STARTED_AT - 1000, STARTED_AT + 1000),
    encryption=st.sampled_from([None, "AES256", "aws:kms"]),
    asked=st.sampled_from([None, "AES256", "aws:kms"]),
    head_and_tail=st.one_of(
        st.builds(HeadAndTail, st.binary(max_size=64), st.binary(max_size=38)), st.just(Unread("no"))
    ),
    key=st.sampled_from(["a.bam", "a.cram", "a.vcf.gz", "a"]),
)
def test_verification_is_total_deterministic_and_passes_only_without_a_failed_check(
    size: int, modified: float, encryption: str | None, asked: str | None, head_and_tail: HeadAndTail | Unread, key: str
) -> None:
    found = replace(
        FOUND, key=key, size=size, last_modified_at=modified, encryption=encryption, head_and_tail=head_and_tail
    )
    gathered = CheckInput(replace(JOB, properties={"sse_algorithm": asked}), found, FILE, NOW)
    first, second = verify(gathered), verify(gathered)
    assert first == second
    assert (first.status is CheckStatus.PASSED) is all(check.status is not CheckStatus.FAILED for check in first.checks)
    assert [check.name for check in first.checks] == list(CHECKS)
    assert all((check.reason is None) is (check.status is not CheckStatus.SKIPPED) for check in first.checks)
