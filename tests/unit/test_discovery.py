"""Discovery over lists of every kind: any order and length of pages, totals and links that lie, and odd items."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.adapters.sevenbridges import responses
from export_monitor.application.discovery import RECENT_SECONDS, Discovery
from export_monitor.domain.model import JobPage, Unavailable, UnavailableError, Volume, VolumeAnswer
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.timestamps import format_rfc3339
from tests.fakes import RecordingReporter
from tests.unit.property.strategies import JSON, bounded

NOW = 1_700_000_000.0
SPENT = Unavailable("the share is used up", not_attempted=True)
OUTAGE = Unavailable("HTTP 500")
OURS = Volume("rfranklin/output", "s3", "bucket", "")

Item = dict[str, Any]


def item(number: int, age: float = 3600.0, volume: str = "rfranklin/output") -> Item:
    """An item of the list, of a job that was started this many seconds ago."""
    return {
        "id": f"e{number}",
        "state": "RUNNING",
        "destination": {"volume": volume, "location": "a.bam"},
        "started_on": format_rfc3339(NOW - age),
    }


def newest_first(count: int, spacing: float = 1200.0) -> list[Item]:
    """This many items, the newest first; with the usual spacing the first 72 of them are recent."""
    return [item(number, age=150 + number * spacing) for number in range(count)]


@dataclass
class FakeList:
    """The API's list of exports. `total` is the value of its header by the list's length; None where there is none.

    `page_lengths` are taken in turn, `share` is how many pages a run may read. What `obstacles` has for an offset comes
    in place of the page.
    """

    items: list[Any]
    page_lengths: Sequence[int] = (100,)
    total: Callable[[int], str | None] = str
    links: Callable[[int, int], Any] = lambda end, length: [{"rel": "next"}] if end < length else []
    share: int = 100
    obstacles: dict[int, Unavailable | Exception] = field(default_factory=dict)
    volumes: dict[str, VolumeAnswer | Exception] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def list_jobs(self, offset: int, time_left: Callable[[], float]) -> JobPage | Unavailable:
        assert time_left() > 0
        if len(self.asked) >= self.share:
            return SPENT
        self.asked.append(offset)
        instead = self.obstacles.get(offset)
        if isinstance(instead, Exception):
            raise instead
        return instead or self.page(offset)

    def page(self, offset: int) -> JobPage:
        length = self.page_lengths[(len(self.asked) - 1) % len(self.page_lengths)]
        shown = self.items[offset : offset + length]
        body = {"items": shown, "links": self.links(offset + len(shown), len(self.items))}
        page = responses.parse_page(body, self.total(len(self.items)))
        assert page is not None
        return page

    def read_volume(self, name: str, time_left: Callable[[], float]) -> VolumeAnswer:
        assert time_left() > 0
        found = self.volumes.get(name, OURS)
        if isinstance(found, Exception):
            raise found
        return found

    def cached_volume(self, name: str) -> Volume | None:
        return None


@dataclass
class FakeMarks:
    """Which exports were watched, and where the last run stopped."""

    ids: set[str] = field(default_factory=set)
    offset: int | None = None
    unavailable: bool = False

    def watched(self, export_ids: Collection[str]) -> set[str]:
        return self.ids & set(export_ids)

    def add(self, export_ids: Collection[str], now: float) -> None:
        assert now == NOW
        if self.unavailable:
            raise UnavailableError("DynamoDB: it is down")
        self.ids.update(export_ids)

    def list_offset(self) -> int | None:
        return self.offset

    def remember_list_offset(self, offset: int | None) -> None:
        self.offset = offset


@dataclass
class FakeQueue:
    """Takes every start event."""

    sent: list[str] = field(default_factory=list)

    def send_discovered(self, export_ids: Sequence[str]) -> list[str]:
        self.sent += export_ids
        return list(export_ids)


class Searching:
    """Discovery over a list, with what it found."""

    def __init__(self, exports: FakeList, marks: FakeMarks | None = None) -> None:
        self.exports = exports
        self.marks = marks or FakeMarks()
        self.queue = FakeQueue()
        self.report = RecordingReporter()

    def run(self) -> "Searching":
        self.exports.asked.clear()
        Discovery(self.exports, self.marks, self.queue, self.report, ["bucket"]).discover(
            TimeBudget().start(NOW, lambda: 60.0)
        )
        return self

    @property
    def found(self) -> Counter[str]:
        return Counter(self.queue.sent)

    @property
    def pages(self) -> list[int]:
        return self.exports.asked

    @property
    def warnings(self) -> list[list[str]]:
        """Why runs stopped early; each is a warning and counted."""
        reported = [
            fields["cause"]
            for level, name, fields in self.report.lines
            if name == "discovery_truncated" == name and level == "warn"
        ]
        assert len(reported) == self.report.counts["DiscoveryTruncated"]
        return reported


def recent(items: Sequence[Item]) -> Counter[str]:
    since = format_rfc3339(NOW - RECENT_SECONDS)
    return Counter(one["id"] for one in items if one["started_on"] >= since)


ORDERS: dict[str, Callable[[list[Item]], list[Item]]] = {
    "newest first": lambda items: items,
    "oldest first": lambda items: items[::-1],
    "none": lambda items: sorted(items, key=lambda one: (int(one["id"][1:]) * 7919) % 1009),
}
TOTALS: dict[str, Callable[[int], str | None]] = {"total": str, "no total": lambda _: None}


@pytest.mark.parametrize("total", TOTALS.values(), ids=list(TOTALS))
@pytest.mark.parametrize("page_length", [1, 7, 20, 99, 100, 250])
@pytest.mark.parametrize("order", ORDERS.values(), ids=list(ORDERS))
def test_each_recent_export_is_found_once_whatever_the_order_and_the_length_of_the_pages(
    order: Callable[[list[Item]], list[Item]], page_length: int, total: Callable[[int], str | None]
) -> None:
    items = order(newest_first(90 if page_length == 1 else 500))
    search = Searching(FakeList(items, [page_length], total)).run()
    assert search.found == recent(items)
    assert search.warnings == []
    assert len(search.pages) == len(set(search.pages)) <= 100
    assert search.run().found == recent(items)


@pytest.mark.parametrize(
    ("order", "page_length", "total", "pages"),
    [
        ("newest first", 100, str, [0]),
        ("newest first", 20, str, [0, 20, 40, 60]),
        ("newest first", 20, lambda _: None, [0, 20, 40, 60]),
        ("oldest first", 100, str, [0, 400]),
        ("oldest first", 20, str, [0, 480, 460, 440, 420]),
        ("oldest first", 100, lambda _: None, [0, 100, 200, 300, 400]),
        ("none", 100, str, [0, 100, 200, 300, 400]),
    ],
)
def test_no_more_pages_are_read_than_the_order_calls_for(
    order: str, page_length: int, total: Callable[[int], str | None], pages: list[int]
) -> None:
    assert Searching(FakeList(ORDERS[order](newest_first(500)), [page_length], total)).run().pages == pages


@bounded(60)
@given(
    order=st.sampled_from(list(ORDERS.values())),
    count=st.integers(0, 80),
    spacing=st.sampled_from([10.0, 1200.0, 7000.0]),
    page_length=st.integers(1, 14),
    times=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    total=st.sampled_from(list(TOTALS.values())),
    share=st.integers(5, 12),
)
def test_runs_that_use_up_their_share_find_every_recent_export_between_them(
    *,
    order: Callable[[list[Item]], list[Item]],
    count: int,
    spacing: float,
    page_length: int,
    times: list[int],
    total: Callable[[int], str | None],
    share: int,
) -> None:
    items = order(newest_first(count, spacing))
    search = Searching(FakeList(items, [page_length * one for one in times], total, share=share))
    for _ in range(160):
        if not recent(items) - search.run().found:
            break
    assert search.found == recent(items)


@bounded(100)
@given(
    order=st.sampled_from(list(ORDERS.values())),
    page_lengths=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    total=st.sampled_from(["0", "1", "19", "21", "300", "999999999999999999", "9" * 5000, "-1", "many", " 60 ", ""]),
    next_is=st.sampled_from([[{"rel": "next"}], [], None, [None, {"rel": ["next"]}], "next"]),
    moves=st.booleans(),
)
def test_list_that_lies_about_itself_never_keeps_a_run_beyond_its_share(
    *,
    order: Callable[[list[Item]], list[Item]],
    page_lengths: list[int],
    total: str,
    next_is: Any,
    moves: bool,
) -> None:
    items = order(newest_first(60))
    exports = FakeList(items, page_lengths, lambda _: total, lambda *_: next_is, share=20)
    if not moves:
        by_offset = exports.page
        exports.page = lambda _: by_offset(0)  # type: ignore[method-assign]
    search = Searching(exports)
    for _ in range(3):
        assert len(search.run().pages) <= 20
    assert set(search.found) <= set(recent(items))
    assert search.found.total() == len(search.found)


def test_list_that_gives_the_same_page_again_is_left_with_a_warning() -> None:
    exports = FakeList(newest_first(300, spacing=1.0))
    first = exports.page(0)
    exports.page = lambda _: first  # type: ignore[method-assign]
    search = Searching(exports).run()
    assert search.pages == [0, 100]
    assert search.warnings == [["the API gives the same page for different offsets"]]
    assert search.marks.offset is None


@pytest.mark.parametrize("order", ["newest first", "oldest first"])
def test_total_that_is_too_high_loses_nothing(order: str) -> None:
    items = ORDERS[order](newest_first(60))
    search = Searching(FakeList(items, [20], lambda _: "400")).run()
    assert search.found == recent(items)
    assert search.warnings == [["the API gives an empty page where its list goes on"]]


@pytest.mark.parametrize("order", list(ORDERS))
def test_old_jobs_that_started_together_do_not_make_a_list_one_whose_rest_is_old(order: str) -> None:
    items = [*newest_first(60), *(item(100 + number, age=RECENT_SECONDS * 2) for number in range(60))]
    search = Searching(FakeList(ORDERS[order](items), [20])).run()
    assert search.found == recent(items)


def test_list_that_breaks_its_order_in_the_middle_is_read_whole() -> None:
    items = newest_first(500, spacing=600.0)
    items.insert(120, items.pop())
    search = Searching(FakeList(items)).run()
    assert (search.found, search.pages) == (recent(items), [0, 100, 200, 300, 400])


@pytest.mark.parametrize("total", ["20", "150", "0"])
@pytest.mark.parametrize("order", ["newest first", "oldest first"])
def test_total_that_is_too_low_loses_nothing_where_links_go_on(order: str, total: str) -> None:
    items = ORDERS[order](newest_first(300, spacing=600.0))
    search = Searching(FakeList(items, [20], lambda _: total)).run()
    assert search.found == recent(items)
    assert search.warnings == []


def test_run_that_stopped_beyond_a_total_that_is_too_low_is_resumed_there() -> None:
    items = ORDERS["oldest first"](newest_first(300, spacing=10.0))
    search = Searching(FakeList(items, [20], lambda _: "100", share=8))
    assert search.run().marks.offset == 220
    for _ in range(3):
        search.run()
    assert search.found == recent(items)


def test_list_without_links_and_total_is_read_to_its_empty_page() -> None:
    items = newest_first(50)
    search = Searching(FakeList(items, [20], lambda _: None, lambda *_: None)).run()
    assert search.found == recent(items)
    assert search.pages == [0, 20, 40, 50]
    assert search.warnings == []


def test_items_that_are_no_jobs_do_not_shift_the_next_page() -> None:
    items: list[Any] = newest_first(60)
    items[3:3] = [None, "job", {"id": 5}, {"id": "stateless"}]
    search = Searching(FakeList(items, [20])).run()
    assert search.found == recent(newest_first(60))
    assert search.pages == [0, 20, 40, 60]


@bounded(200)
@given(
    odd=JSON
    | st.builds(lambda job, name, value: job | {name: value}, st.just(item(7)), st.text(), JSON)
    | st.builds(
        lambda name, value: item(7) | {name: value},
        st.sampled_from(["id", "state", "started_on", "source", "destination", "properties", "error", "result"]),
        JSON,
    )
)
def test_whatever_one_item_is_the_others_of_its_page_are_found(odd: Any) -> None:
    search = Searching(FakeList([item(1), odd, item(2)])).run()
    assert {"e1", "e2"} <= set(search.found)
    assert set(search.found.values()) == {1}


@pytest.mark.parametrize("export_id", ["", "a b", "discovery#", "../a", "x" * 129])
def test_id_that_no_start_event_may_have_is_left_out(export_id: str) -> None:
    assert set(Searching(FakeList([item(1), item(2) | {"id": export_id}])).run().found) == {"e1"}


@pytest.mark.parametrize("answer", [RuntimeError("odd"), KeyError("odd"), OUTAGE])
def test_volume_that_cannot_be_read_leaves_out_its_own_exports_alone(answer: VolumeAnswer | Exception) -> None:
    exports = FakeList([item(1), item(2, volume="rfranklin/another"), item(3)], volumes={"rfranklin/another": answer})
    search = Searching(exports).run()
    assert set(search.found) == {"e1", "e3"}
    assert search.report.counts["ExportsDiscovered"] == 2
    unforeseen = int(isinstance(answer, Exception))
    assert search.report.counts["UnexpectedErrors"] == len(search.report.logged("unexpected_error")) == unforeseen
    assert len(search.warnings) == 1
    exports.volumes.clear()
    assert set(search.run().found) == {"e1", "e2", "e3"}


def test_page_that_breaks_in_a_way_nobody_foresaw_does_not_stop_the_pages_after_it() -> None:
    class OddMarks(FakeMarks):
        def watched(self, export_ids: Collection[str]) -> set[str]:
            if "e25" in export_ids:
                raise RuntimeError("odd")
            return super().watched(export_ids)

    search = Searching(FakeList(newest_first(60), [20]), OddMarks()).run()
    assert set(search.found) == {f"e{number}" for number in [*range(20), *range(40, 60)]}
    assert search.warnings == [["unexpected error: RuntimeError"]]


@pytest.mark.parametrize("fault", [OUTAGE, RuntimeError("odd")])
def test_page_that_always_fails_does_not_keep_the_pages_before_it_from_being_read(
    fault: Unavailable | Exception,
) -> None:
    exports = FakeList(newest_first(200, spacing=10.0), [20], obstacles={60: fault})
    search = Searching(exports).run()
    assert search.marks.offset == 60
    exports.items[:0] = [item(1000 + number) for number in range(40)]
    assert {f"e{1000 + number}" for number in range(40)} <= set(search.run().found)
    exports.obstacles.clear()
    search.run()
    assert search.found == recent(exports.items)
    assert search.marks.offset is None


def test_first_page_that_fails_does_not_forget_where_the_last_run_stopped() -> None:
    search = Searching(FakeList(newest_first(200), obstacles={0: OUTAGE}), FakeMarks(offset=100)).run()
    assert search.pages == [0]
    assert search.marks.offset == 100
    assert search.warnings == [["HTTP 500"]]


def test_export_that_was_sent_is_counted_though_it_could_not_be_marked() -> None:
    search = Searching(FakeList([item(1)]), FakeMarks(unavailable=True)).run()
    assert search.report.counts["ExportsDiscovered"] == 1
    assert search.report.logged("discovery_finished")[-1]["export_ids"] == ["e1"]
    assert search.warnings == [["DynamoDB: it is down"]]


def test_error_that_nobody_foresaw_ends_the_run_with_a_warning() -> None:
    class Broken(FakeMarks):
        def list_offset(self) -> int | None:
            raise ValueError("odd")

    assert Searching(FakeList([item(1)]), Broken()).run().warnings == [["unexpected error: ValueError"]]
