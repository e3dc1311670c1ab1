"""The ledger: of several workers one publishes, and what was published stays known."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export_monitor.adapters.aws.dynamodb.ledger import MAX_MESSAGE_IDS, Ledger
from export_monitor.adapters.aws.dynamodb.table import TTL_SECONDS, Table
from export_monitor.adapters.timeouts import CallTimeoutError
from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.model import UnavailableError
from tests.fakes import SYNCHRONOUS, SynchronousCalls, stubbed
from tests.unit.adapters.exports_table import TABLE, exports
from tests.unit.property.strategies import bounded

NOW = 1_700_000_000.25
DEADLINE = NOW + 45
COMPLETED = Claim("a", "a:completed", "m1")
FAILED = Claim("a", "a:failed:OBJECT_MISSING", "m1")


@pytest.fixture
def ledger(client: Any) -> Ledger:
    return Ledger(exports(client))


def item(client: Any, export_id: str = "a") -> dict[str, Any]:
    return dict(client.get_item(TableName=TABLE, Key={"export_id": {"S": export_id}}, ConsistentRead=True)["Item"])


def again(claim: Claim, number: int) -> Claim:
    """The same wish of another message."""
    return replace(claim, message_id=f"m{number}")


class TestClaims:
    @pytest.mark.parametrize("number", [1, 2, 100])
    def test_exports_of_one_batch_are_claimed_together(self, ledger: Ledger, number: int) -> None:
        claims = [Claim(f"e{n}", f"e{n}:completed", f"m{n}") for n in range(number)]
        assert ledger.claim(claims, NOW, DEADLINE) == {}
        rejected = ledger.claim(claims, NOW + 1, DEADLINE)
        assert rejected == {
            f"e{n}": RejectedClaim(ClaimStatus.IN_PROGRESS, pytest.approx(44, abs=0.002)) for n in range(number)
        }

    def test_no_wish_asks_nothing(self) -> None:
        with stubbed("dynamodb") as (client, _):
            ledger = Ledger(exports(client))
            assert ledger.claim([], NOW, DEADLINE) == {}
            ledger.record([], [], NOW)

    @pytest.mark.parametrize("other_number", [1, 2])
    def test_live_claim_stands_until_its_deadline_and_no_longer(self, ledger: Ledger, other_number: int) -> None:
        assert ledger.claim([COMPLETED], NOW, DEADLINE) == {}
        # The redelivered message of a crashed worker waits like that of any other.
        other = again(COMPLETED, other_number)
        assert ledger.claim([other], DEADLINE, DEADLINE + 45)["a"].status is ClaimStatus.IN_PROGRESS
        assert ledger.claim([other], DEADLINE + 0.002, DEADLINE + 45) == {}

    def test_refused_claims_of_a_batch_do_not_disturb_the_others(self, ledger: Ledger) -> None:
        over, busy = Claim("over", "over:completed", "m1"), Claim("busy", "busy:completed", "m2")
        ledger.claim([over], NOW, DEADLINE)
        ledger.record([over], [], NOW)
        ledger.claim([busy], NOW, DEADLINE)
        free = [Claim(f"free{n}", f"free{n}:completed", f"m{n}") for n in range(3)]
        rejected = ledger.claim([free[0], over, free[1], busy, free[2]], NOW, DEADLINE)
        assert {export_id: one.status for export_id, one in rejected.items()} == {
            "over": ClaimStatus.ALREADY_PUBLISHED,
            "busy": ClaimStatus.IN_PROGRESS,
        }
        assert rejected["busy"].retry_after_seconds == pytest.approx(45, abs=0.002)
        later = ledger.claim(free, NOW, DEADLINE)
        assert {one.status for one in later.values()} == {ClaimStatus.IN_PROGRESS}
        assert set(later) == {"free0", "free1", "free2"}

    def test_batch_of_nothing_but_refused_claims_comes_to_an_end(self, ledger: Ledger) -> None:
        claims = [Claim(f"e{n}", f"e{n}:completed", f"m{n}") for n in range(5)]
        ledger.claim(claims, NOW, DEADLINE)
        ledger.record(claims[:3], [], NOW)
        rejected = ledger.claim(claims, NOW, DEADLINE)
        assert [rejected[f"e{n}"].status for n in range(5)] == [ClaimStatus.ALREADY_PUBLISHED] * 3 + [
            ClaimStatus.IN_PROGRESS
        ] * 2


class TestPublishedBefore:
    def test_message_that_has_ended_publishes_nothing_more_whatever_it_finds(self, ledger: Ledger) -> None:
        ledger.claim([FAILED], NOW, DEADLINE)
        ledger.record([FAILED], [], NOW)
        found_now = replace(FAILED, event_id="a:completed")
        assert ledger.claim([found_now], NOW, DEADLINE)["a"].status is ClaimStatus.ALREADY_PUBLISHED

    @pytest.mark.parametrize("event_id", ["a:completed", "a:failed:OBJECT_MISSING"])
    def test_watch_after_a_published_completion_publishes_nothing(self, ledger: Ledger, event_id: str) -> None:
        ledger.claim([COMPLETED], NOW, DEADLINE)
        ledger.record([COMPLETED], [], NOW)
        late = NOW + 30 * 86400
        assert ledger.claim([Claim("a", event_id, "m2")], late, late + 45)["a"].status is ClaimStatus.ALREADY_PUBLISHED

    def test_watch_after_a_failure_publishes_an_event_with_a_new_id(self, ledger: Ledger) -> None:
        ledger.claim([FAILED], NOW, DEADLINE)
        ledger.record([FAILED], [], NOW)
        assert ledger.claim([again(FAILED, 2)], NOW, DEADLINE)["a"].status is ClaimStatus.ALREADY_PUBLISHED
        assert ledger.claim([Claim("a", "a:failed:TIMED_OUT", "m3")], NOW, DEADLINE) == {}
        ledger.record([Claim("a", "a:failed:TIMED_OUT", "m3")], [], NOW)
        assert ledger.claim([again(COMPLETED, 4)], NOW, DEADLINE) == {}

    def test_watch_that_is_over_without_an_event_of_its_own_stays_over(self, ledger: Ledger) -> None:
        ledger.claim([FAILED], NOW, DEADLINE)
        ledger.record([FAILED], [], NOW)
        ledger.record([], [again(FAILED, 2)], NOW)
        assert ledger.claim([again(COMPLETED, 2)], NOW, DEADLINE)["a"].status is ClaimStatus.ALREADY_PUBLISHED
        assert ledger.claim([again(COMPLETED, 3)], NOW, DEADLINE) == {}

    @pytest.mark.parametrize("before", [COMPLETED, FAILED], ids=["completed", "failed"])
    @pytest.mark.parametrize("event_id", ["a:completed", "a:failed:OBJECT_MISSING"])
    def test_watch_that_asks_for_the_event_again_publishes_it_once(
        self, ledger: Ledger, before: Claim, event_id: str
    ) -> None:
        ledger.claim([before], NOW, DEADLINE)
        ledger.record([before], [], NOW)
        repeated = Claim("a", event_id, "m2", republish=True)
        assert ledger.claim([repeated], NOW, DEADLINE) == {}
        # Another worker waits, as for every other claim.
        assert ledger.claim([replace(repeated, message_id="m3")], NOW, DEADLINE)["a"].status is ClaimStatus.IN_PROGRESS
        ledger.record([repeated], [], NOW)
        rejected = ledger.claim([repeated], NOW, DEADLINE)["a"]
        assert (rejected.status, rejected.published) == (ClaimStatus.ALREADY_PUBLISHED, event_id)
        # Each message publishes once.
        assert ledger.claim([replace(repeated, message_id="m3")], NOW, DEADLINE) == {}

    def test_end_of_a_repeated_watch_leaves_the_claim_of_another_alone(self, ledger: Ledger) -> None:
        ledger.claim([again(COMPLETED, 3)], NOW, DEADLINE)
        ledger.record([], [again(FAILED, 2)], NOW)
        assert ledger.claim([again(COMPLETED, 4)], NOW, DEADLINE)["a"].status is ClaimStatus.IN_PROGRESS

    def test_what_was_published_is_kept_for_more_than_thirty_days(self, ledger: Ledger, client: Any) -> None:
        others = [Claim("b", "b:completed", "m2")]
        ledger.claim([COMPLETED, *others], NOW, DEADLINE)
        ledger.record([COMPLETED], others, NOW + 5)
        for export_id in "ab":
            kept = int(item(client, export_id)["expires_at"]["N"]) - NOW
            assert kept == pytest.approx(TTL_SECONDS + 5, abs=1)
        assert TTL_SECONDS >= 30 * 86400
        assert item(client)["published_event_ids"] == {"SS": ["a:completed"]}
        assert item(client)["concluded_message_ids"] == {"SS": ["m1"]}

    def test_claim_keeps_the_item_for_as_long(self, ledger: Ledger, client: Any) -> None:
        ledger.claim([COMPLETED], NOW, DEADLINE)
        assert int(item(client)["expires_at"]["N"]) == int(NOW + TTL_SECONDS)


class TestManyMessages:
    """An item holds the ids of its concluded messages, and DynamoDB takes no item above 400 KB."""

    def test_item_as_large_as_dynamodb_takes_is_claimed_and_recorded_again(self, ledger: Ledger, client: Any) -> None:
        # What a version without a limit left.
        ids = [f"{number:036}" for number in range(11_200)]
        client.put_item(TableName=TABLE, Item={"export_id": {"S": "a"}, "concluded_message_ids": {"SS": ids}})
        other = Claim("b", "b:completed", "m2")
        assert ledger.claim([FAILED, other], NOW, DEADLINE) == {}
        assert ledger.record([FAILED, other], [], NOW) == set()
        assert item(client)["concluded_message_ids"] == {"SS": ["m1"]}

    @pytest.mark.parametrize("republish", [True, False])
    def test_item_stays_small_however_often_its_export_is_announced(
        self, ledger: Ledger, client: Any, republish: bool
    ) -> None:
        known = [f"{number:036}" for number in range(MAX_MESSAGE_IDS - 1)]
        ledger.record([FAILED], [], NOW)
        client.update_item(
            TableName=TABLE,
            Key={"export_id": {"S": "a"}},
            UpdateExpression="ADD concluded_message_ids :ids",
            ExpressionAttributeValues={":ids": {"SS": known}},
        )
        watch = replace(again(FAILED, 2), republish=republish)
        rejected = ledger.claim([watch], NOW, DEADLINE)
        assert [one.status for one in rejected.values()] == [ClaimStatus.ALREADY_PUBLISHED] * (not republish)
        granted = ([], [watch]) if rejected else ([watch], [])
        assert ledger.record(*granted, NOW) == set()
        assert item(client)["concluded_message_ids"] == {"SS": ["m2"]}
        # It was forgotten that the earlier messages are over, but not what was published.
        assert ledger.claim([FAILED], NOW, DEADLINE)["a"].status is ClaimStatus.ALREADY_PUBLISHED


@pytest.mark.parametrize("size", [1, 3])
def test_ten_redeliveries_to_four_workers_are_published_once(client: Any, size: int) -> None:
    claims = [Claim(f"e{n}", f"e{n}:completed", f"m{n}") for n in range(size)]
    begin = threading.Barrier(4)
    published: list[str] = []

    def work(_: int) -> None:
        ledger = Ledger(exports(client))
        begin.wait()
        for _ in range(10):
            rejected = ledger.claim(claims, NOW, DEADLINE)
            granted = [claim for claim in claims if claim.export_id not in rejected]
            published.extend(claim.event_id for claim in granted)
            ledger.record(granted, [], NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(published) == [claim.event_id for claim in claims]


class TestStatus:
    def test_every_event_has_the_time_of_its_last_publication(self, ledger: Ledger) -> None:
        assert ledger.published("a") is None
        ledger.claim([FAILED], NOW, DEADLINE)
        assert ledger.published("a") == {}
        ledger.record([FAILED], [], NOW)
        ledger.record([again(COMPLETED, 2)], [], NOW + 5)
        ledger.record([], [again(COMPLETED, 3)], NOW + 7)
        assert ledger.published("a") == {"a:failed:OBJECT_MISSING": NOW, "a:completed": NOW + 5}
        ledger.record([again(COMPLETED, 4)], [], NOW + 9)
        assert ledger.published("a") == {"a:failed:OBJECT_MISSING": NOW, "a:completed": NOW + 9}

    def test_event_that_an_earlier_version_published_has_no_time(self, ledger: Ledger, client: Any) -> None:
        client.put_item(TableName=TABLE, Item={"export_id": {"S": "a"}, "published_event_ids": {"SS": ["a:completed"]}})
        assert ledger.published("a") == {"a:completed": None}

    def test_status_is_unavailable_while_dynamodb_does_not_answer(self) -> None:
        with answering(("get_item", "InternalServerError")) as ledger, pytest.raises(UnavailableError):
            ledger.published("a")


KINDS = st.sampled_from(["completed", "failed:OBJECT_MISSING", "failed:TIMED_OUT"])
# Which of the messages ask for their event again.
REPUBLISH = {"m1": False, "m2": True, "m3": False, "m4": True}
_numbers = itertools.count()


@settings(bounded(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(sorted(REPUBLISH)), KINDS), max_size=12))
def test_message_publishes_once_and_repeats_an_event_only_if_it_asks_for_it(
    ledger: Ledger, deliveries: list[tuple[str, str]]
) -> None:
    export_id = f"e{next(_numbers)}"
    published: set[str] = set()
    concluded: set[str] = set()
    for message, kind in deliveries:
        claim = Claim(export_id, f"{export_id}:{kind}", message, REPUBLISH[message])
        rejected = ledger.claim([claim], NOW, DEADLINE)
        is_known = not published.isdisjoint({claim.event_id, f"{export_id}:completed"})
        assert bool(rejected) == (message in concluded or (is_known and not claim.republish))
        if rejected:
            assert rejected[export_id].status is ClaimStatus.ALREADY_PUBLISHED
            assert rejected[export_id].published in published
        ledger.record([] if rejected else [claim], [claim] if rejected else [], NOW)
        published |= set() if rejected else {claim.event_id}
        concluded.add(message)


BOTH = (Claim("a", "a:completed", "m1"), Claim("b", "b:completed", "m2"))
ALL, ONE = "transact_write_items", "update_item"
NONE, CONFLICT = {"Code": "None"}, {"Code": "TransactionConflict"}
OVER = {"Code": "ConditionalCheckFailed", "Item": {"concluded_message_ids": {"SS": ["m1"]}}}
LIVE, LAPSED = (
    {"Code": "ConditionalCheckFailed", "Item": {"claimed_until": {"N": str(int((NOW + seconds) * 1000))}}}
    for seconds in (30, -1)
)
BUSY = (ClaimStatus.IN_PROGRESS, None)
# A call, and what comes back: an error's code, the reasons of a cancelled transaction, or nothing.
Answer = tuple[str, str | list[dict[str, Any]] | None]


@contextmanager
def answering(*answers: Answer, calls: SynchronousCalls = SYNCHRONOUS) -> Iterator[Ledger]:
    """A ledger whose calls of DynamoDB, in this order, are answered like this."""
    with stubbed("dynamodb") as (client, stub):
        for call, answer in answers:
            if isinstance(answer, list):
                reasons = {"CancellationReasons": answer}
                stub.add_client_error(call, "TransactionCanceledException", modeled_fields=reasons)
            elif answer:
                stub.add_client_error(call, answer)
            else:
                stub.add_response(call, {})
        yield Ledger(Table(calls, lambda: client, TABLE))


class Impatient(SynchronousCalls):
    """Calls with time for this number of pauses."""

    def __init__(self, pauses: int) -> None:
        super().__init__()
        self.left = pauses

    def backoff(self, seconds: float) -> None:
        if not self.left:
            raise CallTimeoutError(started=False)
        self.left -= 1


class TestConflicts:
    """What one worker's transaction does to another's, which moto does not show."""

    def test_cancelled_claims_are_tried_again_after_a_pause(self) -> None:
        calls = SynchronousCalls()
        answers = (ALL, [CONFLICT, NONE]), (ALL, "TransactionInProgressException"), (ALL, None)
        with answering(*answers, calls=calls) as ledger:
            assert ledger.claim(BOTH, NOW, DEADLINE) == {}
        assert len(calls.pauses) == 2
        assert all(0 < pause < 1 for pause in calls.pauses)

    @pytest.mark.parametrize(
        ("number", "answers", "rejected"),
        [
            (2, [(ALL, [OVER, CONFLICT]), (ONE, None)], {"a": (ClaimStatus.ALREADY_PUBLISHED, None)}),
            (2, [(ALL, [LIVE, LAPSED])], {"a": (ClaimStatus.IN_PROGRESS, 30), "b": (ClaimStatus.IN_PROGRESS, 0)}),
            (1, [(ONE, "TransactionConflictException")] * 4, {"a": BUSY}),
            (2, [(ALL, "TransactionConflictException")] * 4, {"a": BUSY, "b": BUSY}),
            (1, [(ONE, "ConditionalCheckFailedException")], {"a": BUSY}),
            (2, [(ALL, [NONE])] * 4, {"a": BUSY, "b": BUSY}),
            (2, [(ALL, [NONE, {"Message": "?"}])] * 4, {"a": BUSY, "b": BUSY}),
            (1, [(ONE, "AccessDeniedException")], {"a": (ClaimStatus.UNKNOWN, 45)}),
            (2, [(ALL, "AccessDeniedException")], dict.fromkeys("ab", (ClaimStatus.UNKNOWN, 45))),
            (
                2,
                [(ALL, [OVER, NONE]), (ONE, "InternalServerError")],
                {"a": (ClaimStatus.ALREADY_PUBLISHED, None), "b": (ClaimStatus.UNKNOWN, 45)},
            ),
        ],
    )
    def test_claims_are_rejected_by_what_is_known_of_them(
        self, number: int, answers: list[Answer], rejected: dict[str, tuple[ClaimStatus, float | None]]
    ) -> None:
        with answering(*answers) as ledger:
            found = ledger.claim(BOTH[:number], NOW, DEADLINE)
        assert {export_id: one.status for export_id, one in found.items()} == {
            export_id: status for export_id, (status, _) in rejected.items()
        }
        for export_id, (_, seconds) in rejected.items():
            assert found[export_id].retry_after_seconds == (seconds and pytest.approx(seconds, abs=0.002))
        for one in found.values():
            assert one.status is not ClaimStatus.UNKNOWN or "Error" in one.cause or "AccessDenied" in one.cause

    def test_conflicting_claims_wait_for_their_poll_interval_where_no_time_is_left_to_try_again(self) -> None:
        with answering((ALL, [CONFLICT, NONE]), calls=Impatient(0)) as ledger:
            rejected = ledger.claim(BOTH, NOW, DEADLINE)
        assert rejected == {claim.export_id: RejectedClaim(ClaimStatus.IN_PROGRESS) for claim in BOTH}

    def test_record_that_meets_another_transaction_is_tried_again(self) -> None:
        with answering((ALL, [NONE, CONFLICT]), (ALL, None)) as ledger:
            ledger.record(BOTH[:1], BOTH[1:], NOW)

    def test_record_that_keeps_meeting_others_is_written_one_by_one_until_all_is(self) -> None:
        calls = SynchronousCalls()
        one_by_one = (ONE, None), (ONE, "TransactionConflictException"), (ONE, None)
        with answering(*[(ALL, [CONFLICT, NONE])] * 3, *one_by_one, calls=calls) as ledger:
            assert ledger.record(BOTH, [], NOW) == set()
        assert calls.pauses == [0.05, 0.1, 0.2, 0.4]

    def test_record_that_fails_for_any_reason_is_tried_as_long_as_there_is_time(self) -> None:
        answers = [(call, "ProvisionedThroughputExceededException") for call in [ALL] * 3 + [ONE] * 4]
        with answering(*answers, calls=Impatient(4)) as ledger:
            assert ledger.record(BOTH, [], NOW) == {"a", "b"}

    def test_exports_that_can_never_be_recorded_are_returned(self) -> None:
        def away() -> Any:
            raise EndpointConnectionError(endpoint_url="https://dynamodb")

        class Away:
            update_item = transact_write_items = staticmethod(lambda **_: away())

        calls = SynchronousCalls()
        assert Ledger(Table(calls, Away, TABLE)).record(BOTH, [], NOW) == {"a", "b"}  # type: ignore[arg-type]
        # Together longer than any invocation of the template's function has for it.
        assert sum(calls.pauses) > 45
