"""Groups: one event when the watches of all members have ended, by the real parts over moto and the simulated API."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from export_monitor.adapters.aws.dynamodb.table import TTL_SECONDS
from export_monitor.domain.events import compact_json
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import FailedMember
from export_monitor.domain.model import Group, QueueMessage, UnavailableError
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.time_budget import TimeBudget
from local.export_jobs import NEVER, documented_failed
from tests.integration.harness import FINAL_DEADLINE, HOUR, Refusing, World, completed, with_parts
from tests.unit.builders import a_row

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
    def test_event_that_is_published_again_counts_in_its_group_no_second_time(self, calm: World) -> None:
        jobs(calm, done="a", failed="b", running="c")
        assert len(calm.look(member(calm, "a"), member(calm, "b"), member(calm, "c"))) == 1
        assert calm.event_ids() == ["a:completed", "b:failed:EXPORT_FAILED"]
        group = {"id": "run", "size": 3}
        for export_id in "ab":
            assert calm.look(calm.announced({"export_id": export_id, "group": group, "republish": True})) == []
        assert calm.event_ids() == ["a:completed", "b:failed:EXPORT_FAILED"]
        jobs(calm, done="c")
        assert calm.look(member(calm, "c")) == []
        [event] = concluded(calm)
        assert (event["data"]["completed"], event["data"]["failed"], event["data"]["missing"]) == (2, 1, 0)
        # Nor once the group is concluded.
        assert calm.look(calm.announced({"export_id": "a", "group": group, "republish": True})) == []
        assert calm.event_ids() == ["a:completed"]
        assert calm.report.logged("group_overflow") == []

    def test_group_of_three_is_concluded_once_when_the_last_has_ended(self, calm: World) -> None:
        jobs(calm, done="ab", failed="c")
        assert calm.look(member(calm, "a", age=100), member(calm, "c")) == []
        assert concluded(calm) == []
        assert calm.look(member(calm, "b")) == []
        [envelope] = [one for one in calm.aws.published() if CONCLUDED in one["Message"]]
        event = json.loads(envelope["Message"])
        assert (event["id"], event["subject"]) == ("run:concluded", "run")
        [failure] = event["data"]["failures"]
        assert failure.pop("message")
        assert failure == {
            "export_id": "c",
            "reason": "EXPORT_FAILED",
            "code": 9107,
            "file": "57679b78f5b039a7e7fde6a9",
            "volume": "rfranklin/output",
            "location": "_4_s3_file.jpg",
        }
        assert [event["data"][name] for name in ("outcome", "completed", "failed", "missing")] == ["failed", 2, 1, 0]
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

    def test_unexpected_error_at_the_final_deadline_does_not_end_the_watch_of_the_group(self, world: World) -> None:
        jobs(world, done="a")
        world.look(member(world, "a", size=2))
        [message] = group_messages(world)
        world.pass_time(FINAL_DEADLINE + 1)
        groups = replace(world.watch.groups, reports=FullDisk())
        watcher = with_parts(world.watch, groups=groups)
        assert watcher.process_batch([message], world.invocation()) == [message.message_id]
        assert isinstance(world.report.logged("unexpected_error")[0]["error"], OSError)
        assert world.aws.dead_letters() == []
        world.pass_time(61)
        assert world.look(message) == []
        assert len(concluded(world)) == 1

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


class FullDisk:
    """Reports that cannot be written, through no fault of a service."""

    def write(self, *of: Any) -> tuple[WrittenReport, list[FailedMember]]:
        raise OSError("No space left on device")


STEPS = ["progress", "register", "record_results", "claim"]
STEPS_OF_A_CLOSED_GROUP = ["rows", "csv", "html", "publish", "record"]


def versions(world: World, name: str) -> list[bytes]:
    """The contents of all versions of a report's object."""
    s3, key = world.aws.client("s3"), f"groups/run/{name}"
    listed = s3.list_object_versions(Bucket="reports", Prefix=key).get("Versions", [])
    return [s3.get_object(Bucket="reports", Key=key, VersionId=one["VersionId"])["Body"].read() for one in listed]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


