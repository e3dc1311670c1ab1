"""A batch where time runs out or something is not foreseen; the ordinary ways are tested with real parts."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from export_monitor.application.concluding import Concluder
from export_monitor.application.watcher import ExportWatcher
from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.crowding import Crowding
from export_monitor.domain.events import SnsMessage, Unpublished
from export_monitor.domain.grace import FaultObservation
from export_monitor.domain.model import (
    Denial,
    Denied,
    ExportJob,
    Group,
    JobAnswer,
    QueueMessage,
    Unavailable,
    UnavailableError,
)
from export_monitor.domain.poll_schedule import RETENTION_SECONDS
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.unexpected import Unexpected
from tests.fakes import RecordingReporter
from tests.unit.builders import HOUR, NOW, a_grace_policy

FAILED = ExportJob("", "FAILED", {"id": "e", "state": "FAILED"})


class World:
    """Every part that a watch needs: an API whose jobs have all failed, and AWS, which fails as a test wants."""

    discovers = False

    def __init__(self, *export_ids: str, sent_at: float = NOW) -> None:
        self.messages = [
            QueueMessage(f"m-{export_id}", "receipt", f'{{"export_id": "{export_id}"}}', sent_at, 1)
            for export_id in export_ids
        ]
        self.answers: dict[str, JobAnswer | Unexpected] = {
            export_id: replace(FAILED, id=export_id) for export_id in export_ids
        }
        self.published: list[str] = []
        self.hidden: dict[str, float] = {}
        self.dead_lettered_with: dict[str, str] = {}
        self.report = RecordingReporter()
        self.fails: dict[str, Exception] = {}
        self.unpublished: dict[str, Exception] = {}
        self.unrecorded: set[str] = set()
        self.claims: Callable[[Sequence[Claim]], dict[str, RejectedClaim]] = lambda _: {}
        self.groups_registered: list[str] = []
        self.counted: list[str] = []

    def join(self, export_id: str, group_id: str) -> None:
        """Let an export be announced as one of two members of a group."""
        self.messages = [
            replace(message, body=json.dumps({"export_id": export_id, "group": {"id": group_id, "size": 2}}))
            if message.message_id == f"m-{export_id}"
            else message
            for message in self.messages
        ]

    def poll(self, time_left: float = 60) -> list[str]:
        grace = a_grace_policy()
        watcher = ExportWatcher(
            api=self, objects=self, queue=self, faults=self, groups=self,  # type: ignore[arg-type]
            concluder=Concluder(self, self, self, self.report, grace, "https://api"),  # type: ignore[arg-type]
            report=self.report, grace=grace, start_event_source="cgc.exports", random=lambda: 0.5,
            pause=lambda _: None, crowding=Crowding(), registry=self if self.discovers else None,
        )  # fmt: skip
        return watcher.process_batch(self.messages, TimeBudget().start(NOW, self.clock(time_left)))

    def clock(self, time_left: float) -> Callable[[], float]:
        # The first read of the clock sets the reserve; then there is no time left.
        answers = iter([60.0])
        return lambda: next(answers, time_left)

    def read_jobs(
        self, export_ids: Sequence[str], time_left: Callable[[], float], follow_ups: Callable[[ExportJob], int]
    ) -> Mapping[str, JobAnswer | Unexpected]:
        self._may_fail("read_jobs")
        return {export_id: self.answers[export_id] for export_id in export_ids}

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]:
        self._may_fail("claim")
        return self.claims(claims)

    def first_seen_at(
        self, observations: Collection[FaultObservation], now: float
    ) -> dict[FaultObservation, float | Unavailable]:
        self._may_fail("first_seen_at")
        return dict.fromkeys(observations, Unavailable("DynamoDB is away"))

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        taken = [message.event_id for message in messages if message.event_id not in self.unpublished]
        self.published += taken
        return {event_id: Unpublished("odd", error) for event_id, error in self.unpublished.items()}

    def record(self, published: Sequence[Claim], over: Sequence[Claim], now: float) -> set[str]:
        self._may_fail("record")
        return self.unrecorded

    def change_visibility(self, delays: Sequence[tuple[QueueMessage, float]]) -> list[QueueMessage]:
        self.hidden = {message.message_id: seconds for message, seconds in delays}
        return [message for message, _ in delays] if "hide" in self.fails else []

    def dead_letter(self, message: QueueMessage, error: str) -> None:
        self._may_fail("dead_letter")
        self.dead_lettered_with[message.message_id] = error

    def register(self, group: Group, first_requested_at: float, now: float) -> None:
        self._may_fail(f"register {group.id}")
        self.groups_registered.append(group.id)

    def record_results(self, ends: Sequence[tuple[Group, ReportRow]], *_: object) -> None:
        self._may_fail(f"record_results {ends[0][0].id}")
        self.counted += [end.export_id for _, end in ends]

    def add(self, export_ids: Collection[str], now: float) -> None:
        self._may_fail("add")

    def _may_fail(self, call: str) -> None:
        if call in self.fails:
            raise self.fails[call]


def test_nothing_is_published_when_the_time_is_up() -> None:
    world = World("a")
    assert world.poll(time_left=1) == ["m-a"]
    assert world.published == []
    assert world.hidden == {"m-a": 1.0}


class SlowClaim(World):
    """A ledger that takes nearly all of the invocation's time to give a claim."""

    left = 60.0

    def clock(self, time_left: float) -> Callable[[], float]:
        return lambda: self.left

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]:
        self.left = 0.2
        return super().claim(claims, now, until)


