"""Timestamps, read however the API writes them, written in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.timestamps import format_rfc3339, parse_rfc3339

YEAR_9999_ENDS = 253_402_300_799


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2016-06-15T19:17:41Z", 1466018261.0),
        ("2016-06-15T21:17:41+02:00", 1466018261.0),
        ("2016-06-15T19:17:41.500Z", 1466018261.5),
        ("2016-06-15T19:17:41", 1466018261.0),
        ("1970-01-01T00:00:00Z", 0.0),
        ("9999-12-31T23:59:59Z", float(YEAR_9999_ENDS)),
        ("yesterday", None),
        ("", None),
        (None, None),
        (20160615, None),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_timestamps_are_read_however_they_are_written(text: object, at: float | None) -> None:
    assert parse_rfc3339(text) == at


def test_timestamps_are_written_in_utc_to_the_second() -> None:
    assert format_rfc3339(1466018261.9) == "2016-06-15T19:17:41Z"


@given(st.integers(0, YEAR_9999_ENDS))
def test_what_was_written_is_read_again(at: int) -> None:
    assert parse_rfc3339(format_rfc3339(at)) == at


@given(st.text() | st.datetimes().map(str) | st.datetimes().map(lambda moment: f"{moment.isoformat()}-23:59"))
def test_whatever_is_read_can_be_written(text: str) -> None:
    at = parse_rfc3339(text)
    assert at is None or len(format_rfc3339(at)) == len("2016-06-15T19:17:41Z")
