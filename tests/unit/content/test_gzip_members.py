"""gzip: what headers may have, and what may follow the last member."""

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_monitor.domain.content.formats import UNUSUAL_GZIP, Format, Kind
from export_monitor.domain.content.gzip_members import ZEROS
from export_monitor.domain.content.inflating import InflateLibrary, inflate_libraries
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import ContentVerdict, Fault, PartResult
from export_monitor.domain.content.verifier import PartVerifier
from tests.unit.content.judging import Judge

LIBRARIES = pytest.mark.parametrize("library", inflate_libraries(), ids=lambda library: library.__name__)
MEMBER = gzip.compress(b"text " * 50, mtime=0)


def member(flags: int, fields: bytes, data: bytes = b"data") -> bytes:
    plain = gzip.compress(data, mtime=0)
    return plain[:3] + bytes([flags]) + plain[4:10] + fields + plain[10:]


@LIBRARIES
@pytest.mark.parametrize("chunk_bytes", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("flags", "fields"),
    [(0, b""), (1, b""), (4, b"\3\0abc"), (4, b"\0\0"), (8, b"name\0"), (16, b"\0"), (29, b"\3\0abcname\0comment\0")],
)
def test_optional_fields_are_passed_over(flags: int, fields: bytes, chunk_bytes: int, library: InflateLibrary) -> None:
    content = MEMBER + member(flags, fields) + MEMBER
    expected = ContentVerdict("gzip", len(content), 3, 504, None)
    assert Judge(chunk_bytes=chunk_bytes, inflate=library).verdict(content) == expected


def test_name_may_be_long() -> None:
    assert Judge(chunk_bytes=1000).fault(MEMBER + member(8, b"n" * 200_000 + b"\0")) is None


def test_unusual_flags_of_a_later_member_are_no_fault() -> None:
    assert Judge().verdict(MEMBER + member(2, b"ab")) == UNUSUAL_GZIP


@pytest.mark.parametrize("count", [1, 9, 100_000])
def test_zeros_after_the_last_member_are_no_fault(count: int) -> None:
    assert Judge(chunk_bytes=5000).verdict(MEMBER * 2 + bytes(count)) == ZEROS
    assert Judge(chunk_bytes=5000).fault_at(MEMBER * 2 + bytes(count) + b"x") == len(MEMBER * 2)


@LIBRARIES
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"\x1f", "no gzip member begins here"),
        (b"\x1f\x8b\x09" + MEMBER[3:], "no gzip member begins here"),
        (MEMBER[:9], "the member is cut off by the end of the object"),
        (MEMBER[:20], "the member is cut off by the end of the object"),
        (MEMBER[:-1], "the member is cut off by the end of the object"),
        (member(4, b"\xff\xff"), "the member is cut off by the end of the object"),
        (member(8, b"")[:10] + b"name", "the member is cut off by the end of the object"),
        (member(4, b"")[:11], "the member is cut off by the end of the object"),
        (MEMBER[:10] + b"\xff" * 50, "the member does not inflate"),
        (MEMBER[:-8] + b"?" + MEMBER[-7:], "the CRC32 of the inflated member is wrong"),
        (MEMBER[:-4] + b"?" + MEMBER[-3:], "the member does not inflate to the length that it states"),
    ],
)
def test_fault_has_its_reason_and_place(broken: bytes, reason: str, library: InflateLibrary) -> None:
    for chunk_bytes in (7, 1 << 20):
        judge = Judge(chunk_bytes=chunk_bytes, inflate=library)
        assert judge.fault(MEMBER + broken) == Fault(len(MEMBER), reason)


@LIBRARIES
def test_data_that_shrank_a_thousand_times_is_inflated_in_pieces(library: InflateLibrary) -> None:
    content = gzip.compress(bytes(30 << 20)) + MEMBER
    assert Judge(inflate=library).verdict(content) == ContentVerdict("gzip", len(content), 2, (30 << 20) + 250, None)


@LIBRARIES
@settings(max_examples=40, deadline=None)
@given(
    datas=st.lists(st.binary(max_size=400), min_size=1, max_size=6),
    chunk_bytes=st.integers(1, 300),
    level=st.integers(0, 9),
)
def test_any_members_in_any_chunks_are_sound(
    library: InflateLibrary, datas: list[bytes], chunk_bytes: int, level: int
) -> None:
    content = b"".join(gzip.compress(data, level) for data in datas)
    expected = ContentVerdict("gzip", len(content), len(datas), sum(map(len, datas)), None)
    assert Judge(chunk_bytes=chunk_bytes, inflate=library).verdict(content) == expected
    assert zlib.decompress(content, 31) == datas[0]


def test_members_are_not_searched_for() -> None:
    verifier = PartVerifier(Format(Kind.GZIP, "gzip", False), 100, Part(1, 50, 100))
    assert verifier.result == PartResult(100, 100)
