"""The report of the fault campaign finds every broken guarantee in made-up runs."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from chaos.exports import KINDS, PROJECT, Export, make_exports
from chaos.group_reports import expected_row
from chaos.recorder import answer_is_lost, published_ids, recorded_ids
from chaos.report import Findings, judge, lines
from chaos.run import BadStart, InvocationRecord, Publication, Record, ReportWrite, Run, Timeline
from chaos.timing import LONG
from export_monitor.adapters.sevenbridges.responses import parse_job
from export_monitor.domain.assessment import Snapshot
from export_monitor.domain.model import SourceFile
from local.aws_calls import PartialBatchFailure
from local.faults import Disconnect, Drip, Fault
from local.stack import DeadLetter, Notification
from tests.contract.sample_events import API, OBJECT, VOLUME, ending, example_watch
from tests.contract.sample_events import published as event_in

SOURCE = f"{API}/storage/exports"
BEGAN_AT = 1_800_000_000.0


def export_of(kind: str) -> Export:
    exports = make_exports(len(KINDS), LONG, Random(1))
    return next(replace(one, group=None) for one in exports if one.kind == kind)


def timeline_of(kind: str) -> Timeline:
    export = export_of(kind)
    put_at = BEGAN_AT + export.job_seconds + export.body_after if export.body else None
    return Timeline(export, BEGAN_AT, BEGAN_AT, BEGAN_AT, put_at, "etag" if export.body else None)


def received_of(timeline: Timeline) -> Notification:
    """The event of a completed or failed job, as the app publishes it."""
    export = timeline.export
    job = parse_job(export.job.started(BEGAN_AT).body(BEGAN_AT + export.job_seconds + 1, "", None), export.id)
    assert job
    file = SourceFile(export.job.file, "output.vcf", PROJECT, export.size)
    found = replace(OBJECT, key=export.job.location, etag="etag", last_modified_at=BEGAN_AT + export.job_seconds)
    watch = example_watch(**export.detail, sent_at=BEGAN_AT)
    message = ending(Snapshot(job, VOLUME, file, found), watch, BEGAN_AT + 30)
    assert message
    return Notification(event_in(message), {name: str(value) for name, value in message.attributes.items()})


def published(timeline: Timeline, after_seconds: float = 1, **changes: object) -> Publication:
    at = timeline.may_end_at + after_seconds
    return replace(Publication(timeline.export.event_id, 0, at, f"call-{after_seconds}"), **changes)  # type: ignore[arg-type]


def a_run(*timelines: Timeline, **changes: object) -> Run:
    """A run that keeps every guarantee."""
    run = Run(
        seed=1,
        times=LONG,
        source=SOURCE,
        timelines={timeline.export.id: timeline for timeline in timelines},
        bad_starts=[],
        received=[received_of(timeline) for timeline in timelines],
        publications=[published(timeline) for timeline in timelines],
        records=[Record(timeline.export.event_id, timeline.may_end_at + 2) for timeline in timelines],
        invocations=[InvocationRecord(0, BEGAN_AT, BEGAN_AT + 1000, "returned")],
    )
    return replace(run, **changes)  # type: ignore[arg-type]


SOUND, FAILED = timeline_of("sound"), timeline_of("failed")
TWICE = [received_of(SOUND), received_of(SOUND)]


def changed(right: Notification, data: dict[str, Any] | None = None, **envelope: Any) -> Notification:
    return replace(right, event={**right.event, **envelope, "data": {**right.event["data"], **(data or {})}})


RIGHT = received_of(SOUND)
WATCH = RIGHT.event["data"]["watch"]
VERIFICATION = RIGHT.event["data"]["verification"]
SKIPPED = [{**check, "status": "skipped"} for check in VERIFICATION["checks"]]


def test_run_without_a_broken_guarantee_passes() -> None:
    run = a_run(SOUND, FAILED)
    findings = judge(run)
    assert findings.passed, list(lines(run, findings))
    assert list(lines(run, findings))[-1] == "every guarantee was kept"


def test_export_without_its_event_is_lost() -> None:
    run = a_run(SOUND, FAILED, received=[received_of(FAILED)])
    findings = judge(run)
    assert findings.broken["lost"] == [SOUND.export.event_id]
    assert not findings.passed
    assert f"lost: {SOUND.export.event_id}" in lines(run, findings)


def test_event_of_another_end_is_both_lost_and_wrong() -> None:
    other = changed(RIGHT, id=f"{SOUND.export.id}:failed:OBJECT_MISSING", type="cgc.export.failed.v1")
    findings = judge(a_run(SOUND, received=[other]))
    assert findings.broken["lost"] == [SOUND.export.event_id]
    assert any("type is" in what for what in findings.broken["wrong"])


@pytest.mark.parametrize(
    "event",
    [
        changed(RIGHT, {"export": {"id": SOUND.export.id}}),
        changed(RIGHT, {"file": None}),
        changed(RIGHT, {"object": None}),
        changed(RIGHT, {"verification": None}),
        changed(RIGHT, {"verification": {"status": "passed", "checks": SKIPPED}}),
        changed(RIGHT, {"verification": VERIFICATION | {"content": {"fault": {"offset": 5}}}}),
        changed(RIGHT, {"failure": {"reason": "OBJECT_MISSING"}}),
        changed(RIGHT, {"group": {"id": "another", "size": 2}}),
        changed(RIGHT, {"context": {"another": "context"}}),
        changed(RIGHT, {"watch": WATCH | {"requested_at": "2026-01-15T08:00:00Z"}}),
        changed(RIGHT, {"watch": WATCH | {"polls": 0}}),
        changed(RIGHT, {"watch": WATCH | {"origin": "discovered"}}),
        *(changed(RIGHT, **{name: "else"}) for name in ("source", "time", "specversion")),
        replace(RIGHT, attributes={**RIGHT.attributes, "reason": "A"}),
        replace(RIGHT, attributes={"type": "cgc.export.completed.v1"}),
    ],
)
def test_event_with_other_content_is_wrong(event: Notification) -> None:
    assert judge(a_run(SOUND, received=[event])).broken["wrong"]


def test_event_before_its_time_is_wrong() -> None:
    missing = timeline_of("missing")
    early = published(missing, after_seconds=-missing.export.end.grace - 10)
    findings = judge(a_run(SOUND, publications=[published(SOUND, after_seconds=-0.5)]))
    assert any("too early" in what for what in findings.broken["wrong"])
    assert any("too early" in what for what in judge(a_run(missing, received=[], publications=[early])).broken["wrong"])


def test_event_that_was_never_recorded_is_wrong() -> None:
    assert judge(a_run(SOUND, records=[])).broken["wrong"] == [f"{SOUND.export.event_id}: never recorded"]


def test_event_that_was_never_announced_is_wrong() -> None:
    findings = judge(a_run(SOUND, received=[received_of(SOUND), received_of(FAILED)]))
    assert findings.broken["wrong"] == [f"{FAILED.export.event_id}: was never announced"]


AT = SOUND.may_end_at


def invocation(worker: int, after_seconds: float, status: str) -> InvocationRecord:
    began_at = AT + (29 if worker and after_seconds > 29 else 0)
    return InvocationRecord(worker, began_at, AT + after_seconds, status)


def twice(second_after: float = 1.5, second_worker: int = 0, **first: Any) -> list[Publication]:
    return [published(SOUND, **first), published(SOUND, second_after, worker=second_worker)]


LOST = twice(answer_lost=True, call="c")
BY_BOTH = twice(30, 1)
RETURNED = [invocation(0, 1000, "returned")]
KILLED, TIMED_OUT = ([invocation(0, 1.1, how), invocation(1, 32, "returned")] for how in ("crashed", "timed_out"))
OTHER_KILLED = [invocation(0, 3, "returned"), invocation(1, 1.1, "crashed")]
UNEXPLAINED = "2 times by workers that were neither killed nor left without an answer"
LOST_AND_LOST = "its answer was lost, its answer was lost"


@pytest.mark.parametrize(
    ("publications", "recorded_after", "invocations", "why", "is_explained"),
    [
        (twice(), 2, RETURNED, UNEXPLAINED, False),
        (LOST, 2, RETURNED, "its answer was lost", True),
        ([LOST[0], published(SOUND, 1.2, call="c"), LOST[1]], 2, RETURNED, LOST_AND_LOST, True),
        (BY_BOTH, 31, KILLED, "its worker crashed", True),
        (BY_BOTH, 31, TIMED_OUT, "its worker timed_out", True),
        (BY_BOTH, 1.05, KILLED, "published after it had been recorded", False),
        (twice(), 2, OTHER_KILLED, UNEXPLAINED, False),
    ],
    ids=["nothing", "lost", "lost call repeated", "killed", "timed out", "killed after record", "other worker killed"],
)
def test_duplicate_is_explained_by_a_lost_answer_or_a_kill_before_the_record(
    publications: list[Publication], recorded_after: float, invocations: Any, why: str, is_explained: bool
) -> None:
    why = f"2 times: {why}"
    records = [Record(SOUND.export.event_id, AT + recorded_after)]
    run = a_run(SOUND, received=TWICE, publications=publications, records=records, invocations=invocations)
    findings = judge(run)
    assert findings.explained == ({SOUND.export.event_id: why} if is_explained else {})
    assert findings.broken["not explained"] == ([] if is_explained else [f"{SOUND.export.event_id}: {why}"])
    assert findings.passed is is_explained


def test_invalid_start_event_must_be_in_the_dead_letter_queue_with_its_error() -> None:
    bad = BadStart("bad-1", "export_id: must be")
    good = DeadLetter('{"export_id": "../bad-1"}', "export_id: must be 1 to 128 dead_letters")
    assert judge(a_run(SOUND, bad_starts=[bad], dead_letters=[good, good])).passed
    assert judge(a_run(SOUND, bad_starts=[bad])).broken["dead letter lost"] == ["bad-1"]
    assert judge(a_run(SOUND, bad_starts=[bad], dead_letters=[replace(good, error="")])).broken["dead letter"]
    assert judge(a_run(SOUND, dead_letters=[DeadLetter('{"export_id": "good"}', "unforeseen")])).broken["dead letter"]


def test_message_left_and_error_raised_break_a_guarantee() -> None:
    assert not judge(a_run(SOUND, messages_left=1)).passed
    assert not judge(a_run(SOUND, raised=["KeyError: 'x'"])).passed


def in_a_group(timeline: Timeline) -> Timeline:
    return replace(timeline, export=replace(timeline.export, group={"id": "run", "size": 2}))


def report_of(*events: Any, bucket: str = "reports") -> tuple[dict[str, Any], list[ReportWrite]]:
    """What a group's event says of its report, and its objects, written before any event is published."""
    rows = sorted((expected_row(event) for event in events), key=itemgetter("export_id"))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(expected_row(received_of(SOUND).event)))
    writer.writeheader()
    writer.writerows(rows)
    contents = {"csv": text.getvalue().encode(), "html": b"<!doctype html>"}
    objects = {kind: f"{bucket}/groups/run/report.{kind}" for kind in contents}
    said = {kind: f"s3://{place}" for kind, place in objects.items()}
    digest = hashlib.sha256(contents["csv"]).hexdigest()
    writes = [ReportWrite(objects[kind], content, BEGAN_AT) for kind, content in contents.items()]
    return {**said, "rows": len(rows), "csv_sha256": digest}, writes


