"""Exported objects in S3: what HeadObject says of them, or that they are missing, or that looking is refused."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from export_monitor.domain.model import MissingObject, ObjectAnswer, Obstacle, RefusedObject, StoredObject, Volume
from export_monitor.domain.object_location import candidate_keys

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import HeadObjectOutputTypeDef

# An object in one of these must be restored before it can be read.
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
_CHECKSUM = "Checksum"


class ExportedObjects:
    """Looks at objects in the buckets that it is given, and asks for no others. Safe to call from several threads."""

    def __init__(self, client: "Callable[[], S3Client]", buckets: Collection[str]) -> None:
        self._client = client
        self._buckets = frozenset(buckets)

    def look(self, volume: Volume, location: str) -> ObjectAnswer:
        """The first of the keys that a location on a volume may mean and that exists."""
        if volume.bucket not in self._buckets:
            return RefusedObject(volume.bucket, f"The bucket {volume.bucket} is not one of ExportBuckets.")
        keys = candidate_keys(volume.prefix, location)
        refused: RefusedObject | None = None
        for key in keys:
            try:
                return self._head(volume.bucket, key)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status == 403:
                    refused = RefusedObject(volume.bucket, f"S3 refuses to show s3://{volume.bucket}/{key}.")
                elif status != 404:
                    return Obstacle(f"S3 answers {error.response['Error']['Code']} for s3://{volume.bucket}/{key}")
            except BotoCoreError as error:
                return Obstacle(f"S3 cannot be reached ({type(error).__name__})")
        # A key that may not be seen may be the one, so nothing is missing while any was refused.
        return refused or MissingObject(volume.bucket, keys)

    def _head(self, bucket: str, key: str) -> StoredObject:
        client = self._client()
        try:
            head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
                raise
            # Checksums of an object under a KMS key are shown only to who may decrypt; the rest is not so guarded.
            head = client.head_object(Bucket=bucket, Key=key)
        return _stored_object(bucket, key, head)


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
        readable=restored or not archived,
    )
