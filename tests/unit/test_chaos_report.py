"""The judge of the fault campaign, tried on runs that are made up: what went wrong in them, it has to find."""

import json
from dataclasses import replace
from random import Random
from urllib.parse import urlencode

import pytest

from chaos.exports import KINDS, Export, make_exports
from chaos.oracle import message_attributes
from chaos.recorder import answer_is_lost, published_ids, recorded_ids
from chaos.report import judge, lines
from chaos.run import BadStart, Handled, Publication, Record, Run, Story
from chaos.timing import LONG
from local.aws_calls import PartialBatchFailure
from local.faults import Disconnect, Drip, Fault
from local.stack import DeadLetter, Notification

SOURCE = "http://127.0.0.1:1/v2/storage/exports"
BEGUN_AT = 1_800_000_000.0


def export_of(kind: str) -> Export:
    exports = make_exports(len(KINDS), LONG, Random(1))
    return next(one for one in exports if one.kind == kind)


def story_of(kind: str) -> Story:
    export = export_of(kind)
    put_at = BEGUN_AT + export.job_seconds + export.body_after if export.body else None
    return Story(export, BEGUN_AT, BEGUN_AT, BEGUN_AT, put_at, "etag" if export.body else None)


def received_of(story: Story) -> Notification:
    """The event that the contract asks for, written out by hand for completed and failed jobs."""
    export = story.export
    job = export.job.started(BEGUN_AT).body(BEGUN_AT + export.job_seconds + 1, "", None)
    failed = export.end.reason is not None
    error = export.job.error or {}
    key = export.job.location
    data = {
        "export": {name: value for name, value in job.items() if name not in ("href", "result")},
        "file": {
            "id": export.job.file,
            "name": "output.vcf",
            "project": "rfranklin/my-project",
            "size": export.size,
        },
        "object": None
        if failed
        else {
            "uri": f"s3://bucket/{key}",
            "bucket": "bucket",
            "key": key,
            "etag": "etag",
            "size": export.size,
            "storage_class": "STANDARD",
            "readable": True,
            "encryption": "AES256",
            "kms_key_id": None,
        },
        "verification": None
        if failed
        else {
            "status": "passed",
            "checks": [
                {"name": name, "status": status, "reason": "not asked for"}
                for name, status in export.end.checks.items()
            ],
        },
        "failure": {**error, "reason": export.end.reason, "message": "m", "advice": "a"} if failed else None,
        "watch": {"origin": "announced", "requested_at": "2027-01-15T08:00:00Z", "polls": 3},
        "group": export.group,
        "context": export.context,
    }
    event = {
        "specversion": "1.0",
        "id": export.event_id,
        "source": SOURCE,
        "type": "cgc.export.failed.v1" if failed else "cgc.export.completed.v1",
        "subject": export.id,
        "time": job["finished_on"],
        "datacontenttype": "application/json",
        "data": data,
    }
    attributes = {name: value for name, value in message_attributes(export, data).items() if value is not None}
    return Notification(event, attributes)


def published(story: Story, after_seconds: float = 1, **changes: object) -> Publication:
    at = story.may_end_at + after_seconds
    return replace(Publication(story.export.event_id, 0, at, f"call-{after_seconds}"), **changes)  # type: ignore[arg-type]


def a_run(*stories: Story, **changes: object) -> Run:
    """One in which everything went well."""
    run = Run(
        seed=1,
        times=LONG,
        source=SOURCE,
        stories={story.export.id: story for story in stories},
        bad_starts=[],
        received=[received_of(story) for story in stories],
        publications=[published(story) for story in stories],
        records=[Record(story.export.event_id, story.may_end_at + 2) for story in stories],
        invocations=[Handled(0, BEGUN_AT, BEGUN_AT + 1000, "returned")],
    )
    return replace(run, **changes)  # type: ignore[arg-type]


SOUND, FAILED = story_of("sound"), story_of("failed")
TWICE = [received_of(SOUND), received_of(SOUND)]


def test_run_in_which_all_went_well_is_said_to_have_gone_well() -> None:
    run = a_run(SOUND, FAILED)
    findings = judge(run)
    assert findings.passed, list(lines(run, findings))
    assert list(lines(run, findings))[-1] == "every promise was kept"


def test_export_without_its_event_is_lost() -> None:
    run = a_run(SOUND, FAILED, received=[received_of(FAILED)])
    findings = judge(run)
    assert findings.broken["lost"] == [SOUND.export.event_id]
    assert not findings.passed
    assert f"lost: {SOUND.export.event_id}" in lines(run, findings)