class TestReport:
    def test_report_has_what_was_published(self, calm: World) -> None:
        jobs(calm, done="a", failed="b", running="c")
        group = {"id": "run", "size": 3}
        calm.look(*(calm.announced({"export_id": one, "group": group, "context": {"of": one}}) for one in "cba"))
        published = {event["subject"]: event for event in calm.events()}
        jobs(calm, done="c")
        calm.pass_time(HOUR)
        calm.look(calm.announced({"export_id": "c", "group": group, "context": {"of": "c"}}))
        events = calm.events()
        published |= {event["subject"]: event for event in events}
        content = calm.aws.report("run")
        rows = rows_of(content)
        assert [row["export_id"] for row in rows] == ["a", "b", "c"]
        for row in rows:
            data = published[row["export_id"]]["data"]
            failure, found = data["failure"] or {}, data["object"] or {}
            assert published[row["export_id"]]["type"] == f"cgc.export.{row['outcome']}.v1"
            expected = {
                "reason": failure.get("reason"), "code": failure.get("code"), "message": failure.get("message"),
                "advice": failure.get("advice"), "concluded_at": data["watch"]["concluded_at"],
                "file_id": data["export"]["source"]["file"], "location": data["export"]["destination"]["location"],
                "volume": data["export"]["destination"]["volume"], "s3_uri": found.get("uri"),
                "etag": found.get("etag"), "encryption": found.get("encryption"), "version_id": found.get("version_id"),
                "storage_class": found.get("storage_class"), "started_on": data["export"]["started_on"],
                "finished_on": data["export"]["finished_on"], "context": compact_json(data["context"]),
                "verification": (data["verification"] or {}).get("status"), "failed_checks": "",
            }  # fmt: skip
            assert {name: row[name] for name in expected} == {
                name: "" if value is None else str(value) for name, value in expected.items()
            }
        report = published["run"]["data"]["report"]
        assert report == {
            "csv": "s3://reports/groups/run/report.csv",
            "html": "s3://reports/groups/run/report.html",
            "rows": 3,
            "csv_sha256": hashlib.sha256(content).hexdigest(),
        }
        assert b"run" in calm.aws.report("run", "report.html")
        head = calm.aws.client("s3").head_object(Bucket="reports", Key="groups/run/report.html")
        assert head["ContentType"] == "text/html; charset=utf-8"

    def test_export_that_was_published_before_has_the_row_of_what_was_found_then(self, calm: World) -> None:
        jobs(calm, done="a")
        calm.look(calm.announced({"export_id": "a", "context": {"of": "then"}}))
        [event] = calm.events()
        calm.pass_time(HOUR)
        calm.aws.client("s3").delete_object(Bucket="bucket", Key="output.vcf")
        message = calm.announced({"export_id": "a", "context": {"of": "now"}, "group": {"id": "run", "size": 1}})
        calm.look(message)
        calm.pass_time(121)
        calm.look(message)
        [row] = rows_of(calm.aws.report("run"))
        assert (row["outcome"], row["reason"], row["verification"]) == ("completed", "", "passed")
        assert row["etag"] == event["data"]["object"]["etag"]
        assert row["concluded_at"] == event["data"]["watch"]["concluded_at"]
        assert json.loads(row["context"]) == {"of": "now"}

    @pytest.mark.parametrize(("event_id", "reason"), [("a:completed", ""), ("a:failed:TIMED_OUT", "TIMED_OUT")])
    def test_export_of_an_earlier_version_has_the_recorded_outcome(
        self, calm: World, event_id: str, reason: str
    ) -> None:
        jobs(calm, done="a")
        message = calm.announced({"export_id": "a", "group": {"id": "run", "size": 1}})
        item = {
            "export_id": {"S": "a"},
            "published_event_ids": {"SS": ["a:delayed", event_id]},
            "concluded_message_ids": {"SS": [message.message_id]},
            "published_completed_at": {"N": "1466018261000"},
        }
        calm.aws.client("dynamodb").put_item(TableName="ledger", Item=item)
        calm.look(message)
        [row] = rows_of(calm.aws.report("run"))
        assert (row["outcome"], row["reason"]) == ("failed" if reason else "completed", reason)
        # What the object is now says nothing about then.
        assert (row["location"], row["etag"], row["verification"]) == ("output.vcf", "", "")
        assert (row["concluded_at"] == "2016-06-15T19:17:41Z") is (not reason)

    def test_republished_end_that_was_not_counted_before_a_crash_is_reported_as_it_was(self, world: World) -> None:
        jobs(world, done="a")
        world.look(world.announced("a"))
        world.aws.client("s3").delete_object(Bucket="bucket", Key="output.vcf")
        message = world.announced({"export_id": "a", "republish": True, "group": {"id": "run", "size": 1}})
        world.look(message)
        world.pass_time(121)
        process_and_die(world, [message], "record_results", "before")
        jobs(world, done="a")
        world.pass_time(61)
        world.look(message)
        [row] = rows_of(world.aws.report("run"))
        assert row["reason"] == "OBJECT_MISSING"

    def test_group_that_is_announced_again_after_its_completion_keeps_its_report(self, calm: World) -> None:
        jobs(calm, done="ab")
        calm.look(member(calm, "a", size=1))
        before = calm.aws.report("run"), calm.watch.groups.ledger.progress("run")
        calm.pass_time(HOUR)
        calm.look(member(calm, "a", size=1, age=2 * HOUR), member(calm, "b", size=1))
        assert (calm.aws.report("run"), calm.watch.groups.ledger.progress("run")) == before
        assert len(concluded(calm)) == 1

    def test_context_that_is_too_long_for_the_page_is_in_the_csv_alone(self, calm: World) -> None:
        jobs(calm, done="ab")
        contexts = {"a": {"of": "x" * 291}, "b": {"of": "y" * 292}}
        for one, context in contexts.items():
            calm.look(calm.announced({"export_id": one, "group": {"id": "run", "size": 2}, "context": context}))
        assert [json.loads(row["context"]) for row in rows_of(calm.aws.report("run"))] == list(contexts.values())
        [page] = versions(calm, "report.html")
        assert b"x" * 291 in page
        assert b"y" * 292 not in page
        assert b"report.csv has all of it" in page

    def test_empty_group_has_a_report_without_rows(self, calm: World) -> None:
        jobs(calm, running="a")
        calm.look(member(calm, "a", size=2))
        [message] = group_messages(calm)
        calm.pass_time(FINAL_DEADLINE + 1)
        calm.look(replace(message, sent_at=calm.now - FINAL_DEADLINE))
        [event] = concluded(calm)
        assert (event["data"]["report"]["rows"], event["data"]["missing"]) == (0, 2)
        assert rows_of(calm.aws.report("run")) == []

    def test_report_that_cannot_be_written_holds_the_event_back(self, calm: World) -> None:
        s3 = calm.aws.client("s3")
        s3.delete_bucket(Bucket="reports")
        jobs(calm, done="a")
        message = member(calm, "a", size=1)
        assert calm.look(message) == [message]
        assert calm.event_ids() == ["a:completed"]
        assert calm.report.counts["PublishFailures"] == 1
        assert "NoSuchBucket" in calm.report.logged("group_update_failed")[0]["cause"]
        # It is tried again each minute, or the alarm of failures in each of three periods would not fire.
        queue = Hiding(calm.watch.queue)
        watcher = with_parts(calm.watch, queue=queue)
        for waiting in (message, *group_messages(calm)):
            calm.pass_time(61)
            old = replace(waiting, sent_at=calm.now - 96 * HOUR)
            assert watcher.process_batch([old], calm.invocation()) == [old.message_id]
        assert queue.seconds == [pytest.approx(61)] * 2
        s3.create_bucket(Bucket="reports")
        calm.pass_time(61)
        assert calm.look(message) == []
        assert calm.event_ids() == ["run:concluded"]

    def test_report_waits_until_every_member_that_was_counted_can_be_read(self, calm: World) -> None:
        jobs(calm, done="ab")
        groups = calm.watch.groups
        behind = Behind(groups.ledger, missing=1)
        reports = replace(groups.reports, rows=behind)  # type: ignore[type-var]
        watcher = with_parts(calm.watch, groups=replace(groups, reports=reports))
        messages = [member(calm, "a", size=2), member(calm, "b", size=2)]
        assert len(watcher.process_batch(messages, calm.invocation())) == 2
        assert calm.event_ids() == ["a:completed", "b:completed"]
        assert "Contents" not in calm.aws.client("s3").list_objects_v2(Bucket="reports")
        assert calm.report.counts["PublishFailures"] == 1
        behind.missing = 0
        calm.pass_time(61)
        assert watcher.process_batch(messages, calm.invocation()) == []
        [event] = concluded(calm)
        assert event["data"]["report"]["rows"] == event["data"]["completed"] == 2

    def test_members_that_are_left_of_an_earlier_group_of_the_same_id_are_none_of_its_members(
        self, calm: World
    ) -> None:
        jobs(calm, done="ab")
        calm.look(member(calm, "a", size=2), member(calm, "b", size=2))
        assert len(concluded(calm)) == 1
        # DynamoDB has removed the group's own item, and its members' not yet.
        own = {"part": {"S": "run"}, "member_id": {"S": "#"}}
        calm.aws.client("dynamodb").delete_item(TableName="groups", Key=own)
        calm.pass_time(TTL_SECONDS + HOUR)
        calm.watch = calm.worker()
        jobs(calm, failed="a")
        message = member(calm, "a", size=1)
        assert calm.look(message) == []
        [event] = concluded(calm)
        assert (event["data"]["completed"] + event["data"]["failed"], event["data"]["missing"]) == (1, 0)
        assert [row["export_id"] for row in rows_of(calm.aws.report("run"))] == ["a"]

    @pytest.mark.parametrize("steps_in_time", [3, 22], ids=["while rows are read", "while the page is written"])
    def test_report_that_takes_all_the_time_is_given_up_before_the_invocation_ends(
        self, calm: World, steps_in_time: int
    ) -> None:
        calm.watch.groups.ledger.register(Group("run", 20), calm.now, calm.now)
        ends = [(Group("run", 20), a_row(f"e{number:02}")) for number in range(20)]
        left = iter([60.0] * steps_in_time)
        hurried = TimeBudget().start(calm.now, lambda: next(left, 5.0))
        with pytest.raises(UnavailableError, match="time is up"):
            calm.watch.groups.record_results(ends, hurried)
        assert calm.report.counts["PublishFailures"] == 1
        assert calm.events() == []
        calm.pass_time(61)
        calm.watch.groups.record_results(ends, calm.invocation())
        assert [event["data"]["report"]["rows"] for event in concluded(calm)] == [20]


