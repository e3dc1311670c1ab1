"""Reads byte ranges of one version of an object."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef


class WrongRangeError(Exception):
    """S3 did not return the requested byte range, so nothing is known about the object's content."""


class Version(Protocol):
    """A version of an object, by its `version_id` or else by its `etag` (without quotes)."""

    @property
    def bucket(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def version_id(self) -> str | None: ...


def read_range(client: "S3Client", version: Version, start: int, end: int) -> bytes:
    """The bytes from `start` to before `end`. Raises WrongRangeError, or an error of boto3."""
    answer = _get(client, version, f"bytes={start}-{end - 1}")
    with answer["Body"] as body:
        _check_range(answer, f"bytes {start}-{end - 1}/{version.size}")
        # The server may send more than requested; do not read it.
        content = body.read(end - start)
    if len(content) < end - start:
        raise WrongRangeError(f"{len(content)} bytes instead of {end - start}")
    return content


def _get(client: "S3Client", version: Version, span: str) -> "GetObjectOutputTypeDef":
    if version.version_id:
        return client.get_object(Bucket=version.bucket, Key=version.key, Range=span, VersionId=version.version_id)
    return client.get_object(Bucket=version.bucket, Key=version.key, Range=span, IfMatch=f'"{version.etag}"')


def _check_range(answer: "GetObjectOutputTypeDef", expected: str) -> None:
    """Raise WrongRangeError unless the response is partial content (206) with the expected Content-Range."""
    status, actual = answer["ResponseMetadata"]["HTTPStatusCode"], answer.get("ContentRange")
    if status != 206 or actual != expected:
        raise WrongRangeError(f"HTTP {status}, Content-Range {actual!r:.100} instead of {expected!r}")
