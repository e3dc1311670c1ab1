"""How an object is cut into parts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.content.formats import Format, Kind, Unverifiable
from export_monitor.domain.content.plan import MAX_PARTS, Part, plan_parts

BGZF, CRAM, GZIP = (Format(kind, str(kind), False) for kind in (Kind.BGZF, Kind.CRAM, Kind.GZIP))
GIB = 1 << 30


def test_first_part_begins_with_the_first_unit_and_is_proven() -> None:
    assert plan_parts(25, 10, BGZF) == (Part(0, 0, 10, True), Part(1, 10, 20), Part(2, 20, 25))
    assert plan_parts(250, 100, CRAM) == (Part(0, 26, 100, True), Part(1, 100, 200), Part(2, 200, 250))
    assert plan_parts(10, 10, BGZF) == (Part(0, 0, 10, True),)


def test_gzip_has_one_part_and_a_limit() -> None:
    assert plan_parts(40 * GIB, GIB, GZIP) == (Part(0, 0, 40 * GIB, True),)
    assert isinstance(plan_parts(40 * GIB + 1, GIB, GZIP), Unverifiable)


@given(size=st.integers(1, 60_000 * GIB), part_bytes=st.integers(1 << 20, 1 << 34))
def test_parts_are_few_and_follow_each_other(size: int, part_bytes: int) -> None:
    parts = plan_parts(size, part_bytes, BGZF)
    assert isinstance(parts, tuple)
    assert len(parts) <= MAX_PARTS
    assert [part.number for part in parts] == list(range(len(parts)))
    assert all(one.stop == other.start for one, other in pairwise(parts))
    assert (parts[0].start, parts[-1].stop) == (0, size)
    assert all(part.start < part.stop for part in parts)
