"""Blocks as some writers make them, and as none should."""

import zlib

import pytest

from export_monitor.domain.content.inflating import InflateLibrary, inflate_libraries
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import Fault, PartResult
from export_monitor.domain.content.verifier import PartVerifier
from tests.unit.content.files import EOF_BLOCK, bgzf, bgzf_block, samples
from tests.unit.content.judging import WHOLE, Judge, format_of, read

LIBRARIES = pytest.mark.parametrize("library", inflate_libraries(), ids=lambda library: library.__name__)
BLOCK = bgzf_block(b"text " * 50)


def resized(block: bytes) -> bytes:
    """The block with its true length in its header."""
    return block[:16] + (len(block) - 1).to_bytes(2, "little") + block[18:]


def with_more_in_its_header(block: bytes) -> bytes:
    longer = block[:10] + b"\x0c\0" + b"XY\2\0ab" + block[12:]
    return longer[:22] + (len(longer) - 1).to_bytes(2, "little") + longer[24:]


@LIBRARIES
@pytest.mark.parametrize("part_bytes", [WHOLE, 100])
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"\x1f", "no BGZF block begins here"),
        (b"\x1f\x8b\x08\x04" + bytes(14), "no BGZF block begins here"),
        (b"</html>\n" * 9, "no BGZF block begins here"),
        (BLOCK[:3] + b"\5" + BLOCK[4:], "no BGZF block begins here"),
        (resized(BLOCK[:25]), "no BGZF block begins here"),
        (BLOCK[:-1], "the block is longer than the rest of the object"),
        (resized(BLOCK[:18] + b"\xff" * 40 + BLOCK[-8:]), "the block does not inflate"),
        (resized(BLOCK[:-9] + BLOCK[-8:]), "the block does not inflate"),
        (resized(BLOCK[:-8] + b"unused" + BLOCK[-8:]), "the block does not inflate"),
        (BLOCK[:-8] + b"?" + BLOCK[-7:], "the CRC32 of the inflated block is wrong"),
        (BLOCK[:-4] + b"?" + BLOCK[-3:], "the block does not inflate to the length that it states"),
        (bgzf_block(bytes(65_537)), "the block does not inflate to the length that it states"),
        (BLOCK[:-1] + b"?", "the block does not inflate to the length that it states"),
    ],
)
def test_fault_has_its_reason_and_place(broken: bytes, reason: str, part_bytes: int, library: InflateLibrary) -> None:
    content = BLOCK * 3 + broken
    assert Judge(part_bytes, inflate=library).fault(content) == Fault(len(BLOCK * 3), reason)


@LIBRARIES
def test_block_that_inflates_to_more_than_it_may_is_not_inflated_to_its_end(library: InflateLibrary) -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = compressor.compress(bytes(60 << 20)) + compressor.flush()
    assert len(deflated) < 65_500
    for stated in (65_536, 60 << 20):
        trailer = bytes(4) + stated.to_bytes(4, "little")
        fault = Judge(inflate=library).fault(BLOCK + resized(EOF_BLOCK[:18] + deflated + trailer))
        assert fault
        assert fault.offset == len(BLOCK)


@LIBRARIES
@pytest.mark.parametrize("part_bytes", [WHOLE, 200])
def test_header_may_have_more_subfields(part_bytes: int, library: InflateLibrary) -> None:
    content = (with_more_in_its_header(BLOCK) + BLOCK) * 9 + EOF_BLOCK
    judge = Judge(part_bytes, inflate=library)
    assert judge.fault(content) is None
    assert max(judge.reads.values()) == 1


def test_full_blocks_that_do_not_shrink_pass() -> None:
    data = samples()["reads.bam"].content[:65_280] + bytes(256)
    for level in (0, 9):
        assert Judge().fault(bgzf(data[:65_280], level)) is None
    assert Judge().fault(bgzf_block(data, 9) + EOF_BLOCK) is None


def test_part_that_begins_with_no_block_in_64_kib_waits_for_its_proof() -> None:
    content = BLOCK + bytes(200_000) + BLOCK * 9
    assert read(content, Part(1, 1000, len(content))) == PartResult(len(content), len(content))
    assert Judge(1000).fault_at(content) == len(BLOCK)


def test_verifier_ends_with_the_first_fault_and_needs_no_more_than_it_says() -> None:
    content = BLOCK + bytes(100) + BLOCK * 2000
    verifier = PartVerifier(format_of(content), len(content), Part(0, 0, 300_000, True))
    assert verifier.reads_until == len(content)
    verifier = PartVerifier(format_of(content), len(content), Part(0, 0, 1000, True))
    assert verifier.reads_until == 1000 + 65_536
    verifier.feed(content[:1000])
    assert verifier.result == PartResult(0, len(BLOCK), 1, 250, Fault(len(BLOCK), "no BGZF block begins here"))
    verifier.feed(content[1000:])
    assert verifier.result.units == 1
