"""Exports without a start event are found in the token owner's list, in any order, and watched once."""

from collections import Counter
from typing import Any

import pytest

from export_monitor.adapters.aws.dynamodb.table import Table
from export_monitor.adapters.aws.dynamodb.watched_exports import WatchedExports
from export_monitor.application.discovery import RECENT_SECONDS, Discovery
from export_monitor.domain.model import QueueMessage
from local.export_jobs import AT_ONCE, NEVER, documented_completed
from local.faults import Match, Status
from local.simulated_platform import ListOrder
from tests.fakes import SYNCHRONOUS
from tests.integration.harness import HOUR, World, with_parts

LIST = r"/storage/exports"
WARNING = ("warn", "discovery_truncated")


def marks_of(world: World) -> WatchedExports:
    return WatchedExports(Table(SYNCHRONOUS, lambda: world.aws.client("dynamodb"), "ledger"))


class Searching:
    """Discovery in a world, and what it has found so far."""

    def __init__(self, world: World, requests: int = 100) -> None:
        self.world = world
        self.requests = requests
        self.offset = len(world.platform.requests)

    def run(self, requests: int | None = None) -> list[str]:
        """One run of the schedule; the exports that it starts to watch."""
        world = self.world
        before = len(world.platform.requests)
        world.share = requests or self.requests
        worker = world.worker()
        Discovery(worker.api, marks_of(world), worker.queue, world.report, ["bucket"]).discover(world.invocation())  # type: ignore[arg-type]
        self.asked = [one.path for one in world.platform.requests[before:]]
        return world.report.logged("discovery_finished")[-1]["export_ids"] or []

    @property
    def stopped_early(self) -> list[str]:
        """Why the last run that stopped early did so, by its warning."""
        warnings = [fields for level, event, fields in self.world.report.lines if (level, event) == WARNING]
        assert len(warnings) == self.world.report.counts["DiscoveryTruncated"]
        reasons: list[str] = warnings[-1]["cause"] if warnings else []
        return reasons

    @property
    def pages(self) -> int:
        return self.asked.count("/storage/exports")


@pytest.fixture
def search(calm: World) -> Searching:
    return Searching(calm)


def start(world: World, export_id: str, age: float, **changes: Any) -> None:
    """A job that was started this many seconds ago."""
    world.platform.add_job(
        documented_completed(**{"id": export_id, "steps": AT_ONCE, "started_at": None, **changes}), age_seconds=age
    )


