"""Events after wrong and broken answers: only the job's own state ends a watch, and every consumer can parse them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export_monitor.adapters.sevenbridges.transport import HttpResponse
from export_monitor.application.gathering import gather
from export_monitor.domain import strict_json
from export_monitor.domain.assessment import assess
from export_monitor.domain.canned_acls import EVERYONE
from export_monitor.domain.events import MAX_MESSAGE_BYTES, SnsMessage, build_message
from export_monitor.domain.grace import Conclude, GracePolicy, Wait, decide
from export_monitor.domain.model import (
    ExportJob,
    Grant,
    Group,
    HeadAndTail,
    ObjectAcl,
    ObjectAnswer,
    ObjectForbidden,
    ObjectNotFound,
    StoredObject,
    Unavailable,
    Unread,
    Volume,
    Watch,
)
from export_monitor.domain.object_location import candidate_keys
from export_monitor.domain.start_events import MAX_CONTEXT_BYTES
from export_monitor.domain.verdicts import CheckStatus, Completed, Evidence, Failed, Failing, Verdict
from tests.contract.sample_events import published
from tests.contract.schema_files import validator
from tests.fakes import response_of
from tests.unit.builders import DAY, NOW, a_grace_policy, a_watch, an_object
from tests.unit.property.any_api import (
    BASE,
    ERROR,
    FAILED_JOB,
    FILE,
    FILE_ANSWERS,
    ID,
    JOB,
    JOB_ANSWERS,
    VOLUME,
    VOLUME_ANSWERS,
    Platform,
    check_error,
    states_in,
)
from tests.unit.property.strategies import bounded, nested

pytestmark = pytest.mark.once

SOME = st.text(min_size=1, max_size=20)
ACCESS = st.sampled_from([frozenset({Grant("o", "FULL_CONTROL")}), frozenset({Grant(EVERYONE, "READ")})])
ODD_OBJECTS = st.builds(
    StoredObject,
    bucket=SOME,
    key=SOME | st.just("reads.bam"),
    size=st.just(1234) | st.integers(0, 2**63),
    etag=SOME,
    last_modified_at=st.just(NOW) | st.floats(0, 4e9),
    version_id=st.none() | SOME,
    storage_class=st.just("STANDARD") | SOME,
    encryption=st.none() | st.just("AES256") | SOME,
    kms_key_id=st.none() | st.just("k") | SOME,
    checksums=st.dictionaries(SOME, SOME, max_size=2),
    checksum_type=st.none() | SOME,
    readable=st.booleans(),
    head_and_tail=st.builds(HeadAndTail, st.binary(max_size=20), st.binary(max_size=20)) | st.builds(Unread, SOME),
    acl=st.builds(ObjectAcl, st.just("o"), ACCESS, st.just("b")) | st.builds(Unread, SOME),
)
OBJECTS = (
    st.just(an_object(encryption="AES256"))
    | ODD_OBJECTS
    | st.builds(an_object, size=st.integers(0, 2**63), key=st.sampled_from(["reads.bam", "\U0001f9ec" * 256]))
    | st.just(ObjectNotFound("bucket", ("dir/reads.txt",)))
    | st.builds(ObjectForbidden, st.just("bucket"), st.just("S3 denies s3://bucket/dir/reads.txt."))
    | st.builds(Unavailable, st.just("S3 cannot be reached"))
)


class Objects:
    """S3, where the keys of a bucket that may be asked have one answer."""

    def __init__(self, answer: ObjectAnswer) -> None:
        self.answer = answer

    def inspect(self, wanted: Sequence[tuple[Volume, ExportJob]], within_seconds: float) -> list[ObjectAnswer]:
        return [self._inspect_one(volume, candidate_keys(volume.prefix, job.location or "")) for volume, job in wanted]

    def _inspect_one(self, volume: Volume, keys: Sequence[str]) -> ObjectAnswer:
        if volume.bucket != "bucket":
            return ObjectForbidden(volume.bucket, f"The bucket {volume.bucket} is not one of ExportBuckets.")
        return self.answer if keys else ObjectNotFound(volume.bucket, ())


@dataclass(frozen=True)
class Answers:
    """The answers of the API and of S3 about an export in one poll."""

    job: HttpResponse
    volume: HttpResponse
    file: HttpResponse
    object: ObjectAnswer


ANSWERS = st.builds(Answers, JOB_ANSWERS, VOLUME_ANSWERS, FILE_ANSWERS, OBJECTS)


def answers_with(job: Mapping[str, Any] | bytes) -> Answers:
    """This answer about the job, and good ones about everything else."""
    good = response_of(200, VOLUME), response_of(200, FILE), an_object(encryption="AES256")
    return Answers(response_of(200, job), *good)


def failed_with(later: str) -> Answers:
    """A failed job with a field of this JSON."""
    return answers_with(f'{{"id": "{ID}", "state": "FAILED", "later": {later}}}'.encode())


def going_to(location: Any) -> Answers:
    """A completed job whose object should be at this location."""
    return answers_with(JOB | {"destination": {"volume": "o/v", "location": location}})


def polled(given: Answers, watch: Watch, grace: GracePolicy) -> tuple[Verdict, Evidence, Wait | Conclude]:
    """One poll of an export, as the watch does it."""
    api = Platform(given.job, given.volume, given.file).api
    overdue = {ID: watch.age(NOW) >= grace.timeout}
    answers = gather(overdue, api, Objects(given.object), lambda: 45.0)[ID]
    for answer in (answers.job, answers.volume, answers.file, answers.object):
        check_error(answer)
    verdict, evidence = assess(answers, NOW)
    if isinstance(verdict, Failing) and verdict.failure.reason.name.startswith(("OBJECT", "VOLUME")):
        assert evidence.job
        assert evidence.job.state == "COMPLETED"
    return verdict, evidence, decide(verdict, watch, NOW, NOW, grace, random=0.5)


def check_message(message: SnsMessage) -> None:
    """Check a message by the limits of SNS."""
    assert message.size_bytes <= MAX_MESSAGE_BYTES
    assert message.body.isascii()
    assert re.fullmatch("[!-~][ -~]{0,98}", message.subject)
    assert len(message.attributes) <= 10
    for value in message.attributes.values():
        if isinstance(value, int):
            assert abs(value) <= 10**9
        else:
            assert value
            assert value.isprintable()
            value.encode()


def check_event(message: SnsMessage, watch: Watch) -> None:
    """Check an event by its schema, and its mail for control characters."""
    event = published(message)
    validator(event["type"]).validate(event)
    validator(event["type"], closed=True).validate(event)
    # Every consumer's parser takes it: no lone surrogate, not even escaped, and no endless nesting.
    json.dumps(event, ensure_ascii=False).encode()
    assert strict_json.depth(event) < 510
    failure = event["data"]["failure"]
    assert event["subject"] == watch.start.export_id
    assert event["id"] == f"{event['subject']}:" + (f"failed:{failure['reason']}" if failure else "completed")
    assert event["data"]["export"]["id"] == watch.start.export_id
    assert event["data"]["context"] == watch.start.context
    parts = json.loads(message.body)
    assert set(parts) == {"default", "email"}
    assert all(line.isprintable() for line in parts["email"].split("\n"))


@bounded(300)
@given(ANSWERS)
def test_only_the_api_s_own_job_ends_a_young_watch(given: Answers) -> None:
    watch = a_watch(context={"sample": "ü"}, group=Group("g", 2), export_id=ID)
    verdict, evidence, decision = polled(given, watch, a_grace_policy())
    if isinstance(decision, Wait):
        assert 0 < decision.seconds <= 12 * 3600
        return
    assert states_in(given.job) & {"COMPLETED", "FAILED"}
    message = build_message(watch, evidence, decision.failure, NOW, BASE)
    check_message(message)
    check_event(message, watch)
    assert isinstance(verdict, Completed | Failed)
    if isinstance(verdict, Completed):
        assert evidence.verification
        seen = isinstance(evidence.object, StoredObject)
        assert evidence.verification.status is (CheckStatus.PASSED if seen else CheckStatus.SKIPPED)


LONGEST = "\U0001f9ec" * 1024


@bounded(300)
@given(ANSWERS, st.sampled_from(["", "\x01", '"', "ü", "\U0001f9ec"]), st.floats(13.5 * DAY, NOW), st.integers(1, 1000))
@example(failed_with(nested(499)), "", 13.5 * DAY, 1)
@example(failed_with(nested(700)), "", 13.5 * DAY, 1)
@example(failed_with(nested(990)), "", 13.5 * DAY, 1)
@example(failed_with('{"\\ud800": "\\udc00"}'), "", 13.5 * DAY, 1)
@example(answers_with(FAILED_JOB | {"error": ERROR | {"message": "\ud800"}}), "", 13.5 * DAY, 1)
@example(answers_with(FAILED_JOB | {"error": {"code": -(10**4299), "status": 10**4299}}), "", 13.5 * DAY, 1)
@example(answers_with(JOB | {"state": LONGEST, "later": "x" * 300_000}), "\U0001f9ec", 13.5 * DAY, 1)
@example(going_to({"a": ["x"] * 9}), "", 13.5 * DAY, 1)
@example(going_to("\ud800"), "", 13.5 * DAY, 1)
@example(going_to(LONGEST), "\x01", 13.5 * DAY, 1)
def test_watch_at_its_final_deadline_ends_with_an_event_that_every_consumer_can_parse(
    given: Answers, filling: str, age: float, receive_count: int
) -> None:
    taken = len(json.dumps(filling, ensure_ascii=False).encode()) - len('""')
    context = {"k": filling * ((MAX_CONTEXT_BYTES - len('{"k":""}')) // taken)} if filling else {}
    watch = a_watch(age=age, receive_count=receive_count, context=context, group=Group("g" * 128, 10_000), export_id=ID)
    _, evidence, decision = polled(given, watch, replace(a_grace_policy(), object_grace=0))
    assert isinstance(decision, Conclude)
    message = build_message(watch, evidence, decision.failure, NOW, BASE)
    check_message(message)
    check_event(message, watch)
