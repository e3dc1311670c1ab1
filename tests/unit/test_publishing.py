"""Claim, publish, record: what becomes of each ending."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.application.publishing import Conclusion, PublishStatus, publish_once, split_unique_exports
from export_monitor.application.reporting import PollResult
from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.events import SnsMessage, Unpublished
from export_monitor.domain.grace import Conclude
from export_monitor.domain.model import StartEvent, Watch
from export_monitor.domain.time_budget import TimeBudget
from export_monitor.domain.verdicts import Completed, Evidence
from tests.unit.builders import a_message

NOW, DEADLINE = 1000.0, 1060.0
BUDGET = TimeBudget().start(NOW, lambda: DEADLINE - NOW)


class FakeLedger:
    """A ledger with given rejections, and a topic with given failures; both note what they are asked."""

    def __init__(
        self, refused: dict[str, RejectedClaim] | None = None, failing: dict[str, Unpublished] | None = None
    ) -> None:
        self.refused = refused or {}
        self.failing = failing or {}
        self.notes: list[object] = []
        self.unrecorded: set[str] = set()

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]:
        self.notes.append(("claim", [claim.export_id for claim in claims], now, until))
        return self.refused

    def publish(self, messages: Sequence[SnsMessage]) -> dict[str, Unpublished]:
        self.notes.append(("publish", [message.event_id for message in messages]))
        return self.failing

    def record(self, published: Sequence[Claim], over: Sequence[Claim], now: float) -> set[str]:
        self.notes.append(("record", [claim.event_id for claim in published], [claim.message_id for claim in over]))
        return self.unrecorded


def ending(export_id: str, message_id: str = "m", sent_at: float = 0.0) -> Conclusion:
    watch = Watch(StartEvent(export_id), a_message(sent_at, 1, message_id))
    result = PollResult(watch, NOW, Completed(), Evidence(), Conclude())
    return Conclusion(result, SnsMessage(f"{export_id}:completed", "subject", "body", {}))


def test_granted_claims_are_published_and_recorded_in_this_order() -> None:
    books = FakeLedger()
    settled = publish_once([ending("a"), ending("b")], books, books, BUDGET)
    assert [one.status for one in settled] == [PublishStatus.PUBLISHED, PublishStatus.PUBLISHED]
    assert books.notes == [
        ("claim", ["a", "b"], NOW, DEADLINE),
        ("publish", ["a:completed", "b:completed"]),
        ("record", ["a:completed", "b:completed"], []),
    ]


def test_every_ending_of_a_mixed_batch_has_one_fate_and_only_what_was_sent_is_recorded_as_sent() -> None:
    books = FakeLedger(
        refused={
            "over": RejectedClaim(ClaimStatus.ALREADY_PUBLISHED),
            "busy": RejectedClaim(ClaimStatus.IN_PROGRESS, retry_after_seconds=40),
        },
        failing={"failing:completed": Unpublished("SNS: Throttled")},
    )
    books.unrecorded = {"unrecorded"}
    conclusions = [ending(name, f"m-{name}") for name in ("over", "busy", "failing", "unrecorded", "sent")]
    settled = publish_once(conclusions, books, books, BUDGET)
    assert [(one.conclusion.watch.message.message_id, one.status) for one in settled] == [
        ("m-over", PublishStatus.ALREADY_PUBLISHED),
        ("m-busy", PublishStatus.DEFERRED),
        ("m-failing", PublishStatus.FAILED),
        ("m-unrecorded", PublishStatus.UNRECORDED),
        ("m-sent", PublishStatus.PUBLISHED),
    ]
    # Until the live claim ends, and beyond the own claim of what was not published.
    assert [one.retry_after_seconds for one in settled[1:3]] == [41, DEADLINE - NOW + 1]
    assert settled[2].cause == "SNS: Throttled"
    assert books.notes[1:] == [
        ("publish", ["failing:completed", "unrecorded:completed", "sent:completed"]),
        ("record", ["unrecorded:completed", "sent:completed"], ["m-over"]),
    ]


class ClosedBooks(FakeLedger):
    """A ledger that cannot be asked."""

    def claim(self, claims: Sequence[Claim], now: float, until: float) -> dict[str, RejectedClaim]:
        raise ConnectionError


def test_nothing_is_published_without_a_claim() -> None:
    books = ClosedBooks()
    with pytest.raises(ConnectionError):
        publish_once([ending("a")], books, books, BUDGET)
    assert books.notes == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=12))
def test_rounds_hold_every_ending_once_and_each_export_s_oldest_watch_first(watches: list[tuple[str, int]]) -> None:
    conclusions = [ending(export_id, f"m{number}", sent_at) for number, (export_id, sent_at) in enumerate(watches)]
    parts = [[one.watch for one in part] for part in split_unique_exports(conclusions)]
    for part in parts:
        assert len({watch.export_id for watch in part}) == len(part) > 0
    flat = [watch for part in parts for watch in part]
    assert sorted(watch.message.message_id for watch in flat) == sorted(
        one.watch.message.message_id for one in conclusions
    )
    for export_id in "abc":
        sent_at = [watch.message.sent_at for watch in flat if watch.export_id == export_id]
        assert sent_at == sorted(sent_at)


def test_round_holds_no_more_than_a_transaction_takes() -> None:
    parts = list(split_unique_exports([ending(f"e{number}", f"m{number}") for number in range(205)]))
    assert [len(part) for part in parts] == [100, 100, 5]
