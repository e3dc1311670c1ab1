"""A group's event and its mail."""

import json
from types import SimpleNamespace

import pytest

from export_monitor.application.groups import Groups
from export_monitor.domain.advice import BY_CODE_OF_VOLUME, BY_REASON
from export_monitor.domain.events import MAX_MESSAGE_BYTES
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import (
    FailedMember,
    GroupProgress,
    Outcome,
    concluded_message,
    failed_member,
)
from export_monitor.domain.model import Group, UnavailableError
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.verdicts import Reason
from tests.fakes import RecordingReporter
from tests.unit.builders import a_row

NOW = 1_700_000_000.0
API = "https://cgc-api.sbgenomics.com/v2"
REPORT = WrittenReport("reports", "run-42", 1000, "0" * 64)
LINES_OF_REPORT = [
    "Report of all 1,000 exports that ended: s3://reports/groups/run-42/report.html",
    "Get it:  aws s3 cp s3://reports/groups/run-42/report.html .",
    "As CSV:  aws s3 cp s3://reports/groups/run-42/report.csv .",
    "",
]


def a_tally(failed: int = 0, missing: int = 0, size: int = 1000) -> GroupProgress:
    return GroupProgress(Group("run-42", size), size - failed - missing, failed, NOW - 3600)


def failures(number: int) -> list[FailedMember]:
    """This many failures, every third of them for another reason, and in no order."""
    some = [
        FailedMember(
            f"export-{n:04}", "EXPORT_FAILED", "Destination already contains an object.", 9107, "f", "o/v", "a.bam"
        )
        if n % 3
        else FailedMember(f"export-{n:04}", "OBJECT_MISSING", "There is no object.", None, "f", "o/v", "b.bam")
        for n in range(number)
    ]
    return some[::-1]


def mail(failed: int, missing: int = 0, size: int = 1000) -> tuple[str, str]:
    message = concluded_message(a_tally(failed, missing, size), failures(failed), REPORT, NOW, API)
    return message.subject, json.loads(message.body)["email"]


@pytest.mark.parametrize(
    ("progress", "outcome"),
    [
        (a_tally(), Outcome.COMPLETED),
        (a_tally(failed=1), Outcome.FAILED),
        (a_tally(missing=1), Outcome.INCOMPLETE),
        (a_tally(failed=1, missing=1), Outcome.INCOMPLETE),
    ],
)
def test_outcome_is_what_is_missing_before_what_failed(progress: GroupProgress, outcome: Outcome) -> None:
    assert progress.outcome is outcome


def test_mail_of_a_group_without_failures() -> None:
    subject, text = mail(0)
    assert subject == "Group run-42: all 1000 exports completed"
    assert text.splitlines() == [
        "All 1000 exports of group run-42 have completed.",
        "",
        "Completed: 1000",
        "Failed:    0",
        "Missing:   0",
        "",
        *LINES_OF_REPORT,
        "First announced: 2023-11-14T21:13:20Z",
        "Concluded:       2023-11-14T22:13:20Z",
    ]
    assert mail(0, size=1)[1].startswith("The export of group run-42 has completed.\n")


def test_mail_of_a_group_with_one_failure() -> None:
    subject, text = mail(1)
    assert subject == "Group run-42: 1 of 1000 exports failed"
    assert text.splitlines() == [
        "1 of the 1000 exports of group run-42 failed; the others completed.",
        "",
        "Completed: 999",
        "Failed:    1",
        "Missing:   0",
        "",
        f"What to do about OBJECT_MISSING: {BY_REASON[Reason.OBJECT_MISSING]}",
        "",
        "export-0000  OBJECT_MISSING: There is no object.",
        "    file f, volume o/v, location b.bam",
        "",
        *LINES_OF_REPORT,
        "First announced: 2023-11-14T21:13:20Z",
        "Concluded:       2023-11-14T22:13:20Z",
    ]


def test_mail_of_a_group_of_which_nothing_completed_says_so() -> None:
    assert mail(3, size=3)[1].startswith("All 3 exports of group run-42 failed.\n")
    assert mail(1, size=1)[1].startswith("The export of group run-42 failed.\n")


