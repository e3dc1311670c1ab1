"""Delayed exports: said once, by the real parts over moto; the watch goes on and its final event is as without it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from export_monitor.application.watcher import ExportWatcher
from export_monitor.domain.events import Unpublished
from local.export_jobs import NEVER, documented_failed
from local.faults import Match, Status
from tests.contract.schema_files import validator
from tests.integration.harness import HOUR, Refusing, Vanishing, World, completed


@pytest.fixture
def late(calm: World) -> World:
    """A world in which an export is delayed after an hour; `a` does not end by itself."""
    calm.delayed_after_hours = 1
    calm.watch = calm.worker()
    calm.platform.add_job(completed("a", steps=NEVER))
    return calm


def with_delays(world: World, **parts: Any) -> ExportWatcher:
    """A worker whose delays have other parts."""
    worker = world.worker()
    assert worker.delays
    return replace(worker, delays=replace(worker.delays, **parts))


def test_delay_is_published_once_and_the_watch_goes_on(late: World) -> None:
    message = late.announced({"export_id": "a", "group": {"id": "run", "size": 2}, "context": {"k": 1}}, age=HOUR)
    assert late.look(message) == [message]
    [envelope] = late.aws.published()
    event = json.loads(envelope["Message"])
    validator("cgc.export.delayed.v1").validate(event)
    assert (event["id"], event["data"]["delay"]) == ("a:delayed", {"state": "PENDING", "waiting_for": "the job to end"})
    assert (event["data"]["context"], event["data"]["group"]) == ({"k": 1}, {"id": "run", "size": 2})
    assert event["data"]["watch"]["concluded_at"] is None
    attributes = {name: one["Value"] for name, one in envelope["MessageAttributes"].items()}
    assert attributes == {"type": "cgc.export.delayed.v1", "volume": "rfranklin/output", "group": "run"}
    assert envelope["Subject"] == "Export delayed: output.vcf"
    # Neither the next poll, nor another worker, nor another watch says it again.
    other = late.announced({"export_id": "a", "republish": True}, age=HOUR)
    assert late.look(message, other) == [message, other]
    late.watch = late.worker()
    assert late.look(message) == [message]
    assert late.look(other) == [other]
    assert late.events() == []
    assert late.report.counts["ExportsDelayed"] == len(late.report.logged("export_delayed")) == 1
    status = late.app().status.answer({"status_of": {"export_id": "a"}})
    assert [one["id"] for one in status["published"]] == ["a:delayed"]
    late.platform.add_job(completed("a"))
    assert late.look(message) == []
    assert late.look(other) == []
    # The other watch asked for the event again.
    assert late.event_ids() == ["a:completed", "a:completed"]


def test_younger_watch_is_not_delayed(late: World) -> None:
    message = late.announced("a", age=HOUR - 60)
    assert late.look(message) == [message]
    assert late.events() == []


def test_delays_are_off_by_default(calm: World) -> None:
    calm.platform.add_job(completed("a", steps=NEVER))
    message = calm.announced("a", age=71 * HOUR)
    assert calm.look(message) == [message]
    assert calm.events() == []


@pytest.mark.parametrize("ends", [completed("a"), documented_failed(id="a")], ids=["completed", "failed"])
def test_export_that_has_ended_is_not_delayed_but_its_end_is_published_after_a_delay(late: World, ends: Any) -> None:
    message = late.announced("a", age=HOUR)
    late.look(message)
    assert late.event_ids() == ["a:delayed"]
    late.platform.add_job(ends)
    assert late.look(message) == []
    [event] = late.events()
    assert "delay" not in event["data"]
    assert event["data"]["watch"]["concluded_at"]
    # An export that ends at its first poll was never delayed, and a completed one is not delayed any more.
    late.platform.add_job(completed("b"))
    assert late.look(late.announced("b", age=HOUR)) == []
    assert late.event_ids() == ["b:completed"]
    late.platform.add_job(completed("b", steps=NEVER))
    again = late.announced("b", age=HOUR)
    assert late.look(again) == [again]
    assert late.events() == []


def test_whatever_a_watch_waits_for_is_said(late: World) -> None:
    late.platform.fail(Match(path=".*/exports/a"), Status(503, {"status": 503, "code": 0, "message": "m"}), times=None)
    message = late.announced("a", age=HOUR)
    assert late.look(message) == [message]
    late.platform.faults.clear()
    unknown = late.announced("unknown", age=2 * HOUR)
    assert late.look(unknown) == [unknown]
    delays = [event["data"]["delay"] for event in late.events()]
    assert [one["state"] for one in delays] == [None, None]
    assert delays[0]["waiting_for"].startswith("an answer: ")
    assert delays[1]["waiting_for"].startswith("this to be fixed: ")


def test_final_event_that_cannot_be_published_is_what_the_watch_waits_for(late: World) -> None:
    late.platform.add_job(completed("b"))
    message = late.announced("b", age=HOUR)
    worker = late.worker()
    worker = replace(worker, concluder=replace(worker.concluder, topic=Refusing()))
    assert worker.process_batch([message], late.invocation()) == [message.message_id]
    # Its claim is live, so nothing is said before it ends; then the final event is.
    assert late.events() == []
    late.pass_time(61)
    assert late.look(message) == []
    assert late.event_ids() == ["b:completed"]


def test_delay_that_sns_rejects_is_published_at_a_later_poll(late: World) -> None:
    message = late.announced("a", age=HOUR)
    assert with_delays(late, topic=Refusing()).process_batch([message], late.invocation()) == [message.message_id]
    assert late.report.counts["PublishFailures"] == len(late.report.logged("delay_not_published")) == 1
    assert late.look(message) == [message]
    assert late.events() == []
    late.pass_time(61)
    assert late.look(message) == [message]
    assert late.event_ids() == ["a:delayed"]


def test_claim_of_a_crashed_worker_s_delay_does_not_hold_up_the_final_event(late: World) -> None:
    message = late.announced("a", age=HOUR)
    with pytest.raises(SystemExit):
        with_delays(late, topic=Vanishing()).process_batch([message], late.invocation())
    late.platform.add_job(completed("a"))
    assert late.look(message) == []
    assert late.event_ids() == ["a:completed"]


@pytest.mark.parametrize("when", ["published", "recorded"])
def test_crash_around_publication_repeats_a_delay_at_most_once_with_the_same_id(late: World, when: str) -> None:
    message = late.announced("a", age=HOUR)
    worker = late.worker()
    assert worker.delays
    ledger = worker.delays.ledger

    class Crashing:
        claim = staticmethod(ledger.claim)

        @staticmethod
        def record(*arguments: Any) -> set[str]:
            if when == "recorded":
                ledger.record(*arguments)
            raise SystemExit

    with pytest.raises(SystemExit):
        with_delays(late, ledger=Crashing()).process_batch([message], late.invocation())
    late.pass_time(61)
    assert late.look(message) == [message]
    assert late.event_ids() == ["a:delayed"] * (2 if when == "published" else 1)


class Broken:
    def claim(self, *_: Any) -> Any:
        raise ZeroDivisionError


def test_unexpected_error_of_a_delay_changes_nothing_else(world: World) -> None:
    world.delayed_after_hours = 1
    world.watch = world.worker()
    world.platform.add_job(completed("a", steps=NEVER))
    message = world.announced("a", age=HOUR)
    kept = with_delays(world, ledger=Broken()).process_batch([message], world.invocation())
    assert kept == [message.message_id]
    assert with_delays(world, topic=Raising()).process_batch([message], world.invocation()) == kept
    assert with_delays(world, api_base_url=Unprintable()).process_batch([message], world.invocation()) == kept
    assert world.report.counts["UnexpectedErrors"] == 3
    assert world.events() == []


class Raising:
    def publish(self, messages: Any) -> Any:
        return {one.event_id: Unpublished("SNS: rejected", ZeroDivisionError()) for one in messages}


class Unprintable:
    def __format__(self, _: str) -> str:
        raise ZeroDivisionError
