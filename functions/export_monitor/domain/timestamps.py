"""Timestamps as the API and the events write them (RFC 3339), to and from seconds since the epoch."""

from datetime import UTC, datetime

# The end of the year 9999, the last that a timestamp can be written of.
_LAST = 253_402_300_799


def format_rfc3339(at: float) -> str:
    """Write a time to the second, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: object) -> float | None:
    """Read a timestamp since 1970, with `Z`, an offset, or neither (which is UTC); None for whatever else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return at if 0 <= at <= _LAST else None
