"""The inflate library: ISA-L where it is installed, because it is twice as fast, else the standard library's zlib."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast

RAW_DEFLATE = -15


class Inflater(Protocol):
    """A stream that is inflated, as `zlib.decompressobj` returns it."""

    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: Any, max_length: int) -> bytes: ...


class InflateLibrary(Protocol):
    """What is used of the module zlib, and of isal's module with the same interface."""

    __name__: str
    error: type[Exception]

    def crc32(self, data: Any, value: int = 0, /) -> int: ...

    def decompressobj(self, wbits: int) -> Inflater: ...


def inflate_libraries() -> Sequence[InflateLibrary]:
    """The libraries that are installed, the fastest first."""
    installed = [name for name in ("isal.isal_zlib", "zlib") if find_spec(name.partition(".")[0])]
    return [cast("InflateLibrary", import_module(name)) for name in installed]