def test_other_end_than_the_right_one_is_both_lost_and_wrong() -> None:
    right = received_of(SOUND)
    other = {**right.event, "id": f"{SOUND.export.id}:failed:OBJECT_MISSING", "type": "cgc.export.failed.v1"}
    findings = judge(a_run(SOUND, received=[replace(right, event=other)]))
    assert findings.broken["lost"] == [SOUND.export.event_id]
    assert any("type is" in what for what in findings.broken["wrong"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("export", {"id": SOUND.export.id}),
        ("file", None),
        ("object", None),
        ("verification", None),
        ("failure", {"reason": "OBJECT_MISSING"}),
        ("group", {"id": "another", "size": 2}),
        ("context", {"another": "context"}),
        ("watch", {"origin": "announced", "requested_at": "2026-01-15T08:00:00Z", "polls": 3}),
        ("watch", {"origin": "announced", "requested_at": "2027-01-15T08:00:00Z", "polls": 0}),
        ("watch", {"origin": "discovered", "requested_at": "2027-01-15T08:00:00Z", "polls": 1}),
    ],
    ids=["export", "file", "object", "verification", "failure", "group", "context", "requested", "polls", "origin"],
)
def test_event_that_says_something_else_is_wrong(name: str, value: object) -> None:
    right = received_of(SOUND)
    said = {**right.event, "data": {**right.event["data"], name: value}}
    findings = judge(a_run(SOUND, received=[replace(right, event=said)]))
    assert findings.broken["wrong"]
    assert not findings.passed


@pytest.mark.parametrize("name", ["id", "source", "type", "time", "specversion"])
def test_envelope_that_says_something_else_is_wrong(name: str) -> None:
    right = received_of(FAILED)
    findings = judge(a_run(FAILED, received=[replace(right, event={**right.event, name: "else"})]))
    assert findings.broken["wrong"] or findings.broken["lost"]


def test_check_that_came_out_otherwise_is_wrong() -> None:
    right = received_of(SOUND)
    verification = right.event["data"]["verification"]
    checks = [{**check, "status": "skipped"} for check in verification["checks"]]
    data = {**right.event["data"], "verification": {**verification, "checks": checks}}
    findings = judge(a_run(SOUND, received=[replace(right, event={**right.event, "data": data})]))
    assert any("the checks are" in what for what in findings.broken["wrong"])


def test_message_attribute_too_many_or_too_few_is_wrong() -> None:
    right = received_of(SOUND)
    for attributes in ({**right.attributes, "reason": "OBJECT_MISSING"}, {"type": "cgc.export.completed.v1"}):
        assert judge(a_run(SOUND, received=[replace(right, attributes=attributes)])).broken["wrong"]


def test_event_before_its_time_is_wrong() -> None:
    missing = story_of("missing")
    early = published(missing, after_seconds=-missing.export.end.grace - 10)
    findings = judge(a_run(SOUND, publications=[published(SOUND, after_seconds=-0.5)]))
    assert any("too early" in what for what in findings.broken["wrong"])
    assert any("too early" in what for what in judge(a_run(missing, received=[], publications=[early])).broken["wrong"])


def test_event_that_was_never_recorded_is_wrong() -> None:
    assert judge(a_run(SOUND, records=[])).broken["wrong"] == [f"{SOUND.export.event_id}: never recorded"]


def test_event_of_nobody_is_wrong() -> None:
    findings = judge(a_run(SOUND, received=[received_of(SOUND), received_of(FAILED)]))
    assert findings.broken["wrong"] == [f"{FAILED.export.event_id}: nobody announced it"]


def test_duplicate_without_an_excuse_is_not_explained() -> None:
    findings = judge(a_run(SOUND, received=TWICE, publications=[published(SOUND), published(SOUND, 1.5)]))
    assert [one.partition(": ")[0] for one in findings.broken["not explained"]] == [SOUND.export.event_id]
    assert not findings.passed


def test_duplicate_after_a_lost_answer_is_explained() -> None:
    publications = [published(SOUND, answer_lost=True), published(SOUND, 1.5)]
    findings = judge(a_run(SOUND, received=TWICE, publications=publications))
    assert findings.explained == {SOUND.export.event_id: "2 times: its answer was lost"}
    assert findings.passed


def test_second_try_of_a_call_whose_answer_was_lost_is_explained() -> None:
    publications = [
        published(SOUND, answer_lost=True, call="same"),
        published(SOUND, 1.2, call="same"),
        published(SOUND, 1.5),
    ]
    assert judge(a_run(SOUND, received=[*TWICE, received_of(SOUND)], publications=publications)).passed


@pytest.mark.parametrize("status", ["crashed", "timed_out"])
def test_duplicate_after_a_killed_worker_is_explained(status: str) -> None:
    at = SOUND.may_end_at
    run = a_run(
        SOUND,
        received=TWICE,
        publications=[published(SOUND), published(SOUND, 30, worker=1)],
        records=[Record(SOUND.export.event_id, at + 31)],
        invocations=[Handled(0, at, at + 1.1, status), Handled(1, at + 29, at + 32, "returned")],
    )
    assert judge(run).explained == {SOUND.export.event_id: f"2 times: its worker {status}"}