def concluded(completed: int, *failed: str, missing: int = 0, seconds: int = 9, report: Any = None) -> Notification:
    data = {
        "report": report or report_of()[0],
        "completed": completed,
        "failed": len(failed),
        "missing": missing,
        "failures": [{"export_id": export_id} for export_id in failed],
        "first_requested_at": "2027-01-15T08:00:00Z",
        "concluded_at": f"2027-01-15T08:{seconds // 60:02}:{seconds % 60:02}Z",
    }
    event = {"type": "cgc.export.group.concluded.v1", "id": "run:concluded", "subject": "run", "data": data}
    return Notification(event, {})


MEMBERS = [in_a_group(SOUND), in_a_group(FAILED)]
MEMBERS_ENDS = [received_of(member) for member in MEMBERS]
REPORT, WRITES = report_of(*(one.event for one in MEMBERS_ENDS))


def in_a_run(group: Notification, writes: Sequence[ReportWrite] = WRITES) -> Findings:
    """The findings about a run of the two members, with this event of their group."""
    publications = [*map(published, MEMBERS), Publication("run:concluded", 0, BEGAN_AT + 1000, "of the group")]
    return judge(a_run(*MEMBERS, received=[*MEMBERS_ENDS, group], publications=publications, report_writes=writes))


def test_group_is_lost_without_its_event_and_wrong_with_another_count() -> None:
    assert judge(a_run(*MEMBERS, received=MEMBERS_ENDS)).broken["lost"] == ["run:concluded"]
    assert in_a_run(concluded(1, FAILED.export.id, report=REPORT)).passed
    [_, failed] = MEMBERS_ENDS
    report, writes = report_of(failed.event)
    assert in_a_run(concluded(0, FAILED.export.id, missing=1, seconds=600, report=report), writes).passed
    early = concluded(0, FAILED.export.id, missing=1)
    for event in (concluded(2), concluded(1, SOUND.export.id), concluded(0, FAILED.export.id), early):
        assert len(in_a_run(event).broken["wrong"]) == 1


