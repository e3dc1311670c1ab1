"""Reads single values of the API's JSON, which may be of any type."""

from export_monitor.domain.model import MAX_TEXT_CHARACTERS


def as_int(value: object) -> int | None:
    """The value if it is an integer or a string of up to 18 digits; else None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def short_text(value: object) -> str | None:
    """The value if it is text of 1 to MAX_TEXT_CHARACTERS characters; else None."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARACTERS else None
