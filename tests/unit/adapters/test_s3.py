"""The exact requests to S3 for an object, and how its responses are read."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from export_monitor.adapters.aws.s3 import ExportedObjects
from export_monitor.adapters.timeouts import CallTimeoutError
from export_monitor.domain.model import (
    ExportJob,
    Grant,
    HeadAndTail,
    ObjectAcl,
    ObjectForbidden,
    ObjectNotFound,
    StoredObject,
    Unavailable,
    Unread,
    Volume,
)
from export_monitor.domain.unexpected import Unexpected
from tests.fakes import SYNCHRONOUS, SynchronousCalls

VOLUME = Volume("o/v", "s3", "bucket", "runs")
JOB = ExportJob("e", "COMPLETED", {}, location="reads.bam")
PLAIN = replace(JOB, location="calls.vcf")
KEY, OTHER = "runs/reads.bam", "runsreads.bam"
HEAD = {"ContentLength": 100, "ETag": '"tag"', "LastModified": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)}
BGZF = bytes.fromhex("1f8b08040000000000ff0600424302001b00") + b"\x03\x00"


class Bucket:
    """Answers that S3 is to give, in order, and the adapter that gets them; `clock` is moved by hand."""

    def __init__(self) -> None:
        self.client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.stub = Stubber(self.client)
        self.clock = 0.0
        self.counted: list[str] = []
        self.objects = ExportedObjects(
            SYNCHRONOUS, lambda: self.client, ["bucket"], self.counted.append, lambda: self.clock
        )

    def answers(self, operation: str, answer: dict[str, Any], **request: Any) -> None:
        self.stub.add_response(operation, answer, {"Bucket": "bucket"} | request)

    def fails(self, operation: str, status: int, code: str = "", **request: Any) -> None:
        self.stub.add_client_error(
            operation, code, http_status_code=status, expected_params={"Bucket": "bucket"} | request
        )

    def heads(self, key: str, **changes: Any) -> None:
        self.answers("head_object", HEAD | changes, Key=key, ChecksumMode="ENABLED")

    def gives(self, key: str, span: str, content: bytes, size: int = 100, status: int = 206, **pin: str) -> None:
        body = StreamingBody(io.BytesIO(content), len(content))
        answer = {"Body": body, "ContentRange": f"bytes {span}/{size}", "ResponseMetadata": {"HTTPStatusCode": status}}
        self.answers("get_object", answer, Key=key, Range=f"bytes={span}", **pin)

    def inspect(self, job: ExportJob = JOB, volume: Volume = VOLUME) -> Any:
        [answer] = self.objects.inspect([(volume, job)], 10.0)
        return answer


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    made = Bucket()
    with made.stub:
        yield made
        made.stub.assert_no_pending_responses()


def test_bucket_that_is_not_allowed_is_never_asked(bucket: Bucket) -> None:
    assert bucket.inspect(volume=replace(VOLUME, bucket="other")) == ObjectForbidden(
        "other", "The bucket other is not one of ExportBuckets."
    )


def test_plain_name_costs_one_question(bucket: Bucket) -> None:
    bucket.heads("runs/calls.vcf", VersionId="null")
    found = bucket.inspect(PLAIN)
    assert found == StoredObject(
        "bucket", "runs/calls.vcf", 100, "tag", 1_700_000_000.0, head_and_tail=found.head_and_tail
    )
    assert isinstance(found.head_and_tail, Unread)
    assert found.checksum_type is None


def test_head_tells_class_encryption_version_and_checksums(bucket: Bucket) -> None:
    bucket.heads(
        "runs/calls.vcf",
        VersionId="v1",
        StorageClass="STANDARD_IA",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="arn:key",
        ChecksumCRC32="abc=",
        ChecksumType="FULL_OBJECT",
    )
    found = bucket.inspect(PLAIN)
    assert (found.version_id, found.storage_class, found.encryption, found.kms_key_id) == (
        "v1", "STANDARD_IA", "aws:kms", "arn:key",
    )  # fmt: skip
    assert (found.checksums, found.checksum_type, found.readable) == ({"CRC32": "abc="}, "FULL_OBJECT", True)


@pytest.mark.parametrize("status", [403, 400], ids=["checksums are denied", "the key is disabled"])
def test_checksum_mode_that_is_refused_is_left_out(bucket: Bucket, status: int) -> None:
    bucket.fails("head_object", status, Key="runs/calls.vcf", ChecksumMode="ENABLED")
    bucket.answers("head_object", HEAD, Key="runs/calls.vcf")
    assert isinstance(bucket.inspect(PLAIN), StoredObject)
    assert bucket.counted == []


def test_next_key_is_tried_where_one_does_not_exist(bucket: Bucket) -> None:
    bucket.fails("head_object", 404, Key="runs/calls.vcf", ChecksumMode="ENABLED")
    bucket.heads("runscalls.vcf")
    assert bucket.inspect(PLAIN).key == "runscalls.vcf"


def test_object_is_missing_only_where_every_key_is(bucket: Bucket) -> None:
    for key in (KEY, OTHER):
        bucket.fails("head_object", 404, Key=key, ChecksumMode="ENABLED")
    assert bucket.inspect() == ObjectNotFound("bucket", (KEY, OTHER))


def test_job_without_a_location_has_no_object(bucket: Bucket) -> None:
    assert bucket.inspect(replace(JOB, location=None)) == ObjectNotFound("bucket", ())


def test_refused_key_is_not_called_missing(bucket: Bucket) -> None:
    for _ in range(2):
        bucket.stub.add_client_error("head_object", "403", http_status_code=403)
    bucket.fails("head_object", 404, Key=OTHER, ChecksumMode="ENABLED")
    assert bucket.inspect() == ObjectForbidden("bucket", f"S3 denies access to s3://bucket/{KEY}.")


@pytest.mark.parametrize("status", [400, 409, 503])
def test_any_other_answer_is_unavailable_and_counted(bucket: Bucket, status: int) -> None:
    bucket.fails("head_object", status, "SlowDown", Key=KEY, ChecksumMode="ENABLED")
    if status == 400:
        # It is bad without checksums too.
        bucket.fails("head_object", status, "SlowDown", Key=KEY)
    assert bucket.inspect() == Unavailable(f"S3 answers SlowDown for s3://bucket/{KEY}")
    assert bucket.counted == ["S3Errors"]


def test_s3_that_cannot_be_reached_is_unavailable() -> None:
    class Unreachable:
        def head_object(self, **request: Any) -> None:
            raise EndpointConnectionError(endpoint_url="https://s3")

    counted: list[str] = []
    objects = ExportedObjects(SYNCHRONOUS, Unreachable, ["bucket"], counted.append)  # type: ignore[arg-type,return-value]
    assert objects.inspect([(VOLUME, JOB)], 10.0) == [Unavailable("S3 cannot be reached (EndpointConnectionError)")]
    assert counted == ["S3Errors"]


def test_inspection_that_is_late_is_unavailable_and_one_that_did_not_start_sends_nothing() -> None:
    class Late(SynchronousCalls):
        def call_all(self, calls: Sequence[Any], within_seconds: float = 0) -> list[Any]:
            assert (len(calls), within_seconds) == (2, 7.0)
            return [CallTimeoutError(started=True), CallTimeoutError(started=False)]

    counted: list[str] = []
    objects = ExportedObjects(Late(), None, ["bucket"], counted.append)  # type: ignore[arg-type]
    answers = objects.inspect([(VOLUME, JOB)] * 2, 7.0)
    # What was not asked is no error of S3's.
    assert counted == ["S3Errors"]
    assert [isinstance(answer, Unavailable) and answer.not_attempted for answer in answers] == [False, True]
    assert all(isinstance(answer, Unavailable) and answer.message.startswith("S3: ") for answer in answers)


def test_small_object_is_read_at_once_pinned_to_its_etag(bucket: Bucket) -> None:
    content = BGZF + bytes(80)
    bucket.heads(KEY)
    bucket.gives(KEY, "0-99", content, IfMatch='"tag"')
    assert bucket.inspect().head_and_tail == HeadAndTail(content, content[-38:])


def test_large_object_is_read_at_both_ends_pinned_to_its_version(bucket: Bucket) -> None:
    size = 5 * 1024**3
    first = BGZF + bytes(4096 - len(BGZF))
    bucket.heads(KEY, ContentLength=size, VersionId="v1")
    bucket.gives(KEY, "0-4095", first, size, VersionId="v1")
    bucket.gives(KEY, f"{size - 38}-{size - 1}", b"e" * 38, size, VersionId="v1")
    assert bucket.inspect().head_and_tail == HeadAndTail(first, b"e" * 38)


def test_no_more_is_read_than_asked_for_whatever_is_sent(bucket: Bucket) -> None:
    size = 5 * 1024**3
    bucket.heads(KEY, ContentLength=size)
    bucket.gives(KEY, "0-4095", bytes(1024 * 1024), size, IfMatch='"tag"')
    assert bucket.inspect().head_and_tail == HeadAndTail(bytes(4096), bytes(38))


def test_object_without_an_end_marker_is_read_once(bucket: Bucket) -> None:
    bucket.heads(KEY, ContentLength=10_000)
    bucket.gives(KEY, "0-4095", b"x" * 4096, 10_000, IfMatch='"tag"')
    assert bucket.inspect().head_and_tail == HeadAndTail(b"x" * 4096, b"x" * 38)


def test_empty_object_needs_no_reading(bucket: Bucket) -> None:
    bucket.heads(KEY, ContentLength=0)
    assert bucket.inspect().head_and_tail == HeadAndTail(b"", b"")


@pytest.mark.parametrize(
    ("changes", "readable"),
    [
        ({"StorageClass": "GLACIER"}, False),
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": 'ongoing-request="true"'}, False),
        ({"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"}, False),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="x"'}, True),
        ({"StorageClass": "GLACIER_IR"}, True),
    ],
)
def test_archived_object_is_not_read(bucket: Bucket, changes: dict[str, str], readable: bool) -> None:
    bucket.heads(KEY, **changes)
    if readable:
        bucket.gives(KEY, "0-99", bytes(100), IfMatch='"tag"')
    found = bucket.inspect()
    assert found.readable is readable
    assert isinstance(found.head_and_tail, HeadAndTail) is readable


def test_refused_bytes_skip_what_needs_them(bucket: Bucket) -> None:
    bucket.heads(KEY)
    bucket.fails("get_object", 403, "AccessDenied", Key=KEY, Range="bytes=0-99", IfMatch='"tag"')
    assert bucket.inspect().head_and_tail == Unread("S3 denies access to the object's bytes")


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("code", ["KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException"])
def test_bytes_under_a_key_that_cannot_be_used_skip_what_needs_them_and_name_the_key(
    bucket: Bucket, status: int, code: str
) -> None:
    bucket.heads(KEY, SSEKMSKeyId="arn:key")
    bucket.fails("get_object", status, code, Key=KEY, Range="bytes=0-99", IfMatch='"tag"')
    assert bucket.inspect().head_and_tail == Unread(f"S3 cannot use the object's KMS key arn:key ({code})")
    assert bucket.counted == []


def test_bytes_that_are_refused_as_a_bad_request_without_a_kms_code_are_an_error_of_s3(bucket: Bucket) -> None:
    bucket.heads(KEY)
    bucket.fails("get_object", 400, "InvalidArgument", Key=KEY, Range="bytes=0-99", IfMatch='"tag"')
    assert bucket.inspect() == Unavailable(f"S3 answers InvalidArgument for s3://bucket/{KEY}")


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200},
        {"size": 101},
        {"content": bytes(99)},
    ],
)
def test_other_bytes_than_those_asked_for_are_no_answer(bucket: Bucket, answer: dict[str, Any]) -> None:
    bucket.heads(KEY)
    bucket.gives(KEY, "0-99", **{"content": bytes(100), "IfMatch": '"tag"', **answer})
    assert isinstance(bucket.inspect(), Unavailable)
    assert bucket.counted == ["S3Errors"]


@pytest.mark.parametrize("lacking", ["ETag", "LastModified", "ContentLength"])
def test_head_that_lacks_what_every_object_has_is_unexpected_for_this_object_alone(
    bucket: Bucket, lacking: str
) -> None:
    odd = {name: value for name, value in HEAD.items() if name != lacking}
    bucket.answers("head_object", odd, Key=KEY, ChecksumMode="ENABLED")
    bucket.heads("runs/calls.vcf")
    first, second = bucket.objects.inspect([(VOLUME, JOB), (VOLUME, PLAIN)], 10.0)
    assert isinstance(first, Unexpected)
    assert isinstance(first.error, KeyError)
    assert isinstance(second, StoredObject)


def test_object_that_changes_while_it_is_inspected_is_inspected_later(bucket: Bucket) -> None:
    bucket.heads(KEY)
    bucket.fails("get_object", 412, "PreconditionFailed", Key=KEY, Range="bytes=0-99", IfMatch='"tag"')
    assert bucket.inspect() == Unavailable(f"S3 answers PreconditionFailed for s3://bucket/{KEY}")


def requesting(canned_acl: str) -> ExportJob:
    return replace(PLAIN, properties={"aws_canned_acl": canned_acl})


ACL = {
    "Owner": {"ID": "owner"},
    "Grants": [
        {"Grantee": {"Type": "Group", "URI": "http://everyone"}, "Permission": "READ"},
        {"Grantee": {"Type": "CanonicalUser", "ID": "owner"}, "Permission": "FULL_CONTROL"},
    ],
}
GRANTS = frozenset({Grant("http://everyone", "READ"), Grant("owner", "FULL_CONTROL")})


def ownership(rule: str) -> dict[str, Any]:
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": rule}]}}


def test_acl_is_read_where_it_was_asked_for_and_ownership_remembered(bucket: Bucket) -> None:
    bucket.heads("runs/calls.vcf")
    bucket.answers("get_bucket_ownership_controls", ownership("ObjectWriter"))
    bucket.answers("get_object_acl", ACL, Key="runs/calls.vcf")
    assert bucket.inspect(requesting("public-read")).acl == ObjectAcl("owner", GRANTS)
    bucket.heads("runs/calls.vcf", VersionId="v1")
    bucket.answers("get_object_acl", ACL, Key="runs/calls.vcf", VersionId="v1")
    assert bucket.inspect(requesting("public-read")).acl == ObjectAcl("owner", GRANTS)


def test_acl_is_not_read_where_the_bucket_has_acls_disabled(bucket: Bucket) -> None:
    bucket.heads("runs/calls.vcf")
    bucket.answers("get_bucket_ownership_controls", ownership("BucketOwnerEnforced"))
    assert bucket.inspect(requesting("private")).acl == Unread("the bucket has ACLs disabled")
    bucket.clock = 901
    bucket.heads("runs/calls.vcf")
    bucket.answers("get_bucket_ownership_controls", ownership("BucketOwnerPreferred"))
    bucket.answers("get_object_acl", ACL, Key="runs/calls.vcf")
    assert isinstance(bucket.inspect(requesting("private")).acl, ObjectAcl)


def test_bucket_from_before_the_setting_has_acls(bucket: Bucket) -> None:
    bucket.heads("runs/calls.vcf")
    bucket.fails("get_bucket_ownership_controls", 404, "OwnershipControlsNotFoundError")
    bucket.answers("get_object_acl", ACL, Key="runs/calls.vcf")
    assert isinstance(bucket.inspect(requesting("private")).acl, ObjectAcl)


def test_bucket_s_owner_is_asked_for_where_the_acl_speaks_of_it_and_remembered(bucket: Bucket) -> None:
    bucket.heads("runs/calls.vcf")
    bucket.answers("get_bucket_ownership_controls", ownership("ObjectWriter"))
    bucket.answers("get_object_acl", ACL, Key="runs/calls.vcf")
    bucket.answers("get_bucket_acl", {"Owner": {"ID": "bucket-owner"}, "Grants": []})
    assert bucket.inspect(requesting("bucket-owner-read")).acl == ObjectAcl("owner", GRANTS, "bucket-owner")
    bucket.heads("runs/calls.vcf")
    bucket.answers("get_object_acl", ACL, Key="runs/calls.vcf")
    assert bucket.inspect(requesting("bucket-owner-full-control")).acl.bucket_owner == "bucket-owner"


@pytest.mark.parametrize("operation", ["get_bucket_ownership_controls", "get_object_acl"])
@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (503, "SlowDown")])
def test_denied_acl_skips_what_needs_it_and_one_that_cannot_be_read_now_is_unavailable(
    bucket: Bucket, operation: str, status: int, code: str
) -> None:
    bucket.heads("runs/calls.vcf")
    if operation == "get_object_acl":
        bucket.answers("get_bucket_ownership_controls", ownership("ObjectWriter"))
    bucket.stub.add_client_error(operation, code, http_status_code=status)
    answer = bucket.inspect(requesting("private"))
    if status == 403:
        assert isinstance(answer.acl, Unread)
        assert "denies" in answer.acl.reason
    else:
        assert isinstance(answer, Unavailable)


def test_acl_that_no_object_can_have_is_not_read(bucket: Bucket) -> None:
    bucket.heads("runs/calls.vcf")
    assert bucket.inspect(requesting("log-delivery-write")).acl == Unread("its ACL was not read")
