"""Groups: one event when the watches of all members have ended, by the real parts over moto and the simulated API."""

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from export_monitor.application.groups import Groups
from export_monitor.domain.groups import FailedMember, MemberResult
from export_monitor.domain.model import Group, QueueMessage, UnavailableError
from export_monitor.domain.time_budget import TimeBudget
from local.export_jobs import NEVER, documented_failed
from tests.integration.harness import FINAL_DEADLINE, HOUR, TIMEOUT, Refusing, World, completed, with_parts

# Short, since the claim of a dead worker stands for as long.
INVOCATION_SECONDS = 4.0
CONCLUDED = "cgc.export.group.concluded.v1"


def member(world: World, export_id: str, size: int = 3, group: str = "run", age: float = 0.0) -> QueueMessage:
    """The message of a member of a group."""
    return world.announced({"export_id": export_id, "group": {"id": group, "size": size}}, age=age)


def group_messages(world: World, age: float = 0.0) -> list[QueueMessage]:
    """The messages by which groups are watched, received."""
    received = world.aws.client("sqs").receive_message(
        QueueUrl=world.aws.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=0
    )
    return [
        QueueMessage(one["MessageId"], one["ReceiptHandle"], one["Body"], world.now - age, 1)
        for one in received.get("Messages", [])
        if "watched_group" in one["Body"]
    ]


def concluded(world: World) -> list[dict[str, Any]]:
    """The events of groups since the last call."""
    return [event for event in world.events() if event["type"] == CONCLUDED]


def jobs(world: World, *, done: str = "", failed: str = "", running: str = "") -> None:
    """Jobs named by single letters."""
    for export_id in done:
        world.platform.add_job(completed(export_id))
    for export_id in failed:
        world.platform.add_job(documented_failed(id=export_id))
    for export_id in running:
        world.platform.add_job(completed(export_id, steps=NEVER))


class TestConcluded:
    def test_group_of_three_is_concluded_once_when_the_last_has_ended(self, calm: World) -> None:
        jobs(calm, done="ab", failed="c")
        assert calm.look(member(calm, "a", age=100), member(calm, "c")) == []
        assert concluded(calm) == []
        assert calm.look(member(calm, "b")) == []
        [envelope] = [one for one in calm.aws.published() if CONCLUDED in one["Message"]]
        event = json.loads(envelope["Message"])
        assert event["id"] == "run:concluded"
        assert event["subject"] == "run"
        [failure] = event["data"].pop("failures")
        assert failure["export_id"] == "c"
        assert (failure["reason"], failure["code"]) == ("EXPORT_FAILED", 9107)
        assert failure["volume"] == "rfranklin/output"
        assert failure["location"] == "_4_s3_file.jpg"
        assert failure["file"] == "57679b78f5b039a7e7fde6a9"
        assert event["data"].pop("first_requested_at") < event["data"].pop("concluded_at")
        assert event["data"] == {
            "group": {"id": "run", "size": 3},
            "outcome": "failed",
            "completed": 2,
            "failed": 1,
            "missing": 0,
            "failures_truncated": False,
        }
        attributes = {name: one["Value"] for name, one in envelope["MessageAttributes"].items()}
        assert attributes == {"type": CONCLUDED, "group": "run", "outcome": "failed"}

    @pytest.mark.parametrize("batches", [["a"], ["abc"], ["a", "bc"]])
    def test_group_is_concluded_by_the_batch_of_its_last_member(self, calm: World, batches: list[str]) -> None:
        size = sum(map(len, batches))
        jobs(calm, done="".join(batches))
        for batch in batches:
            assert concluded(calm) == []
            assert calm.look(*(member(calm, export_id, size) for export_id in batch)) == []
        [event] = concluded(calm)
        assert (event["data"]["outcome"], event["data"]["completed"]) == ("completed", size)

    def test_group_s_own_message_is_deleted_when_the_group_is_concluded(self, calm: World) -> None:
        jobs(calm, done="abc")
        calm.look(member(calm, "a"))
        [message] = group_messages(calm)
        assert calm.look(message) == [message]
        calm.look(member(calm, "b"), member(calm, "c"))
        assert calm.look(message) == []
        assert len(concluded(calm)) == 1

    def test_group_that_another_worker_is_concluding_keeps_its_message(self, calm: World) -> None:
        jobs(calm, done="a")
        calm.look(member(calm, "a", size=2))
        [message] = group_messages(calm)
        calm.pass_time(FINAL_DEADLINE)
        message = replace(message, sent_at=calm.now - FINAL_DEADLINE)
        assert calm.watch.groups.ledger.claim("run", calm.now, calm.now + 60)
        assert calm.look(message) == [message]
        assert concluded(calm) == []
        calm.pass_time(61)
        assert calm.look(message) == []
        assert len(concluded(calm)) == 1

    def test_member_that_times_out_is_the_last_one(self, calm: World) -> None:
        jobs(calm, done="ab", running="c")
        calm.look(member(calm, "a"), member(calm, "b"))
        calm.look(member(calm, "c", age=TIMEOUT + 1))
        [event] = concluded(calm)
        assert [one["reason"] for one in event["data"]["failures"]] == ["TIMED_OUT"]

    def test_incident_of_sns_delays_the_group_s_event_and_keeps_the_last_member(self, world: World) -> None:
        jobs(world, done="a")
        message = member(world, "a", size=1)
        groups = replace(world.watch.groups, topic=Refusing())  # type: ignore[arg-type]
        watcher = with_parts(world.watch, groups=groups)
        assert watcher.process_batch([message], world.invocation()) == [message.message_id]
        assert world.event_ids() == ["a:completed"]
        assert world.report.counts["PublishFailures"] == 1
        world.pass_time(61)
        assert world.look(message) == []
        assert world.event_ids() == ["run:concluded"]

    def test_group_is_not_concluded_without_time_to_record_it(self, world: World) -> None:
        jobs(world, done="a")
        world.look(member(world, "a", size=2))
        [message] = group_messages(world)
        world.pass_time(FINAL_DEADLINE + 1)
        left = iter([60.0])
        late = TimeBudget().start(world.now, lambda: next(left, 1.0))
        assert world.watch.process_batch([message], late) == [message.message_id]
        assert concluded(world) == []
        world.pass_time(61)
        assert world.look(message) == []
        assert len(concluded(world)) == 1


