"""Events, their messages, the e-mail and the advice."""

import json
from dataclasses import replace
from typing import Any

import pytest

from export_monitor.domain.advice import BY_CODE, BY_REASON, TIMED_OUT_AFTER_COMPLETION, advice
from export_monitor.domain.checks import verify_missing, verify_nothing
from export_monitor.domain.events import MAX_MESSAGE_BYTES, Message, ending_message
from export_monitor.domain.model import (
    CheckResult,
    CheckStatus,
    Evidence,
    ExportJob,
    Failure,
    Group,
    Reason,
    SourceFile,
    StartEvent,
    StoredObject,
    Verification,
    Volume,
    Watch,
)

NOW = 1_700_000_000.0
BASE = "https://cgc-api.sbgenomics.com/v2"
WATCH = Watch(StartEvent("an-export", {"sample": "ü"}, Group("run-42", 250)), "m", NOW - 600, 7)
BODY = {
    "href": "https://elsewhere",
    "id": "an-export",
    "state": "COMPLETED",
    "source": {"file": "f"},
    "destination": {"volume": "o/v", "location": "dir/reads.bam"},
    "started_on": "2023-11-14T22:00:00Z",
    "result": {"id": "f"},
    "novel": 1,
}
JOB = ExportJob("an-export", "COMPLETED", BODY, "f", "o/v", "dir/reads.bam", finished_at=NOW - 10)
FILE = SourceFile("f", "reads.bam", "o/p", 1234)
FOUND = StoredObject("bucket", "dir/reads.bam", 1230, "etag", NOW - 20, checksums={"CRC32": "abc="})
PASSED = Verification((CheckResult("exists", CheckStatus.PASSED, expected=True, actual=True),))
EVIDENCE = Evidence(JOB, FILE, Volume("o/v", "s3", "bucket", ""), FOUND, PASSED)
FAILURE = Failure(Reason.EXPORT_FAILED, "taken", 9107, 409, "http://more")


def message(evidence: Evidence = EVIDENCE, failure: Failure | None = None, watch: Watch = WATCH) -> Message:
    return ending_message(watch, evidence, failure, NOW, BASE)


def event(*arguments: Any, **named: Any) -> dict[str, Any]:
    return dict(json.loads(json.loads(message(*arguments, **named).body)["default"]))


def mail(*arguments: Any, **named: Any) -> str:
    return str(json.loads(message(*arguments, **named).body)["email"])


def test_completed_event_tells_everything() -> None:
    told = event()
    assert {name: told[name] for name in told if name != "data"} == {
        "specversion": "1.0",
        "id": "an-export:completed",
        "source": f"{BASE}/storage/exports",
        "type": "cgc.export.completed.v1",
        "subject": "an-export",
        "time": "2023-11-14T22:13:10Z",
        "datacontenttype": "application/json",
    }
    data = told["data"]
    assert data["export"] == {name: value for name, value in BODY.items() if name not in ("href", "result")}
    assert data["file"] == {"id": "f", "name": "reads.bam", "project": "o/p", "size": 1234}
    assert data["object"]["uri"] == "s3://bucket/dir/reads.bam"
    assert data["object"]["checksums"] == {"CRC32": "abc="}
    assert data["verification"]["status"] == "passed"
    assert data["watch"] == {
        "origin": "announced",
        "requested_at": "2023-11-14T22:03:20Z",
        "concluded_at": "2023-11-14T22:13:20Z",
        "polls": 7,
    }
    assert (data["group"], data["context"], data["failure"]) == ({"id": "run-42", "size": 250}, {"sample": "ü"}, None)


def test_failed_event_tells_why_and_what_to_do() -> None:
    told = event(failure=FAILURE)
    assert (told["id"], told["type"]) == ("an-export:failed:EXPORT_FAILED", "cgc.export.failed.v1")
    assert told["data"]["failure"] == {
        "reason": "EXPORT_FAILED",
        "message": "taken",
        "advice": BY_CODE[9107],
        "code": 9107,
        "status": 409,
        "more_info": "http://more",
    }


def test_event_without_evidence_has_nulls() -> None:
    watch = Watch(StartEvent("an-export"), "m", NOW, 1)
    told = event(Evidence(), Failure(Reason.EXPORT_NOT_FOUND, "m"), watch)
    assert told["time"] == "2023-11-14T22:13:20Z"
    data = told["data"]
    assert data["export"] == {"id": "an-export"}
    assert [data[name] for name in ("file", "object", "verification", "group")] == [None] * 4


def test_attributes_are_for_filter_policies() -> None:
    assert message(failure=FAILURE).attributes == {
        "type": "cgc.export.failed.v1",
        "project": "o/p",
        "volume": "o/v",
        "bucket": "bucket",
        "verification": "passed",
        "group": "run-42",
        "reason": "EXPORT_FAILED",
        "error_code": 9107,
    }


def test_attributes_without_a_value_or_that_sns_refuses_are_left_out() -> None:
    evidence = Evidence(replace(JOB, volume="o/v\n"), replace(FILE, project=""))
    watch = Watch(StartEvent("an-export"), "m", NOW, 1)
    failure = replace(FAILURE, code=10**10)
    assert message(evidence, failure, watch).attributes == {
        "type": "cgc.export.failed.v1",
        "reason": "EXPORT_FAILED",
    }


