"""Sound files of every kind, made by htslib and by Python, and their units as others see them."""

import gzip
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pysam

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
EOF_CONTAINER = bytes.fromhex("0f000000ffffffff0fe0454f4600000000010005bdd94f0001000606010001000100ee63014b")
BGZF = ("reads.bam", "calls.bcf", "calls.vcf.gz", "reads.fastq.gz", "calls.vcf.gz.tbi", "calls.bcf.csi")
CRAM = ("reads.3.0.cram", "reads.3.1.cram")
NAMES = (*BGZF, *CRAM, "members.gz")


@dataclass(frozen=True)
class Sample:
    """A file and the offsets at which its units begin, and its end."""

    content: bytes
    bounds: tuple[int, ...]

    def unit_at(self, place: int) -> tuple[int, int]:
        """Where the unit with this byte begins and ends."""
        return next((start, end) for start, end in pairwise(self.bounds) if start <= place < end)


def bgzf_block(data: bytes, level: int = 6) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    deflated = compressor.compress(data) + compressor.flush()
    trailer = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return EOF_BLOCK[:16] + (len(deflated) + 25).to_bytes(2, "little") + deflated + trailer


def bgzf(data: bytes, level: int = 6, block_bytes: int = 65280) -> bytes:
    """What bgzip makes of the data."""
    blocks = [bgzf_block(data[at : at + block_bytes], level) for at in range(0, len(data), block_bytes)]
    return b"".join(blocks) + EOF_BLOCK


def bgzf_bounds(content: bytes) -> Iterator[int]:
    """Where the blocks begin, and the end, by their stated lengths."""
    at = 0
    while at < len(content):
        yield at
        at += int.from_bytes(content[at + 16 : at + 18], "little") + 1
    yield at


@cache
def samples() -> dict[str, Sample]:
    verbosity = pysam.set_verbosity(0)
    with TemporaryDirectory() as name:
        made = dict(_made(Path(name)))
    pysam.set_verbosity(verbosity)
    return made


def _made(folder: Path) -> Iterator[tuple[str, Sample]]:
    chance = random.Random(14)
    _write_reads(folder / "reads.bam", "wb", [], chance)
    for version in ("3.0", "3.1"):
        options = [f"version={version}", "seqs_per_slice=200", *(["small=1"] if version == "3.1" else [])]
        _write_reads(folder / f"reads.{version}.cram", "wc", options, chance)
    _write_calls(folder, chance)
    fastq = folder / "reads.fastq"
    fastq.write_text("".join(f"@r{n}\n{_bases(chance)}\n+\n{_qualities(chance)}\n" for n in range(1500)))
    pysam.tabix_compress(str(fastq), str(folder / "reads.fastq.gz"))
    for name in BGZF:
        content = (folder / name).read_bytes()
        yield name, Sample(content, tuple(bgzf_bounds(content)))
    for name in CRAM:
        pysam.index(str(folder / name))
        lines = gzip.decompress((folder / f"{name}.crai").read_bytes()).decode().splitlines()
        content = (folder / name).read_bytes()
        indexed = sorted({int(line.split("\t")[3]) for line in lines})
        yield name, Sample(content, (26, *indexed, len(content) - 38, len(content)))
    members = [gzip.compress(_bases(chance, size).encode(), mtime=7) for size in (9, 150_000, 0, 300_000, 1)]
    ends = [sum(map(len, members[:count])) for count in range(len(members) + 1)]
    yield "members.gz", Sample(b"".join(members), tuple(ends))


def _write_reads(path: Path, mode: str, options: list[str], chance: random.Random) -> None:
    header = {"HD": {"VN": "1.6", "SO": "unsorted"}, "SQ": [{"LN": 1000, "SN": "chr1"}]}
    with pysam.AlignmentFile(str(path), mode, header=header, format_options=[one.encode() for one in options]) as out:
        for number in range(1500):
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.query_sequence, read.flag = f"read{number}", _bases(chance), 4
            read.query_qualities = pysam.qualitystring_to_array(_qualities(chance))
            out.write(read)


def _write_calls(folder: Path, chance: random.Random) -> None:
    header = pysam.VariantHeader()
    for contig in range(300):
        header.contigs.add(f"chr{contig}", length=1_000_000)
    header.info.add("T", 1, "String", "some text")
    for name, mode in (("calls.bcf", "wb"), ("calls.vcf.gz", "wz")):
        with pysam.VariantFile(str(folder / name), mode, header=header) as out:
            for number in range(4000):
                start = chance.randrange(10) + number % 20 * 40_000
                text = _bases(chance, 60)
                alleles = ("A", "C")
                record = out.new_record(contig=f"chr{number // 20}", start=start, stop=start + 1, alleles=alleles)
                record.info["T"] = text
                out.write(record)
    pysam.tabix_index(str(folder / "calls.vcf.gz"), preset="vcf", force=True)
    pysam.tabix_index(str(folder / "calls.bcf"), preset="bcf", csi=True, force=True)


def _bases(chance: random.Random, count: int = 100) -> str:
    return chance.randbytes(count).translate(b"ACGT" * 64).decode()


def _qualities(chance: random.Random, count: int = 100) -> str:
    return chance.randbytes(count).translate(b"FFFF:::IIJ,#<+5K" * 16).decode()
