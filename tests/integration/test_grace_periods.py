"""Faults that may resolve themselves are retried for their grace period, by the real parts over moto."""

from typing import Any

import pytest

from local.export_jobs import NEVER, Job
from local.faults import Close, Fault, Match, Status, html_page
from tests.integration.harness import FINAL_DEADLINE, HOUR, JOBS, TIMEOUT, World, completed


def once(*values: Any) -> Any:
    """A case that is the same on each Python, and takes long."""
    return pytest.param(*values, marks=pytest.mark.once)


class TestGracePeriods:
    def test_unknown_export_fails_after_its_grace_period(self, calm: World) -> None:
        message = calm.announced("unknown")
        assert calm.look(message) == [message]
        calm.pass_time(299)
        assert calm.look(message) == [message]
        calm.pass_time(1.1)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "unknown:failed:EXPORT_NOT_FOUND"
        assert event["data"]["export"] == {"id": "unknown"}

    @pytest.mark.parametrize("late", ["job", "object"])
    def test_export_completes_when_its_job_or_object_appears_within_the_grace_period(
        self, calm: World, late: str
    ) -> None:
        job = completed("a")
        if late == "object":
            calm.platform.deliver = None
            calm.platform.add_job(job)
        message = calm.announced("a")
        assert calm.look(message) == [message]
        calm.aws.put_object(job)
        calm.platform.add_job(job)
        calm.pass_time(30)
        assert calm.look(message) == []
        assert calm.event_ids() == ["a:completed"]

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
    def test_denied_access_is_counted_and_retried_for_a_day(self, calm: World, job: Job, reason: str) -> None:
        calm.platform.add_volume("rfranklin/private", bucket="not-one-of-export-buckets")
        calm.platform.deliver = None
        calm.platform.add_job(job)
        message, started = calm.announced("a"), calm.now
        polls = 0
        while calm.look(message):
            polls += 1
            assert calm.events() == []
            calm.pass_time(calm.last_line["delay_seconds"] + 0.1)
        assert calm.report.counts["AccessDenied"] == polls
        assert calm.now - started == pytest.approx(24 * HOUR, abs=2)
        assert calm.event_ids() == [f"a:failed:{reason}"]
        assert not any("users" in path for path in calm.asked)

    def test_missing_object_is_polled_every_thirty_seconds_until_its_grace_period_ends(self, calm: World) -> None:
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

    def test_export_that_is_unfinished_at_the_timeout_has_timed_out(self, calm: World) -> None:
        calm.platform.add_job(completed("slow", steps=NEVER), age_seconds=10)
        message = calm.announced("slow", age=TIMEOUT - 1)
        assert calm.look(message) == [message]
        calm.pass_time(1)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "slow:failed:TIMED_OUT"
        assert event["data"]["export"]["state"] == "RUNNING"

    @pytest.mark.parametrize("fault", [Status(503, {"code": 0}), html_page(502), Status(400, {"code": 90000}), Close()])
    def test_api_that_cannot_be_asked_at_the_timeout_is_retried_until_the_final_deadline(
        self, calm: World, fault: Fault
    ) -> None:
        calm.platform.fail(Match(path=JOBS), fault, times=None)
        message = calm.announced("a", age=FINAL_DEADLINE - 1)
        assert calm.look(message) == [message]
        calm.pass_time(1.1)
        assert calm.look(message) == []
        [event] = calm.events()
        assert event["id"] == "a:failed:TIMED_OUT"
        assert "could not be read" in event["data"]["failure"]["message"]

    def test_event_at_the_final_deadline_names_a_rejected_token_as_the_cause(self, calm: World) -> None:
        calm.platform.tokens = set()
        assert calm.look(calm.announced("a", age=FINAL_DEADLINE + 1)) == []
        [event] = calm.events()
        assert event["id"] == "a:failed:TIMED_OUT"
        assert "token" in event["data"]["failure"]["message"]

    def test_message_that_arrives_late_is_polled_before_it_is_judged_by_its_age(self, calm: World) -> None:
        calm.platform.add_job(completed("a"))
        assert calm.look(calm.announced("a", age=13 * 24 * HOUR)) == []
        assert calm.event_ids() == ["a:completed"]