def test_mail_of_three_failures_names_each_and_each_cause_once() -> None:
    _, text = mail(3)
    assert [line.split()[0] for line in text.splitlines() if line.startswith("export-")] == [
        "export-0000",
        "export-0001",
        "export-0002",
    ]
    assert "export-0001  EXPORT_FAILED 9107: Destination already contains an object.\n" in text
    assert text.count("What to do about ") == 2
    assert "more" not in text.rpartition("export-0002")[2]


def test_mail_of_five_hundred_failures_names_fifty_and_says_how_many_more() -> None:
    subject, text = mail(500)
    assert subject == "Group run-42: 500 of 1000 exports failed"
    assert sum(line.startswith("export-") for line in text.splitlines()) == 50
    assert "… and 450 more" in text
    assert len(text.splitlines()) < 130


def test_mail_of_an_incomplete_group_says_what_is_missing() -> None:
    subject, text = mail(2, missing=7)
    assert subject == "Group run-42: 7 of 1000 exports missing, 2 failed"
    assert text.startswith(
        "Group run-42 is incomplete: of its 1000 exports, 7 were not announced in time or have not ended."
    )


def test_all_failures_are_listed_in_order_where_they_fit() -> None:
    event = json.loads(json.loads(concluded_message(a_tally(500), failures(500), REPORT, NOW, API).body)["default"])
    assert event["data"]["failures_truncated"] is False
    assert [one["export_id"] for one in event["data"]["failures"]] == [f"export-{n:04}" for n in range(500)]


@pytest.mark.parametrize("size", [1, 2000, 10_000])
def test_as_many_failures_as_fit_are_listed_however_long_their_words_are(size: int) -> None:
    long = FailedMember("x" * 128, "EXPORT_FAILED", "ü" * 500, 9107, "f" * 128, "o/" + "\u6f22" * 1000, "\u6f22" * 1024)
    message = concluded_message(a_tally(size, size=size), [long] * size, REPORT, NOW, API)
    assert message.size_bytes <= MAX_MESSAGE_BYTES
    event = json.loads(json.loads(message.body)["default"])
    assert event["data"]["failures_truncated"] is (size > 1)
    assert len(event["data"]["failures"]) >= 1
    one_more = message.size_bytes + 40_000
    assert size == 1 or one_more > MAX_MESSAGE_BYTES


def mail_about(*failures: FailedMember) -> str:
    message = concluded_message(a_tally(len(failures)), failures, REPORT, NOW, API)
    return str(json.loads(message.body)["email"])


def test_mail_does_not_say_to_start_an_export_again_whose_volume_was_denied() -> None:
    text = mail_about(FailedMember("e", "VOLUME_UNAVAILABLE", "The API has no volume o/v.", 9007))
    assert f"What to do about VOLUME_UNAVAILABLE 9007: {BY_CODE_OF_VOLUME[9007]}\n" in text
    assert "start" not in text.lower()


def test_mail_advises_once_on_all_codes_that_nothing_is_known_of() -> None:
    text = mail_about(
        *(FailedMember(f"e{code}", "EXPORT_FAILED", "m", code) for code in (9107, *range(10**6, 10**6 + 40)))
    )
    assert text.count("What to do about ") == 2
    assert f"What to do about EXPORT_FAILED: {BY_REASON[Reason.EXPORT_FAILED]}\n" in text
    assert "What to do about EXPORT_FAILED 9107: " in text


def test_failed_member_is_what_its_row_says_with_a_message_that_fits() -> None:
    row = a_row(
        reason="EXPORT_FAILED", code=9107, message="m" * 900, advice="a", file_id="f", volume="o/v", location="a.bam"
    )
    assert failed_member(row) == FailedMember("an-export", "EXPORT_FAILED", "m" * 500, 9107, "f", "o/v", "a.bam")


def test_group_that_expires_while_a_member_is_counted_is_counted_again_later() -> None:
    store = SimpleNamespace(record_results=lambda *_: [], progress=lambda _: None)
    groups = Groups(store, None, None, None, RecordingReporter(), "https://api")  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        groups.record_results([(Group("run", 1), a_row("a"))], TimeBudget())


def test_group_that_expires_while_it_is_claimed_is_concluded_later() -> None:
    answers = iter([a_tally(), None])
    store = SimpleNamespace(record_results=lambda *_: [], progress=lambda _: next(answers), claim=lambda *_: True)
    groups = Groups(store, None, None, None, RecordingReporter(), "https://api")  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        groups.record_results([(Group("run-42", 1000), a_row("a"))], TimeBudget())
