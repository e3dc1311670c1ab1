"""The API's bodies, as the documentation shows them and as they may differ."""

import json
from typing import Any

import pytest

from export_monitor.adapters.sevenbridges import responses
from export_monitor.domain.model import MAX_TEXT_CHARACTERS, Denial, Denied, ExportJob, SourceFile, Volume
from tests.contract.schema_files import EXAMPLES

DOCUMENTED = EXAMPLES / "valid" / "cgc.export.completed.v1" / "documented-job.json"
COMPLETED = json.loads(DOCUMENTED.read_text("utf-8"))["data"]["export"]
NAME = "rfranklin/output"
SERVICE = {"type": "s3", "bucket": "a-bucket", "prefix": "exports", "endpoint": "s3.amazonaws.com"}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b'"x"', b"7", b"<html>", b'{"a": ', b"\xff\xfe\x00", b"[" * 10**6]
)
def test_body_that_is_no_json_object_is_none(content: bytes) -> None:
    assert responses.json_object(content) is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name": "\\ud83e\\uddec"}', "\U0001f9ec"),
        (b'{"name": "\\ud83e \\uddec"}', "\ufffd \ufffd"),
        (b'{"name": "\\uDC00a"}', "\ufffda"),
        (b'{"name": "\\\\ud83e"}', "\\ud83e"),
    ],
)
def test_half_of_a_character_is_replaced(body: bytes, name: str) -> None:
    assert responses.json_object(body) == {"name": name}


def test_body_that_is_a_json_object_is_read() -> None:
    assert responses.json_object(b'{"id": "\xc3\xbc"}') == {"id": "ü"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": 9008}, 9008),
        ({"code": "9008"}, 9008),
        ({"code": 0}, 0),
        ({}, None),
        ({"code": None}, None),
        ({"code": True}, None),
        ({"code": "NOT_FOUND"}, None),
        ({"code": ""}, None),
        ({"code": [9008]}, None),
    ],
)
def test_code_of_an_error_is_a_number_also_in_a_string(body: dict[str, Any], code: int | None) -> None:
    assert responses.error_code(body) == code


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"code": 9008, "message": "Job not found."}, "Job not found."),
        ({"code": 9008}, "code 9008"),
        ({"code": 9008, "message": ""}, "code 9008"),
        ({"code": 9008, "message": {"en": "Job not found."}}, "code 9008"),
        ({"message": "x" * 501}, "x" * 500),
    ],
)
def test_message_of_an_error_is_its_words_or_its_code(body: dict[str, Any], text: str) -> None:
    assert responses.error_message(body) == text


@pytest.mark.parametrize(("status", "denial"), [(404, Denial.NOT_FOUND), (403, Denial.FORBIDDEN)])
def test_denial_has_the_code_the_status_of_the_response_and_the_link(status: int, denial: Denial) -> None:
    body = {"status": "NOT_FOUND", "code": "9008", "message": "No.", "more_info": "http://more"}
    assert responses.parse_denial(status, body) == Denied(denial, "No.", 9008, status, "http://more")


@pytest.mark.parametrize("link", [None, "", 7, ["http://more"], "x" * (MAX_TEXT_CHARACTERS + 1)])
def test_link_of_a_denial_is_text_of_bounded_length(link: Any) -> None:
    assert responses.parse_denial(404, {"code": 1, "message": "No.", "more_info": link}) == Denied(
        Denial.NOT_FOUND, "No.", 1, 404
    )


@pytest.mark.parametrize(("status", "body"), [(404, {"message": "No."}), (400, {"code": 1}), (409, {"code": 1})])
def test_other_errors_are_no_denial(status: int, body: dict[str, Any]) -> None:
    assert responses.parse_denial(status, body) is None


def test_documented_job_is_read_whole() -> None:
    assert responses.parse_job(COMPLETED, str(COMPLETED["id"])) == ExportJob(
        id="5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2",
        state="COMPLETED",
        body=COMPLETED,
        file_id="576159f7f53e9e1de6ae7b5f0",
        volume="rfranklin/output",
        location="output.vcf",
        started_at=1466018259.0,
        finished_at=1466018261.0,
        properties={"sse_algorithm": "AES256", "aws_storage_class": "STANDARD", "aws_canned_acl": "public-read"},
    )