@dataclass
class Hiding:
    """A queue that records for how long messages are hidden."""

    queue: Any
    seconds: list[float] = field(default_factory=list)

    def change_visibility(self, delays: Any) -> list[QueueMessage]:
        self.seconds += [seconds for _, seconds in delays]
        return list(self.queue.change_visibility(delays))


@dataclass
class Behind:
    """The rows of groups, of which the last ones cannot be read yet."""

    rows_of: Any
    missing: int

    def rows(self, *of: Any) -> list[ReportRow]:
        found = list(self.rows_of.rows(*of))
        return found[: len(found) - self.missing]


class TestCrashes:
    @pytest.mark.parametrize("step", STEPS_OF_A_CLOSED_GROUP)
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_report_that_is_written_again_after_a_crash_is_the_same(self, world: World, step: str, moment: str) -> None:
        enabled = {"Status": "Enabled"}
        world.aws.client("s3").put_bucket_versioning(Bucket="reports", VersioningConfiguration=enabled)
        jobs(world, done="a", failed="b")
        world.look(member(world, "a", size=3, age=HOUR), member(world, "b", size=3))
        [message] = group_messages(world)
        world.events()
        world.pass_time(FINAL_DEADLINE)
        message = replace(message, sent_at=world.now - FINAL_DEADLINE)
        process_and_die(world, [message], step, moment)
        # A member that comes now is too late, and an earlier start changes nothing any more.
        jobs(world, done="c")
        world.pass_time(HOUR)
        world.look(member(world, "c", size=3, age=2 * FINAL_DEADLINE))
        assert world.report.logged("group_overflow") == [{"group_id": "run", "export_ids": ["c"]}]
        world.look(message)
        events = concluded(world)
        assert len({json.dumps(event, sort_keys=True) for event in events}) == 1
        for name in ("report.csv", "report.html"):
            contents = versions(world, name)
            assert len(set(contents)) == 1
            # Written again by the second worker, where the first one had got so far.
            is_written_twice = step != "rows" and (step, moment) not in {("csv", "before"), ("record", "after")}
            assert name != "report.csv" or (len(contents) == 2) is is_written_twice, step
        assert events[0]["data"]["missing"] == 1
        sha256 = hashlib.sha256(versions(world, "report.csv")[0]).hexdigest()
        assert events[0]["data"]["report"]["csv_sha256"] == sha256
        status = world.app().status.answer({"status_of": {"group": "run"}})
        assert status["report"] == events[0]["data"]["report"]
        assert status["concluded_at"] == events[0]["data"]["concluded_at"] == events[0]["time"]

    @pytest.mark.parametrize("step", [*STEPS, *STEPS_OF_A_CLOSED_GROUP])
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
        assert len(events) == (2 if (step, moment) in {("publish", "after"), ("record", "before")} else 1)
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


