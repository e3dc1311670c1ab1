"""Events and the messages that carry them, as subscribers get them.

The whole events of the documented jobs are `schemas/examples/valid/*/documented-job.json`, held by tests/contract.
"""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_monitor.domain.advice import SOURCE_LACKS_BYTES
from export_monitor.domain.assessment import Snapshot, assess
from export_monitor.domain.checks import CHECKS, missing_object_result
from export_monitor.domain.events import MAX_MESSAGE_BYTES, SnsMessage, build_message, event_id
from export_monitor.domain.model import (
    MAX_TEXT_CHARACTERS,
    Group,
    HeadAndTail,
    SourceFile,
    Watch,
)
from export_monitor.domain.timestamps import parse_rfc3339
from export_monitor.domain.verdicts import CheckResult, CheckStatus, Evidence, Failing, Failure, Reason, Verification
from tests.unit.builders import NOW, a_failure, a_file, a_job, a_message, a_volume, a_watch, an_object

BASE = "https://cgc-api.sbgenomics.com/v2"
WATCH = a_watch(age=600, receive_count=7, context={"sample": "ü"}, group=Group("run-42", 250))
JOB = a_job()
EXISTS = CheckResult("exists", CheckStatus.PASSED, expected=True, actual=True)
EVIDENCE = Evidence(
    JOB,
    a_file(),
    a_volume(),
    an_object(checksums={"CRC32": "abc="}, checksum_type="COMPOSITE"),
    Verification((EXISTS,)),
)
FAILURE = Failure(Reason.EXPORT_FAILED, "taken", 9107, 409, "http://more")


def message(evidence: Evidence = EVIDENCE, failure: Failure | None = None, watch: Watch = WATCH) -> SnsMessage:
    return build_message(watch, evidence, failure, NOW, BASE)


def event(evidence: Evidence = EVIDENCE, failure: Failure | None = None, watch: Watch = WATCH) -> dict[str, Any]:
    return dict(json.loads(json.loads(message(evidence, failure, watch).body)["default"]))


def test_encrypted_bam_as_long_as_its_source_is_blamed_on_the_source() -> None:
    found = an_object(key="dir/reads.bam", head_and_tail=HeadAndTail(b"NCBInenc" + bytes(1226), bytes(38)))
    verdict, evidence = assess(Snapshot(JOB, a_volume(), a_file(), found), NOW)
    assert isinstance(verdict, Failing)
    failure = event(evidence, verdict.failure)["data"]["failure"]
    assert (failure["reason"], failure["advice"]) == ("OBJECT_MISMATCH", SOURCE_LACKS_BYTES)
    assert SOURCE_LACKS_BYTES in json.loads(message(evidence, verdict.failure).body)["email"]


def test_watch_group_and_context_come_back_as_they_were_announced() -> None:
    data = event()["data"]
    assert data["watch"] == {
        "origin": "announced",
        "requested_at": "2023-11-14T22:03:20Z",
        "concluded_at": "2023-11-14T22:13:20Z",
        "polls": 7,
    }
    assert (data["group"], data["context"]) == ({"id": "run-42", "size": 250}, {"sample": "ü"})
    assert data["object"]["checksums"] == {"CRC32": "abc="}
    assert data["object"]["checksum_type"] == "COMPOSITE"


def test_job_comes_as_the_api_gave_it_without_its_link_and_its_result() -> None:
    assert event()["data"]["export"] == {
        name: value for name, value in JOB.body.items() if name not in ("href", "result")
    }


def test_event_without_evidence_has_nulls() -> None:
    published = event(Evidence(), a_failure(Reason.EXPORT_NOT_FOUND), a_watch())
    data = published["data"]
    assert data["export"] == {"id": "an-export"}
    assert [data[name] for name in ("file", "object", "verification", "group")] == [None] * 4
    assert [data["failure"][name] for name in ("code", "status", "more_info")] == [None] * 3


