"""Integrity, compared with real files and with samtools quickcheck."""

import gzip
from pathlib import Path

import pysam
import pytest

from export_monitor.domain import integrity
from export_monitor.domain.checks import CHECKS, CheckInput, Compared, Skipped
from export_monitor.domain.model import ExportJob, HeadAndTail, StoredObject

HEADER = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"LN": 1000, "SN": "chr1"}]}


# The end-of-file marker is an empty block.
EMPTY = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def outcome(key: str, content: bytes) -> Compared | Skipped:
    """What the check makes of an object with this content."""
    head_and_tail = HeadAndTail(content[: integrity.FIRST_BYTES], content[-integrity.LAST_BYTES :])
    found = StoredObject("bucket", key, len(content), "etag", 0.0, head_and_tail=head_and_tail)
    return CHECKS["integrity"].run(CheckInput(ExportJob("e", "COMPLETED", {}), found, None, 0.0))


def verdict(key: str, content: bytes) -> bool | None:
    """The outcome in short: passed, failed, or skipped as None."""
    result = outcome(key, content)
    return None if isinstance(result, Skipped) else result.passed


def block(data: bytes) -> bytes:
    """A BGZF block."""
    deflated = gzip.compress(data, mtime=0)[10:]
    return EMPTY[:16] + (len(deflated) + 17).to_bytes(2, "little") + deflated


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
    fastq = folder / "reads.fastq"
    fastq.write_text("@r\nACGTACGTAC\n+\nIIIIIIIIII\n" * 900)
    pysam.tabix_compress(str(fastq), str(folder / "reads.fastq.gz"))
    made["reads.fastq.gz"] = (folder / "reads.fastq.gz").read_bytes()
    made["regions.bed.gz.tbi"] = (folder / "regions.bed.gz.tbi").read_bytes()
    return made


NAMES = [
    "reads.bam", "empty.bam", "reads.cram", "old.cram", "calls.bcf", "calls.vcf.gz", "regions.bed.gz",
    "regions.bed.gz.tbi", "reads.fastq.gz",
]  # fmt: skip


def quickcheck(path: Path) -> bool:
    try:
        pysam.quickcheck(str(path))
    except pysam.SamtoolsError:
        return False
    return True


def damaged(content: bytes) -> dict[str, bytes]:
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
    for what, content in {"whole": files[name], **damaged(files[name])}.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert verdict(name, content) is quickcheck(path), what


@pytest.mark.parametrize("name", ["calls.bcf", "calls.vcf.gz"])
@pytest.mark.parametrize("key", ["", "data", "calls.txt.gz"])
def test_variants_that_were_cut_or_lengthened_fail_whatever_their_name(
    files: dict[str, bytes], name: str, key: str
) -> None:
    for what, content in damaged(files[name]).items():
        if what == "cut to its first bytes" and key:
            # Too little is left to see what they were.
            continue
        # Without its magic it is no longer known for BGZF, and nothing in its name promises that it is.
        assert verdict(key or name, content) is (None if what == "another first byte" else False), what


@pytest.mark.parametrize("name", ["reads.fastq.gz", "regions.bed.gz", "regions.bed.gz.tbi"])
def test_other_bgzf_file_without_the_marker_is_skipped_with_that_reason(files: dict[str, bytes], name: str) -> None:
    without = files[name].removesuffix(EMPTY)
    assert without != files[name]
    for content in (without, without * 2):
        result = outcome(name, content)
        assert isinstance(result, Skipped)
        assert "without an end-of-file marker" in result.reason
    assert verdict(name, without + files[name]) is True


@pytest.mark.parametrize(
    "name",
    ["S.VCF.GZ", "s.g.vcf.gz", "s.vcf.bgz", "s.gvcf.gz", "s.hard-filtered.gvcf.gz", "s.gvcf.bgz", "s.bcf", "v/a.b.bcf"],
)
def test_name_that_promises_variants_demands_the_marker_of_any_bgzf_file(files: dict[str, bytes], name: str) -> None:
    assert verdict(name, files["reads.fastq.gz"].removesuffix(EMPTY)) is False
    assert verdict(name, files["reads.fastq.gz"]) is True


def joined(files: dict[str, bytes]) -> dict[str, bytes]:
    bam = files["reads.bam"]
    header = gzip.decompress(files["empty.bam"])
    return {
        "an end marker before a whole file": EMPTY + bam,
        "many end markers before a whole file": EMPTY * 50 + bam,
        "end markers before a file that was cut": EMPTY * 3 + bam[:-28],
        "two whole files": bam + bam,
        "two files, the last without its marker": bam + bam[:-28],
        "a first block of two bytes": EMPTY + block(header[:2]) + block(header[2:]) + EMPTY,
        "an end marker before rubbish": EMPTY + b"rubbish" * 40 + EMPTY,
        "an end marker before variants": EMPTY + files["calls.vcf.gz"],
        "end markers alone": EMPTY * 9,
    }


