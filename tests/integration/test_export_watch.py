"""The watch as a whole: the simulated API over loopback, moto's queue, ledger, topic, bucket and secret."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from export_monitor.adapters.export_queue import ExportQueue
from export_monitor.adapters.objects import ExportedObjects
from export_monitor.batch import Invocation
from export_monitor.watch import ExportWatch
from local.export_jobs import NEVER, Job, documented_completed, documented_failed
from local.faults import Close, Drip, Fault, Hang, Html, LeftOut, Match, OtherJob, Raw, Redirect, Status, Truncated
from local.platform import Platform
from local.simulated_api import serve
from tests.fakes import IN_TURN, TOKEN, RecordingReporter
from tests.integration.world import (
    FILE,
    HOUR,
    JOBS,
    LAST_MOMENT,
    SINGLE,
    TIMEOUT,
    Breaking,
    Refusing,
    Vanishing,
    World,
    completed,
)


def once(*values: Any) -> Any:
    """A case that is the same on each Python, and takes long."""
    return pytest.param(*values, marks=pytest.mark.once)


class TestEnds:
    def test_documented_completed_export_is_published_as_the_contract_shows_it(self, calm: World) -> None:
        job = calm.platform.add_job(documented_completed(), age_seconds=10)
        message = calm.announced({"id": job.id, "context": {"who": "ö"}, "group": {"id": "run-42", "size": 2}}, 20)
        assert calm.look(message) == []
        [envelope] = calm.aws.published()
        event = json.loads(envelope["Message"])
        data = event["data"]
        found = data["object"]
        assert event["id"] == "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2:completed"
        assert (event["type"], event["time"]) == ("cgc.export.completed.v1", "2016-06-15T19:17:41Z")
        assert data["export"]["properties"]["aws_canned_acl"] == "public-read"
        assert data["file"] == {
            "id": FILE, "name": "output.vcf", "project": "rfranklin/my-project", "size": 1234,
        }  # fmt: skip
        assert (found["uri"], found["size"], found["encryption"]) == ("s3://bucket/output.vcf", 1234, "AES256")
        assert data["verification"]["status"] == "passed"
        assert (data["failure"], data["context"]) == (None, {"who": "ö"})
        assert data["group"] == {"id": "run-42", "size": 2}
        assert data["watch"]["polls"] == 1
        assert {name: one["Value"] for name, one in envelope["MessageAttributes"].items()} == {
            "type": "cgc.export.completed.v1",
            "project": "rfranklin/my-project",
            "volume": "rfranklin/output",
            "bucket": "bucket",
            "verification": "passed",
            "group": "run-42",
        }
        assert calm.report.counts == {"ExportsCompleted": 1, "ExportsVerified": 1}
        assert ("VerifiedBytes", 1234) in calm.report.measures
        assert ("OldestWatchAgeSeconds", pytest.approx(20)) in calm.report.measures
        assert calm.last_line["outcome"] == "completed"

    def test_documented_failed_export_is_published_with_the_api_s_words_and_advice(self, calm: World) -> None:
        job = calm.platform.add_job(documented_failed())
        assert calm.look(calm.announced(job.id)) == []
        [envelope] = calm.aws.published()
        event = json.loads(envelope["Message"])
        failure = event["data"]["failure"]
        assert event["id"] == f"{job.id}:failed:EXPORT_FAILED"
        assert (failure["code"], failure["status"]) == (9107, 409)
        assert failure["message"] == "The destination already holds an object."
        assert "overwrite" in failure["advice"]
        assert event["data"]["file"]["name"] == "output.vcf"
        assert envelope["MessageAttributes"]["error_code"] == {"Type": "Number", "Value": "9107"}
        assert calm.report.counts == {"ExportsFailed": 1}

    def test_unfinished_export_is_hidden_for_a_tenth_of_its_age(self, calm: World) -> None:
        calm.platform.add_job(Job(id="slow", file=FILE, volume="rfranklin/output", location="slow", steps=NEVER))
        message = calm.announced("slow", age=1000)
        assert calm.look(message) == [message]
        assert (calm.last_line["outcome"], calm.last_line["delay_seconds"]) == ("waiting", 100.0)
        assert calm.report.counts == {"ExportsWaiting": 1}
        assert calm.events() == []

    def test_state_that_is_not_documented_is_told_and_waited_for(self, calm: World) -> None:
        calm.platform.add_job(completed("odd", fields={"state": "HIBERNATING"}))
        message = calm.announced("odd")
        assert calm.look(message) == [message]
        assert calm.report.told("unknown_state") == [{"export_id": "odd", "state": "HIBERNATING"}]

    def test_volume_that_is_not_on_amazon_s3_completes_with_every_check_skipped(self, calm: World) -> None:
        calm.platform.add_volume(
            "rfranklin/azure", bucket="", service={"type": "azure", "bucket": None, "container": "c", "endpoint": None}
        )
        calm.platform.deliver = None
        calm.platform.add_job(completed("elsewhere", volume="rfranklin/azure"))
        assert calm.look(calm.announced("elsewhere")) == []
        [event] = calm.events()
        assert event["type"] == "cgc.export.completed.v1"
        assert event["data"]["verification"]["status"] == "skipped"
        assert {check["status"] for check in event["data"]["verification"]["checks"]} == {"skipped"}


class TestBatches:
    def test_exports_of_a_batch_are_read_together_each_with_its_own_end(self, calm: World) -> None:
        calm.platform.add_job(completed("good"))
        calm.platform.add_job(documented_failed(id="bad"))
        calm.platform.add_job(completed("running", steps=NEVER))
        messages = [calm.announced(export_id) for export_id in ("good", "bad", "running")]
        assert calm.look(*messages) == [messages[2]]
        assert calm.event_ids() == ["bad:failed:EXPORT_FAILED", "good:completed"]
        assert calm.asked == [
            "POST /bulk/storage/exports/get", f"GET /files/{FILE}", "GET /storage/volumes/rfranklin/output",
        ]  # fmt: skip

    def test_platform_without_bulk_calls_is_read_singly(self, calm: World) -> None:
        calm.platform.bulk_enabled = False
        calm.platform.add_job(completed("a"))
        calm.platform.add_job(completed("b"))
        assert calm.look(calm.announced("a"), calm.announced("b")) == []
        assert calm.event_ids() == ["a:completed", "b:completed"]

    def test_unknown_export_of_a_batch_is_confirmed_singly(self, calm: World) -> None:
        calm.platform.add_job(completed("known"))
        messages = [calm.announced("unknown"), calm.announced("known")]
        assert calm.look(*messages) == [messages[0]]
        assert calm.asked[:2] == ["POST /bulk/storage/exports/get", "GET /storage/exports/unknown"]

    def test_export_that_the_bulk_answer_lacks_is_kept(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        calm.platform.add_job(completed("b"))
        calm.platform.fail(Match(path="/bulk/.*"), LeftOut("a"))
        messages = [calm.announced("a"), calm.announced("b")]
        assert calm.look(*messages) == [messages[0]]
        assert calm.look(messages[0]) == []
        assert calm.event_ids() == ["a:completed", "b:completed"]

    def test_message_that_is_not_understood_is_set_aside_and_disturbs_no_other(self, calm: World) -> None:
        calm.platform.add_job(completed("good"))
        messages = [calm.sent("not JSON"), calm.announced("good"), calm.sent('{"export_id": "../x"}')]
        assert calm.look(*messages) == []
        assert calm.event_ids() == ["good:completed"]
        letters = {one["Body"]: one["MessageAttributes"]["error"]["StringValue"] for one in calm.aws.dead_letters()}
        assert letters["not JSON"].startswith("body: must be JSON")
        assert letters['{"export_id": "../x"}'].startswith("export_id: must be")
        assert calm.report.counts["StartEventsRejected"] == 2
        assert len(calm.report.told("message_set_aside")) == 2

    def test_message_that_cannot_be_set_aside_is_kept(self, world: World) -> None:
        sqs = world.aws.client("sqs")
        sqs.delete_queue(QueueUrl=world.aws.dead_letter_queue_url)
        message = world.sent("not JSON")
        assert world.look(message) == [message]
        sqs.create_queue(QueueName="dead-letters")
        assert world.look(message) == []
        assert [letter["Body"] for letter in world.aws.dead_letters()] == ["not JSON"]

    def test_message_that_cannot_be_hidden_is_told_and_kept(self, calm: World) -> None:
        calm.platform.add_job(completed("slow", steps=NEVER))
        message = replace(calm.announced("slow"), receipt_handle="not-a-handle")
        assert calm.look(message) == [message]
        assert calm.report.told("message_not_hidden") == [{"message_id": message.message_id}]

    def test_kept_message_is_hidden_in_the_queue(self, calm: World) -> None:
        calm.platform.add_job(completed("slow", steps=NEVER))
        message = calm.announced("slow", age=LAST_MOMENT / 4)
        calm.aws.client("sqs").change_message_visibility(
            QueueUrl=calm.aws.queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=1
        )
        calm.look(message)
        time.sleep(1.1)
        assert "Messages" not in calm.aws.client("sqs").receive_message(QueueUrl=calm.aws.queue_url)


class TestPublishedOnce:
    def test_ten_redeliveries_to_four_workers_publish_once(self, calm: World) -> None:
        calm.platform.add_job(completed("seen-often"))
        messages = [calm.announced("seen-often") for _ in range(10)]
        workers = [calm.worker() for _ in range(4)]

        def work(worker: ExportWatch) -> None:
            for message in messages:
                worker.look_at([message], calm.invocation())

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, workers))
        assert calm.event_ids() == ["seen-often:completed"]
        calm.pass_time(61)
        assert calm.look(*messages) == []
        assert calm.events() == []

    def test_message_that_meets_a_live_claim_waits_until_it_ends(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        message = calm.announced("a")
        crashed = replace(calm.worker(), topic=Vanishing())
        with pytest.raises(SystemExit):
            crashed.look_at([message], calm.invocation())
        calm.pass_time(20)
        assert calm.look(message) == [message]
        assert calm.last_line["outcome"] == "kept"
        assert calm.last_line["delay_seconds"] == pytest.approx(41, abs=0.2)
        calm.pass_time(41)
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:completed"]

    def test_same_export_twice_in_a_batch_is_published_once(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        assert calm.look(calm.announced("a"), calm.announced("a"), calm.announced("a")) == []
        assert calm.event_ids() == ["a:completed"]

    def test_start_event_that_is_repeated_after_completion_publishes_nothing(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        calm.look(calm.announced("a"))
        calm.events()
        calm.pass_time(29 * 24 * HOUR)
        assert calm.look(calm.announced("a")) == []
        assert calm.events() == []
        assert calm.last_line["outcome"] == "published_before"

    def test_start_event_after_a_failure_is_looked_at_anew(self, calm: World) -> None:
        calm.platform.add_job(documented_failed(id="a"))
        calm.look(calm.announced("a"))
        calm.platform.add_job(completed("a"))
        assert calm.look(calm.announced("a")) == []
        assert calm.event_ids() == ["a:completed", "a:failed:EXPORT_FAILED"]

    def test_message_whose_event_was_recorded_publishes_nothing_more_whatever_it_finds(self, calm: World) -> None:
        calm.platform.add_job(documented_failed(id="a"))
        message = calm.announced("a")
        calm.look(message)
        calm.platform.add_job(completed("a"))
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:failed:EXPORT_FAILED"]

    def test_event_that_sns_refused_is_published_after_the_claim_has_ended(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        message = calm.announced("a")
        refusing = replace(calm.worker(), topic=Refusing())
        assert refusing.look_at([message], calm.invocation()) == [message.message_id]
        assert calm.last_line["because"] == "SNS: InternalError"
        assert calm.last_line["delay_seconds"] == pytest.approx(61, abs=0.1)
        calm.pass_time(61)
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:completed"]

    def test_nothing_is_published_when_too_little_time_is_left(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        message = calm.announced("a")

        def time_left() -> float:
            # Asked in time, but the last answer took long.
            return 60.0 if len(calm.asked) < 3 else 7.0

        assert calm.watch.look_at([message], Invocation(calm.now, calm.now + 60, time_left)) == [message.message_id]
        assert len(calm.asked) == 3
        assert calm.last_line["because"] == "the invocation's time is up"
        assert calm.events() == []
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:completed"]


class TestPatience:
    def test_unknown_export_fails_after_its_grace(self, calm: World) -> None:
        message = calm.announced("nobody-s")
        assert calm.look(message) == [message]
        calm.pass_time(299)
        assert calm.look(message) == [message]
        calm.pass_time(1.1)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "nobody-s:failed:EXPORT_NOT_FOUND"
        assert event["data"]["export"] == {"id": "nobody-s"}

    def test_export_that_is_known_after_all_completes(self, calm: World) -> None:
        message = calm.announced("late")
        assert calm.look(message) == [message]
        calm.platform.add_job(completed("late"))
        calm.pass_time(200)
        assert calm.look(message) == []
        assert calm.event_ids() == ["late:completed"]

    @pytest.mark.parametrize(
        ("job", "reason"),
        [
            (completed("a", foreign=True), "EXPORT_FORBIDDEN"),
            once(completed("a", volume="rfranklin/unknown"), "VOLUME_UNAVAILABLE"),
            once(completed("a", volume="../users/me"), "VOLUME_UNAVAILABLE"),
            once(completed("a", hidden=frozenset({"destination"})), "VOLUME_UNAVAILABLE"),
            (completed("a", volume="rfranklin/private"), "OBJECT_FORBIDDEN"),
        ],
    )
    def test_refused_access_is_counted_and_waited_for_a_day(self, calm: World, job: Job, reason: str) -> None:
        calm.platform.add_volume("rfranklin/private", bucket="not-one-of-export-buckets")
        calm.platform.deliver = None
        calm.platform.add_job(job)
        message, begun = calm.announced("a"), calm.now
        looks = 0
        while calm.look(message):
            looks += 1
            assert calm.events() == []
            calm.pass_time(calm.last_line["delay_seconds"] + 0.1)
        assert calm.report.counts["AccessRefused"] == looks
        assert calm.now - begun == pytest.approx(24 * HOUR, abs=2)
        assert calm.event_ids() == [f"a:failed:{reason}"]
        assert not any("users" in path for path in calm.asked)

    def test_missing_object_is_looked_for_every_thirty_seconds_until_its_grace_is_over(self, calm: World) -> None:
        calm.platform.deliver = None
        calm.platform.add_job(completed("a"))
        message = calm.announced("a", age=10 * HOUR)
        for _ in range(4):
            assert calm.look(message) == [message]
            assert calm.last_line["delay_seconds"] <= 30
            calm.pass_time(30)
        calm.pass_time(0.1)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "a:failed:OBJECT_MISSING"
        assert "s3://bucket/output.vcf" in event["data"]["failure"]["message"]
        assert event["data"]["object"] is None

    def test_object_that_comes_late_completes_its_export(self, calm: World) -> None:
        calm.platform.deliver = None
        job = calm.platform.add_job(completed("a"))
        message = calm.announced("a")
        assert calm.look(message) == [message]
        calm.aws.put_object(job)
        calm.pass_time(30)
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:completed"]

    def test_object_of_another_size_fails_with_what_was_expected_and_what_was_found(self, calm: World) -> None:
        calm.platform.add_file(FILE, name="output.vcf", size=4321, project="rfranklin/my-project")
        calm.platform.add_job(completed("a"))
        message = calm.announced("a")
        assert calm.look(message) == [message]
        calm.pass_time(121)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "a:failed:OBJECT_MISMATCH"
        [size] = [check for check in event["data"]["verification"]["checks"] if check["name"] == "size"]
        assert (size["status"], size["expected"], size["actual"]) == ("failed", 4321, 1234)
        # The source may be gone.
        assert "start it again" not in event["data"]["failure"]["advice"].lower()

    def test_volume_that_was_pointed_elsewhere_is_read_again_before_its_object_is_missing(self, calm: World) -> None:
        calm.platform.add_job(completed("first"))
        calm.look(calm.announced("first"))
        calm.platform.deliver = None
        calm.aws.client("s3").delete_object(Bucket="bucket", Key="output.vcf")
        calm.aws.put_object(completed("a", location="moved/output.vcf"))
        calm.platform.add_volume("rfranklin/output", bucket="bucket", prefix="moved")
        calm.platform.add_job(completed("a"))
        assert calm.look(calm.announced("a")) == []
        assert calm.event_ids() == ["a:completed", "first:completed"]

    def test_export_that_is_unfinished_at_the_time_out_has_timed_out(self, calm: World) -> None:
        calm.platform.add_job(completed("slow", steps=NEVER), age_seconds=10)
        message = calm.announced("slow", age=TIMEOUT - 1)
        assert calm.look(message) == [message]
        calm.pass_time(1)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "slow:failed:TIMED_OUT"
        assert event["data"]["export"]["state"] == "RUNNING"

    @pytest.mark.parametrize("fault", [Status(503, {"code": 0}), Html(502), Status(400, {"code": 90000}), Close()])
    def test_api_that_cannot_be_asked_at_the_time_out_is_waited_for_until_the_last_moment(
        self, calm: World, fault: Fault
    ) -> None:
        calm.platform.fail(Match(path=JOBS), fault, times=None)
        message = calm.announced("a", age=LAST_MOMENT - 1)
        assert calm.look(message) == [message]
        calm.pass_time(1.1)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "a:failed:TIMED_OUT"
        assert "could not be read" in event["data"]["failure"]["message"]

    def test_refused_token_at_the_last_moment_is_the_obstacle_that_the_event_names(self, calm: World) -> None:
        calm.platform.tokens = set()
        assert calm.look(calm.announced("a", age=LAST_MOMENT + 1)) == []
        [event] = calm.events()
        assert event["id"] == "a:failed:TIMED_OUT"
        assert "token" in event["data"]["failure"]["message"]

    def test_message_that_arrives_late_is_looked_at_before_it_is_judged(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        assert calm.look(calm.announced("a", age=13 * 24 * HOUR)) == []
        assert calm.event_ids() == ["a:completed"]


class TestApi:
    @pytest.mark.parametrize(
        "fault",
        [
            Status(500, {"status": 500, "code": 90004, "message": "unexpected"}),
            Status(503, {"status": 503, "code": 0, "message": "maintenance"}),
            Status(401, "Unauthorized"),
            Status(403, "Forbidden"),
            Status(404, {"status": "NOT_FOUND", "message": "HTTP 404 Not Found"}),
            Html(502),
            Html(200),
            Truncated(),
            OtherJob("another"),
            Redirect("http://127.0.0.1:9/v2/storage/exports/a"),
            Hang(60),
            Drip(3),
            Close(),
            Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
            Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{"),
            Raw(b"rubbish\r\n\r\n"),
        ],
        ids=lambda fault: type(fault).__name__ + str(getattr(fault, "status", "")),
    )
    @pytest.mark.parametrize("export_ids", [("a",), ("a", "b")], ids=["single", "bulk"])
    def test_lying_api_ends_no_watch_and_is_no_surprise(
        self, calm: World, fault: Fault, export_ids: tuple[str, ...]
    ) -> None:
        for export_id in (*export_ids, "another"):
            calm.platform.add_job(completed(export_id))
        calm.platform.fail(Match(path=JOBS), fault, times=None)
        messages = [calm.announced(export_id) for export_id in export_ids]
        # Half a second is the least that a call is worth starting for, and a quarter is kept in reserve.
        calm.time_left = 1.0
        assert calm.look(*messages) == messages
        assert calm.events() == []
        calm.platform.faults.clear()
        calm.time_left = 60.0
        # A worker of its own: the old one's connection may just be closing, and then it would ask at the next look.
        calm.watch = calm.worker()
        assert calm.look(*messages) == []
        assert calm.event_ids() == [f"{export_id}:completed" for export_id in export_ids]

    @pytest.mark.parametrize("path", ["/storage/volumes/.*", f"/files/{FILE}"])
    @pytest.mark.parametrize("fault", [Status(503, {"code": 0}), Truncated(), Hang(60)], ids=["503", "cut", "hang"])
    def test_export_is_not_judged_while_its_volume_or_file_is_not_answered(
        self, calm: World, path: str, fault: Fault
    ) -> None:
        calm.platform.add_job(completed("a"))
        calm.platform.fail(Match(path=path), fault, times=None)
        message = calm.announced("a")
        calm.time_left = 2.0
        assert calm.look(message) == [message]
        assert calm.events() == []
        assert calm.last_line["obstacle"]

    def test_file_that_the_api_does_not_show_leaves_its_size_unchecked(self, calm: World) -> None:
        calm.platform.add_job(completed("a", file="5761000000000000000000ff"))
        calm.platform.add_file("5761000000000000000000ff", name="x", size=1234, project="p/q")
        refusal = {"status": 403, "code": 5001, "message": "No."}
        calm.platform.fail(Match(path="/files/.*"), Status(403, refusal), times=None)
        assert calm.look(calm.announced("a")) == []
        [event] = calm.events()
        checks = {check["name"]: check["status"] for check in event["data"]["verification"]["checks"]}
        assert (checks["exists"], checks["size"]) == ("passed", "skipped")
        assert event["data"]["file"] is None

    def test_rate_limit_keeps_the_batch_for_as_long_and_asks_nothing_more(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        reset = {"X-RateLimit-Reset": str(int(calm.now) + 200), "X-RateLimit-Remaining": "0"}
        calm.platform.fail(Match(), Status(429, {"status": 429, "code": 1000, "message": "…"}, reset), times=None)
        messages = [calm.announced("a"), calm.announced("b", age=LAST_MOMENT + 1)]
        assert calm.look(*messages) == messages
        assert 199 <= calm.last_line["delay_seconds"] <= 220
        assert calm.look(*messages) == messages
        assert len(calm.asked) == 1
        assert calm.report.counts["RateLimited"] == 1
        calm.platform.faults.clear()
        calm.pass_time(200)
        assert calm.look(messages[0]) == []
        assert calm.event_ids() == ["a:completed"]

    def test_rest_of_a_batch_beyond_the_share_is_hidden_for_its_poll_delay_unasked(self, calm: World) -> None:
        calm.platform.bulk_enabled = False
        calm.share = 5
        calm.watch = calm.worker()
        for number in range(8):
            calm.platform.add_job(completed(f"e{number}", steps=NEVER))
        messages = [calm.announced(f"e{number}", age=1000) for number in range(8)]
        assert calm.look(*messages) == messages
        assert len(calm.asked) == 5
        assert {line["delay_seconds"] for line in calm.report.told("export_looked_at")} == {100.0}

    def test_rotated_token_is_read_afresh(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        calm.platform.add_job(completed("b"))
        calm.look(calm.announced("a"))
        calm.platform.tokens = {"the-new-token"}
        calm.aws.client("secretsmanager").put_secret_value(
            SecretId=calm.aws.secret_arn, SecretString='{"auth_token": "the-new-token\\n"}'
        )
        assert calm.look(calm.announced("b")) == []
        assert calm.event_ids() == ["a:completed", "b:completed"]
        assert not calm.report.counts["TokenRefused"]

    @pytest.mark.parametrize("secret", [TOKEN, " ", "{}", b"binary", f"{TOKEN}\nX-Injected: 1"])
    def test_token_that_is_refused_or_none_keeps_the_messages_and_is_counted(
        self, calm: World, secret: str | bytes
    ) -> None:
        calm.platform.tokens = set()
        put: dict[str, Any] = {"SecretBinary" if isinstance(secret, bytes) else "SecretString": secret}
        calm.aws.client("secretsmanager").put_secret_value(SecretId=calm.aws.secret_arn, **put)
        messages = [calm.announced("a"), calm.announced("b", age=TIMEOUT + 1)]
        assert calm.look(*messages) == messages
        assert calm.report.counts["TokenRefused"] == 1
        assert "token" in calm.last_line["obstacle"] or "secret" in calm.last_line["obstacle"]

    def test_token_goes_to_the_platform_alone_and_every_request_is_json(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        other = Platform("another")
        with serve(other) as elsewhere:
            calm.platform.fail(Match(path=SINGLE), Redirect(f"{elsewhere}/storage/exports/a"))
            message = calm.announced("a")
            assert calm.look(message) == [message]
            assert calm.look(message) == []
        assert other.requests == ()
        assert all(one.token_was_right for one in calm.platform.requests)
        assert all("content-type" in one.header_names for one in calm.platform.requests)


class TestSurprises:
    def test_error_that_nobody_foresaw_keeps_the_message_and_is_told(self, world: World) -> None:
        world.platform.add_job(completed("a"))
        world.watch = replace(world.watch, topic=Breaking())
        message = world.announced("a", age=1000)
        assert world.look(message) == [message]
        assert world.report.counts["UnforeseenErrors"] == 1
        assert world.report.told("unforeseen_error") == [{"message_ids": [message.message_id]}]
        assert world.events() == []

    def test_error_at_one_export_does_not_disturb_the_others(self, world: World) -> None:
        class Surprising(ExportedObjects):
            def look(self, wanted: Any, within_seconds: float) -> Any:
                answers = super().look(wanted, within_seconds)
                return [object() if job.id == "b" else answer for (_, job), answer in zip(wanted, answers, strict=True)]

        for export_id in "abc":
            world.platform.add_job(completed(export_id))
        surprising = Surprising(IN_TURN, lambda: world.aws.client("s3"), ["bucket"])
        world.watch = replace(world.watch, objects=surprising)
        messages = [world.announced(export_id) for export_id in "abc"]
        assert world.look(*messages) == [messages[1]]
        assert world.event_ids() == ["a:completed", "c:completed"]

    def test_error_after_an_event_was_published_keeps_only_the_messages_that_were_not_settled(
        self, world: World
    ) -> None:
        class Overstrained(RecordingReporter):
            def measure_bytes(self, metric: str, value: int) -> None:
                raise OverflowError(metric)

        for export_id in "ab":
            world.platform.add_job(completed(export_id))
        world.report = Overstrained()
        world.watch = world.worker()
        messages = [world.announced(export_id) for export_id in "ab"]
        assert world.look(*messages) == [messages[1]]
        # Both were recorded as published before anything was told of them.
        assert world.look(messages[1]) == []
        assert world.event_ids() == ["a:completed", "b:completed"]

    def test_error_at_the_last_moment_sets_the_message_aside(self, world: World) -> None:
        world.platform.add_job(completed("a"))
        world.watch = replace(world.watch, topic=Breaking())
        early, late = world.announced("a", age=LAST_MOMENT - 1), world.announced("a", age=LAST_MOMENT + 1)
        assert world.look(early, late) == [early]
        [letter] = world.aws.dead_letters()
        assert letter["Body"] == late.body
        assert letter["MessageAttributes"]["error"]["StringValue"].startswith("unforeseen error: ")

    def test_event_that_the_ledger_holds_back_is_kept_beyond_the_last_moment(self, world: World) -> None:
        world.platform.add_job(completed("a"))
        world.aws.client("dynamodb").delete_table(TableName="ledger")
        message = world.announced("a", age=LAST_MOMENT + 1)
        assert world.look(message) == [message]
        assert world.report.counts["EventsHeldBack"] == 1
        assert world.last_line["because"].startswith("DynamoDB: ")
        assert world.aws.published() == []

    def test_message_that_cannot_be_hidden_because_sqs_is_away_is_kept(self, world: World) -> None:
        def away() -> Any:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "ChangeMessageVisibilityBatch")

        world.platform.add_job(completed("slow", steps=NEVER))
        world.watch = replace(world.watch, queue=ExportQueue(IN_TURN, away, "exports", "dead-letters"))
        message = world.announced("slow")
        assert world.look(message) == [message]
        assert len(world.report.told("message_not_hidden")) == 1
