"""Reading an object by ranged GETs: bounded, pinned, repeated where a connection breaks."""

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.response import StreamingBody

from export_monitor.adapters.aws.content_objects import GET_BYTES, IN_FLIGHT, LEAST_BYTES, ContentObjects
from export_monitor.domain.content.target import ContentTarget
from export_monitor.domain.model import UnavailableError

Answer = Callable[[int, int], bytes]
BROKEN = EndpointConnectionError(endpoint_url="https://bucket")


def zeros(start: int, end: int) -> bytes:
    return bytes(end - start)


@dataclass
class FakeS3:
    """An object of any size. `answers` are those of the first GETs, before all others are right."""

    size: int
    version_id: str | None = None
    answers: list[Answer | Exception] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    body_of: Answer = zeros

    def get_object(self, **asked: Any) -> Any:
        self.asked.append(asked)
        start, last = map(int, asked["Range"].removeprefix("bytes=").split("-"))
        answer = self.answers.pop(0) if self.answers else self.body_of
        if isinstance(answer, Exception):
            raise answer
        content = answer(start, last + 1)
        return {
            "Body": StreamingBody(io.BytesIO(content), None),
            "ContentRange": f"bytes {start}-{last}/{self.size}",
            "ResponseMetadata": {"HTTPStatusCode": 206},
        }

    @property
    def target(self) -> ContentTarget:
        return ContentTarget("bucket", "key", self.size, "tag", self.version_id)

    @property
    def ranges(self) -> list[str]:
        return sorted(one["Range"] for one in self.asked)


def objects(s3: Any, seconds_left: float = 60.0, pauses: list[float] | None = None) -> ContentObjects:
    noted: list[float] = [] if pauses is None else pauses
    return ContentObjects(lambda: s3, ["bucket"], lambda: seconds_left, noted.append)


def length(s3: FakeS3, start: int, until: int) -> int:
    return sum(map(len, objects(s3).chunks(s3.target, start, lambda: until)))


def test_range_is_read_in_gets_of_8_mib_and_a_rest() -> None:
    s3 = FakeS3(1 << 30)
    assert length(s3, 5, 5 + GET_BYTES + LEAST_BYTES + 1) == GET_BYTES + LEAST_BYTES + 1
    assert s3.ranges == ["bytes=5-8388612", "bytes=8388613-8650757"]


def test_least_is_read_but_never_beyond_the_object() -> None:
    s3 = FakeS3(1 << 30)
    assert length(s3, 0, 1) == LEAST_BYTES
    assert length(FakeS3(100), 99, 100) == 1


def test_bytes_come_in_order_however_slow_the_first_get_is() -> None:
    later = threading.Event()

    def slow(start: int, end: int) -> bytes:
        if start:
            later.set()
        else:
            assert later.wait(10)
        return start.to_bytes(end - start, "little")

    s3 = FakeS3(1 << 30, body_of=slow)
    chunks = list(objects(s3).chunks(s3.target, 0, lambda: 3 * GET_BYTES))
    assert [int.from_bytes(chunk[:8], "little") for chunk in chunks] == [0, GET_BYTES, 2 * GET_BYTES]


def test_what_is_needed_may_grow_while_it_is_read() -> None:
    s3 = FakeS3(1 << 30)
    until = iter([GET_BYTES, GET_BYTES, GET_BYTES])
    read = 0
    for chunk in objects(s3).chunks(s3.target, 0, lambda: next(until, 2 * GET_BYTES)):
        read += len(chunk)
    assert read == 2 * GET_BYTES


def test_reads_are_pinned_to_the_version_or_else_to_the_etag() -> None:
    versioned, other = FakeS3(10, "v1"), FakeS3(10)
    for s3 in (versioned, other):
        assert objects(s3).first_bytes(s3.target) == bytes(10)
    pinned = {"Bucket": "bucket", "Key": "key", "Range": "bytes=0-9"}
    assert versioned.asked == [{**pinned, "VersionId": "v1"}]
    assert other.asked == [{**pinned, "IfMatch": '"tag"'}]


