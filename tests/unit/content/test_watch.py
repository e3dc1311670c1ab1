"""What a watch does with the content check: who is eligible, what is asked, and what the answers mean."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from export_monitor.application.gathering import with_content
from export_monitor.domain.advice import BY_REASON, CONTENT_IS_DAMAGED, advice
from export_monitor.domain.assessment import ContentAnswer, Snapshot, assess, without_unfinished_content
from export_monitor.domain.content.eligibility import GIB, OFF, OTHERS_FIRST, UNFINISHED, ContentPolicy
from export_monitor.domain.content.formats import Unverifiable
from export_monitor.domain.content.results import ContentVerdict, Fault
from export_monitor.domain.content.target import (
    ContentMessage,
    ContentTarget,
    InvalidContentMessageError,
    Part,
    parse_content_message,
)
from export_monitor.domain.events import build_message
from export_monitor.domain.model import HeadAndTail, ObjectNotFound, Unavailable
from export_monitor.domain.unexpected import Unexpected
from export_monitor.domain.verdicts import CheckResult, CheckStatus, Completed, Failing, Reason, Undetermined
from tests.unit.builders import NOW, a_file, a_job, a_volume, a_watch, an_object
from tests.unit.content.files import EOF_BLOCK

FOUND = an_object()
SNAPSHOT = Snapshot(a_job(), a_volume(), a_file(), FOUND)
POLICY = ContentPolicy(1 * GIB, "us-east-1")
SOUND = ContentVerdict("BAM", 1000, 7, 5000, fault=None)
DAMAGED = replace(SOUND, fault=Fault(123456, "the CRC32 of the inflated block is wrong"))


class Contents:
    """Content checks with one answer for all; remembers what it was asked for."""

    def __init__(self, answer: Callable[[], ContentAnswer | Unexpected]) -> None:
        self.answer = answer
        self.asked: list[ContentTarget] = []

    def answers(self, targets: Sequence[ContentTarget], now: float) -> list[ContentAnswer | Unexpected]:
        self.asked += targets
        return [self.answer() for _ in targets]


def content_of(snapshot: Snapshot) -> CheckResult:
    verification = assess(snapshot, NOW)[1].verification
    assert verification
    [check] = [check for check in verification.checks if check.name == "content"]
    return check


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"size": GIB + 1}, "larger than ContentCheckMaxGiB (1 GiB)"),
        ({"readable": False}, "archived"),
        ({"storage_class": "STANDARD_IA"}, "retrieval fee"),
        ({"storage_class": "ONEZONE_IA"}, "retrieval fee"),
        ({"storage_class": "GLACIER_IR"}, "retrieval fee"),
        ({"region": "eu-west-1"}, "the bucket is in eu-west-1"),
        ({"head_and_tail": HeadAndTail(b"hello", b"hello")}, "no format with checksums"),
        ({"head_and_tail": HeadAndTail(b"CRAM\2\1" + bytes(20), b"")}, "CRAM 2.1"),
    ],
)
def test_object_that_is_not_eligible_is_skipped_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    answer = POLICY.target(replace(FOUND, **changes))
    assert isinstance(answer, Unverifiable)
    assert reason in answer.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"size": GIB},
        {"storage_class": "INTELLIGENT_TIERING"},
        {"region": "us-east-1"},
        {"region": None},
        {"head_and_tail": HeadAndTail(EOF_BLOCK, EOF_BLOCK)},
    ],
)
def test_object_that_is_eligible_is_verified_in_the_version_that_was_inspected(changes: dict[str, Any]) -> None:
    found = replace(FOUND, version_id="v1", **changes)
    assert POLICY.target(found) == ContentTarget(found.bucket, found.key, found.size, found.etag, "v1")


def test_versions_have_different_ids() -> None:
    target = ContentTarget("bucket", "key", 1, "etag")
    others = [
        replace(target, **change)
        for change in ({"bucket": "b"}, {"key": "k"}, {"size": 2}, {"etag": "e"}, {"version_id": "etag"})
    ]
    assert len({one.id for one in (target, *others)}) == 6
    # A copy onto itself keeps the ETag, but makes a new version.
    assert replace(target, version_id="v", etag="a").id == replace(target, version_id="v", etag="b").id


def test_contents_are_asked_for_only_where_all_other_checks_passed() -> None:
    snapshots = {
        "sound": SNAPSHOT,
        "missing": replace(SNAPSHOT, object=ObjectNotFound("bucket", ("key",))),
        "short": replace(SNAPSHOT, object=replace(FOUND, size=1)),
        "running": Snapshot(a_job("RUNNING")),
        "archived": replace(SNAPSHOT, object=replace(FOUND, readable=False)),
        "odd": Unexpected(RuntimeError("odd")),
    }
    contents = Contents(lambda: SOUND)
    answered = with_content(snapshots, contents, POLICY, NOW)
    assert contents.asked == [ContentTarget.of(FOUND)]
    assert list(answered) == list(snapshots)
    found = {export_id: one.content for export_id, one in answered.items() if isinstance(one, Snapshot)}
    assert found["sound"] == SOUND
    assert found["missing"] == found["short"] == found["running"] == OTHERS_FIRST
    assert isinstance(found["archived"], Unverifiable)
    assert answered["odd"] == snapshots["odd"]


def test_two_exports_of_one_object_get_its_one_verdict() -> None:
    contents = Contents(lambda: SOUND)
    answered = with_content({"one": SNAPSHOT, "two": SNAPSHOT}, contents, POLICY, NOW)
    assert len({target.id for target in contents.asked}) == 1
    assert [one.content for one in answered.values() if isinstance(one, Snapshot)] == [SOUND, SOUND]


def test_unexpected_error_of_one_content_stays_with_its_export() -> None:
    odd = Unexpected(RuntimeError("odd"))
    answers = iter([odd, SOUND])
    answered = with_content({"one": SNAPSHOT, "two": SNAPSHOT}, Contents(lambda: next(answers)), POLICY, NOW)
    assert answered == {"one": odd, "two": replace(SNAPSHOT, content=SOUND)}


def test_unexpected_error_of_all_contents_is_that_of_each_export() -> None:
    class Broken(Contents):
        def answers(self, targets: Sequence[ContentTarget], now: float) -> list[ContentAnswer | Unexpected]:
            raise RuntimeError("odd")

    answered = with_content({"one": SNAPSHOT}, Broken(lambda: SOUND), POLICY, NOW)
    assert isinstance(answered["one"], Unexpected)


def test_object_that_cannot_be_judged_is_unexpected_alone() -> None:
    odd = replace(SNAPSHOT, object=replace(FOUND, size="many"))  # type: ignore[arg-type]
    answered = with_content({"odd": odd, "sound": SNAPSHOT}, Contents(lambda: SOUND), POLICY, NOW)
    assert answered["sound"] == replace(SNAPSHOT, content=SOUND)


def test_sound_content_passes_and_is_published() -> None:
    verdict, evidence = assess(replace(SNAPSHOT, content=SOUND), NOW)
    assert verdict == Completed()
    check = content_of(replace(SNAPSHOT, content=SOUND))
    assert (check.status, check.actual) == (CheckStatus.PASSED, "7 sound blocks")
    assert check.expected == "BAM with sound blocks from the first byte to the last"
    message = build_message(a_watch(), evidence, None, NOW, "https://api")
    event = json.loads(json.loads(message.body)["default"])
    assert event["data"]["verification"]["content"] == {
        "format": "BAM", "bytes_read": 1000, "units": 7, "inflated_bytes": 5000, "fault": None,
    }  # fmt: skip


def test_damaged_content_fails_and_names_the_byte() -> None:
    verdict, evidence = assess(replace(SNAPSHOT, content=DAMAGED), NOW)
    assert isinstance(verdict, Failing)
    assert verdict.failure.reason is Reason.OBJECT_MISMATCH
    assert content_of(replace(SNAPSHOT, content=DAMAGED)).actual == (
        "byte 123456: the CRC32 of the inflated block is wrong"
    )
    assert advice(verdict.failure, evidence) == CONTENT_IS_DAMAGED != BY_REASON[Reason.OBJECT_MISMATCH]
    message = build_message(a_watch(), evidence, verdict.failure, NOW, "https://api")
    event = json.loads(json.loads(message.body)["default"])
    assert event["data"]["verification"]["content"]["fault"] == {
        "offset": 123456, "reason": "the CRC32 of the inflated block is wrong",
    }  # fmt: skip
    assert "byte 123456" in json.loads(message.body)["email"]


@pytest.mark.parametrize("answer", [OFF, OTHERS_FIRST, UNFINISHED, Unverifiable("a reason")])
def test_content_that_is_not_verified_is_skipped_with_the_reason(answer: Unverifiable) -> None:
    snapshot = replace(SNAPSHOT, content=answer)
    assert assess(snapshot, NOW)[0] == Completed()
    assert (content_of(snapshot).status, content_of(snapshot).reason) == (CheckStatus.SKIPPED, answer.reason)
    assert (
        "content"
        not in json.loads(
            json.loads(build_message(a_watch(), assess(snapshot, NOW)[1], None, NOW, "https://api").body)["default"]
        )["data"]["verification"]
    )


def test_watch_waits_for_its_content_until_its_final_deadline() -> None:
    pending = Unavailable("the content is not verified yet")
    waiting = replace(SNAPSHOT, content=pending)
    assert assess(waiting, NOW)[0] == Undetermined(pending)
    assert without_unfinished_content(waiting) == replace(SNAPSHOT, content=UNFINISHED)
    assert without_unfinished_content(SNAPSHOT) == SNAPSHOT


def test_failed_check_is_not_held_back_by_a_content_check() -> None:
    short = replace(SNAPSHOT, object=replace(FOUND, size=1), content=Unavailable("the content is not verified yet"))
    assert isinstance(assess(short, NOW)[0], Failing)


MESSAGE = ContentMessage(ContentTarget("bucket", "kéy", 10, "etag", "v"), Part(3, 5, 10, is_proven=True))


@pytest.mark.parametrize("message", [MESSAGE, replace(MESSAGE, part=None)])
def test_message_says_what_it_was_made_of(message: ContentMessage) -> None:
    assert parse_content_message(message.to_body()) == message


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("not JSON", "is not JSON"),
        ("[]", "is not a content message"),
        ('{"part": null}', "is not a content message"),
        (MESSAGE.to_body().replace('"etag":"etag"', '"etag":""'), "bucket, key and etag must be text"),
        (MESSAGE.to_body().replace('"size":10', '"size":-1'), "must be whole numbers"),
        (MESSAGE.to_body().replace('"start":5', '"start":"5"'), "must be whole numbers"),
        (MESSAGE.to_body().replace('"start":5', '"begin":5'), "is not a content message"),
    ],
)
def test_message_that_cannot_be_parsed_names_the_rule(body: str, error: str) -> None:
    with pytest.raises(InvalidContentMessageError, match=error):
        parse_content_message(body)
