"""BGZF: gzip members of at most 64 KiB, each with the CRC32 and the length of the data that it inflates to.

Source: the SAM specification of hts-specs, section 4.1.
"""

from collections.abc import Generator

from export_monitor.domain.content.byte_stream import ByteStream
from export_monitor.domain.content.inflating import RAW_DEFLATE, InflateLibrary
from export_monitor.domain.content.units import Broken, Sound
from export_monitor.domain.integrity import block_bytes, has_eof_marker
from export_monitor.domain.model import HeadAndTail

# The most that a block takes, and the most that it inflates to.
MAX_BLOCK_BYTES = 1 << 16
_EOF_MARKER_BYTES = 28
_MAGIC = b"\x1f\x8b\x08\x04"
_FIXED_HEADER_BYTES = 12
_TRAILER_BYTES = 8

NO_BLOCK = Broken("no BGZF block begins here")
CUT = Broken("the block is longer than the rest of the object")
NOT_INFLATED = Broken("the block does not inflate")
WRONG_LENGTH = Broken("the block does not inflate to the length that it states")
WRONG_CRC = Broken("the CRC32 of the inflated block is wrong")


def verify_block(stream: ByteStream, library: InflateLibrary) -> Generator[None, None, Sound | Broken]:
    """Verify the block that must begin here."""
    yield from stream.wait_for(min(_FIXED_HEADER_BYTES, stream.left))
    header_bytes = min(_header_bytes(stream.peek(_FIXED_HEADER_BYTES)), stream.left)
    yield from stream.wait_for(header_bytes)
    length = block_bytes(bytes(stream.peek(header_bytes)))
    if length is None:
        return NO_BLOCK
    if length > stream.left:
        return CUT
    yield from stream.wait_for(length)
    return verified(stream.take(length), header_bytes, library)


def find_block(stream: ByteStream, stop: int, library: InflateLibrary) -> Generator[None, None, int | None]:
    """The offset from which an unbroken chain of blocks leads beyond the first 64 KiB, or None.

    No block is longer, so one must begin in these. A chain that is broken inside them began in data that looks like
    BGZF, such as a BGZF file stored inside the blocks; the search goes on behind it. It never passes `stop`.
    """
    yield from stream.wait_for(min(2 * MAX_BLOCK_BYTES, stream.left))
    data = bytes(stream.peek(2 * MAX_BLOCK_BYTES))
    limit = min(MAX_BLOCK_BYTES, stop - stream.at)
    candidate = data.find(_MAGIC)
    while 0 <= candidate < limit:
        end = _chain_end(data, candidate, limit, library)
        if end >= limit:
            return stream.at + candidate
        candidate = data.find(_MAGIC, end + 1)
    return None


def verified(block: memoryview, header_bytes: int, library: InflateLibrary) -> Sound | Broken:
    """Whether a whole block, which begins with a header of this length, is sound."""
    if len(block) < header_bytes + _TRAILER_BYTES:
        return NO_BLOCK
    crc, length = int.from_bytes(block[-8:-4], "little"), int.from_bytes(block[-4:], "little")
    inflater = library.decompressobj(RAW_DEFLATE)
    try:
        # One byte more than it may be, so that the end of the deflated data is reached.
        inflated = inflater.decompress(block[header_bytes:-_TRAILER_BYTES], MAX_BLOCK_BYTES + 1)
    except library.error:
        return NOT_INFLATED
    if not inflater.eof or inflater.unused_data:
        return NOT_INFLATED
    if len(inflated) != length or length > MAX_BLOCK_BYTES:
        return WRONG_LENGTH
    if library.crc32(inflated) != crc:
        return WRONG_CRC
    return Sound(length, len(block) == _EOF_MARKER_BYTES and _is_eof_marker(bytes(block)))


def _header_bytes(fixed: memoryview) -> int:
    return _FIXED_HEADER_BYTES + int.from_bytes(fixed[10:12], "little")


def _chain_end(data: bytes, at: int, limit: int, library: InflateLibrary) -> int:
    """The offset where the chain of sound blocks from `at` on breaks, or at which it has passed the limit."""
    view = memoryview(data)
    while at < limit:
        header_bytes = _header_bytes(view[at : at + _FIXED_HEADER_BYTES])
        length = block_bytes(data[at : at + header_bytes])
        if length is None or isinstance(verified(view[at : at + length], header_bytes, library), Broken):
            break
        at += length
    return at


def _is_eof_marker(block: bytes) -> bool:
    return has_eof_marker(HeadAndTail(block, block))
