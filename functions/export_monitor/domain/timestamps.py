"""Converts between RFC 3339 timestamps, as the API and the events use them, and seconds since the epoch."""

from datetime import UTC, datetime

# The end of the year 9999, the last one that RFC 3339 can express.
_LAST = 253_402_300_799


def format_rfc3339(at: float) -> str:
    """The time in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: object) -> float | None:
    """Parse a timestamp since 1970 with `Z`, an offset, or neither (which means UTC); None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return at if 0 <= at <= _LAST else None
