"""Sound files of every writer pass, however they are cut into parts and chunks."""

import gzip

import pytest

from export_monitor.domain.content.inflating import InflateLibrary, inflate_libraries
from export_monitor.domain.content.results import ContentVerdict
from tests.unit.content.files import BGZF, EOF_BLOCK, NAMES, bgzf, samples
from tests.unit.content.judging import WHOLE, Judge

LIBRARIES = pytest.mark.parametrize("library", inflate_libraries(), ids=lambda library: library.__name__)


@LIBRARIES
@pytest.mark.parametrize("name", NAMES)
def test_every_unit_of_a_sound_file_is_verified(name: str, library: InflateLibrary) -> None:
    sample = samples()[name]
    inflated = 0 if "cram" in name else len(gzip.decompress(sample.content))
    found = {"reads.bam": "BAM", "calls.bcf": "BCF", "calls.vcf.gz": "VCF", "members.gz": "gzip"}.get(name, "BGZF")
    found = f"CRAM {name[6:9]}" if "cram" in name else found
    expected = ContentVerdict(found, len(sample.content), len(sample.bounds) - 1, inflated, None)
    for part_bytes in (WHOLE, 100_000, 20_000, 1000):
        assert Judge(part_bytes, inflate=library).verdict(sample.content) == expected


@LIBRARIES
@pytest.mark.parametrize("chunk_bytes", [1, 5, 1000, 65_537])
@pytest.mark.parametrize("name", ["calls.bcf.csi", "reads.3.0.cram", "members.gz"])
def test_chunks_of_any_length_are_the_same(name: str, chunk_bytes: int, library: InflateLibrary) -> None:
    sample = samples()[name]
    content = sample.content
    if chunk_bytes < 1000:
        # The first and the last unit of a file are one as well.
        content = content[: sample.bounds[1]] + content[sample.bounds[-2] :]
    for part_bytes in (WHOLE, 8000):
        assert Judge(part_bytes, chunk_bytes, library).fault(content) is None


@pytest.mark.parametrize("name", NAMES)
def test_part_is_read_twice_only_if_it_has_to_be(name: str) -> None:
    for part_bytes in (20_000, 1000):
        judge = Judge(part_bytes)
        judge.verdict(samples()[name].content)
        assert set(judge.reads.values()) == {1}


@pytest.mark.parametrize("name", BGZF)
def test_parts_that_are_smaller_than_a_block_say_nothing_and_decide_nothing(name: str) -> None:
    content = samples()[name].content[:30_000]
    content = content[: [bound for bound in samples()[name].bounds if bound <= 30_000][-1]] + EOF_BLOCK
    assert Judge(100).verdict(content) == Judge().verdict(content)


def test_fastq_without_the_marker_passes_and_a_name_can_demand_it() -> None:
    content = samples()["reads.fastq.gz"].content.removesuffix(EOF_BLOCK)
    assert Judge().fault(content) is None
    for part_bytes in (WHOLE, 20_000):
        assert Judge(part_bytes, key="calls.vcf.gz").fault_at(content) == len(content)


def test_parts_of_a_mebibyte_of_every_level_pass() -> None:
    data = samples()["reads.bam"].content * 8
    for level in (0, 1, 9):
        content = bgzf(data, level)
        assert len(content) > 1 << 20
        assert Judge(1 << 20).fault(content) is None
