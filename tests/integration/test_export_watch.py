"""A watch from its first poll to its event, by the real parts over the simulated API and moto."""

import json

import pytest

from export_monitor.domain.time_budget import TimeBudget
from local.export_jobs import NEVER, Job, documented_completed, documented_failed, error_body
from local.faults import Match, OmittedItem, Status
from tests.integration.harness import FILE, FINAL_DEADLINE, HOUR, Refusing, Vanishing, World, completed, with_parts


class TestEnds:
    def test_completed_export_is_published_with_its_attributes_and_measured(self, calm: World) -> None:
        job = calm.platform.add_job(documented_completed(), age_seconds=10)
        message = calm.announced({"id": job.id, "context": {"who": "ö"}, "group": {"id": "run-42", "size": 2}}, 20)
        assert calm.look(message) == []
        [envelope] = calm.aws.published()
        event = json.loads(envelope["Message"])
        assert event["id"] == "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2:completed"
        assert (event["data"]["context"], event["data"]["group"]) == ({"who": "ö"}, {"id": "run-42", "size": 2})
        assert event["data"]["watch"]["polls"] == 1
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

    def test_failed_export_is_published_with_the_api_s_code(self, calm: World) -> None:
        job = calm.platform.add_job(documented_failed())
        assert calm.look(calm.announced(job.id)) == []
        [envelope] = calm.aws.published()
        assert json.loads(envelope["Message"])["id"] == f"{job.id}:failed:EXPORT_FAILED"
        assert envelope["MessageAttributes"]["error_code"] == {"Type": "Number", "Value": "9107"}
        assert calm.report.counts == {"ExportsFailed": 1}

    @pytest.mark.parametrize("alone", [True, False])
    def test_code_with_which_the_api_denies_a_job_or_a_volume_is_published(self, calm: World, alone: bool) -> None:
        calm.platform.add_job(completed("foreign", foreign=True))
        calm.platform.add_job(completed("homeless", volume="rfranklin/gone"))
        calm.platform.add_job(completed("hidden", volume="rfranklin/hidden"))
        denied = Status(403, error_body(403, 9020, "No right on the volume.") | {"code": "9020"})
        calm.platform.fail(Match(path=".*/rfranklin/hidden"), denied, times=None)
        messages = [calm.announced(name, age=FINAL_DEADLINE) for name in ("unknown", "foreign", "homeless", "hidden")]
        for batch in [[one] for one in messages] if alone else [messages]:
            assert calm.look(*batch) == []
        envelopes = calm.aws.published()
        failures = [json.loads(one["Message"])["data"]["failure"] for one in envelopes]
        denials = [(9008, 404), (9005, 403), (9007, 404), (9020, 403)]
        assert [(one["code"], one["status"]) for one in failures] == denials
        assert [one["more_info"].partition("#")[2] for one in failures] == [str(one["code"]) for one in failures]
        codes = [one["MessageAttributes"]["error_code"] for one in envelopes]
        assert codes == [{"Type": "Number", "Value": str(one["code"])} for one in failures]

    @pytest.mark.parametrize("state", [None, "HIBERNATING"], ids=["unfinished", "undocumented"])
    def test_export_in_any_other_state_is_polled_again_after_a_tenth_of_its_age(
        self, calm: World, state: str | None
    ) -> None:
        calm.platform.add_job(completed("slow", steps=NEVER, fields={"state": state} if state else {}))
        message = calm.announced("slow", age=1000)
        assert calm.look(message) == [message]
        assert (calm.last_line["outcome"], calm.last_line["delay_seconds"]) == ("waiting", pytest.approx(100, abs=10))
        assert calm.report.counts == {"UnfinishedPolls": 1}
        assert calm.report.logged("unknown_job_state") == ([{"export_id": "slow", "state": state}] if state else [])
        assert calm.events() == []


