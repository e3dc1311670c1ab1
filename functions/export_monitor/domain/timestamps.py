"""Timestamps as the API and the events write them (RFC 3339), to and from seconds since the epoch."""

from datetime import UTC, datetime


def rfc3339(at: float) -> str:
    """Write a time to the second, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: object) -> float | None:
    """Read a timestamp, with `Z`, an offset, or neither (which is UTC); None for whatever else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
