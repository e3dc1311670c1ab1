"""The advice of failed events, in the code and, word for word and row for row, in `docs/advice.md`."""

import re
from itertools import product
from pathlib import Path

import pytest

from export_monitor.domain.advice import (
    BY_CODE,
    BY_CODE_OF_JOB,
    BY_CODE_OF_VOLUME,
    BY_REASON,
    SOURCE_LACKS_BYTES,
    TIMED_OUT_AFTER_COMPLETION,
    advice,
)
from export_monitor.domain.verdicts import CheckResult, CheckStatus, Evidence, Reason, Verification
from tests.contract.pages import tables
from tests.unit.builders import a_failure, a_job

PAGE = (Path(__file__).parents[2] / "docs" / "advice.md").read_text("utf-8")
COMPLETED = Evidence(a_job())
# The failures of a COMPLETED job, whose source may be gone.
AFTER_COMPLETION = [
    Reason.VOLUME_UNAVAILABLE,
    Reason.OBJECT_MISSING,
    Reason.OBJECT_MISMATCH,
    Reason.OBJECT_FORBIDDEN,
    Reason.TIMED_OUT,
]
EVERY_CODE = [None, 1, *sorted(BY_CODE | BY_CODE_OF_JOB | BY_CODE_OF_VOLUME)]


def mismatch(**statuses: CheckStatus) -> Evidence:
    """The evidence of an object whose checks had these results."""
    checks = tuple(CheckResult(name, status) for name, status in statuses.items())
    return Evidence(a_job(), verification=Verification(checks))


@pytest.mark.parametrize("code", BY_CODE)
def test_known_code_of_a_failed_job_has_its_own_advice(code: int) -> None:
    assert advice(a_failure(code=code), Evidence()) == BY_CODE[code]


@pytest.mark.parametrize("reason", [Reason.EXPORT_NOT_FOUND, Reason.EXPORT_FORBIDDEN])
@pytest.mark.parametrize("code", [9005, 9008])
def test_code_that_denies_a_job_has_its_own_advice(reason: Reason, code: int) -> None:
    assert advice(a_failure(reason, code=code), Evidence()) == BY_CODE_OF_JOB[code]


@pytest.mark.parametrize("code", [9007, 9020])
def test_code_that_denies_a_volume_has_its_own_advice(code: int) -> None:
    text = advice(a_failure(Reason.VOLUME_UNAVAILABLE, code=code), COMPLETED)
    assert text == BY_CODE_OF_VOLUME[code]
    assert text not in (BY_CODE[code], BY_REASON[Reason.VOLUME_UNAVAILABLE])


@pytest.mark.parametrize("reason", Reason)
def test_unknown_code_or_none_has_the_reason_s(reason: Reason) -> None:
    assert advice(a_failure(reason), Evidence()) == BY_REASON[reason]
    assert advice(a_failure(reason, code=1), Evidence()) == BY_REASON[reason]


def test_object_in_the_way_is_answered_with_overwrite_or_another_location() -> None:
    assert "overwrite" in BY_CODE[9107]
    assert "another location" in BY_CODE[9107]


@pytest.mark.parametrize("reason", AFTER_COMPLETION)
def test_after_completion_nothing_is_to_be_started_again_or_deleted(reason: Reason) -> None:
    # A group's mail has only the reason and the code.
    for code, evidence in product(EVERY_CODE, (COMPLETED, Evidence())):
        text = advice(a_failure(reason, code=code), evidence)
        assert not re.search(r"\bstart\b", text, re.IGNORECASE)
        assert "elete nothing" in text


@pytest.mark.parametrize("reason", [Reason.EXPORT_NOT_FOUND, Reason.EXPORT_FORBIDDEN])
def test_export_whose_state_is_unknown_is_not_to_be_started_again(reason: Reason) -> None:
    for code in EVERY_CODE:
        assert not re.search(r"\bstart\b", advice(a_failure(reason, code=code), Evidence()), re.IGNORECASE)


@pytest.mark.parametrize("reason", [Reason.OBJECT_MISSING, Reason.OBJECT_MISMATCH])
def test_advice_on_a_wrong_object_names_its_versions_and_the_file_on_the_platform(reason: Reason) -> None:
    text = advice(a_failure(reason), COMPLETED)
    assert "versions" in text
    assert "file on the platform" in text


def test_time_out_has_other_advice_once_the_job_was_completed() -> None:
    timed_out = a_failure(Reason.TIMED_OUT)
    assert advice(timed_out, COMPLETED) == TIMED_OUT_AFTER_COMPLETION
    assert advice(timed_out, Evidence(a_job("RUNNING"))) == BY_REASON[Reason.TIMED_OUT]


def test_broken_object_as_long_as_its_source_means_that_the_source_lacks_the_same_bytes() -> None:
    text = advice(a_failure(Reason.OBJECT_MISMATCH), mismatch(size=CheckStatus.PASSED, integrity=CheckStatus.FAILED))
    assert text == SOURCE_LACKS_BYTES
    assert "the source file lacks the same bytes" in text
    assert "dbGaP" in text
    assert text.startswith("Delete nothing.")
    assert not re.search(r"\bstart\b", text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("size", "integrity"),
    [
        (CheckStatus.FAILED, CheckStatus.FAILED),
        (CheckStatus.SKIPPED, CheckStatus.FAILED),
        (CheckStatus.PASSED, CheckStatus.PASSED),
        (CheckStatus.PASSED, CheckStatus.SKIPPED),
    ],
)
def test_nothing_is_said_of_the_source_where_its_bytes_are_not_known(size: CheckStatus, integrity: CheckStatus) -> None:
    evidence = mismatch(size=size, integrity=integrity, encryption=CheckStatus.FAILED)
    assert advice(a_failure(Reason.OBJECT_MISMATCH), evidence) == BY_REASON[Reason.OBJECT_MISMATCH]


def test_refused_object_may_be_in_a_requester_pays_bucket() -> None:
    assert "requester-pays" in BY_REASON[Reason.OBJECT_FORBIDDEN]


def rows(heading: str) -> list[tuple[str, ...]]:
    """The rows of the table below a heading."""
    [table] = tables(PAGE, heading)
    return [tuple(row) for row in table]


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("By the code of a FAILED job", BY_CODE),
        ("By the code of a denied job", BY_CODE_OF_JOB),
        ("By the code of a denied volume", BY_CODE_OF_VOLUME),
    ],
)
def test_page_has_exactly_the_advice_by_code_in_its_order(heading: str, table: dict[int, str]) -> None:
    assert rows(heading) == [(str(code), text) for code, text in table.items()]


def test_page_has_exactly_the_advice_by_reason_in_its_order() -> None:
    assert rows("By the reason") == [
        *((f"`{reason}`", text) for reason, text in BY_REASON.items()),
        ("`TIMED_OUT` after COMPLETED", TIMED_OUT_AFTER_COMPLETION),
        ("`OBJECT_MISMATCH` where `integrity` failed and `size` passed", SOURCE_LACKS_BYTES),
    ]


def test_every_reason_has_its_advice() -> None:
    assert list(BY_REASON) == list(Reason)