def test_bucket_of_a_missing_object_is_the_volume_s() -> None:
    evidence = replace(EVIDENCE, object=None, verification=verify_missing())
    assert message(evidence, Failure(Reason.OBJECT_MISSING, "m")).attributes["bucket"] == "bucket"


@pytest.mark.parametrize("name", ["x" * 300, "ü" * 200, "a\nb\tc\x00", "", "漢字"])
def test_subject_is_at_most_99_printable_ascii_characters(name: str) -> None:
    subject = message(replace(EVIDENCE, file=replace(FILE, name=name))).subject
    assert 0 < len(subject) <= 99
    assert all(" " <= character <= "~" for character in subject)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"novel": "x" * 300_000}, {"id", "state", "source", "destination", "started_on"}),
        ({"properties": {"k": "x" * 300_000}}, {"id", "state"}),
    ],
)
def test_job_too_large_for_sns_is_cut_down(body: dict[str, Any], left: set[str]) -> None:
    evidence = replace(EVIDENCE, job=replace(JOB, body=BODY | body))
    assert message(evidence).size_bytes <= MAX_MESSAGE_BYTES
    assert set(event(evidence)["data"]["export"]) == left


def test_failure_s_words_are_cut_down_last() -> None:
    huge = Failure(Reason.EXPORT_FAILED, "x" * 300_000, 9107, 409, "y" * 300_000)
    assert message(failure=huge).size_bytes <= MAX_MESSAGE_BYTES
    told = event(failure=huge)["data"]["failure"]
    assert (len(told["message"]), told["code"], told["more_info"]) == (2000, 9107, None)


def test_context_of_8_kib_fits_in_the_worst_writing() -> None:
    watch = replace(WATCH, start=replace(WATCH.start, context={"k": "\x01" * 1360}))
    assert message(watch=watch).size_bytes <= MAX_MESSAGE_BYTES


def test_mail_of_a_failure_shows_what_failed_and_what_to_do() -> None:
    checks = Verification(
        (
            CheckResult("exists", CheckStatus.PASSED, expected=True, actual=True),
            CheckResult("size", CheckStatus.FAILED, expected=1234, actual=1230),
            CheckResult("acl", CheckStatus.FAILED, expected="private", actual=["everyone (public): READ", "x: READ"]),
            CheckResult("kms_key", CheckStatus.SKIPPED, reason="not asked for"),
        )
    )
    text = mail(replace(EVIDENCE, verification=checks), Failure(Reason.OBJECT_MISMATCH, "Not what was asked for."))
    assert text.startswith("The export of reads.bam has failed (OBJECT_MISMATCH).\nNot what was asked for.\n\n")
    assert f"What to do: {BY_REASON[Reason.OBJECT_MISMATCH]}" in text
    assert "FAILED   as long as the source file, in bytes: expected 1,234, found 1,230" in text
    assert "found everyone (public): READ; x: READ" in text
    assert "s3://bucket/dir/reads.bam (1,230 bytes)" in text
    assert "skipped  under the KMS key asked for: not asked for" in text


def test_mail_of_a_missing_object_says_so_in_words() -> None:
    text = mail(replace(EVIDENCE, object=None, verification=verify_missing()), Failure(Reason.OBJECT_MISSING, "Gone."))
    assert "FAILED   the object is there: expected yes, found no" in text


def test_mail_of_a_failed_job_has_the_api_s_code_and_page() -> None:
    text = mail(replace(EVIDENCE, object=None, verification=None), FAILURE)
    assert "Code:     9107" in text
    assert "More: http://more" in text


def test_mail_of_a_completion_says_whether_the_object_was_checked() -> None:
    assert "its object is what was asked for" in mail()
    unchecked = replace(EVIDENCE, object=None, verification=verify_nothing("not on Amazon S3"))
    assert "could not be checked from here" in mail(unchecked)


def test_mail_names_the_location_or_the_export_where_the_file_is_unknown() -> None:
    assert "The export of dir/reads.bam" in mail(replace(EVIDENCE, file=None))
    assert "The export of an-export" in mail(Evidence(), Failure(Reason.TIMED_OUT, "m"))
    odd = replace(JOB, body=BODY | {"destination": "text"})
    assert "The export of an-export" in mail(Evidence(odd), Failure(Reason.TIMED_OUT, "m"))


def test_mail_has_no_control_characters() -> None:
    text = mail(replace(EVIDENCE, file=replace(FILE, name="a\x00b\nc")))
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "a b c" in text


def test_advice_goes_by_a_known_code_else_by_the_reason() -> None:
    assert advice(FAILURE, EVIDENCE) == BY_CODE[9107]
    assert advice(replace(FAILURE, code=1), EVIDENCE) == BY_REASON[Reason.EXPORT_FAILED]
    assert set(BY_REASON) == set(Reason)


def test_advice_after_completion_never_says_start_again() -> None:
    after = [BY_REASON[reason] for reason in Reason if reason.name.startswith(("OBJECT", "VOLUME"))]
    after.append(advice(Failure(Reason.TIMED_OUT, "m"), EVIDENCE))
    assert after[-1] == TIMED_OUT_AFTER_COMPLETION
    assert advice(Failure(Reason.TIMED_OUT, "m"), Evidence()) == BY_REASON[Reason.TIMED_OUT]
    for text in after:
        assert "again" not in text.replace("announce the export again", "")
        assert "elete nothing" in text