def test_event_happened_when_the_job_was_finished_else_when_it_was_concluded() -> None:
    assert parse_rfc3339(event()["time"]) == JOB.finished_at
    unfinished = replace(EVIDENCE, job=a_job("RUNNING", finished_at=None))
    assert parse_rfc3339(event(unfinished, a_failure(Reason.TIMED_OUT))["time"]) == NOW
    assert parse_rfc3339(event(Evidence(), a_failure(Reason.EXPORT_NOT_FOUND))["time"]) == NOW


def test_every_end_has_an_id_of_its_own() -> None:
    ids = {event_id("an-export", None), *(event_id("an-export", a_failure(reason)) for reason in Reason)}
    assert len(ids) == len(Reason) + 1
    assert {"an-export:completed", "an-export:failed:OBJECT_MISSING"} <= ids


def test_id_is_the_same_whenever_and_however_often_the_end_is_seen() -> None:
    later = build_message(replace(WATCH, message=a_message(NOW, 9, "other")), EVIDENCE, None, NOW + 1000, BASE)
    assert later.event_id == message().event_id == event()["id"] == "an-export:completed"


def test_check_that_was_skipped_says_why_and_the_others_need_not() -> None:
    skipped = CheckResult("size", CheckStatus.SKIPPED, reason="not read")
    [made, left_out] = event(replace(EVIDENCE, verification=Verification((EXISTS, skipped))))["data"]["verification"][
        "checks"
    ]
    assert "reason" not in made
    assert left_out == {"name": "size", "status": "skipped", "expected": None, "actual": None, "reason": "not read"}


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


@pytest.mark.parametrize(
    ("code", "is_sent"), [(0, True), (9107, True), (10**9, True), (10**9 + 1, False), (-(10**10), False), (None, False)]
)
def test_error_code_is_a_number_that_filter_policies_can_compare(code: int | None, is_sent: bool) -> None:
    assert message(failure=replace(FAILURE, code=code)).attributes.get("error_code") == (code if is_sent else None)


def test_attributes_without_a_value_or_that_sns_refuses_are_left_out() -> None:
    evidence = Evidence(a_job(volume="o/v\n"), a_file(project=""))
    assert message(evidence, a_failure(), a_watch()).attributes == {
        "type": "cgc.export.failed.v1",
        "reason": "EXPORT_FAILED",
    }


def test_bucket_of_a_missing_object_is_the_volume_s() -> None:
    evidence = replace(EVIDENCE, object=None, verification=missing_object_result())
    assert message(evidence, a_failure(Reason.OBJECT_MISSING)).attributes["bucket"] == "bucket"


@given(st.text(max_size=300))
def test_subject_is_at_most_99_printable_ascii_characters(name: str) -> None:
    for failure in (None, FAILURE):
        subject = message(replace(EVIDENCE, file=a_file(name=name)), failure).subject
        assert 0 < len(subject) <= 99
        assert all(" " <= character <= "~" for character in subject)
        assert subject == subject.strip()


def test_long_subject_is_cut_and_what_ascii_has_not_is_replaced() -> None:
    assert len(message(replace(EVIDENCE, file=a_file(name="x" * 300))).subject) == 99
    assert message(replace(EVIDENCE, file=a_file(name="~ü\n漢~"))).subject == "Export completed: ~???~"


def test_subject_says_what_happened_to_which_file() -> None:
    assert message().subject == "Export completed: reads.txt"
    assert message(failure=FAILURE).subject == "Export failed (EXPORT_FAILED): reads.txt"


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"novel": "x" * 100_000}, {"id", "state", "source", "destination", "started_on", "finished_on", "novel"}),
        ({"novel": "x" * 300_000}, {"id", "state", "source", "destination", "started_on", "finished_on"}),
        ({"properties": {"k": "x" * 300_000}}, {"id", "state"}),
    ],
)
def test_job_too_large_for_sns_is_cut_down(body: dict[str, Any], left: set[str]) -> None:
    evidence = replace(EVIDENCE, job=a_job(body={**JOB.body, **body}))
    assert message(evidence).size_bytes <= MAX_MESSAGE_BYTES
    assert set(event(evidence)["data"]["export"]) == left


