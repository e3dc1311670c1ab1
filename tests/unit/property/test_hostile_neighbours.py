"""Whatever the answers about one export are, the others of its batch end as if it were not there."""

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.utils import parse_timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from export_monitor.adapters.aws.s3 import ExportedObjects
from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpResponse
from export_monitor.application.gathering import gather
from export_monitor.domain.assessment import assess
from export_monitor.domain.events import build_message
from export_monitor.domain.unexpected import Unexpected, attempt
from export_monitor.domain.verdicts import Completed
from tests.fakes import SYNCHRONOUS
from tests.unit.builders import NOW, a_watch
from tests.unit.property.any_api import BASE, FILE, JOB, SERVICE, client_of
from tests.unit.property.strategies import JSON, bounded, json_bytes, mutated, nested

pytestmark = pytest.mark.once

NAMES = ("odd", "a", "b", "c")
HEAD = {
    "Content-Length": "1234",
    "ETag": '"tag"',
    "Last-Modified": "Tue, 14 Nov 2023 22:13:00 GMT",
    "x-amz-server-side-encryption": "AES256",
}
ACL = (
    "<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee "
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>o</ID></Grantee>'
    "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
)
OWNERSHIP = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"
NOT_TEXT = b'{"id": "odd", "state": "COMPLETED", "name": "\xff"}'


def job(name: str) -> dict[str, Any]:
    """A completed job with a volume and a file of its own, whose size is not in the job."""
    destination = {"volume": f"o/{name}", "location": f"{name}.bin"}
    return JOB | {"id": name, "source": {"file": f"f-{name}"}, "destination": destination, "result": None}


def file(name: str) -> dict[str, Any]:
    return FILE | {"id": f"f-{name}", "name": f"{name}.bin"}


def volume(name: str) -> dict[str, Any]:
    return {"id": f"o/{name}", "service": SERVICE}


class Bodies:
    """The API: the bodies about the odd export are given, those about the others are good."""

    def __init__(self, job: bytes, file: bytes, volume: bytes) -> None:
        self.odd = {"odd": job, "f-odd": file, "o/odd": volume}
        self.api, _, _ = client_of(self._answer)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        path = urlsplit(request.url).path.removeprefix("/v2")
        if path.startswith("/bulk/"):
            [ids] = request.json.values()
            items = b", ".join(b'{"resource": %s}' % self._body(one) for one in ids)
            return HttpResponse(200, {}, b'{"items": [%s]}' % items)  # type: ignore[arg-type]
        thing = unquote(path).split("/", 3 if path.startswith("/storage") else 2)[-1]
        return HttpResponse(200, {}, self._body(thing))  # type: ignore[arg-type]

    def _body(self, thing: str) -> bytes:
        if thing in self.odd:
            return self.odd[thing]
        kind: Callable[[str], Any] = file if thing.startswith("f-") else volume if thing.startswith("o/") else job
        return json.dumps(kind(thing.removeprefix("f-").removeprefix("o/"))).encode()


def _core() -> botocore.session.Session:
    core = botocore.session.Session()
    # As the function does: the dates of headers go through a parser that raises for what is none.
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_timestamp)
    return core


SESSION = boto3.Session("x", "x", region_name="us-east-1", botocore_session=_core())
CLIENT = SESSION.client("s3", config=Config(retries={"total_max_attempts": 1}))


