"""The verdict on an export, from the gathered answers alone."""

from dataclasses import replace

import pytest

from export_monitor.domain.assessment import Snapshot, assess, file_to_read, has_valid_volume_name, needs_object
from export_monitor.domain.json_values import as_int
from export_monitor.domain.model import (
    MAX_TEXT_CHARACTERS,
    Denial,
    Denied,
    ObjectForbidden,
    ObjectNotFound,
    Unavailable,
    Volume,
)
from export_monitor.domain.verdicts import (
    CheckStatus,
    Completed,
    Failed,
    Failing,
    Failure,
    Reason,
    Undetermined,
    Unfinished,
)
from tests.unit.builders import NOW, a_file, a_job, a_volume, an_object

JOB = a_job()
VOLUME = a_volume()
FILE = a_file()
FOUND = an_object()
OUTAGE = Unavailable("outage")


def verdict(answers: Snapshot) -> object:
    return assess(answers, NOW)[0]


def reason(answers: Snapshot) -> Reason:
    result = verdict(answers)
    assert isinstance(result, Failing | Failed)
    return result.failure.reason


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "PAUSED", "completed"])
def test_other_states_are_unfinished(state: str) -> None:
    assert verdict(Snapshot(replace(JOB, state=state))) == Unfinished(state)


def test_job_that_could_not_be_asked_for_says_nothing() -> None:
    assert verdict(Snapshot(OUTAGE)) == Undetermined(OUTAGE)


def test_failed_job_has_failed_with_the_api_s_own_words() -> None:
    error = {"status": 409, "code": "9107", "message": "taken", "more_info": "http://more"}
    result, evidence = assess(Snapshot(replace(JOB, state="FAILED", error=error), file=FILE), NOW)
    assert result == Failed(Failure(Reason.EXPORT_FAILED, "taken", 9107, 409, "http://more"))
    assert evidence.file == FILE


@pytest.mark.parametrize(
    ("answers", "failure"),
    [
        (
            Snapshot(Denied(Denial.NOT_FOUND, "No such job.", 9008, 404, "http://more")),
            Failure(Reason.EXPORT_NOT_FOUND, "The API has no such export: No such job.", 9008, 404, "http://more"),
        ),
        (
            Snapshot(Denied(Denial.FORBIDDEN, "Not yours.", 9005, 403)),
            Failure(Reason.EXPORT_FORBIDDEN, "The API denies access to this export: Not yours.", 9005, 403),
        ),
        (
            Snapshot(JOB, Denied(Denial.NOT_FOUND, "No volume.", 9007, 404, "http://more"), FILE),
            Failure(
                Reason.VOLUME_UNAVAILABLE,
                "The API has no volume o/v: No volume.",
                9007,
                404,
                "http://more",
            ),
        ),
    ],
    ids=["unknown job", "job of another user", "unknown volume"],
)
def test_denial_keeps_the_api_s_own_code_status_and_link(answers: Snapshot, failure: Failure) -> None:
    assert verdict(answers) == Failing(failure)


def test_link_of_a_failed_job_is_text_of_bounded_length() -> None:
    def link(length: int) -> str | None:
        result = verdict(Snapshot(replace(JOB, state="FAILED", error={"more_info": "x" * length})))
        assert isinstance(result, Failed)
        return result.failure.more_info

    assert link(MAX_TEXT_CHARACTERS) == "x" * MAX_TEXT_CHARACTERS
    assert link(MAX_TEXT_CHARACTERS + 1) is None
    assert link(0) is None


@pytest.mark.parametrize("error", [{}, {"message": ""}, {"status": "x", "code": True, "message": 7, "more_info": 7}])
def test_failed_job_without_a_sound_error_has_failed_all_the_same(error: dict[str, object]) -> None:
    result = verdict(Snapshot(replace(JOB, state="FAILED", error=error)))
    assert result == Failed(Failure(Reason.EXPORT_FAILED, "The platform gave no message."))


def test_failed_job_waits_for_its_file_only_where_nothing_could_be_asked() -> None:
    failed = replace(JOB, state="FAILED")
    assert isinstance(verdict(Snapshot(failed, file=OUTAGE)), Failed)
    not_attempted = Unavailable("rate limit", not_attempted=True)
    assert verdict(Snapshot(failed, file=not_attempted)) == Undetermined(not_attempted)


