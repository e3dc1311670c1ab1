"""The table of content checks: what is recorded comes back, and only what may be replaced is replaced."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from export_monitor.adapters.aws.dynamodb.content_checks import ContentChecks
from export_monitor.adapters.aws.dynamodb.table import TTL_SECONDS, Table
from export_monitor.adapters.timeouts import CallTimeoutError
from export_monitor.domain.content import plan
from export_monitor.domain.content.check import ContentCheck, ContentPlan, Replaced, plan_content
from export_monitor.domain.content.formats import Format, Kind, Unverifiable
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import ContentVerdict, Fault, PartResult
from export_monitor.domain.content.target import ContentTarget
from export_monitor.domain.model import Unavailable, UnavailableError
from export_monitor.domain.unexpected import Unexpected
from tests.fakes import REGION, SYNCHRONOUS

NOW = 1_700_000_000.0
TARGET = ContentTarget("bucket", "reads.bam", 1000, "tag")
RESULT = PartResult(400, 800, 4, 9000)
BAM = Format(Kind.BGZF, "BAM", demands_eof_marker=True)


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(
            TableName="checks",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "object", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "object", "KeyType": "HASH"}],
        )
        yield client


@pytest.fixture
def checks(client: Any) -> ContentChecks:
    return ContentChecks(Table(SYNCHRONOUS, lambda: client, "checks"))


def a_plan(part_bytes: int = 400) -> ContentPlan:
    made = plan_content(BAM, 1000, part_bytes)
    assert isinstance(made, ContentPlan)
    return made


def test_nothing_is_known_of_a_new_version(checks: ContentChecks) -> None:
    assert checks.read(TARGET) == ContentCheck()


def test_request_is_recorded_with_its_first_and_last_time(checks: ContentChecks, client: Any) -> None:
    checks.note_requests([TARGET], NOW)
    checks.note_requests([TARGET], NOW + 5)
    assert checks.read_all([TARGET]) == [ContentCheck(requested_at=NOW, touched_at=NOW + 5)]
    [item] = client.scan(TableName="checks")["Items"]
    assert item["expires_at"] == {"N": str(int(NOW + 5 + TTL_SECONDS))}


def test_first_plan_stands(checks: ContentChecks) -> None:
    assert checks.plan(TARGET, a_plan(), NOW).plan == a_plan()
    assert checks.plan(TARGET, a_plan(500), NOW).plan == a_plan()
    assert checks.read(TARGET) == ContentCheck(plan=a_plan(), touched_at=NOW)


def test_plan_that_would_not_be_made_any_more_is_none(checks: ContentChecks, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan_content(Format(Kind.GZIP, "gzip", demands_eof_marker=False), 1000, 400)
    assert isinstance(made, ContentPlan)
    assert checks.plan(TARGET, made, NOW).plan == made
    monkeypatch.setattr(plan, "MAX_GZIP_BYTES", 999)
    assert checks.read(TARGET).plan is None


@pytest.mark.parametrize(
    "result",
    [
        RESULT,
        PartResult(400, 500, 1, 2, Fault(500, "the CRC32 of the inflated block is wrong")),
        PartResult(0, 500, 1, 2, unverifiable="zeros follow the last gzip member"),
    ],
)
def test_result_comes_back_with_what_was_recorded_before(checks: ContentChecks, result: PartResult) -> None:
    checks.plan(TARGET, a_plan(), NOW)
    checks.record(TARGET, Part(0, 0, 400, is_proven=True), PartResult(0, 400, 1, 5), NOW)
    recorded = checks.record(TARGET, Part(1, 400, 800), result, NOW + 1)
    assert recorded.results == {0: PartResult(0, 400, 1, 5), 1: result}
    assert recorded == checks.read(TARGET)


def test_proven_result_replaces_an_unproven_one_and_no_other_way_round(checks: ContentChecks) -> None:
    checks.plan(TARGET, a_plan(), NOW)
    unproven, proven = Part(1, 400, 800), Part(1, 410, 800, is_proven=True)
    checks.record(TARGET, unproven, RESULT, NOW)
    better = PartResult(410, 800)
    assert checks.record(TARGET, proven, better, NOW).results == {1: better}
    assert checks.record(TARGET, unproven, RESULT, NOW).results == {1: better}


def test_part_is_claimed_by_one_message_until_its_invocation_ends(checks: ContentChecks) -> None:
    checks.plan(TARGET, a_plan(), NOW)
    assert checks.claim(TARGET, 1, "m1", NOW, NOW + 900)
    assert checks.claim(TARGET, 1, "m1", NOW + 10, NOW + 910)
    assert not checks.claim(TARGET, 1, "m2", NOW + 910, NOW + 1800)
    assert checks.claim(TARGET, 2, "m2", NOW, NOW + 900)
    assert checks.claim(TARGET, 1, "m2", NOW + 911, NOW + 1800)


@pytest.mark.parametrize(
    "end_claim",
    [
        lambda checks: checks.release(TARGET, 1, NOW),
        lambda checks: checks.record(TARGET, Part(1, 400, 800), RESULT, NOW),
    ],
)
def test_claim_ends_when_the_part_is_recorded_or_given_up(
    checks: ContentChecks, end_claim: Callable[[ContentChecks], Any]
) -> None:
    checks.plan(TARGET, a_plan(), NOW)
    checks.claim(TARGET, 1, "m1", NOW, NOW + 900)
    end_claim(checks)
    assert checks.claim(TARGET, 1, "m2", NOW, NOW + 900)


@pytest.mark.parametrize(
    "verdict",
    [
        ContentVerdict("BAM", 1000, 4, 9000, None),
        ContentVerdict("CRAM 3.0", 800, 3, 0, Fault(800, "no CRAM container begins here")),
        Unverifiable("S3 denies access to the object's bytes"),
        Replaced(),
    ],
)
def test_first_verdict_stands(checks: ContentChecks, verdict: Any) -> None:
    assert checks.conclude(TARGET, verdict, NOW)
    assert not checks.conclude(TARGET, Unverifiable("another"), NOW)
    assert checks.read(TARGET).verdict == verdict


def test_only_the_verdict_that_the_version_was_replaced_is_forgotten(checks: ContentChecks) -> None:
    checks.plan(TARGET, a_plan(), NOW)
    checks.claim(TARGET, 1, "m1", NOW, NOW + 900)
    checks.conclude(TARGET, Replaced(), NOW)
    checks.forget_replaced([TARGET], NOW)
    assert checks.read(TARGET) == ContentCheck(plan=a_plan())
    assert checks.claim(TARGET, 1, "m2", NOW, NOW + 900)
    checks.conclude(TARGET, Unverifiable("another"), NOW)
    checks.forget_replaced([TARGET], NOW)
    assert checks.read(TARGET).verdict == Unverifiable("another")


class Failing:
    """DynamoDB whose calls raise."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_item(self, **_: Any) -> Any:
        raise self._error

    update_item = get_item


