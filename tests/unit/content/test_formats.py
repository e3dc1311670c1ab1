"""Which objects can be verified, by their first bytes."""

import gzip

import pytest

from export_monitor.domain.content.formats import Format, Kind, Unverifiable, recognise, units_of
from tests.unit.content.files import EOF_BLOCK, bgzf, samples


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reads.bam", Format(Kind.BGZF, "BAM", True)),
        ("calls.bcf", Format(Kind.BGZF, "BCF", True)),
        ("calls.vcf.gz", Format(Kind.BGZF, "VCF", True)),
        ("reads.fastq.gz", Format(Kind.BGZF, "BGZF", False)),
        ("reads.3.0.cram", Format(Kind.CRAM, "CRAM 3.0", True)),
        ("reads.3.1.cram", Format(Kind.CRAM, "CRAM 3.1", True)),
        ("members.gz", Format(Kind.GZIP, "gzip", False)),
    ],
)
@pytest.mark.parametrize("key", ["", "a.txt", "b.tar"])
def test_bytes_tell_the_format_whatever_the_name(name: str, expected: Format, key: str) -> None:
    assert recognise(samples()[name].content[:4096], key) == expected


def test_name_of_variants_or_alignments_demands_the_marker_of_bgzf() -> None:
    assert recognise(bgzf(b"text"), "a.txt.gz") == Format(Kind.BGZF, "BGZF", False)
    assert recognise(bgzf(b"text"), "a.vcf.gz") == Format(Kind.BGZF, "BGZF", True)
    assert recognise(EOF_BLOCK * 200, "reads.bam") == Format(Kind.BGZF, "BGZF", True)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"", "no format with checksums inside"),
        (b"##fileformat=VCFv4.2\n", "no format with checksums inside"),
        (b"BAI\1\0\0\0\0", "no format with checksums inside"),
        (b"\x1f\x8b\x08", "no format with checksums inside"),
        (b"CRAM", "no format with checksums inside"),
        (b"CRAM\2\1" + bytes(20), "CRAM 2.1 is not a version with checksums that are verified"),
        (b"CRAM\4\0" + bytes(20), "CRAM 4.0 is not a version with checksums that are verified"),
    ],
)
def test_other_objects_have_a_reason(first: bytes, reason: str) -> None:
    assert recognise(first, "reads.bam") == Unverifiable(reason)


def test_gzip_with_unusual_flags_has_a_reason() -> None:
    content = gzip.compress(b"text")
    unusual = {
        flags
        for flags in range(256)
        if isinstance(recognise(content[:3] + bytes([flags]) + content[4:], ""), Unverifiable)
    }
    assert unusual == {flags for flags in range(256) if flags & 0xE2}


@pytest.mark.parametrize(
    ("name", "units"), [("BAM", "blocks"), ("BGZF", "blocks"), ("CRAM 3.1", "containers"), ("gzip", "members")]
)
def test_units_have_the_name_that_their_format_gives_them(name: str, units: str) -> None:
    assert units_of(name) == units
