"""An API with any answers, strategies for those answers, and the checks that hold for every request and error."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import requests
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from export_monitor.adapters.sevenbridges.client import CgcApi
from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.adapters.sevenbridges.session import ApiSession
from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpResponse
from export_monitor.domain.model import Unavailable
from tests.fakes import Clock, FakeTransport, response_of
from tests.unit.builders import NOW
from tests.unit.property.strategies import JSON, json_bytes, mutated, often

BASE = "https://cgc-api.sbgenomics.com/v2"
TOKEN = "t0ken"
ID, OTHER = "an-export", "another"
FILE = {"href": f"{BASE}/files/f", "id": "f", "name": "reads.txt", "project": "o/p", "size": 1234}
JOB = {
    "href": "https://elsewhere/v2/storage/exports/an-export",
    "id": ID,
    "state": "COMPLETED",
    "source": {"file": "f"},
    "destination": {"volume": "o/v", "location": "dir/reads.txt"},
    "started_on": "2023-11-14T22:12:20Z",
    "finished_on": "2023-11-14T22:13:10Z",
    "properties": {
        "sse_algorithm": "AES256",
        "sse_aws_kms_key_id": None,
        "aws_storage_class": "STANDARD",
        "aws_canned_acl": "private",
    },
    "overwrite": False,
    "error": None,
    "result": FILE,
}
ERROR = {"status": 409, "code": 9107, "message": "There is an object already.", "more_info": "http://docs/9107"}
FAILED_JOB = JOB | {"state": "FAILED", "error": ERROR, "result": None}
SERVICE = {"type": "s3", "bucket": "bucket", "prefix": "", "endpoint": "s3.amazonaws.com"}
VOLUME = {"href": f"{BASE}/storage/volumes/o/v", "id": "o/v", "name": "v", "service": SERVICE, "active": True}
NOT_FOUND = {"status": 404, "code": 9008, "message": "Job not found.", "more_info": "http://docs/9008"}

STATUSES = st.sampled_from(
    [200] * 12 + [201, 204, 301, 302, 304, 400, 401, 403, 404, 404, 405, 409, 429, 500, 503, 599]
)
NUMBERS = st.sampled_from(
    [*("0", "1", "-1", " 0 ", "00", "1e3", "nan", "inf", "-inf", "1e999", "0x0", "٣", "", "soon", "9" * 5000, "1_0")]
    + [str(NOW + ahead) for ahead in (-1e9, -1, 0, 200, 3.2e7)]
    + [str((NOW + 200) * 1000), "1e11", "100000000001", "Tue, 14 Nov 2023 22:13:20 GMT"]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "X-RateLimit-Limit": NUMBERS,
        "X-RateLimit-Remaining": NUMBERS,
        "x-ratelimit-reset": NUMBERS,
        "Location": st.just("https://elsewhere/"),
        "Retry-After": NUMBERS,
    },
)


def answers(content: SearchStrategy[bytes]) -> SearchStrategy[HttpResponse]:
    """Answers of any status and with any headers, most of them good."""
    return often(st.builds(response_of, st.just(200), content), st.builds(response_of, STATUSES, content, HEADERS))


WHOLE_JOBS = st.sampled_from([JOB, JOB, FAILED_JOB, JOB | {"state": "RUNNING", "result": None}])
JOBS = often(WHOLE_JOBS, mutated(JOB) | mutated(FAILED_JOB) | mutated(JOB | {"result": None}), times=1)
ERRORS = often(st.just(NOT_FOUND), mutated(NOT_FOUND), times=1)
ANYTHING = st.binary(max_size=40) | json_bytes(JSON) | json_bytes(ERRORS)
JOB_ANSWERS = often(answers(json_bytes(JOBS)), answers(ANYTHING))
VOLUME_ANSWERS = often(
    st.just(response_of(200, VOLUME)), answers(json_bytes(mutated(VOLUME))) | answers(ANYTHING), times=1
)
FILE_ANSWERS = often(st.just(response_of(200, FILE)), answers(json_bytes(mutated(FILE))) | answers(ANYTHING), times=1)


class Token:
    """A token that never changes."""

    def get(self) -> str:
        return TOKEN

    refresh = get


def client_of(answer: Callable[[HttpRequest], HttpResponse]) -> tuple[CgcApi, FakeTransport, Clock]:
    """The client of an API that answers like this, its transport and its clock."""
    clock, transport = Clock(NOW), FakeTransport(answer)
    session = ApiSession(BASE, transport, Token(), RateLimiter(100, clock), lambda _: None, clock)
    return CgcApi(session, clock), transport, clock


@dataclass
class Platform:
    """An API with one answer for each kind of path; it has bulk paths only where `bulk` is given."""

    job: HttpResponse
    volume: HttpResponse
    file: HttpResponse
    bulk: HttpResponse | None = None

    def __post_init__(self) -> None:
        self.api, self.exchange, self.clock = client_of(self._answer)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        check_request(request)
        path = request.url.removeprefix(BASE)
        if path.startswith("/bulk/storage") and self.bulk:
            return self.bulk
        kinds = {"/storage/exports/": self.job, "/storage/volumes/": self.volume, "/files/": self.file}
        return next((answer for start, answer in kinds.items() if path.startswith(start)), response_of(404, {}))


PATH = re.compile(
    r"GET /storage/exports/[A-Za-z0-9_-]{1,128}|GET /files/[A-Za-z0-9_-]{1,128}"
    r"|GET /storage/volumes/[A-Za-z0-9_.%+-]+/[A-Za-z0-9_.%+-]+|POST /bulk/(storage/exports|files)/get"
)


def check_request(request: HttpRequest) -> None:
    """Check that a request goes to the one host, by a known path, with the token in its header and nowhere else."""
    assert request.url.startswith(f"{BASE}/")
    assert PATH.fullmatch(f"{request.method} {request.url.removeprefix(BASE)}")
    assert request.headers == {"X-SBG-Auth-Token": TOKEN, "Content-Type": "application/json"}
    prepared = requests.Request(request.method, request.url, headers=request.headers, json=request.json).prepare()
    assert prepared.url == request.url


def check_error(answer: object) -> None:
    """Check that an error has a text without the token, and stops requests for minutes at most."""
    if isinstance(answer, Unavailable):
        assert answer.message
        assert TOKEN not in answer.message
        assert answer.retry_after_seconds is None or 1 <= answer.retry_after_seconds <= 330


def states_in(answer: HttpResponse, export_id: str = ID) -> set[str]:
    """The states that an answer gives to an export; an answer that reports a failure gives none."""
    if answer.status >= 500 or 300 <= answer.status < 400 or answer.status in (401, 429):
        return set()
    try:
        body = json.loads(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return set()
    items = body.get("items") if isinstance(body, dict) else None
    resources = [item.get("resource") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    jobs = [job for job in (body, *resources) if isinstance(job, dict) and job.get("id") == export_id]
    return {str(job.get("state")) for job in jobs}
