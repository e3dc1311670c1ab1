"""The stack's own bucket, which group reports are written to."""

import base64
import hashlib
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from export_monitor.adapters.aws.calls import AWS_ERRORS, AwsCalls
from export_monitor.domain.model import UnavailableError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# For the CSV of 10,000 exports with the longest texts and contexts, which has 130 MB.
_WRITE_LIMIT_SECONDS = 40.0


class ReportBucket:
    """Writes objects to one bucket."""

    def __init__(self, calls: AwsCalls, client: "Callable[[], S3Client]", bucket: str) -> None:
        self._calls = calls
        self._client = client
        self.bucket = bucket

    def write(self, key: str, content: Iterable[bytes], content_type: str) -> str:
        """Write an object; return its SHA-256 in hexadecimal digits. Raises UnavailableError.

        The content is kept in a temporary file, since all of it may need more memory than there is.
        """
        digest = hashlib.sha256()
        with tempfile.TemporaryFile() as file:
            for part in content:
                digest.update(part)
                file.write(part)
            file.seek(0)
            put = partial(
                self._client().put_object,
                Bucket=self.bucket,
                Key=key,
                Body=file,
                ContentType=content_type,
                ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
            )
            try:
                self._calls.call(put, _WRITE_LIMIT_SECONDS)
            except AWS_ERRORS as error:
                raise UnavailableError(f"S3: {error}") from None
        return digest.hexdigest()