def another_row() -> tuple[dict[str, Any], list[ReportWrite]]:
    sound, failed = (one.event for one in MEMBERS_ENDS)
    return report_of({**sound, "data": {**sound["data"], "context": {"another": "context"}}}, failed)


@pytest.mark.parametrize(
    ("report", "writes", "what"),
    [
        (REPORT, WRITES[:1], "was published before its report.html was written"),
        (REPORT, [replace(one, asked_at=BEGAN_AT + 1e6) for one in WRITES], "was published before its report.csv"),
        (REPORT, [*WRITES, replace(WRITES[1], content=b"another page")], "report.html was written 2 times"),
        (REPORT | {"csv_sha256": "0" * 64}, WRITES, "csv_sha256 is not that of report.csv"),
        (*report_of(MEMBERS_ENDS[0].event), "report.csv has 1 rows"),
        (*report_of(*(one.event for one in MEMBERS_ENDS), MEMBERS_ENDS[0].event), "the rows are not one for each"),
        (*another_row(), f"the row of {SOUND.export.id} is not its event"),
        (
            REPORT | {"csv": "s3://reports/groups/other/report.csv"},
            WRITES,
            "the report is at s3://reports/groups/other",
        ),
    ],
    ids=["no page", "late", "not the same", "checksum", "row missing", "row twice", "another row", "place"],
)
def test_report_that_does_not_say_what_was_published_is_wrong(
    report: dict[str, Any], writes: list[ReportWrite], what: str
) -> None:
    findings = in_a_run(concluded(1, FAILED.export.id, report=report), writes)
    assert any(found.startswith(f"run:concluded: {what}") for found in findings.broken["report wrong"])


