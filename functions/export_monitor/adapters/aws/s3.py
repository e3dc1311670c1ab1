"""Exported objects in S3: their metadata, a few of their bytes, and their ACLs."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from export_monitor.adapters.aws.byte_ranges import WrongRangeError, read_range
from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls
from export_monitor.adapters.aws.s3_errors import http_status, kms_code
from export_monitor.adapters.timeouts import CallTimeoutError
from export_monitor.domain import canned_acls, integrity
from export_monitor.domain.model import (
    ExportJob,
    Grant,
    HeadAndTail,
    ObjectAcl,
    ObjectAnswer,
    ObjectForbidden,
    ObjectNotFound,
    StoredObject,
    Unavailable,
    Unread,
    Volume,
)
from export_monitor.domain.object_location import candidate_keys
from export_monitor.domain.unexpected import Unexpected

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import GetObjectAclOutputTypeDef, HeadObjectOutputTypeDef

# Objects in these storage classes must be restored before they can be read.
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
_CHECKSUM = "Checksum"
_BUCKET_CACHE_SECONDS = 900.0


class ExportedObjects:
    """Inspects objects in `buckets`, and never requests any other bucket. `count` adds one to the named metric."""

    def __init__(
        self,
        calls: AwsCalls,
        client: "Callable[[], S3Client]",
        buckets: Collection[str],
        count: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = calls
        self._client = client
        self._buckets = frozenset(buckets)
        self._count = count
        self._monotonic = monotonic
        self._acls_disabled: dict[str, tuple[float, bool]] = {}
        self._owners: dict[str, tuple[float, str]] = {}

    def inspect(
        self, targets: Sequence[tuple[Volume, ExportJob]], within_seconds: float
    ) -> list[ObjectAnswer | Unexpected]:
        """Return each job's object: the first existing key of those that the job's location can mean.

        An error of S3 other than 403 and 404 becomes Unavailable and counts in the metric S3Errors.
        """
        calls = [partial(self._inspect, volume, job) for volume, job in targets]
        answers = [_answer(outcome) for outcome in self._calls.call_all(calls, within_seconds)]
        for answer in answers:
            if isinstance(answer, Unavailable) and not answer.not_attempted:
                self._count("S3Errors")
        return answers

    def _inspect(self, volume: Volume, job: ExportJob) -> ObjectAnswer:
        if volume.bucket not in self._buckets:
            return ObjectForbidden(volume.bucket, f"The bucket {volume.bucket} is not one of ExportBuckets.")
        keys = candidate_keys(volume.prefix, job.location or "")
        forbidden: ObjectForbidden | None = None
        for key in keys:
            try:
                return self._read(self._head(volume.bucket, key), job)
            except ClientError as error:
                if http_status(error) == 403:
                    forbidden = ObjectForbidden(volume.bucket, f"S3 denies access to s3://{volume.bucket}/{key}.")
                elif http_status(error) != 404:
                    return Unavailable(f"S3 answers {error.response['Error']['Code']} for s3://{volume.bucket}/{key}")
            except BotoCoreError as error:
                return Unavailable(f"S3 cannot be reached ({type(error).__name__})")
            except WrongRangeError as error:
                return Unavailable(f"S3 did not return the requested bytes of s3://{volume.bucket}/{key}: {error}")
        # A key that S3 denies may be the right one, so the object only counts as missing if no key was denied.
        return forbidden or ObjectNotFound(volume.bucket, keys)

    def _head(self, bucket: str, key: str) -> StoredObject:
        client = self._client()
        try:
            head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            # S3 returns the checksums of an object under a KMS key only if the caller may use the key; otherwise it
            # answers 403, or 400 for a disabled key. The other headers need no key. The response to a HEAD has no body,
            # so no error code says which case it is.
            if http_status(error) not in (400, 403):
                raise
            head = client.head_object(Bucket=bucket, Key=key)
        return _stored_object(bucket, key, head)

    def _read(self, found: StoredObject, job: ExportJob) -> StoredObject:
        requested_acl = job.properties.get("aws_canned_acl")
        if requested_acl in canned_acls.CANNED_ACLS:
            found = replace(found, acl=self._object_acl(found, str(requested_acl)))
        return replace(found, head_and_tail=self._head_and_tail(found))

    def _head_and_tail(self, found: StoredObject) -> HeadAndTail | Unread:
        if not found.readable:
            return Unread("the object is archived and must be restored first")
        if integrity.is_unmarked_format(found.key):
            return Unread("a format of this name has no end-of-file marker")
        if not found.size:
            return HeadAndTail(b"", b"")
        try:
            first = self._bytes(found, 0, min(found.size, integrity.FIRST_BYTES))
            if found.size == len(first) or not integrity.expects_eof_marker(first):
                return HeadAndTail(first, first[-integrity.LAST_BYTES :])
            return HeadAndTail(first, self._bytes(found, found.size - integrity.LAST_BYTES, found.size))
        except ClientError as error:
            return Unread(_denial(error, found, "S3 denies access to the object's bytes"))

    def _bytes(self, found: StoredObject, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`, of the version (or the ETag) that HeadObject returned."""
        return read_range(self._client(), found, start, end)

    def _object_acl(self, found: StoredObject, canned_acl: str) -> ObjectAcl | Unread:
        try:
            if self._has_acls_disabled(found.bucket):
                return Unread("the bucket has ACLs disabled")
            acl = self._acl(found)
            bucket_owner = self._bucket_owner(found.bucket) if canned_acls.needs_bucket_owner(canned_acl) else None
        except ClientError as error:
            text = "S3 denies access to the object's ACL, the bucket's ACL or the bucket's object ownership"
            return Unread(_denial(error, found, text))
        grants = (
            Grant(grant["Grantee"].get("ID") or grant["Grantee"].get("URI", "?"), grant["Permission"])
            for grant in acl["Grants"]
        )
        return ObjectAcl(acl["Owner"]["ID"], frozenset(grants), bucket_owner)

    def _acl(self, found: StoredObject) -> "GetObjectAclOutputTypeDef":
        if found.version_id:
            return self._client().get_object_acl(Bucket=found.bucket, Key=found.key, VersionId=found.version_id)
        return self._client().get_object_acl(Bucket=found.bucket, Key=found.key)

    def _has_acls_disabled(self, bucket: str) -> bool:
        read_at, known = self._acls_disabled.get(bucket, (float("-inf"), False))
        if self._monotonic() - read_at < _BUCKET_CACHE_SECONDS:
            return known
        try:
            controls = self._client().get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
            disabled = any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in controls["Rules"])
        except ClientError as error:
            # Buckets older than this setting have no controls, and their ACLs are enabled.
            if http_status(error) != 404:
                raise
            disabled = False
        self._acls_disabled[bucket] = (self._monotonic(), disabled)
        return disabled

    def _bucket_owner(self, bucket: str) -> str:
        read_at, known = self._owners.get(bucket, (float("-inf"), ""))
        if self._monotonic() - read_at < _BUCKET_CACHE_SECONDS:
            return known
        owner = self._client().get_bucket_acl(Bucket=bucket)["Owner"]["ID"]
        self._owners[bucket] = (self._monotonic(), owner)
        return owner


