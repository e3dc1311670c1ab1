"""Wrong and broken answers of the API: what follows from them, and when requests go on."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export_monitor.adapters.sevenbridges import responses
from export_monitor.adapters.sevenbridges.transport import HttpResponse
from export_monitor.domain import strict_json
from export_monitor.domain.model import MAX_TEXT_CHARACTERS, Denied, ExportJob, Unavailable
from tests.fakes import response_of
from tests.unit.property.any_api import (
    ANYTHING,
    ERRORS,
    FAILED_JOB,
    FILE,
    HEADERS,
    ID,
    JOB,
    JOB_ANSWERS,
    JOBS,
    NOT_FOUND,
    OTHER,
    STATUSES,
    VOLUME,
    WHOLE_JOBS,
    Platform,
    answers,
    check_error,
    states_in,
)
from tests.unit.property.strategies import JSON, bounded, json_bytes, mutated, nested

pytestmark = pytest.mark.once

ITEMS = st.one_of(
    st.builds(lambda job: {"resource": job}, JOBS),
    st.builds(lambda job: {"resource": job | {"id": OTHER}}, WHOLE_JOBS),
    st.builds(lambda error: {"error": error}, ERRORS),
    st.builds(lambda job, error: {"resource": job, "error": error}, WHOLE_JOBS, ERRORS),
    JSON,
)
BULK_BODIES = st.builds(lambda found: {"items": found}, st.lists(ITEMS, max_size=4)) | JSON | ERRORS


@bounded(150)
@given(answers(json_bytes(BULK_BODIES)) | answers(ANYTHING), JOB_ANSWERS)
@example(response_of(200, {"items": [{"error": NOT_FOUND}, {"error": NOT_FOUND}]}), response_of(200, JOB))
@example(
    response_of(200, {"items": [{"resource": JOB}, {"resource": JOB | {"state": "FAILED"}}]}), response_of(200, JOB)
)
@example(
    response_of(200, {"items": [None, {"resource": {"id": [ID]}}, {"resource": {"id": ID, "state": 1}}]}),
    response_of(500, {}),
)
@example(response_of(404, {"items": [{"resource": JOB}]}), response_of(404, NOT_FOUND))
def test_export_in_bulk_has_the_state_of_its_own_item_and_an_error_item_ends_nothing(
    bulk: HttpResponse, single: HttpResponse
) -> None:
    platform = Platform(single, response_of(404, {}), response_of(404, {}), bulk)
    found = platform.api.read_jobs([ID, OTHER], lambda: 45.0)
    assert set(found) == {ID, OTHER}
    asked_singly = {f"GET /storage/exports/{export_id}" for export_id in (ID, OTHER)} & set(platform.exchange.asked)
    for export_id, answer in found.items():
        check_error(answer)
        if isinstance(answer, ExportJob):
            assert answer.id == answer.body["id"] == export_id
            assert answer.state in states_in(bulk, export_id) | states_in(single, export_id)
        elif isinstance(answer, Denied):
            assert f"GET /storage/exports/{export_id}" in asked_singly
            assert single.status in (403, 404)


@bounded(200)
@given(JOB_ANSWERS)
@example(response_of(404, NOT_FOUND | {"code": None}))
@example(response_of(404, NOT_FOUND | {"code": True}))
@example(response_of(404, NOT_FOUND | {"code": 9008.0}))
@example(response_of(404, NOT_FOUND | {"code": "\u0669"}))
@example(response_of(403, b"<html>Forbidden</html>"))
@example(response_of(409, FAILED_JOB))
@example(response_of(500, JOB))
@example(response_of(301, JOB, {"Location": "https://elsewhere/"}))
@example(response_of(200, NOT_FOUND))
def test_only_an_error_of_the_api_s_own_denies_an_export(answer: HttpResponse) -> None:
    [(export_id, job)] = Platform(answer, answer, answer).api.read_jobs([ID], lambda: 45.0).items()
    assert export_id == ID
    check_error(job)
    if isinstance(job, Denied):
        body = json.loads(answer.body.decode("utf-8-sig"))
        assert answer.status in (403, 404)
        assert type(body["code"]) is int or re.fullmatch("[0-9]{1,18}", body["code"])
        assert (job.code, job.status) == (int(body["code"]), answer.status)
        assert 0 < len(job.message) <= 500
        assert job.more_info is None or 0 < len(job.more_info) <= MAX_TEXT_CHARACTERS
    elif isinstance(job, ExportJob):
        assert job.state in states_in(answer)


@bounded(200)
@given(STATUSES, HEADERS)
def test_rate_limit_headers_of_any_text_stop_a_worker_for_minutes_at_most(
    status: int, headers: Mapping[str, str]
) -> None:
    platform = Platform(*[response_of(status, JOB, headers)] * 3)
    first = platform.api.read_jobs([ID], lambda: 45.0)[ID]
    asked = len(platform.exchange.requests)
    check_error(first)
    again = platform.api.read_jobs([ID], lambda: 45.0)[ID]
    if status == 429 or headers.get("X-RateLimit-Remaining", "").strip() == "0":
        assert isinstance(again, Unavailable)
        assert again.not_attempted
        assert len(platform.exchange.requests) == asked
    platform.clock.advance(331)
    platform.api.read_jobs([ID], lambda: 45.0)
    assert len(platform.exchange.requests) > asked


READERS: list[Callable[[Any], object]] = [
    lambda body: responses.parse_job(body, ID),
    lambda body: responses.parse_volume(body, "o/v"),
    lambda body: responses.parse_file(body, "f"),
    responses.parse_file,
    responses.error_code,
    responses.error_message,
    lambda body: responses.parse_denial(404, body),
]


@pytest.mark.parametrize("read", READERS, ids=["job", "volume", "file", "any file", "code", "message", "denial"])
@bounded(100)
@given(content=json_bytes(JOBS | mutated(VOLUME) | mutated(FILE) | ERRORS | JSON) | st.binary())
@example(content=b'{"id": ' + nested(499, "[", "]").encode() + b"}")
@example(content=b'{"id": ' + nested(700, "[", "]").encode() + b"}")
@example(content=b'\xef\xbb\xbf{"id": "f", "size": 1}')
@example(content='{"id": "f"}'.encode("utf-16"))
@example(content=b'{"id": "f", "name": "\xed\xa0\x80"}')
@example(content=b'{"id": "f", "name": "\\ud83e\\uddec \\ud83e"}')
def test_body_of_any_bytes_is_read_or_is_none(read: Callable[[Any], object], content: bytes) -> None:
    body = responses.json_object(content)
    if body is not None:
        read(body)
        # It can be written again as strict JSON, in UTF-8, inside an event.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        assert strict_json.depth(body) <= 500
