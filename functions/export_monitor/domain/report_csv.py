"""A group's report as CSV: RFC 4180, UTF-8, a header, and one row for each export.

Spreadsheets run a cell that begins like a formula, so such a cell gets a leading `'`, which programs strip.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator

from export_monitor.domain.model import JsonObject
from export_monitor.domain.report_rows import ReportRow

COLUMNS = (
    "export_id", "outcome", "reason", "code", "message", "file_id", "file_name", "project", "size_bytes", "volume",
    "location", "s3_uri", "version_id", "etag", "checksum_type", "checksums", "encryption", "storage_class",
    "verification", "failed_checks", "started_on", "finished_on", "concluded_at", "context", "advice",
)  # fmt: skip
# The full-width forms are formulas too, in some languages. A cell that has a `'` before a sign gets another one, so
# that stripping one gives back what was there.
_FORMULA = re.compile("'*[-=+@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")
_JSON_COLUMNS = ("checksums", "context")


def csv_lines(rows: Iterable[ReportRow]) -> Iterator[bytes]:
    """The header and each row, as they come, encoded; a lone surrogate, which UTF-8 cannot encode, becomes `?`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")

    def line(cells: Iterable[str]) -> bytes:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(map(_defused, cells))
        return buffer.getvalue().encode(errors="replace")

    yield line(COLUMNS)
    for row in rows:
        yield line(_cell(row, column) for column in COLUMNS)


def _cell(row: ReportRow, column: str) -> str:
    value = getattr(row, column)
    if column in _JSON_COLUMNS:
        return json_cell(value)
    if isinstance(value, tuple):
        return ";".join(value)
    return "" if value is None else str(value)


def json_cell(value: JsonObject) -> str:
    """A JSON object as a cell has it: compact, for people to read."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _defused(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
