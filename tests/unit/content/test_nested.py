"""BGZF data that is stored inside BGZF blocks looks like blocks, and never decides."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_monitor.domain.content.results import ContentVerdict
from tests.unit.content.files import EOF_BLOCK, bgzf, bgzf_block, bgzf_bounds, samples
from tests.unit.content.judging import Judge


@pytest.mark.parametrize("part_bytes", [3000, 10_000, 65_536, 100_001])
def test_nested_file_is_judged_as_in_one_part_and_read_once(part_bytes: int) -> None:
    content = bgzf(samples()["reads.bam"].content * 2, level=0)
    judge = Judge(part_bytes)
    assert judge.verdict(content) == Judge().verdict(content)
    assert judge.fault(content) is None
    assert set(judge.reads.values()) == {1}


def test_damage_behind_nested_blocks_is_found() -> None:
    content = bytearray(bgzf(samples()["reads.bam"].content * 2, level=0))
    place = len(content) // 2
    content[place] ^= 1
    block = max(bound for bound in bgzf_bounds(bytes(content)) if bound <= place)
    for part_bytes in (3000, 10_000, 100_000, 1 << 30):
        assert Judge(part_bytes).fault_at(bytes(content)) == block


def bridge(gap_bytes: int) -> tuple[bytes, bytes]:
    """Both ends of a block that hides, in its extra field, the end of one stored block and the header of the next."""
    deflated_and_trailer = bgzf_block(b"bridge")[18:]
    length = 22 + gap_bytes + len(deflated_and_trailer)
    subfields = b"BC\2\0" + (length - 1).to_bytes(2, "little") + b"XX" + gap_bytes.to_bytes(2, "little")
    return EOF_BLOCK[:10] + (10 + gap_bytes).to_bytes(2, "little") + subfields, deflated_and_trailer


def stored_block(data: bytes) -> bytes:
    length = len(data).to_bytes(2, "little")
    complement = (0xFFFF - len(data)).to_bytes(2, "little")
    block = (
        EOF_BLOCK[:18] + b"\1" + length + complement + data + zlib.crc32(data).to_bytes(4, "little") + length + b"\0\0"
    )
    return block[:16] + (len(block) - 1).to_bytes(2, "little") + block[18:]


def test_false_chain_that_outlives_the_search_is_read_again() -> None:
    # The trailer of a block, the header of the next one, and that of a stored block.
    head, tail = bridge(8 + 18 + 5)
    inner = bgzf_block(b"inner") * 1900
    outer = stored_block(tail + inner + head)
    content = stored_block(inner + head) + outer * 3 + stored_block(tail + inner) + EOF_BLOCK
    for part_bytes in (1000, 200_000):
        judge = Judge(part_bytes)
        assert judge.verdict(content) == Judge().verdict(content)
        assert judge.fault(content) is None
        assert max(judge.reads.values()) == 2


BLOCKS = st.lists(
    st.one_of(
        st.binary(max_size=300).map(bgzf_block),
        st.lists(st.binary(max_size=50).map(bgzf_block), max_size=8).map(lambda inner: bgzf_block(b"".join(inner), 0)),
    ),
    min_size=1,
    max_size=12,
).map(lambda blocks: b"".join(blocks) + EOF_BLOCK)


@settings(max_examples=60, deadline=None)
@given(content=BLOCKS, part_bytes=st.integers(20, 700), chunk_bytes=st.integers(10, 3000), seed=st.integers(0, 1 << 20))
def test_any_file_is_judged_the_same_in_any_split(content: bytes, part_bytes: int, chunk_bytes: int, seed: int) -> None:
    verdict = Judge().verdict(content)
    assert isinstance(verdict, ContentVerdict)
    assert verdict.fault is None
    assert Judge(part_bytes, chunk_bytes).verdict(content) == verdict
    chance = random.Random(seed)
    damaged = bytearray(content)
    damaged[chance.randrange(18, len(content))] ^= 1 << chance.randrange(8)
    assert Judge(part_bytes, chunk_bytes).verdict(bytes(damaged)) == Judge().verdict(bytes(damaged))
