"""gzip: members with the CRC32 and the length of the data that they inflate to. Source: RFC 1952."""

from collections.abc import Generator

from export_monitor.domain.content.byte_stream import ByteStream
from export_monitor.domain.content.formats import UNUSUAL_GZIP, UNUSUAL_GZIP_FLAGS, Unverifiable
from export_monitor.domain.content.inflating import RAW_DEFLATE, InflateLibrary, Inflater
from export_monitor.domain.content.units import Broken, Sound

_HEADER_BYTES = 10
_TRAILER_BYTES = 8
_MAGIC = b"\x1f\x8b\x08"
_EXTRA, _NAME, _COMMENT = 4, 8, 16
# How much is inflated at a time, and to how much at most.
_DEFLATED_BYTES = 1 << 16
_INFLATED_BYTES = 1 << 20

NO_MEMBER = Broken("no gzip member begins here")
CUT = Broken("the member is cut off by the end of the object")
NOT_INFLATED = Broken("the member does not inflate")
WRONG_LENGTH = Broken("the member does not inflate to the length that it states")
WRONG_CRC = Broken("the CRC32 of the inflated member is wrong")
ZEROS = Unverifiable("zeros follow the last gzip member")


def verify_member(stream: ByteStream, library: InflateLibrary) -> Generator[None, None, Sound | Broken | Unverifiable]:
    """Verify the member that must begin here; nothing but zeros up to the end of the object are ZEROS."""
    yield from stream.wait_for(1)
    if bytes(stream.peek(1)) == b"\0":
        only_zeros = yield from _only_zeros(stream)
        return ZEROS if only_zeros else NO_MEMBER
    problem = yield from _pass_header(stream)
    if problem:
        return problem
    return (yield from _verify_data(stream, library))


def _pass_header(stream: ByteStream) -> Generator[None, None, Broken | Unverifiable | None]:
    yield from stream.wait_for(min(_HEADER_BYTES, stream.left))
    header = bytes(stream.take(_HEADER_BYTES))
    if not header.startswith(_MAGIC):
        return NO_MEMBER
    if len(header) < _HEADER_BYTES:
        return CUT
    flags = header[3]
    if flags & UNUSUAL_GZIP_FLAGS:
        return UNUSUAL_GZIP
    if flags & _EXTRA:
        yield from stream.wait_for(min(2, stream.left))
        extra_bytes = min(int.from_bytes(stream.take(2), "little"), stream.left)
        yield from stream.wait_for(extra_bytes)
        stream.skip(extra_bytes)
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            yield from _pass_text(stream)
    return None


def _pass_text(stream: ByteStream) -> Generator[None, None, None]:
    """Pass a text and the zero that ends it."""
    zero = -1
    while zero < 0 and stream.left:
        yield from stream.wait_for(1)
        text = bytes(stream.peek(_DEFLATED_BYTES))
        zero = text.find(b"\0")
        stream.skip(len(text) if zero < 0 else zero + 1)


def _verify_data(stream: ByteStream, library: InflateLibrary) -> Generator[None, None, Sound | Broken]:
    inflater = library.decompressobj(RAW_DEFLATE)
    crc = length = 0
    while not inflater.eof:
        if not stream.left:
            return CUT
        yield from stream.wait_for(1)
        deflated = stream.peek(_DEFLATED_BYTES)
        try:
            for inflated in _inflated(inflater, deflated):
                crc = library.crc32(inflated, crc)
                length += len(inflated)
        except library.error:
            return NOT_INFLATED
        stream.skip(len(deflated) - len(inflater.unused_data))
    if stream.left < _TRAILER_BYTES:
        return CUT
    yield from stream.wait_for(_TRAILER_BYTES)
    stated = stream.take(_TRAILER_BYTES)
    if crc != int.from_bytes(stated[:4], "little"):
        return WRONG_CRC
    # The length is stated modulo 2^32.
    return Sound(length) if length & 0xFFFFFFFF == int.from_bytes(stated[4:], "little") else WRONG_LENGTH


def _inflated(inflater: Inflater, deflated: memoryview | bytes) -> Generator[bytes, None, None]:
    """What these bytes inflate to, in pieces of at most 1 MiB."""
    while True:
        inflated = inflater.decompress(deflated, _INFLATED_BYTES)
        yield inflated
        deflated = inflater.unconsumed_tail
        if inflater.eof or (not deflated and len(inflated) < _INFLATED_BYTES):
            return


def _only_zeros(stream: ByteStream) -> Generator[None, None, bool]:
    while stream.left:
        yield from stream.wait_for(1)
        if bytes(stream.take(_DEFLATED_BYTES)).strip(b"\0"):
            return False
    return True
