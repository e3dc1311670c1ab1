"""Measures the report of a group, CSV and page, next to a plain CSV of the same rows.

    PYTHONPATH=functions python -m benchmarks.report [--rows 10000] [--repetitions 3]

Each is written once before it is measured; then the best of some repetitions counts. Memory is traced in a run apart.
"""

import argparse
import csv
import io
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import fields

from benchmarks.results import Figure, Section, table
from export_monitor.adapters.report_page import render
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import Group
from export_monitor.domain.report_csv import csv_lines
from export_monitor.domain.report_rows import ReportRow

_COLUMNS = tuple(field.name for field in fields(ReportRow))
_CONCLUDED = "2026-01-02T03:04:05Z"


def main() -> None:
    """Make the rows, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=3, help="the best counts")
    options = parser.parse_args()
    print("\n".join(table(section(options.rows, options.repetitions))))


def section(number: int, repetitions: int) -> Section:
    """The whole report, CSV and page, compared with Python's csv module writing the same rows."""
    rows = example_rows(number)
    progress = GroupProgress(Group("run-42", number), number, 0, 0)
    report = WrittenReport("reports", "run-42", number, "")
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: _csv(rows),
        lambda: b"".join(csv_lines(rows)) + "".join(render(progress, 3600, rows, report)).encode(),
    )
    sizes = [len(way()) / 1e6 for way in ways]
    seconds = [min(_cpu_seconds(way) for _ in range(repetitions)) for way in ways]
    peaks = [_peak_bytes(way) / 1e6 for way in ways]
    return Section(
        f"csv.writer, {number:,} rows",
        "csv",
        (
            Figure("CPU time", "ms", seconds[0] * 1000, seconds[1] * 1000),
            Figure("peak memory while writing", "MB", peaks[0], peaks[1]),
            Figure("size", "MB", sizes[0], sizes[1]),
        ),
    )


def example_rows(number: int) -> list[ReportRow]:
    """Rows of a group's exports."""
    return [_row(one) for one in range(number)]


def _row(number: int) -> ReportRow:
    name = f"sample{number}.dedup.bam"
    return ReportRow(
        f"{number:032d}",
        "completed",
        _CONCLUDED,
        file_id=f"{number:024x}",
        file_name=name,
        project="rfranklin/my-project",
        size_bytes=number * 1_000_003,
        volume="rfranklin/output",
        location=f"run-42/{name}",
        s3_uri=f"s3://bucket/run-42/{name}",
        etag=f"{number:032x}-17",
        checksums={"CRC64NVME": "DIt3oCmBzDM="},
        verification="passed",
        finished_on=_CONCLUDED,
        context={"sample": number},
    )


def _csv(rows: Sequence[ReportRow]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([getattr(row, name) for name in _COLUMNS] for row in rows)
    return text.getvalue().encode()


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


if __name__ == "__main__":
    main()
