"""CRAM 3: containers with a CRC32 over their header, made of blocks with a CRC32 over the bytes as they are stored.

Source: the CRAM specification 3 of hts-specs, sections 2.3, 7, 8 and 9.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass

from export_monitor.domain.content.byte_stream import ByteStream
from export_monitor.domain.content.formats import CRAM_DEFINITION_BYTES
from export_monitor.domain.content.inflating import InflateLibrary
from export_monitor.domain.content.units import Broken, Sound

_CRC_BYTES = 4
# A header has one landmark for each slice; most have one in all. Longer ones are damage.
_HEADER_STEPS = (64, 1 << 16)
_MIN_HEADER_BYTES = 16
_MAX_BLOCK_HEADER_BYTES = 17
_EOF_BODY_BYTES, _EOF_REFERENCE, _EOF_START = 15, -1, 0x454F46

# A container's first block is its compression header: any method, content type 1, content id 0.
_FIRST_BLOCK = re.compile(rb"[\x00-\x08](?=\x01\x00)")
_FIRST_BLOCK_BYTES = 3
_SEARCH_BYTES = 1 << 20
# The longest header that a search recognises, and how many places it examines.
_SEARCHED_HEADER_BYTES = 512
_MAX_CANDIDATES = 4096

NO_CONTAINER = Broken("no CRAM container begins here, or its header is damaged")
CUT = Broken("the container is longer than the rest of the object")


@dataclass(frozen=True, slots=True)
class ContainerHeader:
    """What is used of a container's header. `body_bytes` is the length of its blocks and of any padding."""

    header_bytes: int
    body_bytes: int
    blocks: int
    is_eof_marker: bool


def verify_container(stream: ByteStream, library: InflateLibrary) -> Generator[None, None, Sound | Broken]:
    """Verify the container that must begin here.

    Its length decides where it ends, not its number of blocks, which some writers get wrong. Only in the first
    container, which has the SAM header, padding may follow the stated number of blocks; no checksum covers that.
    """
    may_have_padding = stream.at == CRAM_DEFINITION_BYTES
    header = yield from _read_header(stream, library)
    if header is None:
        return NO_CONTAINER
    if header.body_bytes > stream.left:
        return CUT
    end = stream.at + header.body_bytes
    stream.want(header.body_bytes)
    blocks = 0
    while stream.at < end:
        if may_have_padding and blocks >= max(1, header.blocks):
            yield from _crc32(stream, end - stream.at, library)
            break
        broken = yield from _verify_block(stream, end, library)
        if broken:
            return broken
        blocks += 1
    return Sound(is_eof_marker=header.is_eof_marker)


def find_container(stream: ByteStream, stop: int, library: InflateLibrary) -> Generator[None, None, int | None]:
    """The offset of the first container that begins before `stop`, by its header and the start of its first block.

    None if there is none, or if data that looks like the start of a first block is too frequent.
    """
    tried = 0
    last = stop + _SEARCHED_HEADER_BYTES + _FIRST_BLOCK_BYTES
    while True:
        length = min(_SEARCH_BYTES, stream.left, last - stream.at)
        yield from stream.wait_for(length)
        view = stream.peek(length)
        for match in _FIRST_BLOCK.finditer(view):
            start = _header_before(view, match.start(), library)
            if start is not None:
                found = stream.at + start
                return found if found < stop else None
            tried += 1
            if tried == _MAX_CANDIDATES:
                return None
        if length < _SEARCH_BYTES:
            return None
        stream.skip(length - _SEARCHED_HEADER_BYTES - _FIRST_BLOCK_BYTES)


