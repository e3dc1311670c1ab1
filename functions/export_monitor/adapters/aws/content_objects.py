"""Whole objects in S3, as a stream of ranged GETs with a few in flight, in bounded memory."""

import time
from collections import deque
from collections.abc import Callable, Collection, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from export_monitor.adapters.aws.byte_ranges import WrongRangeError, read_range
from export_monitor.adapters.aws.s3_errors import http_status, kms_code
from export_monitor.domain.content.check import CannotReadError, Replaced
from export_monitor.domain.content.formats import FIRST_BYTES, Unverifiable
from export_monitor.domain.content.target import ContentTarget
from export_monitor.domain.model import UnavailableError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

GET_BYTES = 8 << 20
IN_FLIGHT = 4
# A GET costs as much however few bytes it asks for.
LEAST_BYTES = 256 << 10
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.5
# A server that drips has no other limit. It allows a fiftieth of the usual speed.
GET_LIMIT_SECONDS = 30.0


class ContentObjects:
    """Reads objects in `buckets`, and never requests any other bucket; `seconds_left` is for all GETs.

    Every method raises CannotReadError if S3 denies the version or no longer has it, and UnavailableError if S3 fails.
    """

    def __init__(
        self,
        client: "Callable[[], S3Client]",
        buckets: Collection[str],
        seconds_left: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._buckets = frozenset(buckets)
        self._seconds_left = seconds_left
        self._sleep = sleep

    def first_bytes(self, target: ContentTarget) -> bytes:
        """The object's first bytes, as many as are needed to recognise its format."""
        end = min(target.size, FIRST_BYTES)
        return b"".join(self.chunks(target, 0, lambda: end, least_bytes=0))

    def chunks(
        self, target: ContentTarget, start: int, reads_until: Callable[[], int], least_bytes: int = LEAST_BYTES
    ) -> Generator[bytes, None, None]:
        """The bytes from `start` on, up to the offset that `reads_until` returns, which may grow, or a little more."""
        if target.bucket not in self._buckets:
            raise CannotReadError(Unverifiable(f"the bucket {target.bucket} is not one of ExportBuckets"))
        executor = ThreadPoolExecutor(IN_FLIGHT)
        in_flight: deque[Future[bytes]] = deque()
        at = start

        def request_more() -> None:
            nonlocal at
            while len(in_flight) < IN_FLIGHT and (until := reads_until()) > at:
                end = min(max(until, at + least_bytes), at + GET_BYTES, target.size)
                in_flight.append(executor.submit(self._read, target, at, end))
                at = end

        try:
            request_more()
            while in_flight:
                chunk = self._result(target, in_flight.popleft())
                request_more()
                yield chunk
                request_more()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _read(self, target: ContentTarget, start: int, end: int) -> bytes:
        """The bytes of a range. One broken connection in a part's hundreds of GETs must not end its reading."""
        for attempt in range(1, _ATTEMPTS):
            try:
                return read_range(self._client(), target, start, end)
            except (BotoCoreError, WrongRangeError):
                self._sleep(_PAUSE_SECONDS * attempt)
        return read_range(self._client(), target, start, end)

    def _result(self, target: ContentTarget, future: Future[bytes]) -> bytes:
        try:
            return future.result(max(0.0, min(GET_LIMIT_SECONDS, self._seconds_left())))
        except ClientError as error:
            raise _meaning(error, target) from None
        except (BotoCoreError, WrongRangeError) as error:
            raise UnavailableError(f"S3: {error}") from None
        except TimeoutError:
            raise UnavailableError("S3: it did not answer in time") from None


def _meaning(error: ClientError, target: ContentTarget) -> CannotReadError | UnavailableError:
    status = http_status(error)
    if status in (404, 412):
        return CannotReadError(Replaced())
    if code := kms_code(error):
        return CannotReadError(Unverifiable(f"S3 cannot use the object's KMS key ({code})"))
    if status == 403:
        return CannotReadError(Unverifiable("S3 denies access to the object's bytes"))
    return UnavailableError(f"S3 answers {error.response['Error']['Code']} for s3://{target.bucket}/{target.key}")
