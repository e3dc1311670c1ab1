"""Verifies a part of an object as a stream, in bounded memory."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from export_monitor.domain.content.bgzf_blocks import MAX_BLOCK_BYTES, find_block, verify_block
from export_monitor.domain.content.byte_stream import ByteStream
from export_monitor.domain.content.cram_containers import find_container, verify_container
from export_monitor.domain.content.formats import Format, Kind, Unverifiable
from export_monitor.domain.content.gzip_members import verify_member
from export_monitor.domain.content.inflating import InflateLibrary, inflate_libraries
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import Fault, PartResult
from export_monitor.domain.content.units import Broken, Sound

NO_EOF_MARKER = "the end-of-file marker is missing"

_Find: TypeAlias = Callable[[ByteStream, int, InflateLibrary], Generator[None, None, int | None]]
_Verify: TypeAlias = Callable[[ByteStream, InflateLibrary], Generator[None, None, Sound | Broken | Unverifiable]]


@dataclass(frozen=True, slots=True)
class _Method:
    """How a kind's units are found and verified, and how far one that begins before the stop may go on after it."""

    verify: _Verify
    find: _Find
    overhang_bytes: int = 0


def _find_nothing(_stream: ByteStream, _stop: int, _library: InflateLibrary) -> Generator[None, None, int | None]:
    """No member of gzip can be found; `plan_parts` makes one part that begins with the first."""
    yield from ()
    return None


_METHODS = {
    Kind.BGZF: _Method(verify_block, find_block, MAX_BLOCK_BYTES),
    Kind.CRAM: _Method(verify_container, find_container),
    Kind.GZIP: _Method(verify_member, _find_nothing),
}


class PartVerifier:
    """Verifies the units of an object that begin in a part.

    Feed it the object's bytes from the part's start on, in chunks of any length (a few MiB are best), until `result` is
    there or the object ends, with which the result is there as well.
    """

    def __init__(self, content_format: Format, size: int, part: Part, library: InflateLibrary | None = None) -> None:
        self.result: PartResult | None = None
        self._part = part
        self._stream = ByteStream(part.start, size)
        self._overhang_bytes = _METHODS[content_format.kind].overhang_bytes
        self._steps = _verify(self._stream, content_format, part, library or inflate_libraries()[0])
        self._advance()

    @property
    def reads_until(self) -> int:
        """The offset up to which bytes are needed, unless a fault shows before. Grows while a long unit is read."""
        return min(self._stream.size, max(self._part.stop + self._overhang_bytes, self._stream.wanted_until))

    def feed(self, chunk: bytes) -> None:
        """Verify the next bytes. Those after the last that is needed are ignored."""
        self._stream.feed(chunk)
        if self.result is None:
            self._advance()

    def _advance(self) -> None:
        try:
            next(self._steps)
        except StopIteration as end:
            self.result = end.value


def _verify(
    stream: ByteStream, content_format: Format, part: Part, library: InflateLibrary
) -> Generator[None, None, PartResult]:
    method = _METHODS[content_format.kind]
    if not part.is_proven:
        first = yield from method.find(stream, part.stop, library)
        if first is None:
            return PartResult(part.stop, part.stop)
        stream.skip(first - stream.at)
    first, units, inflated, last = stream.at, 0, 0, Sound()
    while stream.at < part.stop:
        at = stream.at
        unit = yield from method.verify(stream, library)
        if isinstance(unit, Broken):
            return PartResult(first, at, units, inflated, fault=Fault(at, unit.reason))
        if isinstance(unit, Unverifiable):
            return PartResult(first, at, units, inflated, unverifiable=unit.reason)
        units, inflated, last = units + 1, inflated + unit.inflated, unit
    is_unmarked = content_format.demands_eof_marker and not stream.left and not last.is_eof_marker
    fault = Fault(stream.at, NO_EOF_MARKER) if is_unmarked else None
    return PartResult(first, stream.at, units, inflated, fault)
