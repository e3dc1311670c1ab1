"""Writing objects to the report bucket: what is sent, what is sent again, and what an error becomes."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from export_monitor.adapters.aws.calls import CALL_LIMIT_SECONDS, AwsCalls
from export_monitor.adapters.aws.clients import real_clients
from export_monitor.adapters.aws.reports import ReportBucket
from export_monitor.domain.model import UnavailableError
from tests.fakes import REGION, SYNCHRONOUS, SynchronousCalls

KEY, CSV = "groups/run/report.csv", "text/csv; charset=utf-8; header=present"
CONTENT = [b"export_id\r\n", b"a\r\n"]
SHA256 = hashlib.sha256(b"".join(CONTENT))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The function's own client, with a bucket for reports."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="reports")
        client = real_clients()("s3", REGION)
        yield client
        client.close()


class Wire:
    """What is sent by a client: bodies and headers, of which the first ones meet this answer instead of S3."""

    def __init__(self, client: Any, *answers: int | Exception) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._answers = list(answers)
        client.meta.events.register_first("before-send.s3.PutObject", self._send)

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        self.bodies.append(request.body.read())
        request.body.seek(0)
        self.headers.append({name.lower(): _text(value) for name, value in request.headers.items()})
        if not self._answers:
            return None
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = AWSResponse(request.url, answer, {}, None)
        response._content = b""
        return response


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def bucket(client: Any, calls: AwsCalls = SYNCHRONOUS) -> ReportBucket:
    return ReportBucket(calls, lambda: client, "reports")


def test_object_has_the_content_its_type_and_its_checksum(s3: Any) -> None:
    wire = Wire(s3)
    assert bucket(s3).write(KEY, CONTENT, CSV) == SHA256.hexdigest()
    assert wire.headers[0]["x-amz-checksum-sha256"] == base64.b64encode(SHA256.digest()).decode()
    stored = s3.get_object(Bucket="reports", Key=KEY)
    assert (stored["Body"].read(), stored["ContentType"]) == (b"".join(CONTENT), CSV)


def test_object_without_content_is_written(s3: Any) -> None:
    assert bucket(s3).write(KEY, [], CSV) == hashlib.sha256().hexdigest()
    assert s3.head_object(Bucket="reports", Key=KEY)["ContentLength"] == 0


@pytest.mark.parametrize("answer", [503, EndpointConnectionError(endpoint_url="https://reports")], ids=["503", "none"])
def test_whole_content_is_sent_again_where_the_first_attempt_failed(s3: Any, answer: int | Exception) -> None:
    wire = Wire(s3, answer)
    assert bucket(s3).write(KEY, iter(CONTENT), CSV) == SHA256.hexdigest()
    assert wire.bodies == [b"".join(CONTENT)] * 2
    assert s3.get_object(Bucket="reports", Key=KEY)["Body"].read() == b"".join(CONTENT)


@pytest.mark.parametrize("answer", [403, 404, 503, EndpointConnectionError(endpoint_url="https://reports")], ids=repr)
def test_bucket_that_does_not_take_an_object_is_unavailable(s3: Any, answer: int | Exception) -> None:
    Wire(s3, answer, answer)
    with pytest.raises(UnavailableError, match=r"^S3: "):
        bucket(s3).write(KEY, CONTENT, CSV)


def test_large_report_has_more_time_than_another_call_of_aws(s3: Any) -> None:
    class Measuring(SynchronousCalls):
        limits: ClassVar[list[float]] = []

        def call_all(self, calls: Sequence[Callable[[], Any]], within_seconds: float = CALL_LIMIT_SECONDS) -> list[Any]:
            self.limits.append(within_seconds)
            return super().call_all(calls)

    bucket(s3, Measuring()).write(KEY, CONTENT, CSV)
    # At 5 MB/s, 130 MB take half a minute.
    assert Measuring.limits[0] > 130 / 5


def test_write_for_which_no_time_is_left_is_not_attempted(s3: Any) -> None:
    wire = Wire(s3)
    with pytest.raises(UnavailableError, match="no time left"):
        bucket(s3, AwsCalls(lambda: 0.0)).write(KEY, CONTENT, CSV)
    assert wire.bodies == []


def test_content_that_ends_early_is_not_written(s3: Any) -> None:
    def content() -> Iterator[bytes]:
        yield CONTENT[0]
        raise UnavailableError("DynamoDB: it does not answer")

    wire = Wire(s3)
    with pytest.raises(UnavailableError, match="DynamoDB"):
        bucket(s3).write(KEY, content(), CSV)
    assert wire.bodies == []