def parse_header(data: bytes, library: InflateLibrary) -> ContainerHeader | None:
    """The container's header at the start of `data`; None if there is none, or its CRC32 is wrong."""
    body_bytes = int.from_bytes(data[:4], "little", signed=True)
    try:
        reference, at = itf8(data, 4)
        start, at = itf8(data, at)
        # The span on the reference, and the number of records.
        at = _after_itf8(data, _after_itf8(data, at))
        # The first record's number, and the number of bases.
        at = _after_ltf8(data, _after_ltf8(data, at))
        blocks, at = itf8(data, at)
        landmarks, at = itf8(data, at)
        for _ in range(landmarks):
            at = _after_itf8(data, at)
    except IndexError:
        return None
    stored = data[at : at + _CRC_BYTES]
    if body_bytes < 0 or library.crc32(data[:at]).to_bytes(_CRC_BYTES, "little") != stored:
        return None
    is_eof_marker = (body_bytes, reference, start) == (_EOF_BODY_BYTES, _EOF_REFERENCE, _EOF_START)
    return ContainerHeader(at + _CRC_BYTES, body_bytes, blocks, is_eof_marker)


def itf8(data: bytes, at: int) -> tuple[int, int]:
    """The ITF8 number at this offset, and the offset after it. Raises IndexError if `data` ends before."""
    first = data[at]
    end = _after_itf8(data, at)
    if end > len(data):
        raise IndexError(end)
    length = end - at
    if length < 5:
        return (first & (0xFF >> length)) << 8 * (length - 1) | int.from_bytes(data[at + 1 : end], "big"), end
    # Of the fifth byte only the lower half is used.
    value = (first & 0x0F) << 28 | int.from_bytes(data[at + 1 : at + 4], "big") << 4 | data[at + 4] & 0x0F
    return value - (value >> 31 << 32), end


def _after_itf8(data: bytes, at: int) -> int:
    return at + 1 + min(_leading_ones(data[at]), 4)


def _after_ltf8(data: bytes, at: int) -> int:
    return at + 1 + _leading_ones(data[at])


def _leading_ones(byte: int) -> int:
    return 8 - (byte ^ 0xFF).bit_length()


def _read_header(stream: ByteStream, library: InflateLibrary) -> Generator[None, None, ContainerHeader | None]:
    for most in _HEADER_STEPS:
        length = min(most, stream.left)
        yield from stream.wait_for(length)
        header = parse_header(bytes(stream.peek(length)), library)
        if header:
            stream.skip(header.header_bytes)
            return header
    return None


def _verify_block(stream: ByteStream, end: int, library: InflateLibrary) -> Generator[None, None, Broken | None]:
    """Verify the block that must begin here, in a container that ends at `end`."""
    at = stream.at
    length = min(_MAX_BLOCK_HEADER_BYTES, end - at)
    yield from stream.wait_for(length)
    head = bytes(stream.peek(length))
    try:
        # After the method and the content type: the content's id, its stored and its inflated length.
        stored_bytes, after = itf8(head, _after_itf8(head, 2))
        _, after = itf8(head, after)
    except IndexError:
        return Broken(f"no block of the container begins at {at}")
    if stored_bytes < 0 or at + after + stored_bytes + _CRC_BYTES > end:
        return Broken(f"the block at {at} is longer than its container")
    crc = yield from _crc32(stream, after + stored_bytes, library)
    yield from stream.wait_for(_CRC_BYTES)
    if crc != int.from_bytes(stream.take(_CRC_BYTES), "little"):
        return Broken(f"the CRC32 of the block at {at} is wrong")
    return None


def _crc32(stream: ByteStream, count: int, library: InflateLibrary) -> Generator[None, None, int]:
    """Take this number of bytes, as they arrive; the result is their CRC32."""
    crc = 0
    end = stream.at + count
    while stream.at < end:
        yield from stream.wait_for(1)
        crc = library.crc32(stream.take(end - stream.at), crc)
    return crc


def _header_before(view: memoryview, end: int, library: InflateLibrary) -> int | None:
    """Where a container's header begins that ends at `end`, or None."""
    stored = int.from_bytes(view[max(0, end - _CRC_BYTES) : end], "little")
    for start in range(end - _MIN_HEADER_BYTES, max(-1, end - _SEARCHED_HEADER_BYTES), -1):
        if library.crc32(view[start : end - _CRC_BYTES]) == stored and parse_header(bytes(view[start:end]), library):
            return start
    return None