def test_kill_after_the_record_excuses_nothing() -> None:
    at = SOUND.may_end_at
    run = a_run(
        SOUND,
        received=TWICE,
        publications=[published(SOUND), published(SOUND, 30, worker=1)],
        records=[Record(SOUND.export.event_id, at + 1.05)],
        invocations=[Handled(0, at, at + 1.1, "crashed"), Handled(1, at + 29, at + 32, "returned")],
    )
    assert judge(run).broken["not explained"] == [
        f"{SOUND.export.event_id}: 2 times: published after it had been recorded"
    ]


def test_kill_of_another_worker_excuses_nothing() -> None:
    at = SOUND.may_end_at
    run = a_run(
        SOUND,
        received=TWICE,
        publications=[published(SOUND), published(SOUND, 1.5)],
        invocations=[Handled(0, at, at + 3, "returned"), Handled(1, at, at + 1.1, "crashed")],
    )
    assert judge(run).broken["not explained"]


def test_bad_start_event_belongs_into_the_dead_letter_queue_with_its_error() -> None:
    bad = BadStart("bad-1", "export_id: must be")
    good = DeadLetter('{"export_id": "../bad-1"}', "export_id: must be 1 to 128 letters")
    assert judge(a_run(SOUND, bad_starts=[bad], letters=[good, good])).passed
    assert judge(a_run(SOUND, bad_starts=[bad])).broken["dead letter lost"] == ["bad-1"]
    assert judge(a_run(SOUND, bad_starts=[bad], letters=[replace(good, error="")])).broken["dead letter"]
    assert judge(a_run(SOUND, letters=[DeadLetter('{"export_id": "good"}', "unforeseen")])).broken["dead letter"]


def test_message_left_and_error_that_left_the_function_are_not_well() -> None:
    assert not judge(a_run(SOUND, messages_left=1)).passed
    assert not judge(a_run(SOUND, raised=["KeyError: 'x'"])).passed


def test_event_of_another_type_is_counted_and_not_judged() -> None:
    other = Notification({"type": "cgc.export.later.v1", "id": "later"}, {})
    findings = judge(a_run(SOUND, received=[received_of(SOUND), other]))
    assert findings.passed
    assert findings.of_other_types == 1


def in_a_group(story: Story) -> Story:
    return replace(story, export=replace(story.export, group={"id": "run", "size": 2}))


def concluded(completed: int, *failed: str, missing: int = 0, seconds: int = 9) -> Notification:
    data = {
        "completed": completed,
        "failed": len(failed),
        "missing": missing,
        "failures": [{"export_id": export_id} for export_id in failed],
        "first_requested_at": "2027-01-15T08:00:00Z",
        "concluded_at": f"2027-01-15T08:{seconds // 60:02}:{seconds % 60:02}Z",
    }
    event = {"type": "cgc.export.group.concluded.v1", "id": "run:concluded", "subject": "run", "data": data}
    return Notification(event, {})


def test_group_is_lost_without_its_event_and_wrong_with_another_count() -> None:
    members = [in_a_group(SOUND), in_a_group(FAILED)]
    ends = [received_of(member) for member in members]
    assert judge(a_run(*members, received=ends)).broken["lost"] == ["run:concluded"]
    right = judge(a_run(*members, received=[*ends, concluded(1, FAILED.export.id)]))
    assert right.passed
    late = judge(a_run(*members, received=[*ends, concluded(0, FAILED.export.id, missing=1, seconds=600)]))
    assert late.passed
    early = concluded(0, FAILED.export.id, missing=1)
    for event in (concluded(2), concluded(1, SOUND.export.id), concluded(0, FAILED.export.id), early):
        assert len(judge(a_run(*members, received=[*ends, event])).broken["wrong"]) == 1


def test_longest_wait_counts_from_when_the_watch_could_end() -> None:
    run = a_run(SOUND, FAILED, publications=[published(SOUND, 2), published(FAILED, 9), published(FAILED, 30)])
    seconds, event_id = judge(run).longest_wait
    assert event_id == FAILED.export.event_id
    assert round(seconds, 3) == 9


def test_export_that_the_campaign_was_too_slow_with_may_end_either_way_but_must_end() -> None:
    late = replace(story_of("late-object"), object_put_at=BEGUN_AT + 1000)
    other = received_of(SOUND)
    event = {**other.event, "id": f"{late.export.id}:failed:OBJECT_MISSING", "subject": late.export.id}
    findings = judge(a_run(late, received=[replace(other, event=event)], publications=[]))
    assert findings.unsure == [late.export.id]
    assert findings.passed
    assert judge(a_run(late, received=[], publications=[])).broken["lost"] == [late.export.event_id]


def test_witness_reads_who_was_published_and_recorded_from_the_calls() -> None:
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


def test_every_kind_of_export_has_its_end() -> None:
    for export in make_exports(len(KINDS), LONG, Random(3)):
        failed = export.end.reason is not None
        assert export.event_id == f"{export.id}:{f'failed:{export.end.reason}' if failed else 'completed'}"
        assert bool(export.end.failed) == (export.end.reason in ("OBJECT_MISSING", "OBJECT_MISMATCH"))