class Wire:
    """S3 at the wire: the headers, the ACL and the bytes of the odd object are given, all others are good."""

    def __init__(self, head: dict[str, str], acl: bytes, content: tuple[int, dict[str, str], bytes]) -> None:
        self.head, self.acl, self.content = head, acl, content

    def answer(self, request: Any, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        is_odd = parts.path.endswith("odd.bin")
        if "ownershipControls" in parts.query:
            return _response(200, {}, OWNERSHIP.encode())
        if "acl" in parts.query:
            return _response(200, {}, self.acl if is_odd else ACL.encode())
        if request.method == "HEAD":
            return _response(200, self.head if is_odd else HEAD, b"")
        if is_odd:
            return _response(*self.content)
        first, last = (int(number) for number in request.headers["Range"].decode().split("=")[1].split("-"))
        headers = {"Content-Range": f"bytes {first}-{last}/1234", "Content-Length": str(last - first + 1)}
        return _response(206, headers, bytes(last - first + 1))


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


def _response(status: int, headers: dict[str, str], content: bytes) -> AWSResponse:
    return AWSResponse("https://s3", status, headers, _Raw(content))


def the_others_complete(api: Bodies, wire: Wire) -> None:
    CLIENT.meta.events.register_first("before-send.s3", wire.answer, unique_id="wire")
    try:
        objects = ExportedObjects(SYNCHRONOUS, lambda: CLIENT, ["bucket"], lambda _: None)
        answers = gather(dict.fromkeys(NAMES, False), api.api, objects, lambda: 45.0)
    finally:
        CLIENT.meta.events.unregister("before-send.s3", unique_id="wire")
    assert set(answers) == set(NAMES)
    for name in NAMES[1:]:
        answer = answers[name]
        assert not isinstance(answer, Unexpected)
        verdict, evidence = assess(answer, NOW)
        assert isinstance(verdict, Completed)
        assert evidence.verification
        decided = {check.name for check in evidence.verification.checks if not check.reason}
        assert decided >= {"exists", "size", "freshness", "encryption", "storage_class", "acl"}
        build_message(a_watch(export_id=name), evidence, None, NOW, BASE)
    odd = answers["odd"]
    if not isinstance(odd, Unexpected):
        attempt(lambda: assess(odd, NOW))


GOOD_WIRE = Wire(HEAD, ACL.encode(), (206, {"Content-Range": "bytes 0-1233/1234"}, bytes(1234)))


def good_api() -> Bodies:
    return Bodies(*(json.dumps(kind("odd")).encode() for kind in (job, file, volume)))


BODIES = json_bytes(JSON) | st.sampled_from([NOT_TEXT, b'{"id": "odd", "x": NaN}', nested(700).encode()])


@bounded(100)
@given(
    json_bytes(mutated(job("odd"))) | BODIES,
    json_bytes(mutated(file("odd"))) | BODIES,
    json_bytes(mutated(volume("odd"))) | BODIES,
)
@example(b'{"id": "odd", "state": "COMPLETED", "result": {"size": NaN}}', b"{}", b"{}")
@example(NOT_TEXT, NOT_TEXT, NOT_TEXT)
@example(nested(100_000).encode(), nested(100_000).encode(), b"[]")
@example(b'{"id": "odd", "later": "\\ud800"}', b"{}", b"{}")
def test_whatever_the_api_answers_about_one_export_the_others_complete(job: bytes, file: bytes, volume: bytes) -> None:
    # A body that is not JSON within a bulk answer, such as one with a byte order mark, breaks the whole answer.
    for body in (job, file):
        try:
            json.loads(body.decode("utf-8", "replace"))
        except RecursionError:
            pass
        except ValueError:
            return
    the_others_complete(Bodies(job, file, volume), GOOD_WIRE)


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=8)
HEADERS = st.dictionaries(
    st.sampled_from(
        [*HEAD, "Expires", "x-amz-version-id", "x-amz-storage-class", "x-amz-restore", "x-amz-mp-parts-count"]
    ),
    TEXTS | st.sampled_from(["", "-1", "null", "Thu, 01 Jan 1970 00:00:00 GMT", "1e999"]),
)


@bounded(100)
@given(
    st.builds(
        lambda changes, lacking: {n: v for n, v in (HEAD | changes).items() if n not in lacking},
        HEADERS,
        st.sets(st.sampled_from(sorted(HEAD))),
    ),
    st.sampled_from([ACL.encode(), ACL.replace("<ID>o</ID>", "", 1).encode(), b"", b"<", b"<a/>"])
    | st.binary(max_size=40),
    st.tuples(st.sampled_from([200, 206]), HEADERS, st.binary(max_size=40)),
)
@example(HEAD | {"Expires": ""}, ACL.encode(), (206, {}, b""))
@example({"Content-Length": "1234"}, ACL.encode(), (206, {}, b""))
@example(HEAD | {"Last-Modified": "yesterday"}, ACL.encode(), (206, {}, b""))
@example(HEAD, ACL.replace("<ID>o</ID>", "", 1).encode(), (206, {}, b""))
def test_whatever_s3_answers_about_one_object_the_others_complete(
    head: dict[str, str], acl: bytes, content: tuple[int, dict[str, str], bytes]
) -> None:
    the_others_complete(good_api(), Wire(head, acl, content))
