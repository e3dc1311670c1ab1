"""Detects a file's format and whether the file is complete, from a few bytes at either end.

BAM, BCF, bgzipped VCF and CRAM end with a fixed marker, so a truncated file is recognized. Other BGZF files may end
with it; many programs that write FASTQ omit it. Sources: the SAM specification (sections 4.1 and 4.1.2) and the
CRAM 2.1 and 3 specifications (section 9, 'End of file container') of hts-specs; `samtools quickcheck` checks the same.
"""

import zlib

from export_monitor.domain.model import HeadAndTail

# Enough for the headers, the first bytes that the first block inflates to, and a hundred empty blocks before it.
FIRST_BYTES = 4096
# The length of the longest marker.
LAST_BYTES = 38

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_CRAM_2_END = bytes.fromhex("0b000000ffffffff0fe0454f460000000001000001000606010001000100")
_CRAM_3_END = bytes.fromhex("0f000000ffffffff0fe0454f4600000000010005bdd94f0001000606010001000100ee63014b")
# Early programs that write CRAM differ in the high half of this byte.
_CRAM_VARYING_BYTE = 8

# The format of a BGZF file by the first bytes that it inflates to.
_INFLATED = {b"BAM\x01": "BAM", b"BCF\x02": "BCF", b"##fileformat=VCF": "VCF"}
_INFLATED_BYTES = max(map(len, _INFLATED))
NO_DATA = "BGZF without data"

_CRAM_MAGIC = b"CRAM"
_GZIP = b"\x1f\x8b\x08"
# With FEXTRA as the only flag.
_GZIP_WITH_EXTRA = _GZIP + b"\x04"
_GZIP_HEADER_BYTES = 12
_BGZF_HEADER_BYTES = 18

# Names of plain text files, whose bytes are not read.
_PLAIN_SUFFIXES = (
    ".bed", ".csv", ".fa", ".fasta", ".fastq", ".fq", ".gff", ".gtf", ".html", ".json", ".log", ".maf", ".sam", ".tsv",
    ".txt", ".vcf",
)  # fmt: skip
# Names of formats that require the end-of-file marker.
_MARKED_SUFFIXES = (".bam", ".bcf", ".vcf.gz", ".vcf.bgz", ".gvcf.gz", ".gvcf.bgz")


def is_unmarked_format(key: str) -> bool:
    """Whether the name is that of a format without an end-of-file marker, so that no bytes need to be read."""
    return key.lower().endswith(_PLAIN_SUFFIXES)


def expects_eof_marker(first: bytes) -> bool:
    """Whether a file with these first bytes may end with a marker: BGZF, or CRAM from 2.1 on."""
    return is_bgzf(first) or _cram_marker(first) is not None


def demands_end_marker(begins: str, key: str) -> bool:
    """Whether the format, detected (`begins`) or given by the name, requires the end-of-file marker."""
    return begins in _INFLATED.values() or begins.startswith("CRAM") or key.lower().endswith(_MARKED_SUFFIXES)


def format_from_extension(key: str) -> str | None:
    """The format that an object's name implies and its first bytes must have: BAM, CRAM, or None."""
    name = key.lower()
    return "BAM" if name.endswith(".bam") else "CRAM" if name.endswith(".cram") else None


def detect_format(head_and_tail: HeadAndTail) -> str:
    """The format that the first bytes show: BAM, BCF, VCF, BGZF, CRAM with its version, gzip, empty, or unknown.

    NO_DATA if they are nothing but empty BGZF blocks.
    """
    first = head_and_tail.first
    if not first:
        return "empty"
    if first.startswith(_CRAM_MAGIC) and len(first) >= len(_CRAM_MAGIC) + 2:
        return f"CRAM {first[4]}.{first[5]}"
    if is_bgzf(first):
        inflated = _inflated(first)
        if inflated is None:
            return NO_DATA
        return next((name for magic, name in _INFLATED.items() if inflated.startswith(magic)), "BGZF")
    return "gzip" if first.startswith(_GZIP) else "unknown"


def is_bgzf(first: bytes) -> bool:
    """Whether the first gzip member has an extra field, no other optional field, and in it BGZF's subfield BC."""
    return block_bytes(first) is not None


def has_eof_marker(head_and_tail: HeadAndTail) -> bool:
    """Whether the last bytes are the end-of-file marker of the format that the first bytes show."""
    marker = _BGZF_END if is_bgzf(head_and_tail.first) else _cram_marker(head_and_tail.first)
    if marker is None or len(head_and_tail.last) < len(marker):
        return False
    last = bytearray(head_and_tail.last[-len(marker) :])
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


def block_bytes(block: bytes) -> int | None:
    """The length in bytes of the BGZF block that starts here, with header and trailer; None if none starts here."""
    if not block.startswith(_GZIP_WITH_EXTRA) or len(block) < _GZIP_HEADER_BYTES:
        return None
    extra = block[_GZIP_HEADER_BYTES : _deflated_from(block)]
    while len(extra) >= 4:
        length = int.from_bytes(extra[2:4], "little")
        if extra[:2] == b"BC" and length == 2:
            return int.from_bytes(extra[4:6], "little") + 1 if len(extra) >= 6 else None
        extra = extra[4 + length :]
    return None


def _deflated_from(block: bytes) -> int:
    return _GZIP_HEADER_BYTES + int.from_bytes(block[10:12], "little")


def _inflated(first: bytes) -> bytes | None:
    """The first bytes that the BGZF blocks inflate to, past empty ones; None if `first` ends before any data."""
    inflated = b""
    while len(inflated) < _INFLATED_BYTES and len(first) >= _BGZF_HEADER_BYTES:
        end = block_bytes(first)
        if end is None or end <= _deflated_from(first):
            return inflated
        deflated, room = first[_deflated_from(first) :], _INFLATED_BYTES - len(inflated)
        try:
            inflated += zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(deflated, room)
        except zlib.error:
            return inflated
        first = first[end:]
    return inflated or None