def test_newer_job_carries_its_file_as_result() -> None:
    file = {"id": "576159f7f53e9e1de6ae7b5f0", "name": "output.vcf", "project": "rfranklin/my-project", "size": 1234}
    job = responses.parse_job({**COMPLETED, "result": file}, str(COMPLETED["id"]))
    assert job is not None
    assert job.result == SourceFile("576159f7f53e9e1de6ae7b5f0", "output.vcf", "rfranklin/my-project", 1234)


def test_explicit_nulls_are_values_that_are_not_there() -> None:
    nulls = dict.fromkeys(COMPLETED) | {"id": "a", "state": "PENDING", "result": None, "error": None}
    assert responses.parse_job(nulls, "a") == ExportJob(id="a", state="PENDING", body=nulls)


@pytest.mark.parametrize(
    "body",
    [
        {"id": "another", "state": "COMPLETED"},
        {"state": "COMPLETED"},
        {"id": "a"},
        {"id": "a", "state": ""},
        {"id": "a", "state": None},
        {"id": "a", "state": ["COMPLETED"]},
    ],
)
def test_body_without_the_export_and_a_state_is_not_its_job(body: dict[str, Any]) -> None:
    assert responses.parse_job(body, "a") is None


@pytest.mark.parametrize("file_id", ["../users/me", "a/b", "a?b", "..", "\ud800", "x" * 129, "", 7])
def test_file_id_that_may_not_enter_a_path_is_none(file_id: Any) -> None:
    job = responses.parse_job({**COMPLETED, "source": {"file": file_id}}, str(COMPLETED["id"]))
    assert job is not None
    assert job.file_id is None


@pytest.mark.parametrize(
    ("body", "volume"),
    [
        ({"id": NAME, "service": SERVICE}, Volume(NAME, "s3", "a-bucket", "exports", "s3.amazonaws.com")),
        ({"id": "RFranklin/Output", "service": {"type": "S3", "bucket": "b"}}, Volume(NAME, "S3", "b", "")),
        ({"service": {"bucket": "b", "hostname": "s3.amazonaws.com"}}, Volume(NAME, "s3", "b", "", "s3.amazonaws.com")),
        ({"service": {"type": "s3", "bucket": "b", "prefix": None, "endpoint": None}}, Volume(NAME, "s3", "b", "")),
        ({"id": NAME, "service": {"type": "gcs", "bucket": "b"}}, Volume(NAME, "gcs", "b", "")),
        ({"id": NAME, "service": {"type": "azure", "container": "c"}}, Volume(NAME, "azure", "", "")),
    ],
)
def test_volume_is_read_as_old_and_new_answers_spell_it(body: dict[str, Any], volume: Volume) -> None:
    assert responses.parse_volume(body, NAME) == volume


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": NAME},
        {"id": NAME, "service": "s3"},
        {"id": NAME, "service": {"type": "s3"}},
        {"id": NAME, "service": {"type": "S3", "bucket": ""}},
        {"id": NAME, "service": {"type": "s3", "bucket": ["b"]}},
        {"id": "rfranklin/another", "service": SERVICE},
        {"id": [[NAME]], "service": SERVICE},
    ],
)
def test_body_of_another_volume_or_without_its_bucket_is_not_the_volume(body: dict[str, Any]) -> None:
    assert responses.parse_volume(body, NAME) is None


@pytest.mark.parametrize("size", [None, -1, True, 12.5, "1234"])
def test_size_that_is_no_whole_number_of_bytes_is_none(size: Any) -> None:
    assert responses.parse_file({"id": "f", "size": size}) == SourceFile("f", None, None, None)


def test_file_of_another_id_is_not_the_file() -> None:
    assert responses.parse_file({"id": "another", "size": 1}, "f") is None
    assert responses.parse_file({"size": 1}) is None
    assert responses.parse_file({"id": "f", "size": 0}, "f") == SourceFile("f", None, None, 0)
