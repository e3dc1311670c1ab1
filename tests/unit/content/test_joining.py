"""What the results of parts say together, and which parts must be read (again) to know."""

import json

import pytest

from export_monitor.domain.content.formats import Format, Kind, Unverifiable
from export_monitor.domain.content.joining import NOTHING, join
from export_monitor.domain.content.plan import Part, plan_parts
from export_monitor.domain.content.results import ContentVerdict, Fault, PartResult, from_item

BGZF, CRAM, GZIP = (Format(kind, str(kind), True) for kind in (Kind.BGZF, Kind.CRAM, Kind.GZIP))
FAULT = Fault(25, "damaged")


def joined(*results: PartResult | None, size: int = 40) -> ContentVerdict | Unverifiable | tuple[Part, ...]:
    """The results of parts of ten bytes; None is a result that is missing."""
    parts = plan_parts(size, 10, BGZF)
    assert isinstance(parts, tuple)
    return join(BGZF, parts, {number: result for number, result in enumerate(results) if result})


def found(first: int, end: int, fault: Fault | None = None) -> PartResult:
    return PartResult(first, end, units=1, inflated=100, fault=fault)


def test_unbroken_chain_passes() -> None:
    assert joined(found(0, 11), found(11, 20), found(20, 35), found(35, 40)) == ContentVerdict("BGZF", 40, 4, 400, None)


def test_part_in_which_no_unit_begins_is_not_needed() -> None:
    assert joined(found(0, 30), None, None, found(30, 40)) == ContentVerdict("BGZF", 40, 2, 200, None)
    assert joined(found(0, 30), found(15, 17, FAULT), found(30, 30), found(30, 40)).fault is None


def test_all_parts_without_a_result_are_read() -> None:
    assert joined() == plan_parts(40, 10, BGZF)


def test_part_is_read_from_where_the_part_before_ends() -> None:
    assert joined(found(0, 11)) == (Part(1, 11, 20, True), Part(2, 20, 30), Part(3, 30, 40))


def test_part_that_begins_elsewhere_is_read_again() -> None:
    assert joined(found(0, 11), found(13, 20), found(20, 30), found(30, 40)) == (Part(1, 11, 20, True),)
    assert joined(found(0, 11), found(13, 20, FAULT), None, found(30, 40)) == (Part(1, 11, 20, True), Part(2, 20, 30))


def test_fault_decides_only_behind_an_unbroken_chain() -> None:
    verdict = ContentVerdict("BGZF", 25, 3, 300, FAULT)
    assert joined(found(0, 11), found(11, 20), found(20, 25, FAULT)) == verdict
    assert joined(found(0, 11), None, found(20, 25, FAULT)) == (Part(1, 11, 20, True),)
    assert joined(found(0, 11), found(11, 21), found(20, 25, FAULT)) == (Part(2, 21, 30, True), Part(3, 30, 40))


def test_lowest_fault_is_the_verdict() -> None:
    first = Fault(11, "earlier")
    assert joined(found(0, 11, first), found(11, 20), found(20, 25, FAULT)) == ContentVerdict("BGZF", 11, 1, 100, first)


def test_reason_not_to_verify_is_no_fault() -> None:
    result = PartResult(0, 10, 1, 5, unverifiable="zeros")
    assert join(GZIP, (Part(0, 0, 40, True),), {0: result}) == Unverifiable("zeros")


@pytest.mark.parametrize("size", [6, 26])
def test_cram_without_a_container_fails(size: int) -> None:
    parts = plan_parts(size, 10, CRAM)
    assert isinstance(parts, tuple)
    assert join(CRAM, parts, {}) == ContentVerdict("CRAM", size, 0, 0, Fault(size, NOTHING))


@pytest.mark.parametrize(
    "result",
    [
        PartResult(1 << 45, 1 << 46, 1 << 21, 1 << 47),
        PartResult(0, 9, 1, 2, fault=FAULT),
        PartResult(0, 9, 1, 2, unverifiable="zeros"),
    ],
)
def test_result_is_kept_in_a_hundred_bytes(result: PartResult) -> None:
    item = result.to_item()
    assert len(json.dumps(item)) < 120
    assert from_item(item) == result
    assert from_item({key: float(value) if isinstance(value, int) else value for key, value in item.items()}) == result
