"""Integrity, held against real files and against samtools' own quickcheck."""

import gzip
from pathlib import Path

import pysam
import pytest

from export_monitor.domain import integrity
from export_monitor.domain.checks import CHECKS, Compared, Gathered, Skipped
from export_monitor.domain.model import ByteEnds, ExportJob, StoredObject

HEADER = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"LN": 1000, "SN": "chr1"}]}


def verdict(key: str, content: bytes) -> bool | None:
    """What the check says of an object with this content: passed, failed, or skipped as None."""
    ends = ByteEnds(content[: integrity.FIRST_BYTES], content[-integrity.LAST_BYTES :])
    found = StoredObject("bucket", key, len(content), "etag", 0.0, ends=ends)
    result = CHECKS["integrity"].make(Gathered(ExportJob("e", "COMPLETED", {}), found, None, 0.0))
    return None if isinstance(result, Skipped) else result.passed


def write_alignments(path: Path, mode: str, reads: int, reference: Path | None = None) -> bytes:
    options = ["version=2.1"] if mode == "wc2" else []
    name = str(reference) if reference else None
    with pysam.AlignmentFile(
        str(path), mode[:2], header=HEADER, reference_filename=name, format_options=[o.encode() for o in options]
    ) as out:
        for number in range(reads):
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.query_sequence, read.flag = f"r{number}", "ACGTACGTAC", 0
            read.reference_id, read.reference_start, read.mapping_quality = 0, number % 900, 60
            read.cigartuples = [(0, 10)]
            read.query_qualities = pysam.qualitystring_to_array("IIIIIIIIII")
            out.write(read)
    return path.read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    reference = folder / "ref.fa"
    reference.write_text(">chr1\n" + "ACGTACGTAC" * 100 + "\n")
    pysam.faidx(str(reference))
    made = {
        "reads.bam": write_alignments(folder / "reads.bam", "wb", 3000),
        "empty.bam": write_alignments(folder / "empty.bam", "wb", 0),
        "reads.cram": write_alignments(folder / "reads.cram", "wc", 300, reference),
        "old.cram": write_alignments(folder / "old.cram", "wc2", 300, reference),
    }
    header = pysam.VariantHeader()
    header.contigs.add("chr1", length=1000)
    for name, mode in (("calls.bcf", "wb"), ("calls.vcf.gz", "wz")):
        with pysam.VariantFile(str(folder / name), mode, header=header) as out:
            for position in range(500):
                out.write(out.new_record(contig="chr1", start=position, stop=position + 1, alleles=("A", "C")))
        made[name] = (folder / name).read_bytes()
    bed = folder / "regions.bed"
    bed.write_text("".join(f"chr1\t{start}\t{start + 5}\n" for start in range(900)))
    pysam.tabix_index(str(bed), preset="bed")
    made["regions.bed.gz"] = (folder / "regions.bed.gz").read_bytes()
    made["regions.bed.gz.tbi"] = (folder / "regions.bed.gz.tbi").read_bytes()
    return made


NAMES = [
    "reads.bam", "empty.bam", "reads.cram", "old.cram", "calls.bcf", "calls.vcf.gz", "regions.bed.gz",
    "regions.bed.gz.tbi",
]  # fmt: skip


def quickcheck(path: Path) -> bool:
    try:
        pysam.quickcheck(str(path))
    except pysam.SamtoolsError:
        return False
    return True


