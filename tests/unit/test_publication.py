"""Claim, publish, record: what becomes of each ending."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.claims import Claim, Refusal, RefusedClaim
from export_monitor.domain.events import Message, Unpublished
from export_monitor.domain.model import StartEvent, Watch
from export_monitor.publication import Ending, Fate, publish_once, rounds

NOW, DEADLINE = 1000.0, 1060.0


class Books:
    """A ledger that refuses as it is told and notes what is recorded; a topic that fails as it is told."""

    def __init__(
        self, refused: dict[str, RefusedClaim] | None = None, failing: dict[str, Unpublished] | None = None
    ) -> None:
        self.refused = refused or {}
        self.failing = failing or {}
        self.notes: list[object] = []
        self.unrecorded: set[str] = set()

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RefusedClaim]:
        self.notes.append(("claim", [claim.export_id for claim in claims], now, until))
        return self.refused

    def publish(self, messages: Sequence[Message]) -> dict[str, Unpublished]:
        self.notes.append(("publish", [message.event_id for message in messages]))
        return self.failing

    def record(self, published: Sequence[Claim], over: Sequence[Claim], now: float) -> set[str]:
        self.notes.append(("record", [claim.event_id for claim in published], [claim.message_id for claim in over]))
        return self.unrecorded


def ending(export_id: str, message_id: str = "m", sent_at: float = 0.0) -> Ending:
    watch = Watch(StartEvent(export_id), message_id, sent_at, 1)
    return Ending(watch, Message(f"{export_id}:completed", "subject", "body", {}))


def test_granted_claims_are_published_and_recorded_in_this_order() -> None:
    books = Books()
    settled = publish_once([ending("a"), ending("b")], books, books, NOW, DEADLINE, lambda: True)
    assert [one.fate for one in settled] == [Fate.PUBLISHED, Fate.PUBLISHED]
    assert books.notes == [
        ("claim", ["a", "b"], NOW, DEADLINE),
        ("publish", ["a:completed", "b:completed"]),
        ("record", ["a:completed", "b:completed"], []),
    ]


def test_watch_whose_event_was_published_before_is_over_without_another() -> None:
    books = Books(refused={"a": RefusedClaim(Refusal.OVER)})
    [settled] = publish_once([ending("a")], books, books, NOW, DEADLINE, lambda: True)
    assert settled.fate is Fate.PUBLISHED_BEFORE
    assert books.notes[1:] == [("publish", []), ("record", [], ["m"])]


def test_live_claim_keeps_the_message_until_it_ends() -> None:
    books = Books(refused={"a": RefusedClaim(Refusal.BUSY, wait_seconds=40)})
    [settled] = publish_once([ending("a")], books, books, NOW, DEADLINE, lambda: True)
    assert (settled.fate, settled.seconds) == (Fate.WAITING, 41)
    assert books.notes[1:] == [("publish", []), ("record", [], [])]


def test_message_that_could_not_be_published_is_kept_beyond_its_claim_and_not_recorded() -> None:
    books = Books(failing={"a:completed": Unpublished("SNS: InternalError")})
    settled = {one.ending.watch.start.export_id: one for one in publish_once(
        [ending("a"), ending("b")], books, books, NOW, DEADLINE, lambda: True)}  # fmt: skip
    assert settled["b"].fate is Fate.PUBLISHED
    assert (settled["a"].fate, settled["a"].because) == (Fate.HELD_BACK, "SNS: InternalError")
    assert settled["a"].seconds == DEADLINE - NOW + 1
    assert books.notes[2] == ("record", ["b:completed"], [])


def test_ending_that_could_not_be_recorded_holds_up_no_other() -> None:
    books = Books(refused={"over": RefusedClaim(Refusal.OVER)})
    books.unrecorded = {"a"}
    endings = [ending("a"), ending("b", "m2"), ending("over", "m3")]
    settled = publish_once(endings, books, books, NOW, DEADLINE, lambda: True)
    fates = {one.ending.watch.start.export_id: one.fate for one in settled}
    assert fates == {"a": Fate.UNRECORDED, "b": Fate.PUBLISHED, "over": Fate.PUBLISHED_BEFORE}


def test_claim_of_unknown_length_is_waited_for_by_the_poll_interval() -> None:
    books = Books(refused={"a": RefusedClaim(Refusal.BUSY)})
    [settled] = publish_once([ending("a")], books, books, NOW, DEADLINE, lambda: True)
    assert (settled.fate, settled.seconds) == (Fate.WAITING, None)


def test_every_ending_of_a_mixed_batch_has_one_fate_and_only_what_was_sent_is_recorded_as_sent() -> None:
    books = Books(
        refused={"over": RefusedClaim(Refusal.OVER), "busy": RefusedClaim(Refusal.BUSY, wait_seconds=5)},
        failing={"failing:completed": Unpublished("SNS: Throttled")},
    )
    endings = [ending(name, f"m-{name}") for name in ("over", "busy", "failing", "sent")]
    settled = publish_once(endings, books, books, NOW, DEADLINE, lambda: True)
    assert [(one.ending.watch.message_id, one.fate) for one in settled] == [
        ("m-sent", Fate.PUBLISHED),
        ("m-over", Fate.PUBLISHED_BEFORE),
        ("m-busy", Fate.WAITING),
        ("m-failing", Fate.HELD_BACK),
    ]
    assert books.notes[1:] == [
        ("publish", ["failing:completed", "sent:completed"]),
        ("record", ["sent:completed"], ["m-over"]),
    ]


class ClosedBooks(Books):
    """A ledger that cannot be asked."""

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RefusedClaim]:
        raise ConnectionError


def test_nothing_is_published_without_a_claim() -> None:
    books = ClosedBooks()
    with pytest.raises(ConnectionError):
        publish_once([ending("a")], books, books, NOW, DEADLINE, lambda: True)
    assert books.notes == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=12))
def test_rounds_hold_every_ending_once_and_each_export_s_oldest_watch_first(watches: list[tuple[str, int]]) -> None:
    endings = [ending(export_id, f"m{number}", sent_at) for number, (export_id, sent_at) in enumerate(watches)]
    parts = [[one.watch for one in part] for part in rounds(endings)]
    for part in parts:
        assert len({watch.start.export_id for watch in part}) == len(part) > 0
    flat = [watch for part in parts for watch in part]
    assert sorted(watch.message_id for watch in flat) == sorted(one.watch.message_id for one in endings)
    for export_id in "abc":
        sent_at = [watch.sent_at for watch in flat if watch.start.export_id == export_id]
        assert sent_at == sorted(sent_at)


def test_no_export_stands_twice_in_one_round_and_the_oldest_watch_comes_first() -> None:
    parts = list(rounds([ending("a", "new", 2), ending("b", "other", 3), ending("a", "old", 1)]))
    assert [[one.watch.message_id for one in part] for part in parts] == [["old", "other"], ["new"]]


def test_round_holds_no_more_than_a_transaction_takes() -> None:
    parts = list(rounds([ending(f"e{number}", f"m{number}") for number in range(205)]))
    assert [len(part) for part in parts] == [100, 100, 5]


def test_nothing_makes_no_round() -> None:
    assert list(rounds([])) == []
