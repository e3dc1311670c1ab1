"""A group's report as CSV, read as programs read it."""

import csv
import io
import json
import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_monitor.domain.report_csv import COLUMNS, csv_lines
from export_monitor.domain.report_rows import ReportRow, row_from_json, row_to_json
from tests.unit.builders import a_row

SIGNS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


def stripped(cell: str) -> str:
    """As docs/operations.md says that programs do it."""
    return re.sub("^'(?='*[-=+@\t\r\n\uff1d\uff0b\uff0d\uff20])", "", cell)


def read(*rows: ReportRow) -> list[dict[str, str]]:
    content = b"".join(csv_lines(rows)).decode()
    return list(csv.DictReader(io.StringIO(content, newline=""), strict=True))


def test_columns_are_those_of_the_contract_with_the_advice_at_the_end() -> None:
    assert COLUMNS[:5] == ("export_id", "outcome", "reason", "code", "message")
    assert COLUMNS[-2:] == ("context", "advice")
    assert sorted(COLUMNS) == sorted(field.name for field in fields(ReportRow))


def test_row_as_bytes() -> None:
    row = a_row(
        reason="OBJECT_MISMATCH", message='a "b", c', size_bytes=0, checksums={"CRC32": "abc="},
        failed_checks=("size", "integrity"), context={"sample": "Ö"},
    )  # fmt: skip
    header, line = csv_lines([row])
    assert header == ",".join(COLUMNS).encode() + b"\r\n"
    assert line.decode() == (
        'an-export,failed,OBJECT_MISMATCH,,"a ""b"", c",,,,0,,,,,,,"{""CRC32"":""abc=""}",,,,size;integrity,,,'
        '2023-11-14T22:13:20Z,"{""sample"":""Ö""}",\r\n'
    )


@pytest.mark.parametrize("sign", SIGNS)
def test_cell_that_begins_like_a_formula_is_text_and_comes_back_whole(sign: str) -> None:
    texts = [f"{sign}cmd|'/c calc'!A1", f"'{sign}x", f"''{sign}", f"x{sign}", "'x"]
    for text in texts:
        [row] = read(a_row(file_name=text))
        assert row["file_name"] == (text if text in texts[3:] else f"'{text}")
        assert stripped(row["file_name"]) == text


def test_id_that_begins_like_a_formula_is_no_exception() -> None:
    [row] = read(a_row("-1"))
    assert (row["export_id"], stripped(row["export_id"])) == ("'-1", "-1")


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\r\nb", "a\rb", 'a"b', '"', "a,b;c", "\U0001f9ec.bam", "\u05e9\u05dc\u05d5\u05dd.vcf", "x" * 1024,
     "\u2028", "\u202ecod.bam", " lead and trail ", "null\0", "<script>alert(1)</script>.bam"],
)  # fmt: skip
def test_cell_comes_back_whole(text: str) -> None:
    [row] = read(a_row(location=text, message=text, context={"name": text}))
    assert (row["location"], row["message"]) == (text, text)
    assert json.loads(row["context"]) == {"name": text}


def test_lone_surrogate_is_replaced() -> None:
    [row] = read(a_row(file_name="a\ud800b"))
    assert row["file_name"] == "a?b"


def test_values_that_are_not_known_are_empty() -> None:
    [row] = read(a_row())
    empty = {name for name, value in row.items() if not value}
    assert row["checksums"] == row["context"] == "{}"
    assert empty == set(COLUMNS) - {"export_id", "outcome", "concluded_at", "checksums", "context"}


TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.builds(
    ReportRow,
    st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True),
    st.sampled_from(["completed", "failed"]),
    st.just("2023-11-14T22:13:20Z"),
    reason=TEXTS, code=st.none() | st.integers(), message=TEXTS, advice=TEXTS, file_id=TEXTS, file_name=TEXTS,
    project=TEXTS, size_bytes=st.none() | st.integers(0, 2**63), volume=TEXTS, location=TEXTS, s3_uri=TEXTS,
    version_id=TEXTS, etag=TEXTS, checksum_type=TEXTS,
    checksums=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
    encryption=TEXTS, storage_class=TEXTS, verification=TEXTS,
    failed_checks=st.lists(st.sampled_from(["size", "acl"])).map(tuple),
    started_on=TEXTS, finished_on=TEXTS, context=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
)  # fmt: skip


@given(st.lists(ROWS, max_size=4))
def test_report_holds_every_value_of_every_row(rows: list[ReportRow]) -> None:
    for row, cells in zip(rows, read(*rows), strict=True):
        for name, cell in cells.items():
            value = getattr(row, name)
            if name in ("checksums", "context"):
                # What UTF-8 cannot encode is replaced.
                assert json.loads(cell) == json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
            elif name == "failed_checks":
                assert cell == ";".join(value)
            else:
                assert stripped(cell) == ("" if value is None else str(value))


@given(ROWS)
def test_row_comes_back_from_json_as_it_was(row: ReportRow) -> None:
    text = row_to_json(row)
    assert text.isascii()
    assert row_from_json(text) == row


def test_json_of_a_row_has_no_empty_values_and_tolerates_fields_of_later_versions() -> None:
    text = row_to_json(a_row(size_bytes=0, message=""))
    assert json.loads(text) == {
        "export_id": "an-export", "outcome": "completed", "concluded_at": "2023-11-14T22:13:20Z", "size_bytes": 0
    }  # fmt: skip
    assert row_from_json(text[:-1] + ',"novel":1}') == a_row(size_bytes=0)
