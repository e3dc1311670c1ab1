"""Containers as writers other than htslib make them, and as none should."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.content.cram_containers import itf8
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import PartResult
from export_monitor.domain.content.verifier import PartVerifier
from tests.unit.content.files import EOF_CONTAINER
from tests.unit.content.judging import WHOLE, Judge, format_of, read

DEFINITION = b"CRAM\3\0" + b"name".ljust(20, b"\0")
RAW = 0
FILE_HEADER, COMPRESSION_HEADER, EXTERNAL = 0, 1, 4


def itf8_of(value: int) -> bytes:
    """The shortest ITF8 form, as in the specification's table."""
    value &= 0xFFFFFFFF
    for length, limit in ((1, 1 << 7), (2, 1 << 14), (3, 1 << 21), (4, 1 << 28)):
        if value < limit:
            leading = 0xFF << (9 - length) & 0xFF
            return (value | leading << 8 * (length - 1)).to_bytes(length, "big")
    return bytes([0xF0 | value >> 28, value >> 20 & 0xFF, value >> 12 & 0xFF, value >> 4 & 0xFF, value & 0x0F])


def with_crc(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


def block(data: bytes, content_type: int = EXTERNAL, content_id: int = 1) -> bytes:
    lengths = itf8_of(len(data)) * 2
    return with_crc(bytes([RAW, content_type]) + itf8_of(content_id) + lengths + data)


def container(*blocks: bytes, count: int | None = None, landmarks: int = 1, padding: bytes = b"") -> bytes:
    body = b"".join(blocks) + padding
    stated = len(blocks) if count is None else count
    # On reference 0 from 1,000,000 on, over 300,000 bases; 5,000 records, the first is number 2^40; 2^36 bases.
    header = len(body).to_bytes(4, "little") + b"\0" + itf8_of(1_000_000) + itf8_of(300_000) + itf8_of(5000)
    header += b"\xfd" + (1 << 40).to_bytes(6, "big")[1:] + b"\x01" + b"\xf8" + (1 << 33).to_bytes(5, "big")
    return with_crc(header + itf8_of(stated) + itf8_of(landmarks) + itf8_of(7) * landmarks) + body


def data_container(data: bytes, **changes: int) -> bytes:
    return container(block(b"map", COMPRESSION_HEADER, 0), block(data), **changes)


HEADER = container(block(b"@HD\tVN:1.6\n", FILE_HEADER, 0))
SPLITS = pytest.mark.parametrize("part_bytes", [WHOLE, 1 << 20, 1000, 100])


@SPLITS
def test_padding_of_the_first_container_is_passed_over(part_bytes: int) -> None:
    padded = container(block(b"@HD", FILE_HEADER, 0), padding=b"\1\2" * 3000)
    content = DEFINITION + padded + data_container(bytes(500)) + EOF_CONTAINER
    assert Judge(part_bytes).fault(content) is None
    elsewhere = DEFINITION + HEADER + padded + EOF_CONTAINER
    assert Judge(part_bytes).fault_at(elsewhere) == len(DEFINITION + HEADER)


@SPLITS
@pytest.mark.parametrize("count", [0, 1, 6])
def test_length_decides_where_a_container_ends_not_its_number_of_blocks(count: int, part_bytes: int) -> None:
    content = DEFINITION + container(block(b"@HD"), count=6) + data_container(b"data", count=count) + EOF_CONTAINER
    assert Judge(part_bytes).fault(content) is None


@SPLITS
@pytest.mark.parametrize("landmarks", [0, 1, 40, 120, 9000])
def test_container_has_any_number_of_slices(landmarks: int, part_bytes: int) -> None:
    content = DEFINITION + HEADER + data_container(bytes(9), landmarks=landmarks) * 3 + EOF_CONTAINER
    assert Judge(part_bytes).fault(content) is None


def test_container_may_be_longer_than_parts() -> None:
    chance = random.Random(5)
    containers = [data_container(chance.randbytes(size)) for size in (3_000_000, 2_000_000, 10, 1_500_000)]
    content = DEFINITION + HEADER + b"".join(containers) + EOF_CONTAINER
    for part_bytes in (1 << 20, 1 << 18, 100_000):
        judge = Judge(part_bytes, 1 << 16)
        assert judge.verdict(content) == Judge().verdict(content)
        assert judge.fault(content) is None
    damaged = content.replace(containers[1][-2000:-1000], bytes(1000))
    assert Judge(1 << 20).fault_at(damaged) == len(DEFINITION + HEADER + containers[0])


def test_search_stops_at_its_part() -> None:
    content = DEFINITION + HEADER + data_container(bytes(3000)) * 2 + EOF_CONTAINER
    start = len(DEFINITION + HEADER)
    second = start + len(data_container(bytes(3000)))
    for stop in (second - 5, second):
        assert read(content, Part(1, start + 1, stop)) == PartResult(stop, stop)
    assert read(content, Part(1, start + 1, second + 1)).first == second


def test_search_finds_a_header_across_what_it_examines_at_a_time() -> None:
    chance = random.Random(6)
    before = DEFINITION + HEADER + data_container(chance.randbytes(2 << 20))
    content = before + data_container(b"data") + EOF_CONTAINER
    for distance in (1, 20, 40):
        start = len(before) + distance - (1 << 20)
        assert read(content, Part(1, start, len(content))).first == len(before)


def test_long_container_is_announced() -> None:
    content = DEFINITION + HEADER + data_container(bytes(100_000)) + EOF_CONTAINER
    verifier = PartVerifier(format_of(content), len(content), Part(0, 26, 200, True))
    assert verifier.reads_until == 200
    verifier.feed(content[26:200])
    assert verifier.reads_until == len(content) - len(EOF_CONTAINER)


def test_data_that_often_looks_like_first_blocks_ends_the_search() -> None:
    content = DEFINITION + HEADER + data_container(b"\0\1\0" * 4400) + data_container(b"x" * 999) + EOF_CONTAINER
    assert Judge(13_000).fault(content) is None
    assert read(content, Part(1, 1000, len(content))) == PartResult(len(content), len(content))
    assert read(content, Part(1, 9000, len(content))).first == len(content) - 38 - len(data_container(b"x" * 999))


@pytest.mark.parametrize("part_bytes", [3000, 500])
def test_nested_cram_never_decides(part_bytes: int) -> None:
    inner = DEFINITION + HEADER + data_container(b"inner") * 100 + EOF_CONTAINER
    content = DEFINITION + HEADER + data_container(inner) * 3 + EOF_CONTAINER
    judge = Judge(part_bytes)
    assert judge.verdict(content) == Judge().verdict(content)
    assert judge.fault(content) is None
    assert max(judge.reads.values()) == 2


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (data_container(b"data")[:-1], "the container is longer than the rest of the object"),
        (b"\0" * 9, "no CRAM container begins here, or its header is damaged"),
        (data_container(b"data")[:9], "no CRAM container begins here, or its header is damaged"),
        (with_crc(b"\xff\xff\xff\xff" + b"\0" * 8), "no CRAM container begins here, or its header is damaged"),
        (container(b"\0\4\1"), "no block of the container begins at FIRST"),
        (container(b"\0\4\1\xf0\0"), "no block of the container begins at FIRST"),
        (container(b"\0\4\1\5\5abc"), "the block at FIRST is longer than its container"),
        (container(b"\0\4\1" + itf8_of(-1) + b"\5abcdefgh"), "the block at FIRST is longer than its container"),
        (container(block(b"abc")[:-1] + b"?"), "the CRC32 of the block at FIRST is wrong"),
        (data_container(b"data"), "the end-of-file marker is missing"),
        (EOF_CONTAINER + b"\0", "no CRAM container begins here, or its header is damaged"),
    ],
)
def test_fault_has_its_reason(broken: bytes, reason: str) -> None:
    content = DEFINITION + HEADER + broken
    first_block = len(DEFINITION + HEADER + container())
    for part_bytes in (WHOLE, 60):
        fault = Judge(part_bytes).fault(content)
        assert fault
        assert fault.reason.replace(str(first_block), "FIRST") == reason
        after = {"the end-of-file marker is missing": len(broken)}.get(reason, 38 * broken.startswith(EOF_CONTAINER))
        assert fault.offset == len(DEFINITION + HEADER) + after


def test_marker_in_the_middle_is_a_container_like_others() -> None:
    content = DEFINITION + HEADER + EOF_CONTAINER + data_container(b"data") + EOF_CONTAINER
    assert Judge().fault(content) is None


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.binary(max_size=4))
def test_itf8_is_read_as_it_was_written(value: int, after: bytes) -> None:
    written = itf8_of(value)
    assert itf8(b"?" + written + after, 1) == (value, 1 + len(written))
    with pytest.raises(IndexError):
        itf8(written[:-1], 0)