def test_empty_blocks_before_the_first_with_data_are_passed_over_as_quickcheck_does(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    verdicts = []
    for what, content in joined(files).items():
        (tmp_path / "reads.bam").write_bytes(content)
        verdicts.append(verdict("reads.bam", content))
        # quickcheck does not mind another format under the name.
        assert what == "an end marker before variants" or verdicts[-1] is quickcheck(tmp_path / "reads.bam"), what
    assert verdicts == [True, True, False, True, False, True, False, False, False]
    assert verdict("calls.bcf", EMPTY + files["calls.bcf"].removesuffix(EMPTY)) is False


def test_beginning_behind_too_many_empty_blocks_is_not_judged(files: dict[str, bytes]) -> None:
    bam = files["reads.bam"]
    far = EMPTY * (integrity.FIRST_BYTES // len(EMPTY) + 1)
    result = outcome("reads.bam", far + bam)
    assert isinstance(result, Skipped)
    assert "empty BGZF blocks" in result.reason
    # The end is seen all the same.
    assert verdict("reads.bam", far + bam[:-1]) is False
    assert verdict("reads.fastq.gz", far + bam[:-1]) is None
    assert verdict("reads.fastq.gz", far + bam) is True


def test_gzip_header_with_other_flags_is_not_bgzf(files: dict[str, bytes]) -> None:
    for flags in set(range(256)) - {4}:
        content = files["reads.bam"][:3] + bytes([flags]) + files["reads.bam"][4:]
        assert verdict("reads.bam", content) is False
        assert verdict("calls.vcf.gz", content[:-28]) is None


@pytest.mark.parametrize("length", [0, 17, 18])
def test_block_that_is_shorter_than_its_own_header_ends_the_search(length: int) -> None:
    broken = EMPTY[:16] + length.to_bytes(2, "little") + EMPTY[18:]
    assert verdict("reads.bam", broken + block(b"BAM\x01") + EMPTY) is False


def test_old_cram_has_the_marker_of_its_version(files: dict[str, bytes]) -> None:
    assert files["old.cram"][4:6] == b"\x02\x01"
    masked = bytearray(files["old.cram"])
    masked[-30 + 8] = 0xFF & (masked[-30 + 8] | 0xF0)
    assert verdict("old.cram", bytes(masked)) is True


def test_cram_without_a_marker_in_its_version_is_skipped(files: dict[str, bytes]) -> None:
    older = files["reads.cram"][:4] + b"\x02\x00" + files["reads.cram"][6:-38]
    assert verdict("reads.cram", older) is None


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


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("reads.fastq.gz", gzip.compress(b"@r\nACGT\n", mtime=0)),
        ("another-extra-field.gz", b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\x00XY\x02\x00abrest"),
        ("data", b""),
        ("data", b"hello"),
    ],
)
def test_object_of_another_format_is_skipped(key: str, content: bytes) -> None:
    assert verdict(key, content) is None


def test_bgzf_block_that_does_not_inflate_is_no_bam(files: dict[str, bytes]) -> None:
    broken = files["reads.bam"][:18] + b"\xff" * 64 + files["reads.bam"][-28:]
    assert verdict("reads.bam", broken) is False


def test_file_under_another_name_or_cut_within_its_head_fails(files: dict[str, bytes]) -> None:
    assert verdict("reads.bam", files["reads.cram"]) is False
    assert verdict("reads.cram", files["reads.bam"]) is False
    assert verdict("calls.vcf.gz", files["calls.vcf.gz"][:20]) is False


def test_only_an_object_whose_name_promises_plain_text_needs_no_reading() -> None:
    suffixes = "vcf txt fastq fq fa fasta bed tsv csv sam gff gtf maf json html log"
    for suffix in suffixes.split():
        assert integrity.is_unmarked_format(f"a/b.{suffix}")
        assert integrity.is_unmarked_format(f"a/b.{suffix.upper()}")
        assert not integrity.is_unmarked_format(f"a/b.{suffix}.gz")
    for name in ("a.bam", "a.bai", "a.csi", "a.bcf", "a.cram", "a.zip", "a.tar", "vcf", "a"):
        assert not integrity.is_unmarked_format(name)


def test_result_names_what_is_missing(files: dict[str, bytes]) -> None:
    assert outcome("reads.bam", files["reads.bam"][:-5]) == Compared(
        False, "BAM with an end-of-file marker", "BAM without one"
    )