def received(world: World) -> list[QueueMessage]:
    """The messages of the queue, as Lambda hands them over."""
    messages = []
    while (
        batch := world.aws.client("sqs")
        .receive_message(
            QueueUrl=world.aws.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        .get("Messages")
    ):
        for one in batch:
            attributes = {
                name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                for name, value in one.get("MessageAttributes", {}).items()
            }
            messages.append(QueueMessage(one["MessageId"], one["ReceiptHandle"], one["Body"], world.now, 1, attributes))
    return messages


def test_export_without_a_start_event_is_watched_and_published_as_discovered(calm: World, search: Searching) -> None:
    start(calm, "forgotten", age=HOUR)
    assert search.run() == ["forgotten"]
    assert calm.report.counts["ExportsDiscovered"] == 1
    assert calm.look(*received(calm)) == []
    [event] = calm.events()
    assert event["id"] == "forgotten:completed"
    assert event["data"]["watch"]["origin"] == "discovered"


def test_origin_is_set_by_the_app_and_never_by_a_start_event(calm: World) -> None:
    start(calm, "a", age=HOUR)
    calm.look(calm.announced({"export_id": "a", "origin": "discovered"}))
    [event] = calm.events()
    assert event["data"]["watch"]["origin"] == "announced"


@pytest.mark.parametrize(
    ("age", "found"), [(119, []), (130, ["a"]), (RECENT_SECONDS - 60, ["a"]), (RECENT_SECONDS + 60, [])]
)
def test_exports_of_the_last_day_are_found(calm: World, search: Searching, age: float, found: list[str]) -> None:
    start(calm, "a", age=age)
    assert search.run() == found


def test_export_that_has_not_started_yet_is_found_later(calm: World, search: Searching) -> None:
    start(calm, "a", age=HOUR)
    waiting = {**calm.platform.show(calm.platform.job("a"), "href"), "state": "PENDING", "started_on": None}
    calm.platform.fail(Match(path=LIST), Status(200, {"items": [waiting], "links": []}))
    assert search.run() == []
    assert search.run() == ["a"]


def test_export_to_another_bucket_or_an_unknown_volume_is_left_out(calm: World, search: Searching) -> None:
    calm.platform.add_volume("rfranklin/theirs", bucket="theirs")
    start(calm, "a", age=HOUR, volume="rfranklin/theirs")
    start(calm, "b", age=HOUR, volume="rfranklin/unknown")
    start(calm, "c", age=HOUR, volume="../files")
    assert search.run() == []
    assert not any("files" in path for path in search.asked)


def test_announced_export_is_not_discovered_though_it_still_runs(calm: World, search: Searching) -> None:
    start(calm, "announced", age=HOUR, steps=NEVER)
    watch = with_parts(calm.watch, registry=marks_of(calm))
    message = calm.announced("announced")
    assert watch.process_batch([message], calm.invocation()) == [message.message_id]
    assert search.run() == []


def test_export_whose_watch_is_over_is_not_discovered(calm: World, search: Searching) -> None:
    start(calm, "a", age=HOUR)
    calm.look(calm.announced("a"))
    assert search.run() == []


def test_without_discovery_no_watch_costs_a_mark(calm: World) -> None:
    start(calm, "a", age=HOUR, steps=NEVER)
    calm.look(calm.announced("a"))
    assert calm.aws.client("dynamodb").scan(TableName="ledger")["Items"] == []


def recent(world: World) -> set[str]:
    jobs = world.platform.jobs()
    return {job.id for job in jobs if 120 <= world.now - (job.started_at or 0) <= RECENT_SECONDS - 60}


@pytest.mark.once
@pytest.mark.parametrize(("order", "pages"), [("newest first", 5), ("oldest first", 6), ("none", 12)])
def test_recent_exports_of_twelve_hundred_are_each_watched_once_whatever_the_order(
    calm: World, order: ListOrder, pages: int
) -> None:
    for number in range(1200):
        start(calm, f"e{number * 7919 % 1200}", age=150 + number * 240, delivers=False)
    calm.platform.list_order = order
    search = Searching(calm)
    announced = sorted(recent(calm))[::10]
    with_parts(calm.watch, registry=marks_of(calm)).process_batch(
        [calm.announced(one) for one in announced], calm.invocation()
    )
    found = search.run()
    assert Counter(found) == Counter(recent(calm) - set(announced))
    assert search.pages <= pages
    assert len(search.asked) <= 100
    assert calm.report.counts["DiscoveryTruncated"] == 0
    assert search.run() == []


def test_run_that_stopped_early_is_continued_by_the_next_that_gets_a_page(calm: World, search: Searching) -> None:
    calm.platform.page_limit = 20
    for number in range(200):
        start(calm, f"e{number}", age=150 + number, delivers=False)
    found = search.run(requests=5)
    assert 0 < len(found) < 200
    assert search.stopped_early == ["this worker's share of the rate limit is used up"]
    calm.platform.fail(Match(path=LIST), Status(200, {"items": None}))
    assert search.run() == []
    assert Counter(found + search.run()) == Counter(f"e{number}" for number in range(200))
    assert marks_of(calm).list_offset() is None


def test_message_that_sqs_did_not_take_is_sent_at_the_next_run(calm: World, search: Searching) -> None:
    start(calm, "a", age=HOUR)
    queue_url, calm.aws.queue_url = calm.aws.queue_url, "http://127.0.0.1/no-queue"
    assert search.run() == []
    calm.aws.queue_url = queue_url
    assert search.run() == ["a"]


def test_ledger_that_cannot_be_asked_finds_nothing_and_says_so(calm: World, search: Searching) -> None:
    start(calm, "a", age=HOUR)
    calm.aws.client("dynamodb").delete_table(TableName="ledger")
    assert search.run() == []
    [cause] = search.stopped_early
    assert cause.startswith("DynamoDB: ")