def test_longest_wait_counts_from_when_the_watch_could_end() -> None:
    run = a_run(SOUND, FAILED, publications=[published(SOUND, 2), published(FAILED, 9), published(FAILED, 30)])
    seconds, event_id = judge(run).longest_wait
    assert event_id == FAILED.export.event_id
    assert round(seconds, 3) == 9


def test_export_for_which_the_campaign_was_too_slow_may_end_either_way_but_must_end() -> None:
    late = replace(timeline_of("late-object"), object_put_at=BEGAN_AT + 1000)
    event = changed(RIGHT, id=f"{late.export.id}:failed:OBJECT_MISSING", subject=late.export.id)
    findings = judge(a_run(late, received=[event], publications=[]))
    assert findings.unsure == [late.export.id]
    assert findings.passed
    assert judge(a_run(late, received=[], publications=[])).broken["lost"] == [late.export.event_id]


def test_recorder_reads_published_and_recorded_events_from_the_calls() -> None:
    entries = {
        f"PublishBatchRequestEntries.member.{number}.Message": json.dumps(
            {"default": json.dumps({"id": event_id}), "email": "…"}
        )
        for number, event_id in enumerate(("a:completed", "b:failed:TIMED_OUT"), 1)
    }
    assert published_ids(urlencode({"Action": "PublishBatch", **entries}).encode()) == [
        "a:completed",
        "b:failed:TIMED_OUT",
    ]
    record = {"ExpressionAttributeValues": {":event": {"SS": ["a:completed"]}, ":message": {"SS": ["5f0c-1"]}}}
    claim = {"ExpressionAttributeValues": {":event": {"S": "b:completed"}}}
    assert recorded_ids(json.dumps(record).encode()) == ["a:completed"]
    transaction = {"TransactItems": [{"Update": claim}, {"Update": record}]}
    assert recorded_ids(json.dumps(transaction).encode()) == ["a:completed"]


@pytest.mark.parametrize(
    ("fault", "seconds", "is_lost"),
    [
        (None, 0.1, False),
        (None, 6, True),
        (Disconnect("after"), 0.1, True),
        (Drip(1), 0.1, True),
        (PartialBatchFailure("InternalError"), 0.1, False),
    ],
    ids=["none", "late", "interrupted", "dripping", "in part"],
)
def test_answer_is_lost_with_some_faults_and_where_it_took_too_long(
    fault: Fault | None, seconds: float, is_lost: bool
) -> None:
    assert answer_is_lost(fault, seconds) is is_lost
