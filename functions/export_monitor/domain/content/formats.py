"""Recognises by its first bytes which checksums an object carries inside."""

from dataclasses import dataclass
from enum import StrEnum

from export_monitor.domain import integrity
from export_monitor.domain.model import HeadAndTail

# What `recognise` needs of an object's beginning.
FIRST_BYTES = integrity.FIRST_BYTES
# The file definition of a CRAM, which no checksum covers.
CRAM_DEFINITION_BYTES = 26
# The flags of a gzip header that announce a header checksum or have no meaning yet.
UNUSUAL_GZIP_FLAGS = 0xE2
_GZIP_FLAGS_AT = 3


class Kind(StrEnum):
    """How an object is verified."""

    BGZF = "BGZF"
    CRAM = "CRAM"
    GZIP = "gzip"


@dataclass(frozen=True, slots=True)
class Unverifiable:
    """The content cannot be verified, which is no fault."""

    reason: str


UNUSUAL_GZIP = Unverifiable("a gzip header has flags that are not verified")


@dataclass(frozen=True, slots=True)
class Format:
    """A format with checksums inside. `name` is BAM, BCF, VCF, other BGZF, CRAM with its version, or gzip."""

    kind: Kind
    name: str
    demands_eof_marker: bool

    @property
    def first_unit(self) -> int:
        """The offset at which the first unit begins."""
        return CRAM_DEFINITION_BYTES if self.kind is Kind.CRAM else 0


def units_of(name: str) -> str:
    """What is counted in a format of this name."""
    return "containers" if name.startswith(Kind.CRAM) else "members" if name == Kind.GZIP else "blocks"


def recognise(first: bytes, key: str) -> Format | Unverifiable:
    """The format of an object that begins with these FIRST_BYTES, or the reason why its content can't be verified.

    The key only decides whether a BGZF file demands an end-of-file marker, as for the check `integrity`.
    """
    begins = integrity.detect_format(HeadAndTail(first, b""))
    demands_eof_marker = integrity.demands_end_marker(begins, key)
    if integrity.is_bgzf(first):
        name = Kind.BGZF if begins == integrity.NO_DATA else begins
        return Format(Kind.BGZF, str(name), demands_eof_marker)
    if begins.startswith("CRAM 3."):
        return Format(Kind.CRAM, begins, demands_eof_marker)
    if begins.startswith("CRAM"):
        return Unverifiable(f"{begins} is not a version with checksums that are verified")
    if begins != "gzip" or len(first) <= _GZIP_FLAGS_AT:
        return Unverifiable("no format with checksums inside")
    if first[_GZIP_FLAGS_AT] & UNUSUAL_GZIP_FLAGS:
        return UNUSUAL_GZIP
    return Format(Kind.GZIP, str(Kind.GZIP), demands_eof_marker=False)