def _answer(outcome: ObjectAnswer | Exception) -> ObjectAnswer | Unexpected:
    if isinstance(outcome, AWS_ERRORS):
        return Unavailable(
            f"S3: {outcome}", not_attempted=isinstance(outcome, CallTimeoutError) and not outcome.started
        )
    return Unexpected(outcome) if isinstance(outcome, Exception) else outcome


def _denial(error: ClientError, found: StoredObject, text: str) -> str:
    """Why access was denied: `text`, or the KMS key. Raises the error if it is neither a 403 nor an error of KMS."""
    if code := kms_code(error):
        return f"S3 cannot use the object's KMS key {found.kms_key_id or '(unknown)'} ({code})"
    if http_status(error) != 403:
        raise error
    return text


def _headers(head: "HeadObjectOutputTypeDef") -> Mapping[str, str]:
    return head.get("ResponseMetadata", {}).get("HTTPHeaders", {})


def _stored_object(bucket: str, key: str, head: "HeadObjectOutputTypeDef") -> StoredObject:
    storage_class = head.get("StorageClass", "STANDARD")
    restored = 'ongoing-request="false"' in head.get("Restore", "")
    archived = storage_class in _ARCHIVED or "ArchiveStatus" in head
    checksums = {
        name.removeprefix(_CHECKSUM): str(value)
        for name, value in head.items()
        if name.startswith(_CHECKSUM) and name != "ChecksumType"
    }
    version_id = head.get("VersionId")
    return StoredObject(
        bucket=bucket,
        key=key,
        size=head["ContentLength"],
        etag=head["ETag"].strip('"'),
        last_modified_at=head["LastModified"].timestamp(),
        version_id=None if version_id == "null" else version_id,
        storage_class=storage_class,
        encryption=head.get("ServerSideEncryption"),
        kms_key_id=head.get("SSEKMSKeyId"),
        checksums=checksums,
        checksum_type=head.get("ChecksumType"),
        readable=restored or not archived,
        region=_headers(head).get("x-amz-bucket-region"),
    )