def test_first_bytes_of_an_empty_object_need_no_get() -> None:
    s3 = FakeS3(0)
    assert objects(s3).first_bytes(s3.target) == b""
    assert s3.asked == []


@pytest.mark.parametrize("failure", [BROKEN, lambda start, end: bytes(end - start - 1)])
def test_get_that_breaks_is_repeated_after_a_pause(failure: Any) -> None:
    s3, pauses = FakeS3(100, answers=[failure, failure]), []
    assert objects(s3, pauses=pauses).first_bytes(s3.target) == bytes(100)
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (BROKEN, 'S3: Could not connect to the endpoint URL: "https://bucket"'),
        (lambda start, end: bytes(end - start - 1), "S3: 99 bytes instead of 100"),
    ],
)
def test_get_that_keeps_breaking_fails(failure: Any, cause: str) -> None:
    s3 = FakeS3(100, answers=[failure] * 3)
    with pytest.raises(UnavailableError, match=cause):
        objects(s3).first_bytes(s3.target)
    assert len(s3.asked) == 3


def test_error_of_s3_is_not_repeated() -> None:
    response: Any = {"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    s3 = FakeS3(100, answers=[ClientError(response, "GetObject")])
    with pytest.raises(UnavailableError, match="S3 answers InternalError for s3://bucket/key"):
        objects(s3).first_bytes(s3.target)
    assert len(s3.asked) == 1


def test_get_that_does_not_end_is_given_up() -> None:
    given_up = threading.Event()

    def hanging(_: int, end: int) -> bytes:
        given_up.wait(10)
        return bytes(end)

    s3 = FakeS3(100, body_of=hanging)
    with pytest.raises(UnavailableError, match="S3: it did not answer in time"):
        objects(s3, seconds_left=0).first_bytes(s3.target)
    given_up.set()


def test_object_of_a_gib_is_never_held() -> None:
    """At most one chunk is with the caller while one is handed over and as many as are in flight wait."""
    held = Held()
    s3 = FakeS3(1 << 30, body_of=held.new)
    read = 0
    for chunk in objects(HeldS3(s3)).chunks(s3.target, 0, lambda: s3.size):
        read += len(chunk)
    assert read == 1 << 30
    assert held.most <= (IN_FLIGHT + 2) * GET_BYTES


class Held:
    """Counts the bytes of those chunks that something still refers to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def new(self, start: int, end: int) -> Any:
        with self._lock:
            self._now += end - start
            self.most = max(self.most, self._now)
        return Chunk(self, end - start)

    def freed(self, count: int) -> None:
        with self._lock:
            self._now -= count


class Chunk(bytes):
    """A chunk of a length that it does not really have."""

    def __new__(cls, *_: Any) -> "Chunk":
        return super().__new__(cls)

    def __init__(self, held: Held, count: int) -> None:
        self.held, self.count = held, count

    def __len__(self) -> int:
        return self.count

    def __del__(self) -> None:
        self.held.freed(self.count)


@dataclass
class HeldS3:
    """The same S3, whose bodies give a chunk as it is."""

    s3: FakeS3

    def get_object(self, **asked: Any) -> Any:
        start, last = map(int, asked["Range"].removeprefix("bytes=").split("-"))
        return {
            "Body": Body(self.s3.body_of(start, last + 1)),
            "ContentRange": f"bytes {start}-{last}/{self.s3.size}",
            "ResponseMetadata": {"HTTPStatusCode": 206},
        }


class Body:
    """A body that is one chunk."""

    def __init__(self, chunk: bytes) -> None:
        self._chunks = [chunk]

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *_: object) -> None:
        self._chunks.clear()

    def read(self, _: int) -> bytes:
        return self._chunks.pop()