def failing(error: Exception) -> ContentChecks:
    return ContentChecks(Table(SYNCHRONOUS, lambda: Failing(error), "checks"))  # type: ignore[arg-type, return-value]


DOWN = ClientError({"Error": {"Code": "InternalServerError", "Message": "down"}}, "GetItem")


@pytest.mark.parametrize(
    "call",
    [
        lambda checks: checks.read(TARGET),
        lambda checks: checks.conclude(TARGET, Replaced(), NOW),
    ],
)
def test_failing_table_raises_unavailable(call: Callable[[ContentChecks], Any]) -> None:
    with pytest.raises(UnavailableError, match=r"DynamoDB: .*InternalServerError"):
        call(failing(DOWN))


@pytest.mark.parametrize(
    ("error", "not_attempted"),
    [(DOWN, False), (CallTimeoutError(started=True), False), (CallTimeoutError(started=False), True)],
)
def test_failing_table_is_an_answer_to_the_watches(error: Exception, not_attempted: bool) -> None:
    checks = failing(error)
    expected = Unavailable(f"DynamoDB: {error}", not_attempted=not_attempted)
    assert checks.read_all([TARGET]) == [expected]
    assert checks.note_requests([TARGET], NOW) == [expected]
    assert checks.forget_replaced([TARGET], NOW) == [expected]


def test_unexpected_error_is_an_answer_to_the_watches() -> None:
    error = KeyError("odd")
    assert failing(error).read_all([TARGET]) == [Unexpected(error)]