def spoilt(content: bytes) -> dict[str, bytes]:
    cuts = {f"cut by {n}": content[:-n] for n in (1, 2, 10, 27, 28, 29, 37, 38, 39, len(content) // 2)}
    return cuts | {
        "cut to its first bytes": content[:40],
        "another last byte": content[:-1] + bytes([content[-1] ^ 0xFF]),
        "another first byte": bytes([content[0] ^ 0xFF]) + content[1:],
        "rubbish behind": content + b"rubbish",
    }


@pytest.mark.parametrize("name", NAMES)
def test_whole_file_passes(files: dict[str, bytes], name: str) -> None:
    assert verdict(name, files[name]) is True


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("bam", "cram"))])
def test_verdicts_are_those_of_quickcheck(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    for what, content in {"whole": files[name], **spoilt(files[name])}.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert verdict(name, content) is quickcheck(path), what


@pytest.mark.parametrize("name", ["calls.bcf", "calls.vcf.gz", "regions.bed.gz"])
def test_bgzipped_file_that_was_cut_or_lengthened_fails(files: dict[str, bytes], name: str) -> None:
    for what, content in spoilt(files[name]).items():
        # Without its magic it is no longer known for BGZF, and nothing in its name promises that it is.
        assert verdict(name, content) is (None if what == "another first byte" else False), what


def test_old_cram_has_the_marker_of_its_version(files: dict[str, bytes]) -> None:
    assert files["old.cram"][4:6] == b"\x02\x01"
    masked = bytearray(files["old.cram"])
    masked[-30 + 8] = 0xFF & (masked[-30 + 8] | 0xF0)
    assert verdict("old.cram", bytes(masked)) is True


def test_cram_without_a_marker_in_its_version_is_skipped(files: dict[str, bytes]) -> None:
    older = files["reads.cram"][:4] + b"\x02\x00" + files["reads.cram"][6:-38]
    assert verdict("reads.cram", older) is None


def test_plain_gzip_is_skipped() -> None:
    assert verdict("reads.fastq.gz", gzip.compress(b"@r\nACGT\n")) is None


def test_gzip_with_another_extra_field_is_skipped() -> None:
    member = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + b"\x06\x00" + b"XY\x02\x00ab" + b"rest"
    assert verdict("odd.gz", member) is None


def test_bc_subfield_is_found_behind_another_one(files: dict[str, bytes]) -> None:
    content = files["calls.vcf.gz"]
    longer = content[:10] + b"\x0c\x00" + b"XY\x02\x00ab" + content[12:]
    assert integrity.is_bgzf(longer[:64])
    assert not integrity.is_bgzf(longer[:20])


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("reads.bam", b""),
        ("reads.cram", b""),
        ("reads.bam", b"BAM\x01" + bytes(100)),
        ("reads.bam", b"<html>not found</html>"),
        ("reads.BAM", gzip.compress(b"BAM\x01", mtime=0)),
        ("reads.cram", b"CRAM"),
    ],
)
def test_object_that_does_not_begin_as_its_name_says_fails(key: str, content: bytes) -> None:
    assert verdict(key, content) is False


def test_bam_of_the_end_marker_alone_fails(files: dict[str, bytes]) -> None:
    assert verdict("reads.bam", files["reads.bam"][-28:]) is False


def test_bgzf_block_that_does_not_inflate_is_no_bam(files: dict[str, bytes]) -> None:
    broken = files["reads.bam"][:18] + b"\xff" * 64 + files["reads.bam"][-28:]
    assert verdict("reads.bam", broken) is False


def test_cram_named_bam_fails(files: dict[str, bytes]) -> None:
    assert verdict("reads.bam", files["reads.cram"]) is False
    assert verdict("reads.cram", files["reads.bam"]) is False


def test_tiny_object_with_a_bgzf_head_fails(files: dict[str, bytes]) -> None:
    assert verdict("calls.vcf.gz", files["calls.vcf.gz"][:20]) is False


def test_unknown_and_empty_objects_of_other_names_are_skipped() -> None:
    assert verdict("data", b"") is None
    assert verdict("data", b"hello") is None


def test_plain_names_need_no_look() -> None:
    assert integrity.has_plain_name("a/b.VCF")
    assert not integrity.has_plain_name("a/b.vcf.gz")


def test_result_names_what_is_missing(files: dict[str, bytes]) -> None:
    content = files["reads.bam"][:-5]
    ends = ByteEnds(content[: integrity.FIRST_BYTES], content[-integrity.LAST_BYTES :])
    found = StoredObject("bucket", "reads.bam", len(content), "etag", 0.0, ends=ends)
    result = CHECKS["integrity"].make(Gathered(ExportJob("e", "COMPLETED", {}), found, None, 0.0))
    assert result == Compared(False, "BAM with its end-of-file marker", "BAM without it")