def test_claim_that_took_the_time_up_is_not_used_since_its_publication_could_not_be_recorded() -> None:
    world = SlowClaim("a")
    assert world.poll() == ["m-a"]
    assert world.published == []
    # The claim stands until then.
    assert world.hidden == {"m-a": 61.0}


def test_old_watch_whose_published_event_cannot_be_recorded_yet_is_no_dead_letter() -> None:
    world = World("a", sent_at=NOW - 96 * HOUR)
    world.unrecorded = {"a"}
    assert world.poll() == ["m-a"]
    assert world.published == ["a:failed:EXPORT_FAILED"]
    assert world.dead_lettered_with == {}
    assert world.report.counts["PublishFailures"] == 1
    assert world.report.logged("export_polled")[0]["cause"] == "the publication could not be recorded"


def test_message_that_sqs_is_about_to_delete_is_kept_where_the_dead_letter_queue_does_not_take_it() -> None:
    world = World("a", sent_at=NOW - RETENTION_SECONDS + HOUR)
    world.unrecorded = {"a"}
    world.fails["dead_letter"] = UnavailableError("SQS is away")
    assert world.poll() == ["m-a"]
    assert world.hidden == {"m-a": 60.0}


def test_member_is_polled_though_its_group_cannot_be_recorded() -> None:
    world = World("a")
    world.join("a", "run")
    world.fails["register run"] = UnavailableError("DynamoDB is away")
    assert world.poll() == []
    assert world.published == ["a:failed:EXPORT_FAILED"]
    assert world.report.logged("watch_registration_failed") == [{"cause": "DynamoDB is away", "message_ids": ["m-a"]}]


def test_group_that_is_odd_keeps_no_other_from_being_recorded() -> None:
    world = World("a", "b")
    world.join("a", "odd")
    world.join("b", "run")
    world.fails["register odd"] = KeyError("Item")
    assert world.poll() == []
    assert world.groups_registered == ["run"]
    assert sorted(world.published) == ["a:failed:EXPORT_FAILED", "b:failed:EXPORT_FAILED"]
    assert world.report.logged("unexpected_error")[0]["message_ids"] == ["m-a"]


def test_marks_that_fail_keep_no_group_from_being_recorded() -> None:
    world = World("a")
    world.discovers = True
    world.join("a", "run")
    world.fails["add"] = KeyError("odd")
    assert world.poll() == []
    assert world.groups_registered == ["run"]


@pytest.mark.parametrize("error", [KeyError("Item"), UnavailableError("SQS is away")])
@pytest.mark.parametrize("age", [0, 97 * HOUR])
def test_member_that_cannot_be_counted_comes_again_alone_and_all_published_exports_are_reported(
    error: Exception, age: float
) -> None:
    exports = [f"e{number}" for number in range(20)]
    world = World(*exports, "member", "other", sent_at=NOW - age)
    world.join("member", "run")
    world.join("other", "sound")
    world.fails["record_results run"] = error
    assert world.poll() == ["m-member"]
    assert len(world.published) == 22
    assert world.counted == ["other"]
    assert world.report.counts["ExportsFailed"] == 22
    assert len(world.report.logged("export_polled")) == 22
    assert world.dead_lettered_with == {}


def test_fault_is_waited_for_while_the_ledger_cannot_tell_since_when_it_is_there() -> None:
    world = World("a", sent_at=NOW - 97 * HOUR)
    world.answers["a"] = Denied(Denial.NOT_FOUND, "Job not found.")
    assert world.poll() == ["m-a"]
    assert world.report.logged("export_polled")[0]["cause"] == "DynamoDB is away"
    assert world.published == []


def test_end_that_cannot_be_published_is_tried_again_as_often_as_receives_are_left() -> None:
    world = World("a", sent_at=NOW - HOUR)
    world.messages = [replace(message, receive_count=900) for message in world.messages]
    world.poll(time_left=1)
    assert world.hidden["m-a"] > HOUR / 2


def test_surprise_while_asking_keeps_every_message_for_its_poll_delay() -> None:
    world = World("a", "b", sent_at=NOW - 1000)
    world.fails["read_jobs"] = RuntimeError("odd")
    assert world.poll() == ["m-a", "m-b"]
    assert world.hidden == {"m-a": 100.0, "m-b": 100.0}
    assert world.report.counts["UnexpectedErrors"] == 1
    assert world.report.logged("unexpected_error")