class TestMembers:
    def test_member_announced_twice_counts_once(self, calm: World) -> None:
        jobs(calm, done="ab", running="c")
        calm.look(member(calm, "a"), member(calm, "a"), member(calm, "b"))
        calm.look(member(calm, "a"))
        assert concluded(calm) == []
        jobs(calm, done="c")
        calm.look(member(calm, "c"))
        assert [event["data"]["completed"] for event in concluded(calm)] == [3]

    def test_member_of_two_groups_counts_in_both(self, calm: World) -> None:
        jobs(calm, done="a")
        calm.look(member(calm, "a", size=1, group="one"), member(calm, "a", size=1, group="two"))
        assert calm.event_ids() == ["a:completed", "one:concluded", "two:concluded"]

    def test_completion_that_was_published_before_counts_and_publishes_nothing_of_its_own(self, calm: World) -> None:
        jobs(calm, done="a")
        calm.look(calm.announced("a"))
        calm.aws.client("s3").delete_object(Bucket="bucket", Key="output.vcf")
        assert calm.event_ids() == ["a:completed"]
        message = member(calm, "a", size=1)
        calm.look(message)
        calm.pass_time(121)
        calm.look(message)
        [event] = calm.events()
        assert (event["id"], event["data"]["completed"]) == ("run:concluded", 1)

    def test_first_size_wins_and_another_size_is_logged(self, calm: World) -> None:
        jobs(calm, done="ab")
        calm.look(member(calm, "a", size=2))
        calm.look(member(calm, "b", size=9))
        [event] = concluded(calm)
        assert event["data"]["group"] == {"id": "run", "size": 2}
        assert calm.report.logged("group_size_differs") == [{"group_id": "run", "size": 2, "announced_sizes": [9]}]

    def test_members_beyond_the_size_are_logged_and_change_nothing(self, calm: World) -> None:
        jobs(calm, done="abc", failed="d")
        calm.look(member(calm, "a", size=2), member(calm, "b", size=2), member(calm, "c", size=2))
        calm.look(member(calm, "d", size=2))
        [event] = concluded(calm)
        assert (event["data"]["completed"], event["data"]["failed"]) == (2, 0)
        logged = [one["export_ids"] for one in calm.report.logged("group_overflow")]
        assert [len(export_ids) for export_ids in logged] == [1, 1]
        assert logged[1] == ["d"]

    def test_earliest_announcement_counts_as_the_first_in_whatever_order_they_are_polled(self, calm: World) -> None:
        jobs(calm, done="ab")
        calm.look(member(calm, "a", size=2, age=10))
        calm.look(member(calm, "b", size=2, age=1000))
        [event] = concluded(calm)
        started = calm.watch.groups.ledger.progress("run")
        assert started is not None
        assert started.first_requested_at == pytest.approx(calm.now - 1000, abs=0.01)
        assert event["data"]["first_requested_at"] < event["data"]["concluded_at"]


