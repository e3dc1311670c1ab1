"""Volume names, prefixes and locations of every kind: the requests they lead to, as they go over the wire."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from export_monitor.adapters.aws.s3 import ExportedObjects
from export_monitor.domain.assessment import has_valid_volume_name
from export_monitor.domain.model import ExportJob, ObjectNotFound, Volume
from export_monitor.domain.object_location import candidate_keys, is_on_amazon_s3
from tests.fakes import SYNCHRONOUS, response_of
from tests.unit.property.any_api import Platform
from tests.unit.property.strategies import TEXTS, bounded

pytestmark = pytest.mark.once

NAMES = TEXTS | st.builds("{}/{}".format, TEXTS | st.just("owner"), TEXTS | st.just("name"))
PARTS = st.sampled_from(
    ["runs", "a.vcf", "/", "//", ".", "..", "%2F", "?", "#", " ", "+", "\n", "ü", "x" * 512, "\u6f22" * 171]
)
PATHS = TEXTS | st.lists(PARTS | TEXTS, max_size=5).map("".join)


NO_VOLUME = response_of(404, {"code": 9007, "message": "There is no such volume."})


@bounded(300)
@given(NAMES)
@example("owner/..")
@example("../name")
@example("owner/name\n")
@example("owner/%2e%2e")
@example("owner/name?a")
@example("owner//elsewhere")
@example("owner@elsewhere/name")
def test_volume_s_name_is_two_segments_of_one_path_or_is_not_requested(name: str) -> None:
    # What is sent is one of the known paths: nothing in the name is taken for a host, a query, or a parent.
    platform = Platform(NO_VOLUME, NO_VOLUME, NO_VOLUME)
    if has_valid_volume_name(name):
        platform.api.read_volume(name, lambda: 45.0)
        assert platform.exchange.asked == [f"GET /storage/volumes/{quote(name)}"]


@bounded(200)
@given(PATHS, PATHS)
@example("runs", "\ud800")
@example("x" * 1000, "y" * 1000)
@example("runs", "x" * 1019)
@example("runs", "x" * 1020)
@example("", "ü" * 513)
@example("", "/")
@example("/", "")
def test_keys_are_what_s3_can_hold_an_object_under(prefix: str, location: str) -> None:
    keys = candidate_keys(prefix, location)
    assert all(1 <= len(key.encode()) <= 1024 for key in keys)
    assert len(set(keys)) == len(keys) <= 3
    # Every key is the location, after the prefix or alone.
    assert all(key.endswith(location.lstrip("/")) for key in keys)
    assert set(keys) <= {f"{prefix.rstrip('/')}/{location.lstrip('/')}".lstrip("/"), prefix + location, location}


class EmptyBuckets:
    """S3 without objects, which records the requests it gets."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.client.meta.events.register("before-send.s3", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.asked.append((request.method, request.url))
        return AWSResponse(request.url, 404, {}, HTTPResponse(BytesIO(), preload_content=False))

    def inspect(self, volume: Volume, location: str | None) -> Any:
        """The answer about the object; `asked` then has its requests."""
        self.asked.clear()
        objects = ExportedObjects(SYNCHRONOUS, lambda: self.client, ["bucket"], lambda _: None)
        [answer] = objects.inspect([(volume, ExportJob("e", "COMPLETED", {}, location=location))], 45.0)
        return answer


@pytest.fixture(scope="module")
def s3() -> Iterator[EmptyBuckets]:
    buckets = EmptyBuckets()
    yield buckets
    buckets.client.close()


@bounded(150)
@given(PATHS, PATHS)
@example("runs", "../../other/a.vcf")
@example("", "//elsewhere/a.vcf")
@example("", "?acl")
@example("runs", "\ud800")
@example("x" * 1024, "y")
def test_object_s_key_is_the_path_of_its_bucket_s_host(s3: EmptyBuckets, prefix: str, location: str) -> None:
    keys = candidate_keys(prefix, location)
    assert s3.inspect(Volume("o/v", "s3", "bucket", prefix), location) == ObjectNotFound("bucket", keys)
    assert [method for method, _ in s3.asked] == ["HEAD"] * len(keys)
    for key, (_, url) in zip(keys, s3.asked, strict=True):
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc) == ("https", "bucket.s3.amazonaws.com")
        assert (parts.query, parts.fragment) == ("", "")
        assert unquote(parts.path) == f"/{key}"


@bounded(200)
@given(
    TEXTS | st.builds("{}{}".format, TEXTS, st.sampled_from([".amazonaws.com", "amazonaws.com.cn", ".amazonaws.com/"]))
)
@example("s3.amazonaws.com\n")
@example("s3.amazonaws.com\n.example.org")
@example("example.org/.amazonaws.com")
@example("https://s3.amazonaws.com:443@example.org")
@example("s3.amazonaws.com:\u0663")
def test_endpoint_is_amazon_s_where_a_client_would_find_amazon_s_host(endpoint: str) -> None:
    if endpoint and is_on_amazon_s3(Volume("o/v", "s3", "bucket", "", endpoint)):
        host = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}").hostname or ""
        assert re.fullmatch(r"(.+\.)?amazonaws\.com(\.cn)?", host)
