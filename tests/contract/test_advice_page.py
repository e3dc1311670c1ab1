"""`docs/advice.md` and the code's tables of advice say the same, word for word and row for row."""

from pathlib import Path

import pytest

from export_monitor.domain.advice import (
    BY_CODE,
    BY_CODE_OF_JOB,
    BY_CODE_OF_VOLUME,
    BY_REASON,
    SOURCE_LACKS_BYTES,
    TIMED_OUT_AFTER_COMPLETION,
)
from export_monitor.domain.verdicts import Reason
from tests.contract.pages import tables

PAGE = (Path(__file__).parents[2] / "docs" / "advice.md").read_text("utf-8")


def rows(heading: str) -> list[tuple[str, ...]]:
    """The rows of the table below a heading."""
    [table] = tables(PAGE, heading)
    return [tuple(row) for row in table]


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("By the code of a FAILED job", BY_CODE),
        ("By the code of a denied job", BY_CODE_OF_JOB),
        ("By the code of a denied volume", BY_CODE_OF_VOLUME),
    ],
)
def test_page_has_exactly_the_advice_by_code_in_its_order(heading: str, table: dict[int, str]) -> None:
    assert rows(heading) == [(str(code), text) for code, text in table.items()]


def test_page_has_exactly_the_advice_by_reason_in_its_order() -> None:
    assert rows("By the reason") == [
        *((f"`{reason}`", text) for reason, text in BY_REASON.items()),
        ("`TIMED_OUT` after COMPLETED", TIMED_OUT_AFTER_COMPLETION),
        ("`OBJECT_MISMATCH` where `integrity` failed and `size` passed", SOURCE_LACKS_BYTES),
    ]


def test_every_reason_has_its_advice() -> None:
    assert list(BY_REASON) == list(Reason)
