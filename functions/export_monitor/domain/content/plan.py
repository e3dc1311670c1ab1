"""Cuts an object into parts that are read independently."""

from dataclasses import dataclass
from itertools import count

from export_monitor.domain.content.formats import Format, Kind, Unverifiable

# Results of about 100 bytes for this number of parts are half of what an item of DynamoDB holds.
MAX_PARTS = 2000
# gzip can only be read from its beginning: at 75 MB/s this takes ten of the 15 minutes that an invocation may last.
MAX_GZIP_BYTES = 40 * 1024**3


@dataclass(frozen=True, slots=True)
class Part:
    """The units that begin from `start` to before `stop`; `is_proven` if one is known to begin at `start` itself."""

    number: int
    start: int
    stop: int
    is_proven: bool = False


def plan_parts(size: int, part_bytes: int, content_format: Format) -> tuple[Part, ...] | Unverifiable:
    """The parts of an object, in order; or the reason why it is too large.

    They are longer than `part_bytes` where there would be more than MAX_PARTS. gzip has one part.
    """
    first = content_format.first_unit
    if content_format.kind is Kind.GZIP:
        if size > MAX_GZIP_BYTES:
            return Unverifiable("gzip larger than 40 GiB, which can only be read in one piece")
        return (Part(0, first, size, is_proven=True),)
    part_bytes = max(part_bytes, -(-size // MAX_PARTS))
    stops = [*range(part_bytes, size, part_bytes), size]
    return tuple(
        Part(number, start or first, stop, is_proven=not start)
        for number, start, stop in zip(count(), [0, *stops], stops, strict=False)
    )
