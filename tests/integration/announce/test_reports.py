"""The report of a group as the examples read it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from export_monitor.domain.report_csv import csv_lines
from export_monitor.domain.report_rows import ReportRow
from tests.integration.announcing import EXAMPLES, write_report

SIGNS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "stack", raising=False)
    import stack  # noqa: PLC0415 -- found by the path set here

    return stack


@pytest.mark.parametrize("sign", SIGNS)
def test_the_quote_before_a_sign_of_a_formula_is_taken_away(reports: Any, tmp_path: Path, sign: str) -> None:
    write_report(tmp_path / "r.csv", [{"export_id": f"'{sign}a'{sign}", "location": "it's 'here'"}])
    [row] = reports.read_report(str(tmp_path / "r.csv"))
    assert (row["export_id"], row["location"]) == (f"{sign}a'{sign}", "it's 'here'")


@pytest.mark.parametrize("cell", ["=a", "'=a", "''-a", "'a", "''"])
def test_cell_is_read_as_it_was_before_the_app_wrote_it(reports: Any, tmp_path: Path, cell: str) -> None:
    row = ReportRow("a", "completed", "2026-01-31T00:00:00Z", location=cell)
    (tmp_path / "r.csv").write_bytes(b"".join(csv_lines([row])))
    assert [one["location"] for one in reports.read_report(str(tmp_path / "r.csv"))] == [cell]


@pytest.mark.parametrize("cell", ["'quoted'", "a\r\nb", 'a,"b"\n', "\U0001f9ec", "x" * 200_000])
def test_every_other_cell_is_read_as_it_is(reports: Any, tmp_path: Path, cell: str) -> None:
    write_report(tmp_path / "r.csv", [{"export_id": "a", "location": cell}])
    [row] = reports.read_report(str(tmp_path / "r.csv"))
    assert row["location"] == cell


def test_a_report_that_a_spreadsheet_saved_with_a_byte_order_mark_is_read(reports: Any, tmp_path: Path) -> None:
    write_report(tmp_path / "r.csv", [{"export_id": "a"}])
    (tmp_path / "r.csv").write_text((tmp_path / "r.csv").read_text(), encoding="utf-8-sig")
    assert [row["export_id"] for row in reports.read_report(str(tmp_path / "r.csv"))] == ["a"]


def test_a_report_without_rows_is_one(reports: Any, tmp_path: Path) -> None:
    write_report(tmp_path / "r.csv", [])
    assert reports.read_report(str(tmp_path / "r.csv")) == []