@dataclass
class MortalStore:
    """The store of reports, whose process dies before or after it writes an object whose key ends with `step`."""

    store: Any
    step: str
    moment: str

    @property
    def bucket(self) -> str:
        return str(self.store.bucket)

    def write(self, key: str, *arguments: Any) -> str:
        dies = key.endswith(f".{self.step}")
        if dies and self.moment == "before":
            raise SystemExit
        sha256 = self.store.write(key, *arguments)
        if dies:
            raise SystemExit
        return str(sha256)


def process_and_die(world: World, messages: list[QueueMessage], step: str, moment: str) -> None:
    """Process a batch until the worker dies at this step of the groups' ledger, of their reports or of the topic."""

    def mortal(part: Any) -> Any:
        return Mortal(part, lambda *call: call == (step, moment))

    groups = world.watch.groups
    reports = replace(groups.reports, rows=mortal(groups.ledger), store=MortalStore(groups.reports.store, step, moment))  # type: ignore[type-var, attr-defined]
    topic = mortal(groups.topic)
    groups = replace(groups, ledger=mortal(groups.ledger), reports=reports, topic=topic, _registered={})
    dying = with_parts(world.watch, groups=groups)
    with pytest.raises(SystemExit):
        dying.process_batch(messages, world.invocation())


def test_members_counted_by_four_workers_at_once_and_again_are_counted_exactly(world: World) -> None:
    members = [a_row(f"e{n}", reason="TIMED_OUT", message="m") if n % 10 == 0 else a_row(f"e{n}") for n in range(200)]
    world.watch.groups.ledger.register(Group("run", 200), world.now, world.now)

    def count(batch: list[ReportRow]) -> None:
        groups = world.worker().groups
        while True:
            # Workers that keep meeting others give up, and their messages come again.
            with suppress(UnavailableError):
                return groups.record_results([(Group("run", 200), end) for end in batch], world.invocation())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, [members[n : n + 25] for n in (0, 25, 0, 50, 75, 50, 100, 125, 150, 100, 175)]))
    [event] = concluded(world)
    assert (event["data"]["completed"], event["data"]["failed"], event["data"]["missing"]) == (180, 20, 0)
    assert {one["export_id"] for one in event["data"]["failures"]} == {f"e{n}" for n in range(0, 200, 10)}