def test_completed_job_with_its_object_has_completed() -> None:
    result, evidence = assess(Snapshot(JOB, VOLUME, FILE, FOUND), NOW)
    assert result == Completed()
    assert evidence.verification is not None
    assert evidence.verification.status is CheckStatus.PASSED
    assert (evidence.object, evidence.file, evidence.volume) == (FOUND, FILE, VOLUME)


def test_file_comes_from_the_job_where_it_carries_it() -> None:
    _, evidence = assess(Snapshot(replace(JOB, result=FILE), VOLUME, None, FOUND), NOW)
    assert evidence.file == FILE


def test_completed_job_without_its_object_is_a_fault() -> None:
    result, evidence = assess(Snapshot(JOB, VOLUME, FILE, ObjectNotFound("bucket", ("p/a.txt", "pa.txt"))), NOW)
    assert isinstance(result, Failing)
    assert result.failure.reason is Reason.OBJECT_MISSING
    assert "s3://bucket/p/a.txt or s3://bucket/pa.txt" in result.failure.message
    assert evidence.verification is not None
    assert evidence.verification.status is CheckStatus.FAILED


def test_object_that_is_not_what_was_asked_for_is_a_fault_that_names_the_checks() -> None:
    result = verdict(Snapshot(JOB, VOLUME, FILE, replace(FOUND, size=9, last_modified_at=NOW - 1000)))
    assert isinstance(result, Failing)
    assert result.failure.reason is Reason.OBJECT_MISMATCH
    assert "size, freshness" in result.failure.message


def test_refused_object_is_a_fault_without_a_verification() -> None:
    result, evidence = assess(Snapshot(JOB, VOLUME, FILE, ObjectForbidden("bucket", "denied")), NOW)
    assert result == Failing(Failure(Reason.OBJECT_FORBIDDEN, "denied"))
    assert evidence.verification is None


@pytest.mark.parametrize(
    "volume", [Denied(Denial.NOT_FOUND, "m"), Denied(Denial.FORBIDDEN, "m"), None], ids=["unknown", "hidden", "no name"]
)
def test_volume_that_cannot_be_read_is_a_fault(volume: Denied | None) -> None:
    assert reason(Snapshot(JOB, volume, FILE)) is Reason.VOLUME_UNAVAILABLE


@pytest.mark.parametrize(
    "answers",
    [
        Snapshot(JOB, OUTAGE, FILE),
        Snapshot(JOB, VOLUME, OUTAGE, FOUND),
        Snapshot(JOB, VOLUME, FILE, OUTAGE),
    ],
)
def test_completed_job_waits_for_what_could_not_be_asked(answers: Snapshot) -> None:
    assert verdict(answers) == Undetermined(OUTAGE)


def test_completed_job_whose_object_was_not_inspected_waits() -> None:
    assert isinstance(verdict(Snapshot(JOB, VOLUME, FILE)), Undetermined)


def test_size_is_skipped_where_the_file_is_denied() -> None:
    result, evidence = assess(Snapshot(JOB, VOLUME, Denied(Denial.FORBIDDEN, "m"), FOUND), NOW)
    assert result == Completed()
    assert evidence.verification is not None
    assert {check.name: check.status for check in evidence.verification.checks}["size"] is CheckStatus.SKIPPED


@pytest.mark.parametrize(
    "volume", [replace(VOLUME, type="gcs"), replace(VOLUME, endpoint="s3.amazonaws.com.example.org")]
)
def test_volume_elsewhere_than_on_amazon_s3_completes_with_every_check_skipped(volume: Volume) -> None:
    result, evidence = assess(Snapshot(JOB, volume, FILE), NOW)
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


def test_object_is_inspected_once_the_job_is_completed() -> None:
    assert needs_object(JOB)
    assert not needs_object(replace(JOB, state="FAILED"))


@pytest.mark.parametrize(("value", "number"), [(7, 7), ("7", 7), (-7, -7), ("9" * 18, 10**18 - 1)])
def test_whole_numbers_may_be_written_as_text(value: object, number: int) -> None:
    assert as_int(value) == number


@pytest.mark.parametrize("value", [True, 7.0, "-7", "7.0", "\u0667", "", None, "9" * 19])
def test_anything_else_is_no_whole_number(value: object) -> None:
    assert as_int(value) is None


def test_volume_without_a_name_that_may_enter_a_path_is_not_asked_for() -> None:
    assert has_valid_volume_name("o/v")
    assert not has_valid_volume_name("../v")
    assert not has_valid_volume_name(None)
