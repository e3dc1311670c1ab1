"""Reads the bytes of an object that arrive in chunks of any length."""

from collections.abc import Generator
from typing import TypeAlias

# A step that yields while it waits for the next chunk.
Waiting: TypeAlias = Generator[None, None, None]

_EMPTY = memoryview(b"")


class ByteStream:
    """The bytes of an object of `size` bytes from the offset `at` on.

    Holds the chunk that was fed last and, at the seam of two chunks, a copy of as many bytes as were waited for.
    `wanted_until` is the offset up to which bytes are known to be needed.
    """

    def __init__(self, at: int, size: int) -> None:
        self.at = at
        self.size = size
        self.wanted_until = at
        self._window = _EMPTY
        self._fed = _EMPTY

    @property
    def left(self) -> int:
        """How many bytes of the object have not been taken."""
        return self.size - self.at

    def feed(self, chunk: bytes) -> None:
        """Append the next bytes; those fed before must have been waited for."""
        self._fed = memoryview(chunk)

    def want(self, count: int) -> None:
        """Note that this number of bytes will be needed."""
        self.wanted_until = max(self.wanted_until, self.at + count)

    def wait_for(self, count: int) -> Waiting:
        """Wait until `count` bytes are here. There must be as many left."""
        self.want(count)
        while len(self._window) < count:
            while not self._fed:
                yield
            if self._window:
                missing = count - len(self._window)
                self._window = memoryview(bytes(self._window) + self._fed[:missing])
                self._fed = self._fed[missing:]
            else:
                self._window, self._fed = self._fed, _EMPTY

    def peek(self, most: int) -> memoryview:
        """The next bytes that are here, at most this number."""
        return self._window[:most]

    def skip(self, count: int) -> None:
        """Go on after `count` bytes that are here."""
        self._window = self._window[count:]
        self.at += count

    def take(self, most: int) -> memoryview:
        """The next bytes that are here, at most this number, and go on after them."""
        taken = self._window[:most]
        self.skip(len(taken))
        return taken
