"""What one look says of an export, from the answers alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.assessment import Answers, assess, file_to_read, may_read_volume, needs_object, whole_number
from export_monitor.domain.model import (
    CheckStatus,
    Completed,
    Denial,
    Denied,
    ExportJob,
    Failed,
    Failure,
    Faulty,
    Hindered,
    MissingObject,
    Obstacle,
    Reason,
    RefusedObject,
    SourceFile,
    StoredObject,
    Unfinished,
    Volume,
)
from export_monitor.domain.object_location import candidate_keys, is_on_amazon_s3, is_volume_name
from export_monitor.domain.timestamps import rfc3339, seconds

NOW = 1_700_000_000.0
JOB = ExportJob("e", "COMPLETED", {}, file_id="f", volume="o/v", location="a.txt", started_at=NOW - 60)
VOLUME = Volume("o/v", "s3", "bucket", "")
FILE = SourceFile("f", "a.txt", "o/p", 10)
FOUND = StoredObject("bucket", "a.txt", 10, "etag", NOW - 30)
OBSTACLE = Obstacle("outage")


def verdict(answers: Answers) -> object:
    return assess(answers, NOW)[0]


def reason(answers: Answers) -> Reason:
    result = verdict(answers)
    assert isinstance(result, Faulty | Failed)
    return result.failure.reason


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "PAUSED", "completed"])
def test_other_states_are_unfinished(state: str) -> None:
    assert verdict(Answers(replace(JOB, state=state))) == Unfinished(state)


def test_job_that_could_not_be_asked_for_says_nothing() -> None:
    assert verdict(Answers(OBSTACLE)) == Hindered(OBSTACLE)


def test_unknown_and_hidden_jobs_are_faults() -> None:
    assert reason(Answers(Denied(Denial.UNKNOWN, "m"))) is Reason.EXPORT_NOT_FOUND
    assert reason(Answers(Denied(Denial.HIDDEN, "m"))) is Reason.EXPORT_FORBIDDEN


def test_failed_job_has_failed_with_the_api_s_own_words() -> None:
    error = {"status": 409, "code": "9107", "message": "taken", "more_info": "http://more"}
    result, evidence = assess(Answers(replace(JOB, state="FAILED", error=error), file=FILE), NOW)
    assert result == Failed(Failure(Reason.EXPORT_FAILED, "taken", 9107, 409, "http://more"))
    assert evidence.file == FILE


@pytest.mark.parametrize("error", [{}, {"status": "x", "code": True, "message": None, "more_info": 7}])
def test_failed_job_without_a_sound_error_has_failed_all_the_same(error: dict[str, object]) -> None:
    result = verdict(Answers(replace(JOB, state="FAILED", error=error)))
    assert result == Failed(Failure(Reason.EXPORT_FAILED, "The platform gave no message."))


def test_failed_job_waits_for_its_file_only_where_nothing_could_be_asked() -> None:
    failed = replace(JOB, state="FAILED")
    assert isinstance(verdict(Answers(failed, file=OBSTACLE)), Failed)
    unasked = Obstacle("rate limit", unasked=True)
    assert verdict(Answers(failed, file=unasked)) == Hindered(unasked)


def test_completed_job_with_its_object_has_completed() -> None:
    result, evidence = assess(Answers(JOB, VOLUME, FILE, FOUND), NOW)
    assert result == Completed()
    assert evidence.verification is not None
    assert evidence.verification.status is CheckStatus.PASSED
    assert (evidence.object, evidence.file, evidence.volume) == (FOUND, FILE, VOLUME)


def test_file_comes_from_the_job_where_it_carries_it() -> None:
    _, evidence = assess(Answers(replace(JOB, result=FILE), VOLUME, None, FOUND), NOW)
    assert evidence.file == FILE


def test_completed_job_without_its_object_is_a_fault() -> None:
    result, evidence = assess(Answers(JOB, VOLUME, FILE, MissingObject("bucket", ("p/a.txt", "a.txt"))), NOW)
    assert isinstance(result, Faulty)
    assert result.failure.reason is Reason.OBJECT_MISSING
    assert "s3://bucket/p/a.txt or s3://bucket/a.txt" in result.failure.message
    assert evidence.verification is not None
    assert evidence.verification.status is CheckStatus.FAILED


def test_object_that_is_not_what_was_asked_for_is_a_fault_that_names_the_checks() -> None:
    result = verdict(Answers(JOB, VOLUME, FILE, replace(FOUND, size=9, last_modified_at=NOW - 1000)))
    assert isinstance(result, Faulty)
    assert result.failure.reason is Reason.OBJECT_MISMATCH
    assert "size, freshness" in result.failure.message


def test_refused_object_is_a_fault_without_a_verification() -> None:
    result, evidence = assess(Answers(JOB, VOLUME, FILE, RefusedObject("bucket", "refused")), NOW)
    assert result == Faulty(Failure(Reason.OBJECT_FORBIDDEN, "refused"))
    assert evidence.verification is None


@pytest.mark.parametrize(
    "volume", [Denied(Denial.UNKNOWN, "m"), Denied(Denial.HIDDEN, "m"), None], ids=["unknown", "hidden", "no name"]
)
def test_volume_that_cannot_be_read_is_a_fault(volume: Denied | None) -> None:
    assert reason(Answers(JOB, volume, FILE)) is Reason.VOLUME_UNAVAILABLE


@pytest.mark.parametrize(
    "answers",
    [
        Answers(JOB, OBSTACLE, FILE),
        Answers(JOB, VOLUME, OBSTACLE, FOUND),
        Answers(JOB, VOLUME, FILE, OBSTACLE),
    ],
)
def test_completed_job_waits_for_what_could_not_be_asked(answers: Answers) -> None:
    assert verdict(answers) == Hindered(OBSTACLE)


def test_completed_job_whose_object_was_not_looked_at_waits() -> None:
    assert isinstance(verdict(Answers(JOB, VOLUME, FILE)), Hindered)


def test_size_is_skipped_where_the_file_is_denied() -> None:
    result, evidence = assess(Answers(JOB, VOLUME, Denied(Denial.HIDDEN, "m"), FOUND), NOW)
    assert result == Completed()
    assert evidence.verification is not None
    assert {check.name: check.status for check in evidence.verification.checks}["size"] is CheckStatus.SKIPPED


@pytest.mark.parametrize(
    "volume", [replace(VOLUME, type="gcs"), replace(VOLUME, endpoint="s3.amazonaws.com.example.org")]
)
def test_volume_elsewhere_than_on_amazon_s3_completes_with_every_check_skipped(volume: Volume) -> None:
    result, evidence = assess(Answers(JOB, volume, FILE), NOW)
    assert result == Completed()
    assert evidence.verification is not None
    assert evidence.verification.status is CheckStatus.SKIPPED


def test_file_is_read_when_the_watch_ends_and_the_job_does_not_carry_it() -> None:
    assert file_to_read(JOB, is_overdue=False) == "f"
    assert file_to_read(replace(JOB, result=FILE), is_overdue=False) is None
    assert file_to_read(replace(JOB, result=replace(FILE, size=None)), is_overdue=False) == "f"
    assert file_to_read(replace(JOB, state="RUNNING"), is_overdue=False) is None
    assert file_to_read(replace(JOB, state="RUNNING"), is_overdue=True) == "f"
    assert file_to_read(replace(JOB, file_id=None), is_overdue=False) is None


def test_object_is_looked_at_once_the_job_is_completed() -> None:
    assert needs_object(JOB)
    assert not needs_object(replace(JOB, state="FAILED"))


@pytest.mark.parametrize("value", [7, "7"])
def test_whole_numbers_may_be_written_as_text(value: object) -> None:
    assert whole_number(value) == 7


@pytest.mark.parametrize("value", [True, 7.0, "-7", "7.0", "\u0667", "", None, "9" * 19])
def test_anything_else_is_no_whole_number(value: object) -> None:
    assert whole_number(value) is None


@pytest.mark.parametrize("name", ["rfranklin/output", "my-division/v_1", "a.b@c+d/v", "a/..b"])
def test_volume_names_may_enter_a_path(name: str) -> None:
    assert may_read_volume(name)


@pytest.mark.parametrize("name", ["", "a", "a/b/c", "../x", "a/..", "a/.", "a/b?c", "a/ü", "a/b\n", "a/%2e%2e", None])
def test_other_names_may_not(name: str | None) -> None:
    assert not may_read_volume(name)
    assert name is None or not is_volume_name(name)


@pytest.mark.parametrize(
    ("endpoint", "is_amazon"),
    [
        (None, True),
        ("", True),
        ("s3.amazonaws.com", True),
        ("https://s3.us-west-2.amazonaws.com/", True),
        ("s3.dualstack.eu-west-1.amazonaws.com:443", True),
        ("s3.cn-north-1.amazonaws.com.cn", True),
        ("storage.googleapis.com", False),
        ("amazonaws.com.example.org", False),
        ("notamazonaws.com", False),
        ("minio.local:9000", False),
    ],
)
def test_endpoint_is_amazon_s_or_not(endpoint: str | None, is_amazon: bool) -> None:
    assert is_on_amazon_s3(replace(VOLUME, type="S3", endpoint=endpoint)) is is_amazon


@pytest.mark.parametrize(
    ("prefix", "location", "keys"),
    [
        ("", "a.vcf", ("a.vcf",)),
        ("", "/a.vcf", ("a.vcf", "/a.vcf")),
        ("runs", "a.vcf", ("runs/a.vcf", "runsa.vcf")),
        ("runs/", "a.vcf", ("runs/a.vcf",)),
        ("runs/", "/a.vcf", ("runs/a.vcf", "runs//a.vcf", "/a.vcf")),
        ("/runs", "a b+ü.vcf", ("runs/a b+ü.vcf", "/runsa b+ü.vcf")),
        ("runs", "", ()),
    ],
)
def test_candidate_keys_are_tried_in_the_contract_s_order(prefix: str, location: str, keys: tuple[str, ...]) -> None:
    assert candidate_keys(prefix, location) == keys


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2016-06-15T19:17:41Z", 1466018261.0),
        ("2016-06-15T21:17:41+02:00", 1466018261.0),
        ("2016-06-15T19:17:41.500Z", 1466018261.5),
        ("2016-06-15T19:17:41", 1466018261.0),
        ("yesterday", None),
        ("", None),
        (None, None),
        (20160615, None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_timestamps_are_read_however_they_are_written(text: object, at: float | None) -> None:
    assert seconds(text) == at


def test_timestamps_are_written_in_utc() -> None:
    assert rfc3339(1466018261.9) == "2016-06-15T19:17:41Z"


jobs = st.builds(
    lambda state, asked, file: replace(JOB, state=state, properties={"sse_algorithm": asked}, result=file),
    st.sampled_from(["PENDING", "RUNNING", "COMPLETED", "FAILED", "ODD"]),
    st.sampled_from([None, "AES256", "aws:kms"]),
    st.sampled_from([None, FILE]),
)
objects = st.builds(
    lambda size, at, encryption: replace(FOUND, size=size, last_modified_at=at, encryption=encryption),
    st.integers(9, 11),
    st.floats(NOW - 1000, NOW + 1000),
    st.sampled_from([None, "AES256"]),
)
denied = st.just(Denied(Denial.UNKNOWN, "m"))
obstacles = st.just(OBSTACLE)


@given(
    st.builds(
        Answers,
        st.one_of(jobs, denied, obstacles),
        st.one_of(st.sampled_from([VOLUME, replace(VOLUME, type="gcs"), None]), denied, obstacles),
        st.one_of(st.sampled_from([FILE, None]), denied, obstacles),
        st.one_of(objects, st.just(MissingObject("bucket", ("k",))), st.just(RefusedObject("bucket", "m")), obstacles,
                  st.none()),
    ),
    st.floats(NOW, NOW + 1e6),
)  # fmt: skip
def test_verdict_is_total_deterministic_and_never_completed_without_a_seen_and_sound_object(
    answers: Answers, now: float
) -> None:
    result, evidence = assess(answers, now)
    assert assess(answers, now) == (result, evidence)
    if isinstance(result, Completed):
        assert evidence.verification is not None
        assert not evidence.verification.failed
        elsewhere = isinstance(answers.volume, Volume) and answers.volume.type == "gcs"
        assert elsewhere or evidence.object is not None