class TestBatches:
    @pytest.mark.parametrize("bulk", [True, False])
    def test_exports_of_a_batch_are_read_together_where_the_platform_can(self, calm: World, bulk: bool) -> None:
        calm.platform.bulk_enabled = bulk
        calm.platform.add_job(completed("good"))
        calm.platform.add_job(documented_failed(id="bad", file=FILE))
        calm.platform.add_job(completed("running", steps=NEVER))
        messages = [calm.announced(export_id) for export_id in ("good", "bad", "running")]
        assert calm.look(*messages) == [messages[2]]
        assert calm.event_ids() == ["bad:failed:EXPORT_FAILED", "good:completed"]
        singly = [f"GET /storage/exports/{export_id}" for export_id in ("good", "bad", "running")]
        assert calm.asked == [
            "POST /bulk/storage/exports/get", *([] if bulk else singly), f"GET /files/{FILE}",
            "GET /storage/volumes/rfranklin/output",
        ]  # fmt: skip

    def test_export_that_the_bulk_answer_lacks_is_kept(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        calm.platform.add_job(completed("b"))
        calm.platform.fail(Match(path="/bulk/.*"), OmittedItem("a"))
        messages = [calm.announced("a"), calm.announced("b")]
        assert calm.look(*messages) == [messages[0]]
        assert calm.look(messages[0]) == []
        assert calm.event_ids() == ["a:completed", "b:completed"]


class TestPublishedOnce:
    def test_message_that_meets_a_live_claim_waits_until_it_ends(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        message = calm.announced("a")
        crashed = with_parts(calm.worker(), topic=Vanishing())
        with pytest.raises(SystemExit):
            crashed.process_batch([message], calm.invocation())
        calm.pass_time(20)
        assert calm.look(message) == [message]
        assert calm.last_line["outcome"] == "deferred"
        assert calm.last_line["delay_seconds"] == pytest.approx(41, abs=0.2)
        calm.pass_time(41)
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:completed"]

    def test_same_export_twice_in_a_batch_is_published_once(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        assert calm.look(calm.announced("a"), calm.announced("a"), calm.announced("a")) == []
        assert calm.event_ids() == ["a:completed"]

    @pytest.mark.parametrize(
        ("first", "is_announced_again", "published"),
        [
            (completed("a"), True, []),
            (documented_failed(id="a"), True, ["a:completed"]),
            (documented_failed(id="a"), False, []),
        ],
        ids=["completed before", "failed before", "same message"],
    )
    def test_ended_export_is_published_again_only_where_it_failed_and_was_announced_again(
        self, calm: World, first: Job, is_announced_again: bool, published: list[str]
    ) -> None:
        calm.platform.add_job(first)
        message = calm.announced("a")
        calm.look(message)
        assert len(calm.events()) == 1
        calm.platform.add_job(completed("a"))
        calm.pass_time(29 * 24 * HOUR)
        assert calm.look(calm.announced("a") if is_announced_again else message) == []
        assert calm.event_ids() == published
        assert calm.last_line["outcome"] == ("completed" if published else "already_published")

    @pytest.mark.parametrize("first", [completed("a"), documented_failed(id="a")], ids=["completed", "failed"])
    def test_event_is_published_again_once_for_each_message_that_asks_for_it(self, calm: World, first: Job) -> None:
        calm.platform.add_job(first)
        calm.look(calm.announced("a"))
        [before] = calm.events()
        calm.pass_time(29 * 24 * HOUR)
        repeated = [calm.announced({"export_id": "a", "republish": True}) for _ in range(2)]
        assert calm.look(*repeated) == []
        # Redelivered, together and alone, to this worker and to another.
        assert calm.look(*repeated) == []
        calm.watch = calm.worker()
        assert calm.look(repeated[0]) == []
        assert calm.event_ids() == [before["id"]] * 2
        # Only how soon the first one came is measured.
        assert [name for name, _ in calm.report.measures].count("DetectionLagSeconds") == 1
        assert calm.look(calm.announced("a")) == []
        assert calm.events() == []

    def test_start_event_that_does_not_ask_for_it_publishes_nothing_again(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        calm.look(calm.announced("a"))
        assert calm.event_ids() == ["a:completed"]
        assert calm.look(calm.announced({"export_id": "a", "republish": False})) == []
        assert calm.events() == []

    def test_repeated_event_says_what_is_found_now(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        calm.look(calm.announced("a"))
        assert calm.event_ids() == ["a:completed"]
        calm.platform.add_job(documented_failed(id="a"))
        repeated = calm.announced({"export_id": "a", "republish": True})
        assert calm.look(repeated) == []
        assert calm.look(repeated) == []
        assert calm.event_ids() == ["a:failed:EXPORT_FAILED"]

    def test_crash_before_an_event_is_published_again_does_not_lose_it(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        calm.look(calm.announced("a"))
        assert calm.event_ids() == ["a:completed"]
        repeated = calm.announced({"export_id": "a", "republish": True})
        with pytest.raises(SystemExit):
            with_parts(calm.worker(), topic=Vanishing()).process_batch([repeated], calm.invocation())
        assert calm.look(repeated) == [repeated]
        calm.pass_time(61)
        assert calm.look(repeated) == []
        assert calm.look(repeated) == []
        assert calm.event_ids() == ["a:completed"]

    def test_event_that_sns_rejected_is_published_after_the_claim_has_ended(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        message = calm.announced("a")
        rejecting = with_parts(calm.worker(), topic=Refusing())
        assert rejecting.process_batch([message], calm.invocation()) == [message.message_id]
        assert calm.last_line["cause"] == "SNS: InternalError"
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

        assert calm.watch.process_batch([message], TimeBudget().start(calm.now, time_left)) == [message.message_id]
        assert len(calm.asked) == 3
        assert calm.last_line["cause"] == "the invocation's time is up"
        assert calm.events() == []
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:completed"]