def test_failure_s_words_are_cut_down_last() -> None:
    huge = Failure(Reason.EXPORT_FAILED, "x" * 300_000, 9107, 409, "y" * 300_000)
    assert message(failure=huge).size_bytes <= MAX_MESSAGE_BYTES
    failure = event(failure=huge)["data"]["failure"]
    assert (len(failure["message"]), failure["code"], failure["more_info"]) == (2000, 9107, None)


def test_message_is_whole_up_to_256_kib_and_cut_down_beyond() -> None:
    def sent(novel: int) -> SnsMessage:
        return message(replace(EVIDENCE, job=a_job(body={**JOB.body, "novel": "x" * novel})))

    room = 256 * 1024 - sent(0).size_bytes
    assert sent(room).size_bytes == 256 * 1024
    assert sent(room + 1).size_bytes < 10_000


def test_size_is_all_that_sns_counts() -> None:
    sent = SnsMessage("an-event", "subject", "bödy", {"type": "a", "error_code": 12})
    assert sent.size_bytes == len(b"subject") + len("bödy".encode()) + len("typeStringa") + len("error_codeNumber12")


# The longest that comes in, in the characters that take most bytes when their JSON is escaped twice.
WORST = "\U0001f9ec" * MAX_TEXT_CHARACTERS
BIGGEST_JOB = a_job(
    "COMPLETED",
    volume=WORST,
    location=WORST,
    body={**JOB.body, "properties": {"k": "x" * 300_000}, "error": WORST * 99},
)
BIGGEST_CONTEXT = {"k": "ü" * 4092}


@pytest.mark.parametrize("context", [BIGGEST_CONTEXT, {"k": "\x01" * 1360}, {"k": '"' * 4090}])
def test_context_of_8_kib_comes_back_whole_however_it_must_be_written(context: dict[str, Any]) -> None:
    watch = a_watch(context=context)
    assert message(watch=watch).size_bytes <= MAX_MESSAGE_BYTES
    assert event(watch=watch)["data"]["context"] == context


def test_mismatch_of_the_longest_names_fits_into_a_message() -> None:
    checks = tuple(CheckResult(name, CheckStatus.FAILED, expected=True, actual=False) for name in CHECKS)
    requested = ("encryption", "kms_key", "storage_class")
    checks = tuple(replace(check, expected=WORST) if check.name in requested else check for check in checks)
    key = "\U0001f9ec" * 256  # 1,024 bytes: S3's longest
    evidence = Evidence(
        BIGGEST_JOB,
        SourceFile(WORST, WORST, WORST, 2**63),
        a_volume(name=WORST, bucket="b" * 63),
        an_object(bucket="b" * 63, key=key),
        Verification(checks),
    )
    sent = message(evidence, a_failure(Reason.OBJECT_MISMATCH), a_watch(context=BIGGEST_CONTEXT))
    assert sent.size_bytes <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("reason", Reason)
def test_failure_in_the_most_words_fits_into_a_message(reason: Reason) -> None:
    evidence = Evidence(BIGGEST_JOB, SourceFile(WORST, WORST, WORST, 2**63), a_volume(name=WORST, bucket="b" * 63))
    failure = Failure(reason, WORST * 50, 9107, 409, WORST * 50)
    watch = a_watch(context=BIGGEST_CONTEXT, group=Group("g" * 128, 10_000), export_id="e" * 128)
    for seen in (evidence, Evidence()):
        assert message(seen, failure, watch).size_bytes <= MAX_MESSAGE_BYTES


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 2**63))
def test_message_is_ascii_and_parses_to_what_went_in(name: str, project: str, size: int) -> None:
    sent = message(replace(EVIDENCE, file=SourceFile("f", name, project, size)))
    assert sent.body.isascii()
    assert event(replace(EVIDENCE, file=SourceFile("f", name, project, size)))["data"]["file"] == {
        "id": "f",
        "name": name,
        "project": project,
        "size": size,
    }
