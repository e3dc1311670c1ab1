"""The e-mail: what happened, what to do, where the object is, what was checked."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.advice import BY_CODE, BY_REASON
from export_monitor.domain.checks import CHECKS, skip_all
from export_monitor.domain.events import build_message
from export_monitor.domain.verdicts import CheckResult, CheckStatus, Evidence, Failure, Reason, Verification
from tests.unit.builders import NOW, a_failure, a_file, a_job, a_volume, a_watch, an_object

PASSED = Verification((CheckResult("exists", CheckStatus.PASSED, expected=True, actual=True),))
EVIDENCE = Evidence(a_job(), a_file(), a_volume(), an_object(), PASSED)
FAILURE = Failure(Reason.EXPORT_FAILED, "Taken.", 9107, 409, "http://more")


def mail(evidence: Evidence = EVIDENCE, failure: Failure | None = None) -> str:
    """The text that is sent to e-mail subscribers."""
    return str(json.loads(build_message(a_watch(), evidence, failure, NOW, "https://host/v2").body)["email"])


def mail_of_check(name: str, expected: Any, actual: Any) -> str:
    checks = Verification((CheckResult(name, CheckStatus.FAILED, expected, actual),))
    return mail(replace(EVIDENCE, verification=checks), a_failure(Reason.OBJECT_MISMATCH))


def test_mail_of_a_completion_reads_like_this() -> None:
    assert mail() == (
        "The export of reads.txt has completed. Its object was checked: it exists, and no check failed.\n"
        "\n"
        "Export:   an-export\n"
        "File:     reads.txt (f)\n"
        "Project:  o/p\n"
        "Volume:   o/v, location dir/reads.txt\n"
        "Object:   s3://bucket/dir/reads.txt (1,234 bytes)\n"
        "Time:     2023-11-14T22:13:10Z\n"
        "\n"
        "passed   the object exists\n"
    )


def test_mail_of_a_failed_job_reads_like_this() -> None:
    assert mail(Evidence(a_job("FAILED"), a_file()), FAILURE) == (
        "The export of reads.txt has failed (EXPORT_FAILED).\n"
        "Taken.\n"
        "\n"
        f"What to do: {BY_CODE[9107]}\n"
        "\n"
        "Export:   an-export\n"
        "File:     reads.txt (f)\n"
        "Project:  o/p\n"
        "Volume:   o/v, location dir/reads.txt\n"
        "Code:     9107\n"
        "Time:     2023-11-14T22:13:10Z\n"
        "\n"
        "More: http://more\n"
    )


@pytest.mark.parametrize("reason", Reason)
def test_mail_of_every_failure_says_what_to_do(reason: Reason) -> None:
    assert f"What to do: {BY_REASON[reason]}" in mail(Evidence(), a_failure(reason))


@pytest.mark.parametrize(
    ("name", "expected", "actual", "words"),
    [
        ("size", 1234, 1230, "expected 1,234, found 1,230"),
        ("exists", True, False, "expected yes, found no"),
        ("encryption", "AES256", None, "expected AES256, found none"),
        (
            "acl",
            "private",
            ["everyone (public): READ", "x: READ"],
            "expected private, found everyone (public): READ; x",
        ),
    ],
)
def test_failed_check_shows_what_was_expected_and_what_was_found(
    name: str, expected: Any, actual: Any, words: str
) -> None:
    assert f"FAILED   {CHECKS[name].label}: {words}" in mail_of_check(name, expected, actual)


def test_skipped_check_says_why() -> None:
    checks = Verification((*PASSED.checks, CheckResult("kms_key", CheckStatus.SKIPPED, reason="not requested")))
    assert "skipped  the KMS key is as requested: not requested" in mail(replace(EVIDENCE, verification=checks))


def test_mail_of_a_completion_says_where_its_object_could_not_be_checked() -> None:
    unchecked = replace(EVIDENCE, object=None, verification=skip_all("not on Amazon S3"))
    assert "Its object was not checked; the reason is below." in mail(unchecked)


def test_mail_names_the_location_or_the_export_where_the_file_is_unknown() -> None:
    assert "The export of dir/reads.txt has" in mail(replace(EVIDENCE, file=None))
    assert "The export of dir/reads.txt has" in mail(replace(EVIDENCE, file=a_file(name=None)))
    assert "The export of an-export has" in mail(Evidence(), FAILURE)
    odd = a_job(body={"id": "an-export", "state": "FAILED", "destination": "text"})
    assert "The export of an-export has" in mail(Evidence(odd), FAILURE)


def test_mail_says_unknown_of_names_that_the_api_did_not_give() -> None:
    nameless = a_job(body={"id": "an-export", "state": "FAILED", "destination": {"location": 7}})
    assert "The export of an-export has" in mail(Evidence(nameless), FAILURE)
    text = mail(Evidence(nameless, a_file(name=None, project=None)), FAILURE)
    assert "File:     unknown (f)\nProject:  unknown\nVolume:   unknown, location unknown\n" in text
    assert "None" not in text


@given(st.text(max_size=30), st.text(max_size=30))
def test_mail_has_no_control_characters_and_no_line_that_a_name_could_forge(name: str, words: str) -> None:
    text = mail(replace(EVIDENCE, file=a_file(name=name)), a_failure(message=words))
    plain = mail(replace(EVIDENCE, file=a_file(name="a")), a_failure(message="b"))
    assert all(character.isprintable() or character == "\n" for character in text)
    assert text.count("\n") == plain.count("\n")
