"""Neither wrong answers of the API nor unexpected errors end a watch or lose a message."""

from typing import Any

import pytest

from local.export_jobs import NEVER, documented_failed
from local.faults import Fault, Hang, Match, Status, Truncated
from tests.fakes import TOKEN
from tests.integration.harness import FILE, FINAL_DEADLINE, HOUR, JOBS, TIMEOUT, Refusing, World, completed, with_parts
from tests.integration.steps import WRONG_ANSWERS, answer_id

DAY = 24 * HOUR


class TestApi:
    @pytest.mark.parametrize("fault", WRONG_ANSWERS, ids=answer_id)
    @pytest.mark.parametrize("export_ids", [("a",), ("a", "b")], ids=["single", "bulk"])
    def test_wrong_answer_ends_no_watch_and_is_no_unexpected_error(
        self, calm: World, fault: Fault, export_ids: tuple[str, ...]
    ) -> None:
        for export_id in (*export_ids, documented_failed().id):
            calm.platform.add_job(completed(export_id))
        calm.platform.fail(Match(path=JOBS), fault, times=None)
        messages = [calm.announced(export_id) for export_id in export_ids]
        # Half a second is the least that a call is worth starting for, and a quarter is kept in reserve.
        calm.time_left = 1.0
        assert calm.look(*messages) == messages
        assert calm.events() == []
        calm.platform.faults.clear()
        calm.time_left = 60.0
        # A new worker: the old one's connection may just be closing, and then it would ask only at the next poll.
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
        assert calm.last_line["blocked_by"]

    def test_rate_limit_hides_the_batch_until_the_reset_and_stops_requests(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        reset = {"X-RateLimit-Reset": str(int(calm.now) + 200), "X-RateLimit-Remaining": "0"}
        calm.platform.fail(Match(), Status(429, {"status": 429, "code": 1000, "message": "…"}, reset), times=None)
        messages = [calm.announced("a"), calm.announced("b", age=FINAL_DEADLINE + 1)]
        assert calm.look(*messages) == messages
        assert 199 <= calm.last_line["delay_seconds"] <= 220
        assert calm.look(*messages) == messages
        assert len(calm.asked) == 1
        assert calm.report.counts["ApiThrottles"] == 1
        calm.platform.faults.clear()
        calm.pass_time(200)
        assert calm.look(messages[0]) == []
        assert calm.event_ids() == ["a:completed"]

    def test_rest_of_a_batch_beyond_the_share_is_hidden_for_its_poll_interval_without_a_request(
        self, calm: World
    ) -> None:
        calm.platform.bulk_enabled = False
        calm.share = 5
        calm.watch = calm.worker()
        for number in range(8):
            calm.platform.add_job(completed(f"e{number}", steps=NEVER))
        messages = [calm.announced(f"e{number}", age=1000) for number in range(8)]
        assert calm.look(*messages) == messages
        assert len(calm.asked) == 5
        delays = [line["delay_seconds"] for line in calm.report.logged("export_polled")]
        assert delays == [pytest.approx(100, abs=10)] * 8

    @pytest.mark.parametrize("secret", [TOKEN, " ", "{}", b"binary", f"{TOKEN}\nX-Injected: 1"])
    def test_rejected_or_missing_token_keeps_the_messages_and_is_counted(
        self, calm: World, secret: str | bytes
    ) -> None:
        calm.platform.tokens = set()
        put: dict[str, Any] = {"SecretBinary" if isinstance(secret, bytes) else "SecretString": secret}
        calm.aws.client("secretsmanager").put_secret_value(SecretId=calm.aws.secret_arn, **put)
        messages = [calm.announced("a"), calm.announced("b", age=TIMEOUT + 1)]
        assert calm.look(*messages) == messages
        assert calm.report.counts["TokenRejected"] == 1
        assert "token" in calm.last_line["blocked_by"] or "secret" in calm.last_line["blocked_by"]


class TestUnexpectedErrors:
    def test_event_that_cannot_be_claimed_keeps_its_message_beyond_the_final_deadline(self, world: World) -> None:
        world.platform.add_job(completed("a"))
        world.aws.client("dynamodb").delete_table(TableName="ledger")
        message = world.announced("a", age=FINAL_DEADLINE + 1)
        assert world.look(message) == [message]
        assert world.report.counts["PublishFailures"] == 1
        assert world.last_line["cause"].startswith("DynamoDB: ")
        assert world.aws.published() == []


class TestRetention:
    """SQS deletes a message silently after 14 days."""

    def test_event_that_could_not_be_published_for_14_days_is_a_dead_letter_that_can_be_sent_again(
        self, world: World
    ) -> None:
        for export_id in ("early", "late"):
            world.platform.add_job(completed(export_id))
        early, late = world.announced("early", age=13 * DAY), world.announced("late", age=14 * DAY - HOUR)
        watcher = with_parts(world.watch, topic=Refusing())
        assert watcher.process_batch([early, late], world.invocation()) == [early.message_id]
        [dead] = world.aws.dead_letters()
        assert (dead["Body"], dead["MessageAttributes"]["error"]["StringValue"]) == (
            late.body,
            "no event could be published in the 14 days for which SQS keeps a message",
        )
        world.pass_time(61)
        assert world.look(world.sent(dead["Body"])) == []
        assert world.event_ids() == ["late:completed"]

    def test_group_without_a_report_for_14_days_is_a_dead_letter_that_can_be_sent_again(self, world: World) -> None:
        world.platform.add_job(completed("a"))
        world.aws.client("s3").delete_bucket(Bucket="reports")
        member = world.announced({"export_id": "a", "group": {"id": "run", "size": 1}}, age=14 * DAY - HOUR)
        assert world.look(member) == []
        group = world.sent('{"watched_group": "run"}', age=14 * DAY - HOUR)
        assert world.look(group) == []
        dead = world.aws.dead_letters()
        assert sorted(one["Body"] for one in dead) == sorted([member.body, group.body])
        world.aws.client("s3").create_bucket(Bucket="reports")
        world.pass_time(61)
        assert world.look(*(world.sent(one["Body"]) for one in dead)) == []
        assert world.event_ids() == ["a:completed", "run:concluded"]