def ends_at_no_time(world: World) -> None:
    world.answers["a"] = replace(FAILED, id="a", finished_at=float("nan"))


def is_announced_without_a_body(world: World) -> None:
    world.messages[0] = replace(world.messages[0], body=None)  # type: ignore[arg-type]


def is_denied_since_nobody_knows_when(world: World) -> None:
    world.answers["a"] = Denied(Denial.NOT_FOUND, "Job not found.")
    world.fails["first_seen_at"] = KeyError("N")


def breaks_every_batch_of_claims(world: World) -> None:
    def claims(claims: Sequence[Claim]) -> dict[str, RejectedClaim]:
        if any(claim.export_id == "a" for claim in claims):
            raise KeyError("Item")
        return {}

    world.claims = claims


@pytest.mark.parametrize(
    "export_a",
    [ends_at_no_time, is_announced_without_a_body, is_denied_since_nobody_knows_when, breaks_every_batch_of_claims],
)
def test_surprise_with_one_export_disturbs_no_other(export_a: Callable[[World], None]) -> None:
    world = World("a", "b", "c")
    export_a(world)
    assert world.poll() == ["m-a"]
    assert sorted(world.published) == ["b:failed:EXPORT_FAILED", "c:failed:EXPORT_FAILED"]


def test_error_in_the_way_of_several_exports_is_logged_once() -> None:
    world = World("a", "b", "c")
    error = KeyError("odd")
    world.answers |= dict.fromkeys(["a", "b"], Unexpected(error))
    assert world.poll() == ["m-a", "m-b"]
    assert world.published == ["c:failed:EXPORT_FAILED"]
    assert world.report.logged("unexpected_error") == [{"message_ids": ["m-a", "m-b"], "error": error}]


def test_event_that_cannot_be_sent_disturbs_no_other_and_is_a_dead_letter_at_its_final_deadline() -> None:
    for age, dead_letters in ((0.0, {}), (96 * HOUR, {"m-a": "unexpected error: ValueError: odd"})):
        world = World("a", "b", sent_at=NOW - age)
        world.unpublished = {"a:failed:EXPORT_FAILED": ValueError("odd")}
        assert world.poll() == ([] if dead_letters else ["m-a"])
        assert world.published == ["b:failed:EXPORT_FAILED"]
        assert world.dead_lettered_with == dead_letters


def test_surprise_after_publishing_keeps_the_messages() -> None:
    world = World("a")
    world.fails["record"] = TimeoutError("busy")
    assert world.poll() == ["m-a"]
    # It has been published, so it is no dead letter, however old it is.
    old = World("a", sent_at=NOW - 97 * HOUR)
    old.fails["record"] = TimeoutError("busy")
    assert old.poll() == ["m-a"]
    assert old.dead_lettered_with == {}


def test_export_whose_end_cannot_be_logged_is_over_nevertheless() -> None:
    class Fragile(RecordingReporter):
        def info(self, event: str, **fields: Any) -> None:
            if fields["export_id"] == "a":
                raise OSError("no log")

    world = World("a", "b")
    world.report = Fragile()
    assert world.poll() == []
    assert len(world.published) == 2
    # A member's message stays until it is counted, and is no dead letter, however old it is.
    old = World("a", sent_at=NOW - 97 * HOUR)
    old.join("a", "run")
    old.report = Fragile()
    assert old.poll() == ["m-a"]
    assert (old.counted, old.dead_lettered_with) == (["a"], {})


def test_surprise_at_the_last_moment_goes_to_the_dead_letter_queue_with_why() -> None:
    world = World("a", sent_at=NOW - 96 * HOUR)
    world.fails["claim"] = RuntimeError("odd")
    assert world.poll() == []
    assert world.dead_lettered_with == {"m-a": "unexpected error: RuntimeError: odd"}


def test_message_that_the_dead_letter_queue_does_not_take_is_kept() -> None:
    world = World("a", sent_at=NOW - 96 * HOUR)
    world.fails |= {"claim": RuntimeError("odd"), "dead_letter": RuntimeError("odd too")}
    assert world.poll() == ["m-a"]
    assert world.hidden == {"m-a": 60.0}


def test_message_that_could_not_be_hidden_is_logged() -> None:
    world = World("a")
    world.fails |= {"read_jobs": RuntimeError("odd"), "hide": RuntimeError()}
    assert world.poll() == ["m-a"]
    assert world.report.logged("visibility_change_failed") == [{"message_id": "m-a"}]


def test_claim_of_unknown_length_hides_the_message_for_its_poll_interval() -> None:
    world = World("a", sent_at=NOW - 1000)
    world.claims = lambda _: {"a": RejectedClaim(ClaimStatus.IN_PROGRESS)}
    assert world.poll() == ["m-a"]
    assert world.hidden == {"m-a": 100.0}
