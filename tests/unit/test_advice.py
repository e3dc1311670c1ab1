"""What a user is told to do next."""

import re

import pytest

from export_monitor.domain.advice import BY_CODE, BY_REASON, TIMED_OUT_AFTER_COMPLETION, advice
from export_monitor.domain.verdicts import Evidence, Reason
from tests.unit.builders import a_failure, a_job

COMPLETED = Evidence(a_job())
# A watch ends with these once the job is COMPLETED, when the source may be gone.
AFTER_COMPLETION = [
    Reason.VOLUME_UNAVAILABLE,
    Reason.OBJECT_MISSING,
    Reason.OBJECT_MISMATCH,
    Reason.OBJECT_FORBIDDEN,
    Reason.TIMED_OUT,
]


@pytest.mark.parametrize("code", BY_CODE)
def test_known_code_has_its_own_advice(code: int) -> None:
    assert advice(a_failure(code=code), Evidence()) == BY_CODE[code]


@pytest.mark.parametrize("reason", Reason)
def test_unknown_code_or_none_has_the_reason_s(reason: Reason) -> None:
    assert advice(a_failure(reason), Evidence()) == BY_REASON[reason]
    assert advice(a_failure(reason, code=1), Evidence()) == BY_REASON[reason]


def test_object_in_the_way_is_answered_with_overwrite_or_another_location() -> None:
    assert "overwrite" in BY_CODE[9107]
    assert "another location" in BY_CODE[9107]


@pytest.mark.parametrize("reason", AFTER_COMPLETION)
def test_after_completion_nothing_is_to_be_started_again_or_deleted(reason: Reason) -> None:
    text = advice(a_failure(reason), COMPLETED)
    assert not re.search(r"\bstart\b", text, re.IGNORECASE)
    assert "elete nothing" in text


@pytest.mark.parametrize("reason", [Reason.OBJECT_MISSING, Reason.OBJECT_MISMATCH])
def test_wrong_object_is_looked_for_in_its_versions_and_on_the_platform_first(reason: Reason) -> None:
    text = advice(a_failure(reason), COMPLETED)
    assert "versions" in text
    assert "file on the platform" in text


def test_time_out_has_other_advice_once_the_job_was_completed() -> None:
    timed_out = a_failure(Reason.TIMED_OUT)
    assert advice(timed_out, COMPLETED) == TIMED_OUT_AFTER_COMPLETION
    assert advice(timed_out, Evidence(a_job("RUNNING"))) == BY_REASON[Reason.TIMED_OUT]
