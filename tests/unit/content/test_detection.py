"""Damage is found in whole objects and in parts, and the unit is named in which it begins."""

import gzip
import os
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pysam
import pytest

from export_monitor.domain.content.formats import Unverifiable
from tests.unit.content.files import BGZF, CRAM, EOF_BLOCK, EOF_CONTAINER, NAMES, Sample, bgzf, bgzf_bounds, samples
from tests.unit.content.judging import WHOLE, Judge

PARTS = pytest.mark.parametrize("part_bytes", [WHOLE, 20_000])
MARKED = ("reads.bam", "calls.bcf", "calls.vcf.gz")
# MTIME, XFL and OS of a gzip header touch no data.
HEADER_FIELDS_WITHOUT_EFFECT = {4, 5, 6, 7, 8, 9}


def with_flipped_bit(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def first_difference(content: bytes, damaged: bytes) -> int:
    shared = min(len(content), len(damaged))
    return next((at for at in range(shared) if content[at] != damaged[at]), shared)


def has_no_effect(sample: Sample, damaged: bytes, place: int, name: str) -> bool:
    """Whether the file inflates to the same data: the bit is in a header field, or not used behind the deflated."""
    if name in CRAM:
        return False
    start, end = sample.unit_at(place)
    if place - start in HEADER_FIELDS_WITHOUT_EFFECT:
        return True
    if place != end - 9:
        return False
    try:
        return gzip.decompress(damaged) == gzip.decompress(sample.content)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return False


@PARTS
@pytest.mark.parametrize("name", NAMES)
def test_one_flipped_bit_is_found_in_its_unit(name: str, part_bytes: int) -> None:
    sample = samples()[name]
    chance = random.Random(name)
    harmless = 0
    for _ in range(200):
        place, bit = chance.randrange(sample.bounds[0] + 4, len(sample.content)), chance.randrange(8)
        damaged = with_flipped_bit(sample.content, place, bit)
        expected = sample.unit_at(place)[0]
        if has_no_effect(sample, damaged, place, name):
            harmless += 1
            # A marker that differs in these is none.
            demanded = name in MARKED and place >= sample.bounds[-2]
            expected = len(sample.content) if demanded else None
        assert Judge(part_bytes).fault_at(damaged) == expected, (place, bit)
    assert harmless < 5


def damages(content: bytes) -> Iterator[tuple[str, bytes]]:
    half, size = len(content) // 2, 9_000
    yield "a hole of zeros", content[:half] + bytes(size) + content[half + size :]
    yield "zeros up to the end", content[:half] + bytes(len(content) - half)
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    yield "swapped parts", b"".join([*parts[:1], parts[2], parts[1], *parts[3:]])
    yield "a repeated part", b"".join([*parts[:2], parts[1], *parts[2:]])
    yield "a part in place of another", b"".join([*parts[:2], parts[1], *parts[3:]])
    yield "a missing part", b"".join([*parts[:2], *parts[3:]])
    yield "a removed byte", content[:half] + content[half + 1 :]
    yield "an added byte", content[:half] + b"\0" + content[half:]
    yield "text mode", content[:500] + content[500:].replace(b"\n", b"\r\n")
    yield "a byte at the end", content + b"\1"
    yield "text at the end", content + b"</html>\n" * 20
    yield "cut, with a marker put on", content[:half] + (EOF_CONTAINER if content[:4] == b"CRAM" else EOF_BLOCK)


@PARTS
@pytest.mark.parametrize("name", NAMES)
def test_damage_is_found_where_it_begins(name: str, part_bytes: int) -> None:
    sample = samples()[name]
    for what, damaged in damages(sample.content):
        place = first_difference(sample.content, damaged)
        expected = place if place == len(sample.content) else sample.unit_at(place)[0]
        assert Judge(part_bytes).fault_at(damaged) == expected, what


@pytest.mark.parametrize("name", [*BGZF, *CRAM])
def test_verdict_on_damage_is_the_same_for_every_split(name: str) -> None:
    sample = samples()[name]
    place = len(sample.content) * 2 // 3
    damaged = with_flipped_bit(sample.content, place, 3)
    verdict = Judge().verdict(damaged)
    for part_bytes in (1000, 7777, place, place + 1, *sample.bounds[1:4]):
        judge = Judge(part_bytes)
        assert judge.verdict(damaged) == verdict


def test_parts_of_a_mebibyte_name_the_block() -> None:
    chance = random.Random(1)
    content = bgzf(chance.randbytes(3_300_000))
    sample = Sample(content, tuple(bgzf_bounds(content)))
    for place in chance.sample(range(18, len(content)), 20):
        assert Judge(1 << 20).fault_at(with_flipped_bit(content, place, 0)) == sample.unit_at(place)[0]


def samtools_accepts(path: Path) -> bool:
    try:
        pysam.view("-o", os.devnull, str(path), catch_stdout=False)
    except pysam.SamtoolsError:
        return False
    return True


@pytest.mark.parametrize("name", ["reads.bam", *CRAM])
def test_what_samtools_refuses_has_a_fault(name: str, tmp_path: Path) -> None:
    content = samples()[name].content
    chance = random.Random(2)
    places = [chance.randrange(200, len(content)) for _ in range(20)]
    path = tmp_path / name
    agreed = []
    for damaged in (content, *(with_flipped_bit(content, place, 0) for place in places)):
        path.write_bytes(damaged)
        fault = Judge().fault(damaged)
        agreed.append(samtools_accepts(path) is (fault is None))
        assert agreed[-1] or fault
    # htslib doesn't compare the CRC32 of some blocks of a CRAM that are stored without compression.
    assert all(agreed) or (name in CRAM and sum(agreed) > 15)


def swapped_units(sample: Sample) -> bytes:
    first, second, third = sample.bounds[1:4]
    return sample.content[:first] + sample.content[second:third] + sample.content[first:second] + sample.content[third:]


def removed_unit(sample: Sample) -> bytes:
    return sample.content[: sample.bounds[1]] + sample.content[sample.bounds[2] :]


def repeated_unit(sample: Sample) -> bytes:
    return sample.content[: sample.bounds[2]] + sample.content[sample.bounds[1] :]


@pytest.mark.parametrize("change", [swapped_units, removed_unit, repeated_unit])
@pytest.mark.parametrize("name", NAMES)
def test_whole_units_in_another_order_or_number_are_not_noticed(name: str, change: Callable[[Sample], bytes]) -> None:
    changed = change(samples()[name])
    assert changed != samples()[name].content
    assert Judge().fault(changed) is None


@pytest.mark.parametrize("name", [*BGZF, "members.gz"])
def test_header_fields_without_effect_are_not_noticed(name: str) -> None:
    sample = samples()[name]
    for field in HEADER_FIELDS_WITHOUT_EFFECT:
        assert Judge().fault(with_flipped_bit(sample.content, sample.bounds[1] + field, 7)) is None


@pytest.mark.parametrize("name", NAMES)
def test_damage_in_the_first_bytes_can_make_an_object_of_another_format(name: str) -> None:
    damaged = with_flipped_bit(samples()[name].content, 1, 0)
    assert Judge().verdict(damaged) == Unverifiable("no format with checksums inside")


@pytest.mark.parametrize("name", CRAM)
def test_name_in_the_file_definition_of_a_cram_has_no_checksum(name: str) -> None:
    assert Judge().fault(with_flipped_bit(samples()[name].content, 20, 0)) is None


def test_damage_from_before_the_checksums_were_made_is_not_noticed() -> None:
    assert Judge().fault(bgzf(with_flipped_bit(b"BAM\1" + bytes(100), 50, 0))) is None


def test_harmless_bits_at_the_end_of_the_deflated_data_are_not_noticed() -> None:
    content = bgzf(b"abc")
    # A fixed Huffman block of three literals: three bits, three times eight, seven for its end; six bits are left.
    assert zlib.decompress(with_flipped_bit(content, 18 + 4, 7)[18:], -15) == b"abc"
    assert Judge().fault(with_flipped_bit(content, 18 + 4, 7)) is None
