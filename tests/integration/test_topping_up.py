"""A full batch of the mapping is topped up from the queue; what the function received itself, it deletes itself."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from export_monitor.adapters.aws.sqs import ExportQueue
from export_monitor.application.topping_up import ToppingUp
from export_monitor.domain.crowding import CROWDED_POLLS_PER_MINUTE
from export_monitor.domain.model import QueueMessage, UnavailableError
from export_monitor.domain.time_budget import TimeBudget
from local.export_jobs import NEVER
from local.template import template
from tests.fakes import SYNCHRONOUS
from tests.integration.harness import Vanishing, World, completed, with_parts


class FewAtATime(ExportQueue):
    """SQS as it may answer: a message or two for each call, though more are there."""

    def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]:
        return super().receive([min(limit, 2) for limit in limits])


class Failing(ExportQueue):
    """SQS that neither gives nor deletes messages."""

    def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]:
        return [UnavailableError("SQS is away")] * len(limits)

    def delete(self, messages: Sequence[QueueMessage]) -> list[QueueMessage]:
        return list(messages)


class Broken(ExportQueue):
    """SQS whose answer is odd."""

    def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]:
        return [KeyError("Attributes")]


class Breaking(ExportQueue):
    """SQS that breaks in a way that nobody foresaw."""

    def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]:
        raise KeyError("Attributes")


class Undeletable(ExportQueue):
    """SQS that breaks when messages are deleted."""

    def delete(self, messages: Sequence[QueueMessage]) -> list[QueueMessage]:
        raise RuntimeError("odd")


def queue_of(world: World, kind: type[ExportQueue] = ExportQueue) -> ExportQueue:
    aws = world.aws
    return kind(SYNCHRONOUS, lambda: aws.client("sqs"), aws.queue_url, aws.dead_letter_queue_url)


def announce(world: World, number: int, make: Callable[[str], Any] = completed) -> list[str]:
    ids = [f"export-{one}" for one in range(number)]
    for export_id in ids:
        world.platform.add_job(make(export_id))
        world.aws.put_object(completed(export_id))
        world.aws.client("sqs").send_message(
            QueueUrl=world.aws.queue_url, MessageBody=json.dumps({"export_id": export_id})
        )
    return ids


def run(
    world: World, batch_size: int = 10, kind: type[ExportQueue] = ExportQueue
) -> tuple[list[QueueMessage], set[str]]:
    """One invocation as the mapping makes it: its batch, and the ids of the messages that stay in the queue."""
    [received] = queue_of(world).receive([batch_size])
    assert not isinstance(received, Exception)
    staying = ToppingUp(world.watch, queue_of(world, kind), world.report, world.watch.crowding).process_batch(
        received, world.invocation()
    )
    return received, set(staying)


def mapping_deletes(world: World, batch: Sequence[QueueMessage], staying: set[str]) -> None:
    assert queue_of(world).delete([message for message in batch if message.message_id not in staying]) == []


def running(export_id: str) -> Any:
    return completed(export_id, steps=NEVER)


def test_full_batch_is_the_template_s() -> None:
    mapping = template()["Resources"]["ExportMonitorFunction"]["Properties"]["Events"]["ExportQueue"]["Properties"]
    assert mapping["BatchSize"] == 10
    assert "MaximumBatchingWindowInSeconds" not in mapping


@pytest.mark.parametrize("kind", [ExportQueue, FewAtATime])
def test_full_batch_is_topped_up_to_a_hundred(calm: World, kind: type[ExportQueue]) -> None:
    announce(calm, 103)
    batch, staying = run(calm, kind=kind)
    assert len(batch) == 10
    assert staying == set()
    assert len(set(calm.event_ids())) == 100
    assert calm.asked[0] == "POST /bulk/storage/exports/get"
    # The function has deleted its 90 messages; the mapping deletes its own 10.
    assert calm.aws.messages_in_queue() == 13
    mapping_deletes(calm, batch, staying)
    assert calm.aws.messages_in_queue() == 3


def test_batch_that_is_not_full_is_not_topped_up(calm: World) -> None:
    announce(calm, 12)
    batch, _ = run(calm, batch_size=9)
    assert len(calm.event_ids()) == len(batch) == 9


def test_batch_of_a_crowd_is_topped_up_even_if_it_is_not_full(calm: World) -> None:
    calm.watch.crowding.add(calm.now, CROWDED_POLLS_PER_MINUTE)
    announce(calm, 12)
    batch, _ = run(calm, batch_size=2)
    assert len(batch) == 2
    assert len(calm.event_ids()) == 12


def test_messages_of_both_kinds_that_stay_are_hidden_and_only_the_mapping_s_are_returned(calm: World) -> None:
    announce(calm, 15, running)
    batch, staying = run(calm)
    assert staying == {message.message_id for message in batch}
    assert calm.aws.messages_in_queue() == 15
    assert queue_of(calm).receive([10]) == [[]]
    assert len(calm.report.logged("export_polled")) == 15


def test_message_that_cannot_be_parsed_is_dead_lettered_by_the_function_too(calm: World) -> None:
    announce(calm, 10)
    calm.aws.client("sqs").send_message(QueueUrl=calm.aws.queue_url, MessageBody="not JSON")
    batch, staying = run(calm)
    mapping_deletes(calm, batch, staying)
    assert [letter["Body"] for letter in calm.aws.dead_letters()] == ["not JSON"]
    assert calm.aws.messages_in_queue() == 0


@pytest.mark.parametrize(
    ("kind", "logged"), [(Failing, "receive_failed"), (Broken, "unexpected_error"), (Breaking, "unexpected_error")]
)
def test_receiving_fails_no_invocation(world: World, kind: type[ExportQueue], logged: str) -> None:
    announce(world, 11)
    run(world, kind=kind)
    assert len(world.event_ids()) == 10
    assert len(world.report.logged(logged)) == 1


@pytest.mark.parametrize("kind", [type("Kept", (Failing,), {"receive": ExportQueue.receive}), Undeletable])
def test_message_that_cannot_be_deleted_publishes_nothing_more_when_it_comes_again(
    world: World, kind: type[ExportQueue]
) -> None:
    announce(world, 11)
    batch, staying = run(world, kind=kind)
    mapping_deletes(world, batch, staying)
    assert len(world.report.logged("message_deletion_failed")) == 1
    assert len(world.event_ids()) == 11
    assert world.aws.messages_in_queue() == 1
    world.aws.client("sqs").send_message(QueueUrl=world.aws.queue_url, MessageBody='{"export_id": "export-10"}')
    run(world)
    assert world.event_ids() == []


def test_crash_leaves_messages_of_both_kinds_in_the_queue(calm: World) -> None:
    announce(calm, 25)
    calm.watch = with_parts(calm.watch, topic=Vanishing())
    with pytest.raises(SystemExit):
        run(calm)
    assert calm.aws.messages_in_queue() == 25


def test_message_that_comes_twice_is_processed_once_with_its_newest_receipt(calm: World) -> None:
    announce(calm, 10)
    [batch] = queue_of(calm).receive([10])
    assert not isinstance(batch, Exception)
    again = replace(batch[0], receipt_handle="newer", receive_count=2)

    class Twice(ExportQueue):
        def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]:
            return [[again]] if limits == [10] else [[]]

        def delete(self, messages: Sequence[QueueMessage]) -> list[QueueMessage]:
            assert list(messages) == [again]
            return []

    staying = ToppingUp(calm.watch, queue_of(calm, Twice), calm.report, calm.watch.crowding).process_batch(
        batch, calm.invocation()
    )
    assert staying == []
    assert len(calm.event_ids()) == 10
    assert sorted(line["receive_count"] for line in calm.report.logged("export_polled")) == [1] * 9 + [2]


def test_messages_of_a_crowd_are_hidden_at_a_common_instant(calm: World) -> None:
    announce(calm, 20, running)
    run(calm, batch_size=9)
    assert calm.pauses == []
    run(calm)
    [pause] = calm.pauses
    schedule = calm.watch.grace.schedule
    assert (calm.now + pause - schedule.phase_seconds) % 1 == pytest.approx(0, abs=1e-3) or pause == pytest.approx(
        1, abs=1e-3
    )


def test_hundred_messages_are_hidden_at_once(calm: World) -> None:
    announce(calm, 100, running)
    run(calm)
    assert len(calm.report.logged("export_polled")) == 100
    assert calm.pauses == []


def test_crowd_is_not_waited_for_where_no_time_is_left(calm: World) -> None:
    announce(calm, 20, running)
    [batch] = queue_of(calm).receive([10])
    assert not isinstance(batch, Exception)
    seconds_left = iter([60.0])
    budget = TimeBudget().start(calm.now, lambda: next(seconds_left, 5.0))
    ToppingUp(calm.watch, queue_of(calm), calm.report, calm.watch.crowding).process_batch(batch, budget)
    assert len(calm.report.logged("export_polled")) == 20
    assert calm.pauses == []
