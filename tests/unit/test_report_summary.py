"""What a group's page says above its rows."""

import pytest

from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import Group
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.report_summary import Tone, cause_of, human_bytes, human_duration, name_of, summary
from export_monitor.domain.timeline import Step, ended_at, timeline
from export_monitor.domain.timestamps import format_rfc3339
from tests.unit.builders import NOW


def a_row(export_id="an-export", outcome="completed", **more):
    values = {"verification": "passed" if outcome == "completed" else None, "concluded_at": format_rfc3339(NOW), **more}
    return ReportRow(export_id, outcome, **values)


def summarized(rows, missing=0):
    failed = sum(row.outcome == "failed" for row in rows)
    group = Group("run-42", len(rows) + missing)
    return summary(GroupProgress(group, len(rows) - failed, failed, NOW), NOW + 90, rows)


@pytest.mark.parametrize(
    ("verified", "unverified", "failed", "missing", "tone", "headline"),
    [
        (3, 0, 0, 0, Tone.VERIFIED, "All 3 exports completed and were verified"),
        (1, 0, 0, 0, Tone.VERIFIED, "The export completed and was verified"),
        (2, 1, 0, 0, Tone.UNVERIFIED, "All 3 exports completed, but 1 was not verified"),
        (1, 2, 0, 0, Tone.UNVERIFIED, "All 3 exports completed, but 2 were not verified"),
        (0, 1, 0, 0, Tone.UNVERIFIED, "The export completed, but it was not verified"),
        (2, 0, 1, 0, Tone.FAILED, "1 of 3 exports failed"),
        (0, 0, 1, 0, Tone.FAILED, "The export failed"),
        (1, 0, 0, 1, Tone.INCOMPLETE, "1 of 2 exports is missing"),
        (1, 0, 2, 2, Tone.INCOMPLETE, "2 of 5 exports are missing, and 2 failed"),
        (0, 0, 0, 1, Tone.INCOMPLETE, "The export is missing"),
    ],
)
def test_headline_says_whether_everything_is_there(verified, unverified, failed, missing, tone, headline):
    rows = [a_row()] * verified + [a_row(verification="skipped")] * unverified + [a_row(outcome="failed")] * failed
    found = summarized(rows, missing)
    assert (found.tone, found.headline) == (tone, headline)
    assert (found.verified, found.unverified) == (verified, unverified)


@pytest.mark.parametrize(
    ("rows", "missing", "part"),
    [
        ([a_row()], 0, "none of its checks failed"),
        ([a_row(verification=None)], 0, "not every object could be read"),
        ([a_row(), a_row(outcome="failed")], 0, "1 completed, and all of them were verified."),
        ([a_row(outcome="failed")], 0, "0 completed."),
        ([a_row(verification="skipped")], 1, "1 completed, and 1 of them was not verified."),
        ([], 1, "0 completed."),
    ],
)
def test_details_say_what_to_do_and_what_is_there(rows, missing, part):
    assert part in summarized(rows, missing).details


def test_bytes_are_those_of_completed_exports_with_a_known_size():
    sizes = [1, 2, None, 10**4000]
    found = summarized([*(a_row(size_bytes=size) for size in sizes), a_row(outcome="failed", size_bytes=9)])
    assert (found.size_bytes, found.unknown_sizes) == (3, 2)


def test_causes_are_ordered_by_their_failures_and_each_has_its_advice_once():
    rows = [
        a_row("c", "failed", reason="TIMED_OUT", advice="Wait."),
        a_row("b", "failed", reason="EXPORT_FAILED", code=9107, advice="Overwrite."),
        a_row("a", "failed", reason="EXPORT_FAILED", code=9107, advice="Overwrite."),
        a_row("d", "failed"),
    ]
    causes = summarized(rows).causes
    assert [(one.label, [row.export_id for row in one.rows]) for one in causes] == [
        ("EXPORT_FAILED 9107", ["a", "b"]),
        ("TIMED_OUT", ["c"]),
        ("unknown", ["d"]),
    ]
    assert [one.advice for one in causes[:2]] == ["Overwrite.", "Wait."]
    assert cause_of(rows[0]) == "TIMED_OUT"


def test_exports_that_were_not_verified_come_before_the_others():
    rows = [a_row("a"), a_row("b", file_name="0"), a_row("c", verification="skipped")]
    assert [row.export_id for row in summarized(rows).others] == ["c", "b", "a"]


def test_export_is_named_by_its_file_or_its_location_or_its_id():
    assert name_of(a_row("id", file_name="name", location="place")) == "name"
    assert name_of(a_row("id", location="place")) == "place"
    assert name_of(a_row("id")) == "id"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_263_815_721_279, "1.26 TB"),
        (10**22, "10,000 EB"),
    ],
)
def test_sizes_have_three_digits(size, text):
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.6, "1 min"),
        (75, "1 min 15 s"),
        (3600, "1 h"),
        (11_530, "3 h 12 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_have_their_two_largest_units(seconds, text):
    assert human_duration(seconds) == text


def test_export_ended_when_its_job_finished_but_no_later_than_it_concluded():
    assert ended_at(a_row(finished_on=format_rfc3339(NOW - 60))) == NOW - 60
    assert ended_at(a_row(finished_on="9999-12-31T23:59:59Z")) == NOW
    assert ended_at(a_row(finished_on="yesterday")) == NOW
    assert ended_at(a_row(concluded_at="")) is None


def test_timeline_counts_each_export_in_its_step():
    start = 1_700_000_100
    ends = [(0, "completed"), (299, "failed"), (300, "completed"), (300, "completed"), (9000, "completed")]
    found = timeline(a_row(outcome=outcome, concluded_at=format_rfc3339(start + at)) for at, outcome in ends)
    assert found is not None
    assert found.step_seconds == 300
    assert found.steps[:2] == (Step(start, 1, 1), Step(start + 300, 2, 0))
    assert found.busiest == found.steps[0]
    assert len(found.steps) == 31
    assert found.end == start + 9300
    assert sum(step.completed + step.failed for step in found.steps) == len(ends)


@pytest.mark.parametrize("span", [0, 1, 59, 60, 3600, 86_400, 10**7, 10**9, 1_699_999_999])
def test_timeline_has_a_readable_number_of_steps(span):
    found = timeline([a_row(), a_row(finished_on=format_rfc3339(NOW - span))])
    assert found is not None
    assert 12 <= len(found.steps) <= 60
    assert found.steps[0].start <= NOW - span
    assert found.end > NOW


def test_no_exports_have_no_timeline():
    assert timeline([]) is None
