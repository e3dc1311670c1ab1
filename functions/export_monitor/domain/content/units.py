"""What verifying one unit can result in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sound:
    """A unit whose checksums are right; `is_eof_marker` if the format ends with one like it."""

    inflated: int = 0
    is_eof_marker: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A unit that is damaged, or something else in the place of one."""

    reason: str
