"""Whether an object's bytes begin and end as their format says, judged by a few bytes at either end.

BGZF (BAM, BCF, bgzipped text) and CRAM end with a fixed marker, so a file that was cut off shows. Sources: the SAM
specification (sections 4.1 and 4.1.2) and the CRAM 2.1 and 3 specifications (section 9, 'End of file container') of
hts-specs; `samtools quickcheck` asks the same.
"""

import zlib

from export_monitor.domain.model import ByteEnds

# Enough for the headers, and for the first bytes that a BAM's first block inflates to.
FIRST_BYTES = 4096
# The longest of the markers.
LAST_BYTES = 38

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_CRAM_2_END = bytes.fromhex("0b000000ffffffff0fe0454f460000000001000001000606010001000100")
_CRAM_3_END = bytes.fromhex("0f000000ffffffff0fe0454f4600000000010005bdd94f0001000606010001000100ee63014b")
# The high half of this byte differs between early writers of CRAM.
_CRAM_VARYING_BYTE = 8

_BAM_MAGIC = b"BAM\x01"
_CRAM_MAGIC = b"CRAM"
_GZIP_WITH_EXTRA = b"\x1f\x8b\x08"
_FLAG_EXTRA = 4
_GZIP_HEADER_BYTES = 12

# What such a name promises is text or has no end marker, so nothing is read.
_PLAIN_SUFFIXES = (
    ".bai", ".bed", ".bedgraph", ".bw", ".csv", ".dict", ".fa", ".fai", ".fasta", ".fastq", ".fq", ".gff", ".gff3",
    ".gtf", ".htm", ".html", ".json", ".log", ".maf", ".md", ".md5", ".pdf", ".png", ".sam", ".sha256", ".svg", ".tar",
    ".tsv", ".txt", ".vcf", ".xml", ".yaml", ".yml", ".zip",
)  # fmt: skip


def has_plain_name(key: str) -> bool:
    """Whether an object's name is that of a format without an end marker, so that its bytes need no look."""
    return key.lower().endswith(_PLAIN_SUFFIXES)


def has_end_marker(first: bytes) -> bool:
    """Whether what begins so must end with a marker: BGZF, or CRAM from 2.1 on."""
    return is_bgzf(first) or _cram_marker(first) is not None


def promised_format(key: str) -> str | None:
    """The format that an object's name promises and its first bytes must keep: BAM, CRAM, or None."""
    name = key.lower()
    return "BAM" if name.endswith(".bam") else "CRAM" if name.endswith(".cram") else None


def begins_as(ends: ByteEnds) -> str:
    """The format that the first bytes show: BAM, BGZF, CRAM with its version, gzip, empty, or unknown."""
    first = ends.first
    if not first:
        return "empty"
    if first.startswith(_CRAM_MAGIC) and len(first) >= len(_CRAM_MAGIC) + 2:
        return f"CRAM {first[4]}.{first[5]}"
    if is_bgzf(first):
        return "BAM" if _first_inflated(first) == _BAM_MAGIC else "BGZF"
    return "gzip" if first.startswith(_GZIP_WITH_EXTRA) else "unknown"


def is_bgzf(first: bytes) -> bool:
    """Whether the first gzip member carries the extra subfield BC, which makes it a BGZF block."""
    if not first.startswith(_GZIP_WITH_EXTRA) or len(first) < _GZIP_HEADER_BYTES or not first[3] & _FLAG_EXTRA:
        return False
    extra = first[_GZIP_HEADER_BYTES : _GZIP_HEADER_BYTES + int.from_bytes(first[10:12], "little")]
    while len(extra) >= 4:
        length = int.from_bytes(extra[2:4], "little")
        if extra[:2] == b"BC" and length == 2:
            return len(extra) >= 6
        extra = extra[4 + length :]
    return False


def ends_with_marker(ends: ByteEnds) -> bool:
    """Whether the last bytes are the marker that the first bytes ask for."""
    marker = _BGZF_END if is_bgzf(ends.first) else _cram_marker(ends.first)
    if marker is None or len(ends.last) < len(marker):
        return False
    last = bytearray(ends.last[-len(marker) :])
    if marker is not _BGZF_END:
        last[_CRAM_VARYING_BYTE] &= 0x0F
    return bytes(last) == marker


def _cram_marker(first: bytes) -> bytes | None:
    if not first.startswith(_CRAM_MAGIC) or len(first) < len(_CRAM_MAGIC) + 2:
        return None
    version = (first[4], first[5])
    if version < (2, 1):
        return None
    return _CRAM_2_END if version[0] == 2 else _CRAM_3_END


def _first_inflated(first: bytes) -> bytes:
    start = _GZIP_HEADER_BYTES + int.from_bytes(first[10:12], "little")
    try:
        return zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(first[start:], len(_BAM_MAGIC))
    except zlib.error:
        return b""