class TestIncomplete:
    def test_group_that_is_not_full_at_the_final_deadline_is_concluded_with_what_is_missing(self, calm: World) -> None:
        jobs(calm, done="a", failed="b")
        calm.look(member(calm, "a", age=HOUR), member(calm, "b"))
        [message] = group_messages(calm)
        calm.events()
        calm.pass_time(FINAL_DEADLINE - HOUR - 1)
        assert calm.look(message) == [message]
        calm.pass_time(2)
        assert calm.look(message) == []
        [event] = concluded(calm)
        assert event["data"]["outcome"] == "incomplete"
        assert [event["data"][name] for name in ("completed", "failed", "missing")] == [1, 1, 1]

    def test_member_that_comes_too_late_stays_missing(self, calm: World) -> None:
        jobs(calm, done="ab")
        calm.look(member(calm, "a", size=2))
        [message] = group_messages(calm)
        calm.pass_time(FINAL_DEADLINE + 1)
        calm.look(message)
        assert [event["data"]["missing"] for event in concluded(calm)] == [1]
        assert calm.look(member(calm, "b", size=2)) == []
        assert calm.event_ids() == ["b:completed"]
        assert calm.report.logged("group_overflow") == [{"group_id": "run", "export_ids": ["b"]}]

    def test_message_of_an_unrecorded_group_is_kept_until_the_final_deadline(self, calm: World) -> None:
        message = calm.sent('{"watched_group": "unrecorded"}')
        assert calm.look(message) == [message]
        calm.pass_time(FINAL_DEADLINE + 1)
        assert calm.look(message) == []
        assert calm.events() == []


class TestCrashes:
    @pytest.mark.parametrize("step", ["progress", "register", "record_results", "claim", "failures", "record"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_crash_at_any_step_loses_no_group_and_counts_no_member_twice(
        self, world: World, step: str, moment: str
    ) -> None:
        jobs(world, done="a", failed="b")
        messages = [member(world, "a", size=2), member(world, "b", size=2)]
        process_and_die(world, messages, step, moment)
        world.pass_time(61)
        messages += group_messages(world)
        for _ in range(3):
            world.look(*messages)
            world.pass_time(61)
        events = concluded(world)
        # A crash between publishing and recording is the one way to a second one.
        assert len(events) == (2 if (step, moment) == ("record", "before") else 1)
        for event in events:
            assert [event["data"][name] for name in ("completed", "failed", "missing")] == [1, 1, 0]
            assert [one["export_id"] for one in event["data"]["failures"]] == ["b"]

    def test_member_that_was_recorded_and_not_counted_counts_as_what_was_published(self, world: World) -> None:
        jobs(world, done="a")
        message = member(world, "a", size=1)
        process_and_die(world, [message], "record_results", "before")
        # Whatever it would find now:
        jobs(world, failed="a")
        world.look(message)
        [event] = concluded(world)
        assert (event["data"]["completed"], event["data"]["failed"]) == (1, 0)

    def test_group_s_message_is_sent_before_the_group_is_recorded(self, world: World) -> None:
        jobs(world, done="a")
        process_and_die(world, [member(world, "a")], "register", "before")
        assert len(group_messages(world)) == 1


@dataclass
class Mortal:
    """A part whose process dies before or after a call, where `dies` says so of the call's name and the moment."""

    part: Any
    dies: Callable[[str, str], bool]

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            if self.dies(name, "before"):
                raise SystemExit
            answer = getattr(self.part, name)(*arguments)
            if self.dies(name, "after"):
                raise SystemExit
            return answer

        return call


def process_and_die(world: World, messages: list[QueueMessage], step: str, moment: str) -> None:
    """Process a batch until the worker dies at this step of the groups' ledger."""
    ledger = Mortal(world.watch.groups.ledger, lambda *call: call == (step, moment))
    dying = with_parts(world.watch, groups=replace(world.watch.groups, ledger=ledger, _registered={}))  # type: ignore[arg-type]
    with pytest.raises(SystemExit):
        dying.process_batch(messages, world.invocation())


@pytest.mark.once
def test_thousand_members_counted_by_four_workers_with_kills_and_redeliveries_are_counted_exactly(world: World) -> None:
    members = [
        MemberResult(f"e{n}", FailedMember(f"e{n}", "TIMED_OUT", "m") if n % 10 == 0 else None) for n in range(1000)
    ]
    world.watch.groups.ledger.register(Group("run", 1000), world.now, world.now)

    def handle(worker: World, dice: random.Random, batch: list[MemberResult]) -> list[MemberResult]:
        invocation = short_invocation()
        groups = mortal(worker, dice, deaths, invocation)
        counted = [(Group("run", 1000), end) for end in batch]
        try:
            groups.record_results(counted, invocation)
        except (SystemExit, UnavailableError):
            return batch
        return []

    deaths: list[str] = []
    # Every tenth comes twice: it was announced again.
    work_off(world, [*members, *members[:100]], handle)
    eventually(lambda: has_ended(world))
    assert_concluded_exactly(world, deaths, completed=900, failed={f"e{n}" for n in range(0, 1000, 10)})


Work = TypeVar("Work")


def work_off(
    world: World, waiting: list[Work], handle: Callable[[World, random.Random, list[Work]], list[Work]]
) -> None:
    """Let four workers take batches in no order until nothing is left; what a batch keeps comes again."""
    lock = threading.Lock()
    busy = [0]

    def work(seed: int) -> None:
        dice = random.Random(seed)
        while True:
            with lock:
                if not waiting and not busy[0]:
                    return
                batch = [waiting.pop(dice.randrange(len(waiting))) for _ in range(min(50, len(waiting)))]
                busy[0] += 1
            kept = handle(world, dice, batch) if batch else []
            with lock:
                waiting.extend(kept)
                busy[0] -= 1
            if len(kept) == len(batch):
                time.sleep(0.2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def assert_concluded_exactly(world: World, deaths: list[str], completed: int, failed: set[str]) -> None:
    assert deaths
    events = [event for event in world.events() if event["type"] == CONCLUDED]
    assert events
    # A second one only where a worker died between its publication and the record of it.
    assert len(events) - 1 <= deaths.count("record") + deaths.count("publish")
    for event in events:
        data = event["data"]
        assert (data["completed"], data["failed"], data["missing"]) == (completed, len(failed), 0)
        assert {one["export_id"] for one in data["failures"]} == failed


def has_ended(world: World) -> bool:
    """Poll the group as its own message does."""
    budget = short_invocation()
    return world.watch.groups.has_ended("run", budget.now, FINAL_DEADLINE, budget)


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait for this to be true: a claim of a dead worker may still stand."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)


def short_invocation() -> TimeBudget:
    """An invocation that starts now; Lambda kills it at its deadline, so a claim does not outlive its worker."""
    now = time.time()
    return TimeBudget().start(now, lambda: now + INVOCATION_SECONDS - time.time())


def mortal(world: World, dice: random.Random, deaths: list[str], invocation: TimeBudget) -> Groups:
    """The groups of a new worker, any of whose steps may be its last: now and then, and always after the deadline."""
    fresh = world.worker().groups

    def dies(name: str, _moment: str) -> bool:
        if dice.random() >= 0.03 and time.time() < invocation.deadline_at:
            return False
        deaths.append(name)
        return True

    return replace(fresh, ledger=Mortal(fresh.ledger, dies), topic=Mortal(fresh.topic, dies))  # type: ignore[arg-type]
